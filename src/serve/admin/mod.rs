//! The admin API: thin handlers over the use cases of `control` and `publish`.
//!
//! Every route belongs to one [`Action`]; the router of that action lets nobody in whose role does not allow it, so a
//! handler cannot forget to ask. Handlers read their input, call one use case, and describe its result; how a refusal
//! looks is decided in `refusals` alone. Every change is made in the name of the [`Person`] of the request.

mod access;
#[cfg(test)]
mod access_tests;
mod answers;
mod bundles;
mod denials;
mod enrolments;
mod explain;
mod extract;
mod holds;
mod imports;
mod inventory;
mod journal;
mod keys;
mod maintenance;
mod oidc;
mod open;
mod origin_keys;
mod pins;
mod policies;
mod products;
mod receipts;
mod refusals;
mod releases;
mod rollouts;
mod router;
mod shares;
mod shares_add;
mod shares_stage;
mod site_receipts;
mod sites;
mod steps;
#[cfg(test)]
mod tests;
mod tokens;
mod uploads;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};

use super::bodies::RequestBody;
use super::certificate::IdentityRule;
use super::connection::Handler;
use crate::bundle::{Exporter, Imports};
use crate::catalog::Catalog;
use crate::control::{OriginKeys, TokenKey};
use crate::publish::Publisher;
use crate::share::Shares;
use crate::telemetry::Metrics;

pub use access::{Action, People, Person, may};
pub use maintenance::{Maintenance, MaintenanceError, RebuildResult, StoreCheck, StoreStats, SweepResult};
pub use oidc::{IdTokenRefusal, JwksError, Oidc, OidcOptions};
pub use router::{AdminApi, openapi};

/// What the admin listener needs.
pub struct AdminServices {
    /// The journal's projection.
    pub catalog: Arc<Catalog>,
    /// Publishing and its uploads.
    pub publisher: Arc<Publisher>,
    /// The shares, as they stand.
    pub shares: Arc<Shares>,
    /// Makes bundles for offline sites.
    pub exporter: Arc<Exporter>,
    /// Bundles on their way in.
    pub imports: Arc<Imports>,
    /// For how long what a share has shown may stay in a target.
    pub download_grace: SignedDuration,
    /// The key under which tokens are kept.
    pub token_key: TokenKey,
    /// How long an enrolment's code is taken where nothing else is said.
    pub code_valid_for: SignedDuration,
    /// What answers are signed with.
    pub origin: Arc<OriginKeys>,
    /// Everything that was registered.
    pub metrics: Metrics,
    /// Long work on the store.
    pub maintenance: Arc<dyn Maintenance>,
    /// Whether requests can be answered well now; an error says why not.
    pub readiness: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// What this server says of itself.
    pub about: About,
    /// The longest JSON or policy body that is taken.
    pub json_body_max_bytes: usize,
    /// The people whom the configuration names.
    pub people: People,
    /// The identity provider whose tokens are taken, if there is one.
    pub oidc: Option<Arc<Oidc>>,
    /// How a person's name is read from a client certificate.
    pub certificate_identity: Vec<IdentityRule>,
}

/// What a server says of itself.
#[derive(Debug, Clone)]
pub struct About {
    /// When it was started.
    pub started_at: Timestamp,
    /// Its data directory.
    pub data: PathBuf,
    /// The journal's directory.
    pub journal_dir: PathBuf,
    /// Its listeners by name, with the addresses that they are bound to.
    pub listeners: BTreeMap<String, Vec<String>>,
}

impl Handler for AdminApi {
    type Body = Body;

    async fn handle(&self, request: Request<RequestBody>) -> Response<Body> {
        self.call(request).await
    }
}
