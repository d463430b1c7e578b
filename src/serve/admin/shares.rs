//! Shares as they stand: what each shows, since when, what is in the way, and how its targets are.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::AdminServices;
use super::access::Services;
use super::extract::InPath;
use super::refusals::failed;
use crate::model::policy::{OpenTo, Policy, SharePolicy};
use crate::model::{ShareName, Shown, Snapshot};
use crate::serve::problem::Problem;
use crate::share::{Found, Staleness, TargetReport, age_of, files_at, lag_s, staleness};

/// A share.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ShareAnswer {
    name: String,
    group: String,
    layout: String,
    products: Vec<String>,
    /// The platforms that it must serve; empty for whatever the releases have.
    platforms: Vec<String>,
    /// Who may read it over HTTP: `anyone`, `devices`, `group` or address ranges.
    open_to: Vec<String>,
    listing: bool,
    /// The number of the newest switch; absent before the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    switch: Option<u64>,
    /// When it takes or took effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
    releases: Vec<ShownAnswer>,
    /// Files that can be read now, and their bytes.
    files: usize,
    bytes: u64,
    /// Why it does not show what its group gets; empty where it does.
    problems: Vec<String>,
    /// Files of the switch in effect that are withheld.
    withheld_files: usize,
    /// When the newest release that it shows was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    newest_published_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_s: Option<u64>,
    /// `fresh`, `warn`, `critical`, or `none` where nobody wants to be told.
    #[schema(value_type = String, example = "fresh")]
    staleness: Staleness,
    #[schema(value_type = Vec<Object>)]
    targets: Vec<TargetAnswer>,
}

/// A release that a share shows.
#[derive(Debug, Serialize, ToSchema)]
struct ShownAnswer {
    product: String,
    version: String,
    sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

/// A stager's last word on a target.
#[derive(Debug, Serialize)]
struct TargetAnswer {
    #[serde(flatten)]
    report: TargetReport,
    /// For how many seconds the newest switch waits for this target.
    lag_s: u64,
}

/// All shares of the policy, in its order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SharesAnswer {
    shares: Vec<ShareAnswer>,
}

/// A share with its files.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ShareFilesAnswer {
    #[serde(flatten)]
    share: ShareAnswer,
    paths: Vec<PathAnswer>,
}

/// A file that can be read now.
#[derive(Debug, Serialize, ToSchema)]
struct PathAnswer {
    path: String,
    size: u64,
    blake3: String,
    sha256: String,
    /// Since when its path has these bytes.
    #[schema(value_type = String, format = DateTime)]
    modified: Timestamp,
    /// The files that it belongs to and switches with; empty where it stands alone.
    set: String,
    /// Whether it names the others of its set.
    last: bool,
}

impl ShareAnswer {
    fn new(services: &AdminServices, world: &World, share: &SharePolicy, found: &[Found<'_>]) -> Self {
        let World { snapshot, now, .. } = world;
        let state = snapshot.share(share.name());
        let shown_now = state.map_or(0, |state| state.paths().values().filter(|path| path.at(*now).is_some()).count());
        let published_at = state.and_then(|state| age_of(snapshot, state));
        let targets = services.shares.targets(share.name()).into_iter().map(|report| {
            let lag_s = state.map_or(0, |state| lag_s(state, &report, *now));
            TargetAnswer { report, lag_s }
        });
        Self {
            name: share.name().to_string(),
            group: share.group().to_string(),
            layout: share.layout().to_string(),
            products: share.products().iter().map(ToString::to_string).collect(),
            platforms: share.platforms().iter().map(ToString::to_string).collect(),
            open_to: share.open_to().iter().map(open_to_text).collect(),
            listing: share.is_listed(),
            switch: state.map(|state| state.switch.seq),
            at: state.map(|state| state.switch.at),
            releases: state.map_or_else(Vec::new, |state| state.switch.shows.iter().map(ShownAnswer::new).collect()),
            files: found.len(),
            bytes: found.iter().map(|found| found.file.size).sum(),
            problems: services.shares.problems(share.name()),
            withheld_files: shown_now.saturating_sub(found.len()),
            newest_published_at: published_at,
            age_s: published_at.map(|at| u64::try_from(now.duration_since(at).as_secs()).unwrap_or(0)),
            staleness: staleness(snapshot, share, *now),
            targets: targets.collect(),
        }
    }
}

impl ShownAnswer {
    fn new(shown: &Shown) -> Self {
        Self {
            product: shown.product.to_string(),
            version: shown.version.to_string(),
            sequence: shown.sequence,
            platform: shown.platform.as_ref().map(ToString::to_string),
            since: shown.since,
        }
    }
}

impl PathAnswer {
    fn new(found: &Found<'_>) -> Self {
        let file = found.file;
        Self {
            path: file.path.to_string(),
            size: file.size,
            blake3: file.blake3.to_hex(),
            sha256: file.sha256.to_hex(),
            modified: found.since,
            set: file.set.clone(),
            last: file.last,
        }
    }
}

/// As the policy spells it.
fn open_to_text(reader: &OpenTo) -> String {
    match reader {
        OpenTo::Anyone => "anyone".to_owned(),
        OpenTo::Devices => "devices".to_owned(),
        OpenTo::Group => "group".to_owned(),
        OpenTo::Network(network) => network.to_string(),
    }
}

/// One state for one answer: what is durable, the policy in force, and the time.
pub(super) struct World {
    pub(super) snapshot: Arc<Snapshot>,
    /// Absent before the first one, and where this build does not understand it.
    pub(super) policy: Option<Arc<Policy>>,
    pub(super) now: Timestamp,
}

impl World {
    pub(super) fn now(services: &AdminServices) -> Self {
        let snapshot = services.catalog.snapshot();
        let now = snapshot.present(services.catalog.clock_now());
        let policy = snapshot.policy_at(now).and_then(|applied| applied.policy().ok()).cloned();
        Self { snapshot, policy, now }
    }

    /// The share with this name, and the policy that has it.
    pub(super) fn share(&self, name: &ShareName) -> Result<(&Policy, &SharePolicy), Problem> {
        let found = self.policy.as_deref().and_then(|policy| Some((policy, policy.share(name)?)));
        found.ok_or_else(|| {
            let detail = format!("the policy has no share {name}; `ringfence share list` has those there are");
            Problem::with_detail(StatusCode::NOT_FOUND, detail)
        })
    }
}

/// Answers about trees of many files take a while: off the threads that serve.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| failed(&error))?
}

/// All shares of the policy.
#[utoipa::path(get, path = "/v1/shares", responses((status = 200, body = SharesAnswer)))]
pub(super) async fn list(State(services): Services) -> Result<Json<SharesAnswer>, Problem> {
    off_thread(move || {
        let world = World::now(&services);
        let Some(policy) = &world.policy else { return Ok(Json(SharesAnswer { shares: Vec::new() })) };
        let shares = policy.shares().iter().map(|share| {
            let found = files_at(&world.snapshot, policy, share, world.now);
            ShareAnswer::new(&services, &world, share, &found)
        });
        Ok(Json(SharesAnswer { shares: shares.collect() }))
    })
    .await
}

/// One share with its files.
#[utoipa::path(get, path = "/v1/shares/{share}", params(("share" = String, Path)),
    responses((status = 200, body = ShareFilesAnswer), (status = 404, description = "no such share")))]
pub(super) async fn show(
    State(services): Services,
    InPath(name): InPath<ShareName>,
) -> Result<Json<ShareFilesAnswer>, Problem> {
    off_thread(move || one(&services, &name).map(Json)).await
}

/// The share of this name at this moment.
pub(super) fn one(services: &AdminServices, name: &ShareName) -> Result<ShareFilesAnswer, Problem> {
    let world = World::now(services);
    let (policy, share) = world.share(name)?;
    let found = files_at(&world.snapshot, policy, share, world.now);
    let answer = ShareAnswer::new(services, &world, share, &found);
    Ok(ShareFilesAnswer { share: answer, paths: found.iter().map(PathAnswer::new).collect() })
}
