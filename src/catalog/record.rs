//! How the catalog's records stand in the index: keys that sort as they are listed, values with a schema byte.
//!
//! Values are JSON behind the byte: the types leave out absent fields, which formats without field names cannot carry.
//! Blob records, the many small ones, are the store's and binary.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::CatalogError;
use super::sum::Sum;
use crate::model::{AppliedPolicy, Blake3Digest, ShareName, Stamp, TargetName};

/// The schema of every value. Another byte makes the index unreadable to this build, and so rebuilt.
const SCHEMA: u8 = 1;

/// What a key is about. The letter is its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Meta = b'm' as isize,
    Product = b'p' as isize,
    Release = b'r' as isize,
    Policy = b'y' as isize,
    Hold = b'h' as isize,
    Pin = b'n' as isize,
    Device = b'd' as isize,
    Rollout = b'o' as isize,
    Freeze = b'f' as isize,
    Share = b's' as isize,
    SharePath = b'w' as isize,
    Token = b't' as isize,
    Enrolment = b'e' as isize,
    Denial = b'x' as isize,
    /// The trusted keys and the origin's, in one record: they are few.
    Keys = b'k' as isize,
    /// The refused versions of a product, in one record.
    Refusals = b'z' as isize,
    /// An offline site that bundles are written for.
    Site = b'i' as isize,
    /// This server as an offline site.
    OwnSite = b'u' as isize,
    /// The releases of a product whose bytes are not here, in one record.
    Absent = b'a' as isize,
}

impl Kind {
    /// The key of a record with this name; a number behind it sorts by value.
    pub(super) fn key(self, name: &str, number: Option<u64>) -> Vec<u8> {
        let mut key = vec![self as u8];
        key.extend_from_slice(name.as_bytes());
        if let Some(number) = number {
            key.push(0);
            key.extend_from_slice(&number.to_be_bytes());
        }
        key
    }
}

/// The key of a share's path: those of one share stand together.
pub(super) fn share_path_key(share: &ShareName, path: &TargetName) -> Vec<u8> {
    let mut key = Kind::SharePath.key(share.as_str(), None);
    key.push(0);
    key.extend_from_slice(path.as_str().as_bytes());
    key
}

/// Which journal position the index stands at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) seq: u64,
    pub(super) head: Blake3Digest,
    pub(super) time: Option<Timestamp>,
    pub(super) sum: Sum,
}

/// A policy without its parsed form.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PolicyRecord {
    pub(super) seq: u64,
    pub(super) applied: Stamp,
    pub(super) digest: Blake3Digest,
    pub(super) text: String,
}

impl PolicyRecord {
    pub(super) fn of(policy: &AppliedPolicy) -> Self {
        let AppliedPolicy { seq, applied, digest, text, .. } = policy;
        Self { seq: *seq, applied: applied.clone(), digest: *digest, text: text.to_string() }
    }
}

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CatalogError> {
    let mut bytes = vec![SCHEMA];
    serde_json::to_writer(&mut bytes, value).map_err(|error| CatalogError::Index { why: error.to_string() })?;
    Ok(bytes)
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CatalogError> {
    let error = |why: String| CatalogError::Index { why };
    match bytes.split_first() {
        Some((&SCHEMA, json)) => serde_json::from_slice(json).map_err(|json| error(json.to_string())),
        Some((schema, _)) => Err(error(format!("a record has schema {schema}, this build reads {SCHEMA}"))),
        None => Err(error("a record is empty".into())),
    }
}
