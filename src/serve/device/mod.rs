//! What devices ask: offers, blobs, the files of shares, taking their reports, and enrolling them.
//!
//! A request goes: route → method → credential → the words of its query → what it may see → bytes. Each step can
//! only refuse by what it has looked at so far, so no refusal tells more than the step before it knew. Everything about
//! a product, release or blob that the requester may not see is [`not_found`], for every method and condition.
//!
//! This listener deliberately changes nothing but reports and the credential of a device that enrols, and names no
//! version but the decided one.

mod blob;
mod enrol;
mod freshness;
mod group_cache;
mod identity;
mod keys;
mod manifest;
mod metrics;
mod offer;
mod offer_text;
mod query;
mod relayed;
mod report;
mod route;
mod share;
mod signed;
#[cfg(test)]
mod tests;
mod visit;

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

use super::bodies::RequestBody;
use super::certificate::IdentityRule;
use super::connection::Handler;
use super::http::{Arriving, BytesBody};
use super::not_found::not_found;
use super::problem::Problem;
use super::quota::{Quota, QuotaOptions};
use super::steady_clock::SteadyClock;
use crate::control::OriginKeys;
use crate::mirror::Mirror;
use crate::model::{Blake3Digest, DeviceId, ObjectRef, Release, Report, ReportError, RingName, Snapshot, TokenId};
use enrol::WrongCodes;
pub use enrol::{EnrolError, Enrolled, EnrolledCredential};
use group_cache::GroupCache;
pub(in crate::serve) use identity::bearer;
pub use metrics::DeviceMetrics;
use offer::peer_address;
use offer_text::OfferTexts;
use route::Route;
use share::Stragglers;
use signed::SignedTexts;
use visit::{Visit, VisitBody};

/// What the device listener needs of the rooms below.
pub trait Backend: Send + Sync + 'static {
    /// The durable state at this moment.
    fn snapshot(&self) -> Arc<Snapshot>;
    /// The time of decisions on that state: the wall clock, never before its newest event.
    fn now(&self, snapshot: &Snapshot) -> Timestamp;
    /// The keyed hash of a bearer token; `None` if the text cannot be one.
    fn token_hash(&self, secret: &str) -> Option<Blake3Digest>;
    /// The bytes of a blob of this length; `None` if they are missing. An error is a sentence for the log.
    fn body(&self, blob: &Blake3Digest, size: u64) -> Result<Option<Bytes>, String>;
    /// These ranges of a blob that is not there or damaged, one source for each, from an upstream; `None` where there is
    /// none. Returns once the upstream has begun to give them. An error is a sentence for the log.
    fn pull(
        &self,
        blob: ObjectRef,
        ranges: Vec<Range<u64>>,
    ) -> impl Future<Output = Option<Result<Vec<Box<dyn Arriving>>, String>>> + Send {
        let _ = (blob, ranges);
        std::future::ready(None)
    }
    /// A device is being offered a release that it does not have, in the ring of its group. Never waits.
    fn note_offer(&self, snapshot: &Snapshot, device: &DeviceId, release: &Release, ring: &RingName, now: Timestamp);
    /// A device's token was used. Never waits.
    fn note_token_use(&self, token: TokenId, now: Timestamp);
    /// Stores reports of one device, all of them or none. Returns after fsync.
    fn record_reports(
        &self,
        reports: Vec<Report>,
    ) -> impl Future<Output = Result<RecordedReports, RecordReportsError>> + Send;
    /// Uses a code up for a certificate by this request in PEM, or for a token where there is none. Returns after
    /// fsync; an error has used nothing up.
    fn enrol(&self, code: String, csr: Option<String>) -> impl Future<Output = Result<Enrolled, EnrolError>> + Send;
}

/// What became of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedReports {
    /// New ones.
    pub recorded: usize,
    /// Those whose id was known already; they changed nothing.
    pub repeated: usize,
}

/// Why reports were not stored.
#[derive(Debug, thiserror::Error)]
pub enum RecordReportsError {
    /// One of them is refused.
    #[error(transparent)]
    Refused(#[from] ReportError),
    /// They cannot be stored now; the sentence is for the log.
    #[error("{0}")]
    Unavailable(String),
}

/// How the device listener answers.
#[derive(Debug, Clone)]
pub struct DeviceOptions {
    /// From where the header `Ringfence-Device` is believed.
    pub header_trusted_from: Vec<IpNet>,
    /// How long a download may go on after another release was decided.
    pub download_grace: SignedDuration,
    /// How long a download from a share may have taken: a client's own date is believed only beyond that.
    pub longest_transfer: Duration,
    /// How long after a switch a reader gets the rest of a set from the version that it began with.
    pub straggler_grace: SignedDuration,
    /// When a device is told to ask again: at the end of the decision, but not before and not after; spread over a
    /// tenth of that time, so that not all come at once.
    pub next_check: (Duration, Duration),
    /// Random, drawn once a process: keeps multipart boundaries from being foreseen.
    pub boundary_salt: u64,
    /// How long after its request a 404 is given, so that its time tells no more than its bytes.
    pub refusal_time: Duration,
    /// The caps on requests. Addresses in `header_trusted_from` have none, the devices behind them have theirs.
    pub quota: QuotaOptions,
    /// How a verified client certificate names its device; without any, no certificate does.
    pub certificate_identity: Vec<IdentityRule>,
    /// The names, as those rules read them, of proxies: their certificates prove no device.
    pub proxies: Vec<DeviceId>,
    /// What answers are signed with; without it, there are no signed answers.
    pub origin: Option<Arc<OriginKeys>>,
    /// Whose signed answers are passed on instead, if this server is a mirror.
    pub mirror: Option<Arc<Mirror>>,
}

impl Default for DeviceOptions {
    fn default() -> Self {
        Self {
            header_trusted_from: Vec::new(),
            download_grace: SignedDuration::from_hours(24),
            longest_transfer: Duration::from_secs(15 * 60),
            straggler_grace: SignedDuration::from_secs(15),
            next_check: (Duration::from_secs(30), Duration::from_secs(4 * 3600)),
            boundary_salt: 0,
            refusal_time: Duration::from_millis(5),
            quota: QuotaOptions::default(),
            certificate_identity: Vec::new(),
            proxies: Vec::new(),
            origin: None,
            mirror: None,
        }
    }
}

/// The device listener's handler.
pub struct DeviceApi<B>(Arc<Inner<B>>);

struct Inner<B> {
    backend: B,
    options: DeviceOptions,
    metrics: DeviceMetrics,
    groups: GroupCache,
    texts: OfferTexts,
    stragglers: Stragglers,
    quota: Quota,
    wrong_codes: WrongCodes,
    signed: SignedTexts,
    clock: SteadyClock,
}

impl<B> Clone for DeviceApi<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B: Backend> DeviceApi<B> {
    /// A handler over this backend.
    pub fn new(backend: B, options: DeviceOptions, metrics: DeviceMetrics) -> Self {
        let (groups, texts) = (GroupCache::default(), OfferTexts::default());
        // Who read something longer ago than a download takes is not in the midst of reading.
        let reach = SignedDuration::try_from(options.longest_transfer).unwrap_or(SignedDuration::MAX);
        let stragglers = Stragglers::new(options.straggler_grace, reach);
        let quota = Quota::new(&options.quota);
        let wrong_codes = WrongCodes::default();
        let inner = Inner {
            backend,
            metrics,
            groups,
            texts,
            stragglers,
            quota,
            wrong_codes,
            signed: SignedTexts::default(),
            clock: SteadyClock::start(),
            options,
        };
        Self(Arc::new(inner))
    }
}

impl<B: Backend> Handler for DeviceApi<B> {
    type Body = VisitBody;

    async fn handle(&self, mut request: Request<RequestBody>) -> Response<VisitBody> {
        let begun = Instant::now();
        let route = Route::of(request.uri().path());
        let kind = route.kind();
        let visit = Visit::default();
        request.extensions_mut().insert(visit.clone());
        let answer = match self.0.admit_address(&request) {
            Ok(()) => self.0.answer(&route, request).await,
            Err(problem) => Err(problem.into()),
        };
        let response = match answer {
            Ok(response) => response,
            Err(Refusal::NotFound) => {
                // Looking for what is withheld takes longer than for what is not there: neither is to be seen.
                self.0.clock.until(begun + self.0.options.refusal_time).await;
                not_found()
            }
            Err(Refusal::Problem(problem)) => problem.into_response(),
        };
        self.0.metrics.answered(kind, response.status(), begun.elapsed());
        response.map(|body| VisitBody::new(body, visit))
    }
}

/// Why a request is not answered with what it asked for.
enum Refusal {
    /// Unknown, withheld or malformed: nobody can tell which.
    NotFound,
    /// Something that tells nothing of what there is.
    Problem(Problem),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

type Answer = Result<Response<BytesBody>, Refusal>;

impl<B: Backend> Inner<B> {
    async fn answer(&self, route: &Route, request: Request<RequestBody>) -> Answer {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        match route {
            Route::Offer(_) | Route::Blob(_) | Route::Share(_) | Route::Health if !reads => {
                Err(Problem::method_not_allowed("GET, HEAD").into())
            }
            Route::Manifest(_) | Route::Freshness | Route::Keys if !reads => {
                Err(Problem::method_not_allowed("GET, HEAD").into())
            }
            Route::Reports | Route::Enrol if request.method() != Method::POST => {
                Err(Problem::method_not_allowed("POST").into())
            }
            Route::Health => Ok(health()),
            Route::Offer(product) => self.offer(product.as_deref(), &request),
            Route::Blob(name) => {
                let sent = self.blob(name.as_ref(), &request)?;
                self.sent(sent).await
            }
            Route::Share(asked) => {
                let (sent, wait) = self.share(asked.as_ref(), &request)?;
                if let Some(left) = wait {
                    tokio::time::sleep(left).await;
                }
                self.sent(sent).await
            }
            Route::Reports => self.reports(request).await,
            Route::Enrol => self.enrol(request).await,
            Route::Manifest(release) => match &self.options.mirror {
                Some(mirror) => self.relayed_manifest(mirror, release.as_ref(), &request).await,
                None => self.manifest(release.as_ref(), &request),
            },
            Route::Freshness => match &self.options.mirror {
                Some(mirror) => self.relayed_freshness(mirror, &request).await,
                None => self.freshness(&request),
            },
            Route::Keys => self.keys(&request),
            Route::Unknown => Err(Refusal::NotFound),
        }
    }
}

/// A whole body of at most so many bytes.
async fn read_body(request: Request<RequestBody>, max_bytes: usize) -> Result<Bytes, Problem> {
    let body = Limited::new(request.into_body(), max_bytes).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let detail = format!("the body has at most {max_bytes} bytes here");
            Problem::with_detail(StatusCode::PAYLOAD_TOO_LARGE, detail)
        } else {
            Problem::with_detail(StatusCode::REQUEST_TIMEOUT, error.to_string())
        }
    })?;
    Ok(body.to_bytes())
}

/// For load balancers: the listener answers. Whether the server is ready is the admin listener's `/readyz`.
fn health() -> Response<BytesBody> {
    let body = Bytes::from_static(b"ok\n");
    let mut response = Response::new(BytesBody::from(body));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_LENGTH, 3.into());
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}
