//! What the device listener needs, over the catalog.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use crate::catalog::Catalog;
use crate::control::{ControlError, Secret, TokenKey, record_reports};
use crate::model::{Blake3Digest, DeviceId, Release, Report, RingName, Snapshot, TokenId, TokenListener};
use crate::serve::device::{Backend, RecordReportsError, RecordedReports};

/// The catalog as the device listener sees it.
pub(super) struct DeviceBackend {
    pub(super) catalog: Arc<Catalog>,
    pub(super) token_key: TokenKey,
}

impl Backend for DeviceBackend {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.catalog.snapshot()
    }

    fn now(&self, snapshot: &Snapshot) -> Timestamp {
        snapshot.present(self.catalog.clock_now())
    }

    fn token_hash(&self, secret: &str) -> Option<Blake3Digest> {
        secret.parse::<Secret>().ok().map(|secret| self.token_key.hash(&secret))
    }

    fn body(&self, blob: &Blake3Digest, size: u64) -> Result<Option<Bytes>, String> {
        self.catalog.body(blob, size).map_err(|error| error.to_string())
    }

    fn note_offer(&self, snapshot: &Snapshot, device: &DeviceId, release: &Release, ring: &RingName, now: Timestamp) {
        self.catalog.note_offer(snapshot, device, release, ring, now);
    }

    fn note_token_use(&self, token: TokenId, now: Timestamp) {
        self.catalog.token_uses().note(token, TokenListener::Device, now);
    }

    async fn record_reports(&self, reports: Vec<Report>) -> Result<RecordedReports, RecordReportsError> {
        match record_reports(&self.catalog, reports).await {
            Ok(outcome) => Ok(RecordedReports { recorded: outcome.recorded, repeated: outcome.repeated }),
            Err(ControlError::Report(refusal)) => Err(RecordReportsError::Refused(refusal)),
            Err(error) => Err(RecordReportsError::Unavailable(error.to_string())),
        }
    }
}
