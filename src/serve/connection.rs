//! One connection from its first byte to its last: hyper speaks HTTP, this module holds the clock.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, Verdict, Watch};
use super::bodies::{AnswerBody, RequestBody};
use super::certificate::ClientCertificate;
use super::framing;
use super::limits::Limits;
use super::metrics::{DropReason, ListenerMetrics, ListenerName};
use super::pace::Pace;
use super::peer::Peer;
use super::stream::{Leftover, WatchedStream, linger};
use super::tls::Handshakes;

/// For how long after it was accepted a connection may bring its first request although the server is stopping.
const FIRST_REQUEST_GRACE: Duration = Duration::from_millis(500);

/// Answers requests. Whatever goes wrong is an answer, too: there is no error.
pub trait Handler: Clone + Send + Sync + 'static {
    /// The body of its answers. An error of it closes the connection in the midst of the answer.
    type Body: Body<Data: Buf + Send, Error: Into<Box<dyn StdError + Send + Sync>>>
        + From<Bytes>
        + Send
        + Unpin
        + 'static;

    /// Answers one request. The [`Peer`] is in the request's extensions.
    fn handle(&self, request: Request<RequestBody>) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// What all connections of a listener share.
#[derive(Debug)]
pub(crate) struct Shared<H> {
    pub(crate) name: ListenerName,
    pub(crate) handler: H,
    pub(crate) limits: Limits,
    pub(crate) metrics: ListenerMetrics,
    pub(crate) http: auto::Builder<TokioExecutor>,
    /// Finish what runs, and take nothing new.
    pub(crate) drain: CancellationToken,
    /// Stop at once.
    pub(crate) abort: CancellationToken,
    /// What connections begin with, where TLS is spoken.
    pub(crate) handshakes: Option<Handshakes>,
    /// Connections that the abort cut off in the midst of something.
    pub(crate) cut_by_drain: AtomicUsize,
}

/// hyper's settings for a listener with these limits.
pub(crate) fn http_settings(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // The watch of this module is the header's timeout: unlike hyper's it begins with the accepted connection, and
        // lets an idle connection live longer than a header.
        .header_read_timeout(None)
        // A peer that ends its half after the request still gets its answer (RFC 9112 section 9.6).
        .half_close(true)
        .max_headers(limits.header_max_fields)
        // hyper panics below this; the configuration's own minimum is higher.
        .max_buf_size(limits.header_max_bytes.max(8192) as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2_streams_max)
        .max_pending_accept_reset_streams(limits.h2_reset_streams_max)
        .max_local_error_reset_streams(limits.h2_reset_streams_max)
        .max_header_list_size(limits.header_max_bytes)
        .keep_alive_interval(limits.idle_timeout / 2)
        .keep_alive_timeout(limits.header_timeout);
    builder
}

/// Serves `socket` until either side ends it. Never fails: an error of one connection concerns nobody else.
pub(crate) async fn drive<S, H>(socket: S, peer: Peer, shared: &Shared<H>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let activity = Arc::new(Activity::new());
    let (stream, leftover) = watched(socket, &activity, shared);
    let ended = converse(stream, Caller { peer, certificate: None }, activity, shared).await;
    part(ended, leftover, peer, shared).await;
}

/// As [`drive`], after a handshake. TLS lies above the watched stream: what is watched is what the socket takes, the
/// handshake and the last alert included.
pub(crate) async fn drive_secured<H: Handler>(
    socket: TcpStream,
    peer: Peer,
    handshakes: &Handshakes,
    shared: &Shared<H>,
) {
    let activity = Arc::new(Activity::new());
    let (stream, leftover) = watched(socket, &activity, shared);
    let ended = match shared.abort.run_until_cancelled(handshakes.shake(stream, peer)).await {
        None => Ended::Cut(DropReason::Drain),
        Some(None) => Ended::ByItself,
        Some(Some((stream, certificate))) => converse(stream, Caller { peer, certificate }, activity, shared).await,
    };
    part(ended, leftover, peer, shared).await;
}

fn watched<S, H>(socket: S, activity: &Arc<Activity>, shared: &Shared<H>) -> (WatchedStream<S>, Leftover<S>) {
    let pace = Pace::new(shared.limits.pace, shared.limits.unsent_max_bytes);
    WatchedStream::new(socket, activity.clone(), pace, shared.metrics.written.clone())
}

/// Lets the peer read what it was told last, or counts why it was cut off.
async fn part<S, H>(ended: Ended, leftover: Leftover<S>, peer: Peer, shared: &Shared<H>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match ended {
        Ended::ByItself => {
            let socket = leftover.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(socket) = socket {
                let lingering = linger(socket, shared.limits.linger_timeout);
                let _ = shared.abort.run_until_cancelled(lingering).await;
            }
        }
        Ended::Cut(reason) => {
            shared.metrics.dropped(reason).inc();
            if reason == DropReason::Drain {
                shared.cut_by_drain.fetch_add(1, Ordering::Relaxed);
            }
            tracing::debug!(listener = shared.name.as_str(), ?peer, reason = reason.as_str(), "connection cut off");
        }
    }
}

enum Ended {
    ByItself,
    Cut(DropReason),
}

/// Who is at the other end.
struct Caller {
    peer: Peer,
    certificate: Option<ClientCertificate>,
}

async fn converse<S, H>(stream: S, caller: Caller, activity: Arc<Activity>, shared: &Shared<H>) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let Caller { peer, certificate } = caller;
    let service = {
        let (activity, handler, pace) = (activity.clone(), shared.handler.clone(), shared.limits.pace);
        service_fn(move |request: Request<Incoming>| {
            let handling = activity.begin_request(request.version() == Version::HTTP_2);
            let mut request = request.map(|incoming| RequestBody::new(incoming, pace));
            request.extensions_mut().insert(peer);
            if let Some(certificate) = &certificate {
                request.extensions_mut().insert(certificate.clone());
            }
            let handler = handler.clone();
            async move {
                let answer = match framing::refusal(&request) {
                    Some(problem) => problem.into_response(),
                    None => handler.handle(request).await,
                };
                Ok::<_, Infallible>(answer.map(|body| AnswerBody::new(body, handling.begin_answer())))
            }
        })
    };
    let mut watch = Watch::new(activity.clone(), &shared.limits);
    let mut look = pin!(sleep_until(watch.first_look()));
    let mut connection = pin!(shared.http.serve_connection(TokioIo::new(stream), service));
    let mut draining = pin!(drain(&activity, shared));
    let mut closing = false;
    loop {
        let close = tokio::select! {
            biased;
            result = connection.as_mut() => {
                return ended(result, &activity, peer, shared.name);
            }
            () = draining.as_mut(), if !closing => true,
            () = shared.abort.cancelled(), if closing => return Ended::Cut(DropReason::Drain),
            () = look.as_mut() => match watch.look(Instant::now()) {
                Verdict::LookAt(next) => {
                    look.as_mut().reset(next);
                    false
                }
                Verdict::CloseIdle => true,
                Verdict::Cut(reason) => return Ended::Cut(reason),
            },
        };
        if close {
            closing = true;
            let now = Instant::now();
            watch.closing(now);
            look.as_mut().reset(now + shared.limits.header_timeout);
            connection.as_mut().graceful_shutdown();
        }
    }
}

/// Returns when this connection is to take nothing new. One that was accepted in the last moment before the drain may
/// still ask once: its peer could not know better, and its request is on its way.
async fn drain<H>(activity: &Activity, shared: &Shared<H>) {
    shared.drain.cancelled().await;
    while activity.awaits_first_request(FIRST_REQUEST_GRACE) {
        sleep(Duration::from_millis(5)).await;
    }
}

fn ended(
    result: Result<(), Box<dyn StdError + Send + Sync>>,
    activity: &Activity,
    peer: Peer,
    name: ListenerName,
) -> Ended {
    if activity.had_slow_reader() {
        return Ended::Cut(DropReason::SlowReader);
    }
    if let Err(error) = result {
        // Peers go away and send nonsense all day; none of it is the operator's concern.
        tracing::debug!(listener = name.as_str(), ?peer, error = &*error as &dyn StdError, "connection ended early");
    }
    Ended::ByItself
}
