//! What the device listener needs, over the catalog.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::enrolment_ca::{Enrolment, SignError};
use crate::catalog::Catalog;
use crate::control::{
    ControlError, EnrolmentCode, Secret, TokenKey, enrol_with_certificate, enrol_with_token, open_enrolment,
    record_reports,
};
use crate::mirror::Pulls;
use crate::model::{
    Blake3Digest, DeviceId, ObjectRef, Release, Report, RingName, Snapshot, TokenId, TokenListener, TokenScope,
};
use crate::serve::device::{Backend, EnrolError, Enrolled, EnrolledCredential, RecordReportsError, RecordedReports};
use crate::serve::http::Arriving;
use crate::serve::pulled;

/// The catalog as the device listener sees it.
pub(super) struct DeviceBackend {
    pub(super) catalog: Arc<Catalog>,
    pub(super) token_key: TokenKey,
    pub(super) enrolment: Enrolment,
    /// Where this is a mirror: what is missing comes from the upstream.
    pub(super) pulls: Option<Pulls>,
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

    async fn pull(&self, blob: ObjectRef, ranges: Vec<Range<u64>>) -> Option<Result<Vec<Box<dyn Arriving>>, String>> {
        let sources = pulled(self.pulls.as_ref()?, blob, ranges).await;
        Some(sources.map_err(|error| error.to_string()))
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

    async fn enrol(&self, code: String, csr: Option<String>) -> Result<Enrolled, EnrolError> {
        if let Some(origin) = self.catalog.origin() {
            let why = format!("this server is a mirror and enrols no device: enrol at its origin, {origin}");
            return Err(EnrolError::Elsewhere(why));
        }
        let code: EnrolmentCode = code.parse().map_err(not_enrolled)?;
        let Some(csr) = csr else {
            let enrolled = enrol_with_token(&self.catalog, &self.token_key, &code, self.enrolment.token_valid_for);
            let (token, secret) = enrolled.await.map_err(not_enrolled)?;
            let TokenScope::Device(device) = token.scope.clone() else { return Err(EnrolError::BadCode) };
            let credential = EnrolledCredential::Token { token: secret.expose(), expires_at: token.expires_at };
            return Ok(Enrolled { device, credential });
        };
        // The code comes first: nobody without one makes the server work on a certificate.
        let now = self.catalog.now();
        let found = open_enrolment(&self.catalog.snapshot(), &self.token_key, &code, now).map_err(not_enrolled)?;
        let signed = self.enrolment.sign(&csr, &found.device, now).map_err(|error| match error {
            SignError::NoCa | SignError::Request(_) => EnrolError::BadRequest(error.to_string()),
            SignError::Expired | SignError::Failed(_) => EnrolError::Unavailable(error.to_string()),
        })?;
        let used = enrol_with_certificate(&self.catalog, &self.token_key, &code, &found, signed.sha256);
        used.await.map_err(not_enrolled)?;
        let credential = EnrolledCredential::Certificate { certificate: signed.chain, not_after: signed.not_after };
        Ok(Enrolled { device: found.device.clone(), credential })
    }
}

fn not_enrolled(error: ControlError) -> EnrolError {
    match error {
        ControlError::BadCode => EnrolError::BadCode,
        error => EnrolError::Unavailable(error.to_string()),
    }
}
