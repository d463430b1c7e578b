//! One upload: bytes that arrive in order, over as many connections as it takes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::UploadError;
use crate::model::Actor;
use crate::store::{Staged, StagedDone};
use crate::sys::random::random_bytes;

/// How long a request waits for an earlier one on the same upload, whose broken connection may not be noticed yet.
const HANDOVER_TIMEOUT: Duration = Duration::from_secs(5);

/// An upload's number: 128 random bits in hexadecimal.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UploadId(String);

impl UploadId {
    pub(super) fn random() -> Result<Self, UploadError> {
        let bytes: [u8; 16] = random_bytes().map_err(UploadError::Random)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }
}

impl FromStr for UploadId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_hex { Ok(Self(text.to_owned())) } else { Err("an upload id is 32 lower-case hexadecimal characters") }
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UploadStatus {
    /// Bytes that have arrived, from the start without gaps.
    pub offset: u64,
    /// Bytes that were announced.
    pub length: u64,
}

impl UploadStatus {
    /// Whether all of them have arrived.
    pub fn is_complete(self) -> bool {
        self.offset == self.length
    }
}

/// What an upload holds.
pub(super) enum Content {
    /// Bytes are still to come.
    Arriving(Staged),
    /// All have arrived and are hashed; not fsynced yet.
    Arrived(StagedDone),
    /// A publication has taken it, or an error made it useless.
    Gone,
}

pub(super) struct Upload {
    pub(super) length: u64,
    pub(super) owner: Actor,
    content: Arc<tokio::sync::Mutex<Content>>,
    /// The last time somebody used it, for its expiry.
    used: std::sync::Mutex<Instant>,
}

impl Upload {
    pub(super) fn new(length: u64, owner: Actor, staged: Staged) -> Self {
        let content = Arc::new(tokio::sync::Mutex::new(Content::Arriving(staged)));
        Self { length, owner, content, used: std::sync::Mutex::new(Instant::now()) }
    }

    pub(super) fn touch(&self) {
        *self.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Instant::now();
    }

    /// How long nobody has used it; none while a request holds it.
    pub(super) fn idle(&self) -> Duration {
        if self.content.try_lock().is_err() {
            return Duration::ZERO;
        }
        self.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner).elapsed()
    }

    /// Its content, to this caller alone.
    pub(super) async fn content(&self) -> Result<OwnedMutexGuard<Content>, UploadError> {
        self.touch();
        let content = self.content.clone().lock_owned();
        tokio::time::timeout(HANDOVER_TIMEOUT, content).await.map_err(|_| UploadError::Busy)
    }

    pub(super) fn status_of(&self, content: &Content) -> UploadStatus {
        let offset = match content {
            Content::Arriving(staged) => staged.len(),
            Content::Arrived(done) => done.size(),
            Content::Gone => 0,
        };
        UploadStatus { offset, length: self.length }
    }
}
