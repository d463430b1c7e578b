//! Long work on the store: one at a time, on a thread of its own.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::AdminServices;
use super::access::{Person, Services};
use super::refusals::failed;
use crate::model::Blake3Digest;
use crate::serve::problem::Problem;

/// What keeps the store in order. All of it may block for as long as it takes to read every blob.
pub trait Maintenance: Send + Sync + 'static {
    /// Counts and sizes.
    fn stats(&self) -> Result<StoreStats, MaintenanceError>;
    /// Hashes every blob and compares with what releases need; changes nothing.
    fn verify(&self) -> Result<StoreCheck, MaintenanceError>;
    /// Hashes every blob and puts damaged ones into quarantine.
    fn scrub(&self) -> Result<StoreCheck, MaintenanceError>;
    /// Removes blobs that nothing refers to.
    fn sweep(&self) -> Result<SweepResult, MaintenanceError>;
    /// Writes the index anew.
    fn rebuild(&self) -> Result<RebuildResult, MaintenanceError>;
}

/// Why work on the store did not happen.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// Other such work runs.
    #[error("other work on the store is running; wait until it ends")]
    Busy,
    /// It failed; the sentence is for the log.
    #[error("{0}")]
    Failed(String),
}

/// Counts and sizes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StoreStats {
    /// Blob files.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of the index on the disk.
    pub index_bytes: u64,
    /// Uploads that are open.
    pub uploads_open: u64,
    /// Bytes free on the file system of the data directory.
    pub free_bytes: u64,
}

/// What reading every blob found.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StoreCheck {
    /// Blobs hashed.
    pub checked: u64,
    /// Their bytes.
    pub checked_bytes: u64,
    /// Blobs whose bytes are not those of their name.
    #[schema(value_type = Vec<String>)]
    pub damaged: Vec<Blake3Digest>,
    /// Blobs that a release needs and that are not there.
    #[schema(value_type = Vec<String>)]
    pub missing: Vec<Blake3Digest>,
    /// How long it took.
    pub took_ms: u64,
}

/// What a sweep did.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SweepResult {
    /// Blobs looked at.
    pub examined: u64,
    /// Blobs removed.
    pub removed: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// How long it took.
    pub took_ms: u64,
}

/// What writing the index anew did.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RebuildResult {
    /// Blob records written.
    pub blobs: u64,
    /// How long it took.
    pub took_ms: u64,
}

async fn run<T: Send + 'static>(
    services: Arc<AdminServices>,
    work: impl FnOnce(&dyn Maintenance) -> Result<T, MaintenanceError> + Send + 'static,
) -> Result<Json<T>, Problem> {
    let done = tokio::task::spawn_blocking(move || work(&*services.maintenance)).await;
    match done.map_err(|error| failed(&error))? {
        Ok(result) => Ok(Json(result)),
        Err(error @ MaintenanceError::Busy) => Err(Problem::with_detail(StatusCode::CONFLICT, error.to_string())),
        Err(error @ MaintenanceError::Failed(_)) => Err(failed(&error)),
    }
}

/// Counts and sizes.
#[utoipa::path(get, path = "/v1/store/stats", responses((status = 200, body = StoreStats)))]
pub(super) async fn stats(State(services): Services) -> Result<Json<StoreStats>, Problem> {
    run(services, |store| store.stats()).await
}

/// Hashes every blob; changes nothing.
#[utoipa::path(post, path = "/v1/store/verify",
    responses((status = 200, body = StoreCheck), (status = 409, description = "other work on the store is running")))]
pub(super) async fn verify(State(services): Services, person: Person) -> Result<Json<StoreCheck>, Problem> {
    person.on_everything()?;
    run(services, |store| store.verify()).await
}

/// Hashes every blob and puts damaged ones into quarantine.
#[utoipa::path(post, path = "/v1/store/scrub",
    responses((status = 200, body = StoreCheck), (status = 409, description = "other work on the store is running")))]
pub(super) async fn scrub(State(services): Services, person: Person) -> Result<Json<StoreCheck>, Problem> {
    person.on_everything()?;
    run(services, |store| store.scrub()).await
}

/// Removes blobs that nothing refers to.
#[utoipa::path(post, path = "/v1/store/sweep",
    responses((status = 200, body = SweepResult), (status = 409, description = "other work on the store is running")))]
pub(super) async fn sweep(State(services): Services, person: Person) -> Result<Json<SweepResult>, Problem> {
    person.on_everything()?;
    run(services, |store| store.sweep()).await
}

/// Writes the index anew from the journal and the blob files.
#[utoipa::path(post, path = "/v1/store/rebuild", responses(
    (status = 200, body = RebuildResult),
    (status = 409, description = "other work on the store is running"),
))]
pub(super) async fn rebuild(State(services): Services, person: Person) -> Result<Json<RebuildResult>, Problem> {
    person.on_everything()?;
    run(services, |store| store.rebuild()).await
}
