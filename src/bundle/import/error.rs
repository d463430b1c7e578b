//! Why a bundle is not taken, each as one sentence that says what to do.

use std::fmt;

use jiff::Timestamp;

use crate::bundle::BundleRefusal;
use crate::catalog::ReadOnly;
use crate::journal::JournalError;
use crate::model::{ApplyError, Blake3Digest, BundleId, JournalPlace, KeyId, SiteName};
use crate::store::StoreError;

/// How many ids of objects an answer names.
pub(super) const NAMED_MAX: usize = 1000;

/// Why a bundle, or a part of it, is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// No key of the origin is known.
    #[error(
        "this server knows no key of an origin: give the origin's with --origin-key (`ringfence key show` prints it there), or \
         set site.origin_keys in ringfence.toml"
    )]
    NoKey,
    /// Only an admin says which origin a site belongs to.
    #[error("which origin and which site this server belongs to is for an admin to say: {0}")]
    NotYours(String),
    /// The site has an origin, and it is another one.
    #[error(
        "this site belongs to an origin with another key than {0}, and that one does not vouch for it: to change the \
         origin's key, put it into site.origin_keys in ringfence.toml and restart"
    )]
    OtherOrigin(KeyId),
    /// It is not signed by the origin, or cannot be read.
    #[error(transparent)]
    Untrusted(#[from] BundleRefusal),
    /// It is for another site.
    #[error(
        "the bundle is for site {bundle}, and this server is site {here}: carry it there, or export one for {here}"
    )]
    OtherSite {
        /// For which.
        bundle: SiteName,
        /// What this one is.
        here: SiteName,
    },
    /// Its time is over.
    #[error(
        "the bundle could be imported until {expires}, and here it is {now}: export a new one (or, if that is wrong, set \
         this machine's clock; a time that was once seen is never gone back behind)"
    )]
    Expired {
        /// Until when.
        expires: Timestamp,
        /// The highest time seen.
        now: Timestamp,
    },
    /// A newer one is in place.
    #[error(
        "the bundle is number {sequence} for this site, which serves from number {applied} ({id}): it is older, carry the next one over"
    )]
    Older {
        /// The bundle's number.
        sequence: u64,
        /// The number in place.
        applied: u64,
        /// Its id.
        id: BundleId,
    },
    /// The origin's journal was set back.
    #[error(
        "the origin's journal stood at event {} when the bundle was made, and at event {} for the one that this site \
         serves from: the origin was set back to an older state; ask there, and if \
         it was restored from a backup, have an admin import it with --origin-restored", bundle.sequence, applied.sequence
    )]
    JournalBehind {
        /// In the bundle.
        bundle: JournalPlace,
        /// In the one in place.
        applied: JournalPlace,
    },
    /// The origin's journal has two ends.
    #[error(
        "the origin's journal has two histories: event {} is {} in the bundle and {} in the one that this site serves \
         from; ask there, and if it was restored from a backup, have an admin import it with --origin-restored", bundle.sequence, bundle.head, applied.head
    )]
    Fork {
        /// In the bundle.
        bundle: JournalPlace,
        /// In the one in place.
        applied: JournalPlace,
    },
    /// Something that it builds on is not here.
    #[error(
        "the bundle builds on {count} object(s) that are not here: {}; import the bundles before it first, or carry a \
         receipt of this site to the origin and export again (a full one always works)", Ids(ids, *count)
    )]
    BaseMissing {
        /// The first of them, in ascending order.
        ids: Vec<Blake3Digest>,
        /// How many there are.
        count: u64,
    },
    /// What it brings cannot be taken over as a whole.
    #[error("what the bundle brings does not fit together: {0}; nothing was changed, export it again")]
    Contradiction(String),
    /// There is too little room.
    #[error(
        "the bundle needs {needed} bytes here and {free} are free: make room in the data directory (`ringfence store \
         sweep` removes what nothing refers to)"
    )]
    NoSpace {
        /// How many it takes.
        needed: u64,
        /// How many there are.
        free: u64,
    },
    /// Too many are open.
    #[error(
        "{} imports are open, of {}: end one of them, or give it up with `ringfence bundle import --abandon ID`",
        open.len(), Listed(open)
    )]
    TooMany {
        /// Which.
        open: Vec<BundleId>,
    },
    /// No import of that bundle is open.
    #[error("no import of bundle {0} is open: begin it with its BUNDLE.json")]
    NotOpen(BundleId),
    /// The manifest names no such volume.
    #[error("the bundle has no volume {0}")]
    NoVolume(u32),
    /// As many as may are being sent.
    #[error("other volumes are being taken: send this one when they are done")]
    Busy,
    /// Not all of it is here.
    #[error("{count} object(s) of the bundle are not here yet: {}; send the volumes that have them", Ids(missing, *count))]
    Partial {
        /// The first of them.
        missing: Vec<Blake3Digest>,
        /// How many there are.
        count: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the import failed.
    #[error("the import's progress cannot be kept: {0}")]
    Io(#[from] std::io::Error),
    /// The event does not fit.
    #[error("the bundle cannot be applied: {0}")]
    Rejected(ApplyError),
    /// The journal could not take it.
    #[error(transparent)]
    Journal(JournalError),
    /// This server is a mirror.
    #[error(transparent)]
    ReadOnly(ReadOnly),
}

/// A few ids, and how many more.
struct Ids<'a>(&'a [Blake3Digest], u64);

impl fmt::Display for Ids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        let shown: Vec<String> = self.0.iter().take(SHOWN).map(Blake3Digest::to_hex).collect();
        write!(f, "{}", shown.join(", "))?;
        match self.1.saturating_sub(shown.len() as u64) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

struct Listed<'a>(&'a [BundleId]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "bundles {}", ids.join(" and "))
    }
}

impl ImportError {
    /// That these ids are not here, as a refusal of the base.
    pub(super) fn base_missing(mut ids: Vec<Blake3Digest>) -> Self {
        let count = ids.len() as u64;
        ids.truncate(NAMED_MAX);
        Self::BaseMissing { ids, count }
    }

    /// That these are still to come.
    pub(super) fn partial(mut missing: Vec<Blake3Digest>) -> Self {
        let count = missing.len() as u64;
        missing.truncate(NAMED_MAX);
        Self::Partial { missing, count }
    }
}
