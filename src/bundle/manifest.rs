//! The manifest of a bundle, `BUNDLE.json`: one JSON object on one line, whose last member is the bundle's id.
//!
//! The canonical body is everything before `,"id":"…"}`, as in a line of the journal; the id is BLAKE3 of its bytes.
//! `BUNDLE.sig` signs the whole file, id included.

use std::collections::BTreeSet;
use std::io::Read as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{
    Blake3Digest, BundleBase, BundleId, GroupName, JournalPlace, KeyId, ObjectRef, Sha256Digest, SiteName,
};
use crate::signing::KeysDocument;

/// The format that is written, and the only one that is read.
pub const FORMAT: u32 = 1;
/// The longest manifest that is read.
pub const MANIFEST_MAX_BYTES: usize = 64 << 20;

/// The longest state object: its content becomes one event of the site's journal, with room for the rest of its line.
pub const STATE_MAX_BYTES: u64 = 15 << 20;

const ID_KEY: &str = ",\"id\":\"";
const ID_END: &str = "\"}";
const TAIL_BYTES: usize = ID_KEY.len() + 64 + ID_END.len();

/// Why a text is no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is longer than any that is written.
    #[error("BUNDLE.json has {bytes} bytes; at most {MANIFEST_MAX_BYTES} are read")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// It is in a format that this build does not know.
    #[error(
        "the bundle has format {found}, and this version of ringfence reads format {FORMAT}: import it with the version that wrote it, or export it again"
    )]
    OtherFormat {
        /// The format that it names.
        found: u64,
    },
    /// It cannot be read.
    #[error("BUNDLE.json is no manifest of a bundle: {why}")]
    Malformed {
        /// What is wrong.
        why: String,
    },
    /// Its bytes are not those that its id was taken of.
    #[error("BUNDLE.json does not have the id that it names: its bytes were changed")]
    OtherId,
    /// It contradicts itself.
    #[error("the bundle's manifest contradicts itself: {why}")]
    Contradiction {
        /// How.
        why: String,
    },
}

/// What is in a bundle, for whom, and what the site holds once it is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleManifest {
    /// [`FORMAT`].
    pub format: u32,
    /// For which site.
    pub site: SiteName,
    /// The key of the origin that signs.
    pub issuer: KeyId,
    /// The origin's keys, each vouched for by the one before it.
    pub issuer_keys: KeysDocument,
    /// Its place among the site's bundles, from 1.
    pub sequence: u64,
    /// The bundle before it, whatever became of that one.
    pub previous: Option<BundleId>,
    /// What it starts from.
    pub base: BundleBase,
    /// When it was made.
    pub created: Timestamp,
    /// Until when it may be imported.
    pub expires: Timestamp,
    /// Where the origin's journal stood.
    pub journal: JournalPlace,
    /// The groups whose decisions it carries.
    pub groups: Vec<GroupName>,
    /// The object that says what the origin decides for the site; see [`SiteContent`](crate::model::SiteContent).
    pub state: Blake3Digest,
    /// The root over what the site holds once the bundle is applied; see [`root_of`](super::root_of).
    pub root: Sha256Digest,
    /// How much that is.
    pub held: Held,
    /// What is in the volumes, in ascending order of BLAKE3.
    pub objects: Vec<Object>,
    /// What the site held by the base, and need not hold any more.
    pub removals: BTreeSet<Blake3Digest>,
    /// The volumes, in order.
    pub volumes: Vec<Volume>,
    /// Sums.
    pub totals: Totals,
}

/// How much a site holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// How many blobs.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One object: a blob, and how it lies in the volumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// BLAKE3 of its body.
    pub blake3: Blake3Digest,
    /// SHA-256 of its body.
    pub sha256: Sha256Digest,
    /// The length of its body in bytes.
    pub size: u64,
    /// How its body is packed.
    pub encoding: Encoding,
    /// For a patch, the body that it is a patch over; the site has proven to hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<ObjectRef>,
    /// For a patch, its frames in order; together they give the whole body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<Segment>,
    /// What lies in the volumes, its parts one after the other.
    pub packed: Packed,
    /// Where it lies: one part, or several where it was split between volumes.
    pub parts: Vec<Part>,
}

impl Object {
    /// Its digests and length.
    pub fn body(&self) -> ObjectRef {
        ObjectRef { blake3: self.blake3, sha256: self.sha256, size: self.size }
    }
}

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As it is.
    Raw,
    /// One Zstandard frame.
    Zstd,
    /// Zstandard frames, one after the other, each over a piece of the base.
    Patch,
}

impl Encoding {
    /// The word in JSON and on the terminal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Zstd => "zstd",
            Self::Patch => "patch",
        }
    }
}

/// One frame of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// How many bytes of the body it gives.
    pub size: u64,
    /// How many bytes it has.
    pub packed_size: u64,
    /// Where the piece of the base begins that it is a patch over.
    pub base_offset: u64,
    /// How long that piece is; 0 where it needs none.
    pub base_size: u64,
}

/// The bytes that lie in the volumes for one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packed {
    /// How many.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: Sha256Digest,
}

/// A piece of an object's packed bytes in a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The volume's number, from 1.
    pub volume: u32,
    /// Where in the volume's file it begins.
    pub offset: u64,
    /// How long it is.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Sha256Digest,
}

/// A volume: a tar archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Its file's name: `vol-0001.tar`.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// How many parts of objects are in it.
    pub parts: u64,
}

/// Sums over a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Objects.
    pub objects: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Bytes of what is packed.
    pub packed_bytes: u64,
    /// Bytes of the volumes.
    pub volume_bytes: u64,
}

impl BundleManifest {
    /// The bytes of `BUNDLE.json`, and the bundle's id.
    pub fn text(&self) -> (String, BundleId) {
        // Maps with text keys and numbers: there is nothing in it that JSON cannot carry.
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.pop();
        let id = BundleId(Blake3Digest::of(text.as_bytes()));
        text.push_str(ID_KEY);
        text.push_str(&id.0.to_hex());
        text.push_str(ID_END);
        (text, id)
    }

    /// Reads `BUNDLE.json`: only what [`BundleManifest::text`] writes, byte for byte, and only what fits itself
    /// ([`BundleManifest::check`]). Whether it is signed is the caller's
    /// to ask, before anything else of it is believed.
    pub fn parse(text: &str) -> Result<(Self, BundleId), ManifestError> {
        let malformed = |why: String| ManifestError::Malformed { why };
        if text.len() > MANIFEST_MAX_BYTES {
            return Err(ManifestError::TooLong { bytes: text.len() });
        }
        #[derive(Deserialize)]
        struct Format {
            format: u64,
        }
        let Format { format } = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
        if format != u64::from(FORMAT) {
            return Err(ManifestError::OtherFormat { found: format });
        }
        let at = text.len().checked_sub(TAIL_BYTES).and_then(|at| text.split_at_checked(at));
        let (body, tail) = at.ok_or_else(|| malformed("it does not end in its id".into()))?;
        let hex = tail.strip_prefix(ID_KEY).and_then(|tail| tail.strip_suffix(ID_END));
        let id: Option<Blake3Digest> = hex.and_then(|hex| hex.parse().ok());
        let id = id.ok_or_else(|| malformed("it does not end in its id".into()))?;
        if Blake3Digest::of(body.as_bytes()) != id {
            return Err(ManifestError::OtherId);
        }
        // A manifest may be long: no second text is made of it.
        let whole = body.as_bytes().chain(&b"}"[..]);
        let manifest: Self = serde_json::from_reader(whole).map_err(|error| malformed(error.to_string()))?;
        let (mut found, mut written) = (blake3::Hasher::new(), blake3::Hasher::new());
        found.update(body.as_bytes()).update(b"}");
        serde_json::to_writer(&mut written, &manifest).map_err(|error| malformed(error.to_string()))?;
        if found.finalize() != written.finalize() {
            return Err(malformed("it is spelt in another way than it is written".into()));
        }
        manifest.check()?;
        Ok((manifest, BundleId(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::testing::small;

    /// The text with another body, and the id that fits it.
    fn respelt(body: &str) -> String {
        format!("{body}{ID_KEY}{}{ID_END}", Blake3Digest::of(body.as_bytes()).to_hex())
    }

    #[test]
    fn only_the_one_spelling_is_read() {
        let (text, _) = small().manifest.text();
        let body = &text[..text.len() - TAIL_BYTES];
        assert_eq!(respelt(body), text);
        let site = small().manifest.site;
        let others = [
            body.replacen("{", "{ ", 1),
            format!(" {body}"),
            body.replacen("\"site\":", "\"site\": ", 1),
            body.replacen(
                &format!("\"{site}\""),
                &format!("\"\\u{:04x}{}\"", site.as_str().as_bytes()[0], &site.as_str()[1..]),
                1,
            ),
            body.replacen(&format!("\"site\":\"{site}\","), "", 1).replacen("{", &format!("{{\"site\":\"{site}\","), 1),
        ];
        for other in others {
            let why = BundleManifest::parse(&respelt(&other)).expect_err(&other).to_string();
            assert!(why.ends_with("it is spelt in another way than it is written"), "{why}: {other}");
        }
        // What is not JSON, or goes on behind its end, is not read at all.
        for other in [body.replacen("\"site\"", "\"sites\"", 1), format!("{body}}}"), format!("{body},")] {
            let why = BundleManifest::parse(&respelt(&other)).expect_err(&other).to_string();
            assert!(why.starts_with("BUNDLE.json is no manifest of a bundle: "), "{why}: {other}");
            assert!(!why.contains("spelt"), "{why}: {other}");
        }
    }
}
