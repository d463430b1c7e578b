//! A volume's own list, its first entry: which bundle it belongs to, and what is in it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BLOCK_BYTES, LIST_NAME, VolumeOf};
use crate::bundle::{BundleManifest, Encoding, FORMAT};
use crate::model::{Blake3Digest, Sha256Digest, SiteName};

/// How much of a volume's file is needed to see which bundle it belongs to.
pub const LIST_HEAD_BYTES: usize = 1024;

const PARTS_KEY: &str = ",\"parts\":[";
const END: &str = "]}";

/// The members of a list before its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListHead {
    /// The bundle's format.
    pub format: u32,
    /// For which site.
    pub site: SiteName,
    /// The bundle's place among the site's.
    pub sequence: u64,
    /// When it was made.
    pub created: Timestamp,
    /// The volume's number, from 1.
    pub volume: u32,
}

/// A part, as a list names it.
#[derive(Debug, Serialize)]
pub(super) struct ListPart {
    pub(super) blake3: Blake3Digest,
    pub(super) part: u32,
    pub(super) parts: u32,
    pub(super) encoding: Encoding,
    pub(super) size: u64,
    pub(super) sha256: Sha256Digest,
}

/// Why a file is not the volume of a bundle that its name says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotThisVolume {
    /// It does not begin as a volume does.
    #[error("{name} is no volume of a bundle, or its beginning is damaged")]
    NoVolume {
        /// The file.
        name: String,
    },
    /// It is of another bundle.
    #[error(
        "{name} belongs to bundle {} of site {}, made {}, not to bundle {sequence} of site {site}, made {created}: bring that one's {name}",
        found.sequence,
        found.site,
        found.created
    )]
    OtherBundle {
        /// The file.
        name: String,
        /// What it says.
        found: Box<ListHead>,
        /// For which site the bundle is.
        site: SiteName,
        /// The bundle's sequence.
        sequence: u64,
        /// When it was made.
        created: Timestamp,
    },
    /// It is another volume of the same bundle.
    #[error("{name} is volume {found} of the bundle under another name: put every volume under its own")]
    OtherNumber {
        /// The file.
        name: String,
        /// Which volume it is.
        found: u32,
    },
}

/// The beginning of a list, up to its parts.
pub(super) fn head_text(of: &VolumeOf, volume: u32) -> String {
    let VolumeOf { site, sequence, created } = of.clone();
    let head = ListHead { format: FORMAT, site, sequence, created, volume };
    // Names and numbers: there is nothing in it that JSON cannot carry.
    let mut text = serde_json::to_string(&head).unwrap_or_default();
    text.pop();
    text.push_str(PARTS_KEY);
    text
}

/// How long a list is without its parts.
pub(super) fn frame_bytes(of: &VolumeOf, volume: u32) -> u64 {
    (head_text(of, volume).len() + END.len()) as u64
}

/// How long a part is in a list, without the comma before it.
pub(super) fn part_bytes(part: &ListPart) -> u64 {
    part_text(part).len() as u64
}

fn part_text(part: &ListPart) -> String {
    serde_json::to_string(part).unwrap_or_default()
}

/// A whole list.
pub(super) fn list_text(of: &VolumeOf, volume: u32, parts: impl Iterator<Item = ListPart>) -> String {
    let mut text = head_text(of, volume);
    for (index, part) in parts.enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&part_text(&part));
    }
    text.push_str(END);
    text
}

/// Whether a file that is named as volume `number` is that volume of this bundle, by its first [`LIST_HEAD_BYTES`] (or
/// by all of it, where it is shorter). What is in its objects is another question.
///
/// # Errors
/// What it is instead.
pub fn check_list(name: &str, number: u32, head: &[u8], manifest: &BundleManifest) -> Result<(), NotThisVolume> {
    let found = read_head(head).ok_or_else(|| NotThisVolume::NoVolume { name: name.to_owned() })?;
    if (&found.site, found.sequence, found.created) != (&manifest.site, manifest.sequence, manifest.created) {
        return Err(NotThisVolume::OtherBundle {
            name: name.to_owned(),
            found: Box::new(found),
            site: manifest.site.clone(),
            sequence: manifest.sequence,
            created: manifest.created,
        });
    }
    if found.volume != number {
        return Err(NotThisVolume::OtherNumber { name: name.to_owned(), found: found.volume });
    }
    Ok(())
}

fn read_head(head: &[u8]) -> Option<ListHead> {
    let (header, list) = head.split_at_checked(BLOCK_BYTES as usize)?;
    let name = header.strip_prefix(LIST_NAME.as_bytes())?;
    if name.first() != Some(&0) {
        return None;
    }
    let list = &list[..list.len().min(LIST_HEAD_BYTES)];
    let end = list.windows(PARTS_KEY.len()).position(|window| window == PARTS_KEY.as_bytes())?;
    let mut text = list[..end].to_vec();
    text.push(b'}');
    serde_json::from_slice(&text).ok()
}
