//! What the index knows of each blob.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::index::guarded;
use super::{Index, StoreError};
use crate::model::{Blake3Digest, Sha256Digest};

/// The largest body that may be kept in the index, whatever the configuration says: sled puts larger values into
/// files of its own.
pub const INLINE_MAX_BYTES: usize = 128 << 10;

/// The first byte of every record. A record with another one was written by another version of Ringfence, and the
/// index is to be rebuilt.
const SCHEMA: u8 = 1;

/// A blob, as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRecord {
    /// In bytes.
    pub size: u64,
    /// What other tools name it by.
    pub sha256: Sha256Digest,
    /// The body itself, if it is small enough to be answered from the index.
    pub inline: Option<Bytes>,
}

/// The form on the disk, after the schema byte. Field order is the format.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    size: u64,
    sha256: Sha256Digest,
    #[serde(borrow)]
    inline: Option<&'a [u8]>,
}

impl BlobRecord {
    fn encode(&self, inline_max_bytes: usize) -> Result<Vec<u8>, postcard::Error> {
        let inline = self.inline.as_deref().filter(|body| body.len() <= inline_max_bytes);
        let mut encoded = Vec::with_capacity(64 + inline.map_or(0, <[u8]>::len));
        encoded.push(SCHEMA);
        postcard::to_extend(&Wire { size: self.size, sha256: self.sha256, inline }, encoded)
    }

    fn decode(value: sled::IVec) -> Result<Self, String> {
        // The value is shared with sled's cache, and an inline body is a slice of it: no copy.
        let bytes = Bytes::from_owner(value);
        let wire: Wire<'_> = match bytes.split_first() {
            Some((&SCHEMA, rest)) => postcard::from_bytes(rest).map_err(|error| error.to_string())?,
            Some((schema, _)) => return Err(format!("a blob record has schema {schema} instead of {SCHEMA}")),
            None => return Err("a blob record is empty".to_owned()),
        };
        let inline = wire.inline.map(|body| bytes.slice_ref(body));
        if let Some(body) = inline.as_ref().filter(|body| body.len() as u64 != wire.size) {
            return Err(format!("a blob record of {} bytes holds a body of {}", wire.size, body.len()));
        }
        Ok(Self { size: wire.size, sha256: wire.sha256, inline })
    }
}

/// The blob records: by digest in the tree `blobs`, and from SHA-256 to BLAKE3 in the tree `sha256`.
#[derive(Debug, Clone)]
pub struct BlobIndex {
    blobs: sled::Tree,
    aliases: sled::Tree,
    inline_max_bytes: usize,
}

impl BlobIndex {
    /// The records in `index`. Bodies longer than `inline_max_bytes` (at most [`INLINE_MAX_BYTES`]) are not kept.
    pub fn open(index: &Index, inline_max_bytes: usize) -> Result<Self, StoreError> {
        let inline_max_bytes = inline_max_bytes.min(INLINE_MAX_BYTES);
        Ok(Self { blobs: index.tree("blobs")?, aliases: index.tree("sha256")?, inline_max_bytes })
    }

    /// Whether a body of this many bytes is kept in its record.
    pub fn is_inline(&self, size: u64) -> bool {
        size <= self.inline_max_bytes as u64
    }

    /// The record of a blob.
    pub fn get(&self, digest: &Blake3Digest) -> Result<Option<BlobRecord>, StoreError> {
        guarded("read a blob record of", || self.blobs.get(digest.as_bytes()))?.map(decode).transpose()
    }

    /// Writes a record, without its body where that is too long to be inline. In memory on return; see
    /// [`Index::flush`].
    pub fn put(&self, digest: &Blake3Digest, record: &BlobRecord) -> Result<(), StoreError> {
        let what = "write a blob record of";
        let encoded = record
            .encode(self.inline_max_bytes)
            .map_err(|error| StoreError::Index { what, cause: error.to_string() })?;
        // The alias first: one without a record is read as absent, a record without its alias would stay unfound.
        guarded(what, || self.aliases.insert(record.sha256.as_bytes(), digest.as_bytes()))?;
        guarded(what, || self.blobs.insert(digest.as_bytes(), encoded))?;
        Ok(())
    }

    /// Removes a record and its alias; false if there was none.
    pub fn remove(&self, digest: &Blake3Digest) -> Result<bool, StoreError> {
        let what = "remove a blob record of";
        let Some(value) = guarded(what, || self.blobs.remove(digest.as_bytes()))? else { return Ok(false) };
        let record = decode(value)?;
        guarded(what, || self.aliases.remove(record.sha256.as_bytes()))?;
        Ok(true)
    }

    /// Whether there is a record of this blob.
    pub fn contains(&self, digest: &Blake3Digest) -> Result<bool, StoreError> {
        guarded("read a blob record of", || self.blobs.contains_key(digest.as_bytes()))
    }

    /// Removes every record and alias.
    pub fn clear(&self) -> Result<(), StoreError> {
        let what = "clear the blob records of";
        guarded(what, || self.blobs.clear())?;
        guarded(what, || self.aliases.clear())
    }

    /// The blob with this SHA-256 digest.
    pub fn by_sha256(&self, sha256: &Sha256Digest) -> Result<Option<(Blake3Digest, BlobRecord)>, StoreError> {
        let alias = guarded("read an alias of", || self.aliases.get(sha256.as_bytes()))?;
        let Some(alias) = alias else { return Ok(None) };
        let digest = digest_of(&alias)?;
        Ok(self.get(&digest)?.map(|record| (digest, record)))
    }

    /// The number of records. Reads them all.
    pub fn len(&self) -> Result<usize, StoreError> {
        guarded("count the blob records of", || Ok(self.blobs.len()))
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        guarded("count the blob records of", || Ok(self.blobs.is_empty()))
    }

    /// All records in ascending order of digest.
    pub fn iter(&self) -> impl Iterator<Item = Result<(Blake3Digest, BlobRecord), StoreError>> {
        let mut entries = self.blobs.iter();
        std::iter::from_fn(move || {
            let entry = guarded("read the blob records of", || entries.next().transpose()).transpose()?;
            Some(entry.and_then(|(key, value)| Ok((digest_of(&key)?, decode(value)?))))
        })
    }
}

fn decode(value: sled::IVec) -> Result<BlobRecord, StoreError> {
    BlobRecord::decode(value).map_err(|cause| StoreError::Index { what: "read a blob record of", cause })
}

fn digest_of(key: &[u8]) -> Result<Blake3Digest, StoreError> {
    let bytes = <[u8; 32]>::try_from(key).map_err(|_| StoreError::Index {
        what: "read a digest of",
        cause: format!("it has {} bytes instead of 32", key.len()),
    })?;
    Ok(Blake3Digest::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> (Index, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        (Index::open(&dir.path().join("index"), 1 << 20).unwrap().0, dir)
    }

    fn record(body: &'static [u8]) -> (Blake3Digest, BlobRecord) {
        let inline = Some(Bytes::from_static(body));
        (Blake3Digest::of(body), BlobRecord { size: body.len() as u64, sha256: Sha256Digest::of(body), inline })
    }

    #[test]
    fn records_come_back_by_both_digests() {
        let (index, _dir) = index();
        let records = BlobIndex::open(&index, 4_096).unwrap();
        let (digest, expected) = record(b"body");
        records.put(&digest, &expected).unwrap();
        assert_eq!(records.get(&digest).unwrap(), Some(expected.clone()));
        assert_eq!(records.by_sha256(&expected.sha256).unwrap(), Some((digest, expected.clone())));
        assert_eq!(records.iter().collect::<Result<Vec<_>, _>>().unwrap(), [(digest, expected.clone())]);
        assert_eq!(records.len().unwrap(), 1);
        assert!(records.remove(&digest).unwrap());
        assert!(!records.remove(&digest).unwrap());
        assert_eq!(records.by_sha256(&expected.sha256).unwrap(), None);
        assert!(records.is_empty().unwrap());
    }

    #[test]
    fn long_bodies_stay_outside_whatever_the_configuration_says() {
        let (index, _dir) = index();
        let records = BlobIndex::open(&index, usize::MAX).unwrap();
        assert!(records.is_inline(INLINE_MAX_BYTES as u64));
        assert!(!records.is_inline(INLINE_MAX_BYTES as u64 + 1));
        let body = Bytes::from(vec![7; INLINE_MAX_BYTES + 1]);
        let sha256 = Sha256Digest::of(&body);
        let digest = Blake3Digest::of(&body);
        records.put(&digest, &BlobRecord { size: body.len() as u64, sha256, inline: Some(body) }).unwrap();
        assert_eq!(records.get(&digest).unwrap().unwrap().inline, None);
    }

    #[test]
    fn foreign_records_are_an_error_and_no_panic() {
        let (index, _dir) = index();
        let records = BlobIndex::open(&index, 4_096).unwrap();
        let digest = Blake3Digest::of(b"body");
        let (_, whole) = record(b"body");
        let mut wrong_size = BlobRecord { size: 5, ..whole }.encode(4_096).unwrap();
        let cut = wrong_size[..20].to_vec();
        for value in [Vec::new(), vec![2], cut, std::mem::take(&mut wrong_size)] {
            index.tree("blobs").unwrap().insert(digest.as_bytes(), value).unwrap();
            let error = records.get(&digest).unwrap_err();
            assert!(error.to_string().contains("`ringfence store rebuild`"), "{error}");
        }
    }

    #[test]
    fn the_format_on_the_disk_is_frozen() {
        let (_, record) = record(b"hi");
        let mut expected = vec![SCHEMA, 2];
        expected.extend_from_slice(record.sha256.as_bytes());
        expected.extend_from_slice(&[1, 2, b'h', b'i']);
        assert_eq!(record.encode(4_096).unwrap(), expected);
    }
}
