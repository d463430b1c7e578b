//! Enrolment: a code that one device may use once, to get a token or a certificate.
//!
//! The identity is the code's. Unknown, used, expired and malformed codes, and those of denied devices, are one error.
//! Of two that come with one code, the one whose commit comes first gets the credential.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};

use super::{ControlError, Secret, TokenKey};
use crate::catalog::Catalog;
use crate::model::{Actor, Blake3Digest, DeviceId, Enrolment, EnrolmentId, Event, Snapshot, Token, TokenScope};
use crate::sys::random::random_bytes;

/// The most enrolments that may be open at once.
pub const ENROLMENTS_OPEN_MAX: usize = 10_000;
/// The most that one creation forgets: a journal line stays of bounded length.
const FORGOTTEN_PER_EVENT: usize = 1_000;
/// Makes the hash of a code another one than that of a token with the same bytes.
const HASH_CONTEXT: &str = "ringfence 2026-11 hash of enrolment codes";

/// An enrolment's code: `rfe_` and 43 characters of unpadded URL-safe base64. Never logged, never stored by the server.
#[derive(Clone)]
pub struct EnrolmentCode([u8; 32]);

impl EnrolmentCode {
    /// The text that a person hands to the device.
    pub fn expose(&self) -> String {
        format!("rfe_{}", URL_SAFE_NO_PAD.encode(self.0))
    }

    fn random() -> Result<Self, ControlError> {
        random_bytes().map(Self).map_err(ControlError::Random)
    }

    fn hash(&self, key: &TokenKey) -> Blake3Digest {
        key.hash_for(HASH_CONTEXT, &self.0)
    }
}

impl fmt::Debug for EnrolmentCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnrolmentCode(…)")
    }
}

impl FromStr for EnrolmentCode {
    type Err = ControlError;

    fn from_str(text: &str) -> Result<Self, ControlError> {
        let encoded = text.strip_prefix("rfe_").filter(|encoded| encoded.len() == 43).ok_or(ControlError::BadCode)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| ControlError::BadCode)?;
        bytes.try_into().map(Self).map_err(|_| ControlError::BadCode)
    }
}

/// Creates a code for a device, to be used within `valid_for`; the code is returned this once. It takes the place of an
/// open one of the same device. The device need not be in the inventory. Returns after fsync.
pub async fn create_enrolment(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    key: &TokenKey,
    device: DeviceId,
    valid_for: SignedDuration,
) -> Result<(Arc<Enrolment>, EnrolmentCode), ControlError> {
    let code = EnrolmentCode::random()?;
    let hash = code.hash(key);
    let committed = catalog.commit(actor, |snapshot, now| {
        if snapshot.denial(&device).is_some() {
            return Err(ControlError::DeviceDenied(device));
        }
        let expires_at = now.checked_add(valid_for).ok().filter(|end| *end > now);
        let expires_at = expires_at.ok_or(ControlError::EndsInThePast)?;
        let forgotten = to_forget(snapshot, &device, now)?;
        Ok(vec![Event::EnrolmentCreated { device, hash, expires_at, forgotten }])
    });
    let committed = committed.await?;
    let id = committed.records.first().map_or(0, |record| record.seq);
    let enrolment = committed.snapshot.enrolment(id).cloned();
    Ok((enrolment.ok_or(ControlError::UnknownId { what: "enrolment", id })?, code))
}

/// What a new enrolment of `device` lets go of: the device's open one, and expired ones.
fn to_forget(snapshot: &Snapshot, device: &DeviceId, now: Timestamp) -> Result<Vec<EnrolmentId>, ControlError> {
    let (mut replaced, mut expired, mut open) = (Vec::new(), Vec::new(), 0_usize);
    for enrolment in snapshot.enrolments() {
        if enrolment.device == *device {
            replaced.push(enrolment.id);
        } else if enrolment.is_open_at(now) {
            open += 1;
        } else {
            expired.push(enrolment.id);
        }
    }
    if open >= ENROLMENTS_OPEN_MAX {
        return Err(ControlError::TooManyEnrolments { max: ENROLMENTS_OPEN_MAX });
    }
    replaced.extend(expired.into_iter().take(FORGOTTEN_PER_EVENT));
    Ok(replaced)
}

/// The enrolment that a code opens now.
pub fn open_enrolment(
    snapshot: &Snapshot,
    key: &TokenKey,
    code: &EnrolmentCode,
    now: Timestamp,
) -> Result<Arc<Enrolment>, ControlError> {
    let enrolment = snapshot.enrolment_by_hash(&code.hash(key)).ok_or(ControlError::BadCode)?;
    let is_good = enrolment.is_open_at(now) && snapshot.denial(&enrolment.device).is_none();
    if is_good { Ok(enrolment.clone()) } else { Err(ControlError::BadCode) }
}

/// Uses a code up for a token that is taken for `valid_for`, or until it is revoked. Returns after fsync.
pub async fn enrol_with_token(
    catalog: &Arc<Catalog>,
    key: &TokenKey,
    code: &EnrolmentCode,
    valid_for: Option<SignedDuration>,
) -> Result<(Arc<Token>, Secret), ControlError> {
    let enrolment = open_enrolment(&catalog.snapshot(), key, code, catalog.now())?;
    let secret = Secret::random()?;
    let hash = key.hash(&secret);
    let actor = Actor::device(&enrolment.device);
    let committed = catalog.commit(&actor, |snapshot, now| {
        open_enrolment(snapshot, key, code, now)?;
        let expires_at = valid_for.and_then(|length| now.checked_add(length).ok());
        let scope = TokenScope::Device(enrolment.device.clone());
        let used = Event::EnrolmentUsed { enrolment: enrolment.id, certificate: None };
        Ok::<_, ControlError>(vec![used, Event::TokenCreated { scope, hash, expires_at }])
    });
    let committed = committed.await?;
    let id = committed.records.last().map_or(0, |record| record.seq);
    let token = committed.snapshot.token(id).cloned().ok_or(ControlError::UnknownId { what: "token", id })?;
    Ok((token, secret))
}

/// Uses a code up for a certificate that was signed for the enrolment's device; `sha256` is the certificate's, in
/// hexadecimal. The certificate may be handed out only after this has returned, after fsync.
pub async fn enrol_with_certificate(
    catalog: &Arc<Catalog>,
    key: &TokenKey,
    code: &EnrolmentCode,
    enrolment: &Enrolment,
    sha256: String,
) -> Result<(), ControlError> {
    let actor = Actor::device(&enrolment.device);
    let committed = catalog.commit(&actor, |snapshot, now| {
        let found = open_enrolment(snapshot, key, code, now)?;
        if found.id != enrolment.id {
            return Err(ControlError::BadCode);
        }
        Ok(vec![Event::EnrolmentUsed { enrolment: enrolment.id, certificate: Some(sha256) }])
    });
    committed.await?;
    Ok(())
}
