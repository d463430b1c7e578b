//! Why the upstream is not followed for now.

use super::standing::AlarmKind;
use super::trust::Doubt;
use crate::catalog::FollowError;
use crate::client::ClientError;
use crate::journal::{Fault, JournalError};
use crate::model::{Blake3Digest, SiteName};
use crate::sys::durable::is_full;

/// Why an attempt to follow ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The upstream is away or refuses.
    #[error(transparent)]
    Away(#[from] ClientError),
    /// It speaks another protocol.
    #[error("the upstream speaks another version of following ({0}): update the older of the two")]
    Format(u32),
    /// It cannot be followed.
    #[error("too many mirrors stand between this one and the origin, or they follow each other in a circle")]
    Circle,
    /// It is another site than this mirror followed before.
    #[error("the upstream is the offline site {0} now, and was something else before")]
    OtherSite(SiteName),
    /// Its key for tokens is no key.
    #[error("the upstream's token key is not 32 bytes of base64")]
    BadTokenKey,
    /// The token key, or what must not be forgotten, cannot be written.
    #[error("{what} cannot be written: {cause}")]
    NotKept { what: &'static str, cause: std::io::Error },
    /// What comes is not signed by whom it should be.
    #[error(transparent)]
    Doubt(#[from] Doubt),
    /// It knows less than was known.
    #[error(
        "the upstream's journal ends at event {found}, and event {seen} was signed before: it was set back, or somebody \
         gives an old journal out"
    )]
    Behind { seen: u64, found: u64 },
    /// It is another journal.
    #[error(
        "the upstream's journal is another one: event {sequence} is {theirs} there and {ours} here; nothing is taken \
         from it. If the origin was restored from a backup, stop this mirror and remove all but blobs/ from its data \
         directory to follow it anew"
    )]
    Forked { sequence: u64, ours: Blake3Digest, theirs: Blake3Digest },
    /// A line is not what a line is.
    #[error("event {seq} came broken: {fault}; an event of a kind that is not known needs a newer version here")]
    Malformed { seq: u64, fault: Fault },
    /// The lines end elsewhere than the origin signed.
    #[error(
        "the lines up to event {sequence} end in {found} where the origin has signed {signed}: they are not its own"
    )]
    NotSigned { sequence: u64, signed: Blake3Digest, found: Blake3Digest },
    /// There are fewer lines than were signed.
    #[error("the upstream gives no line after event {after}, and the origin has signed event {signed}")]
    Short { after: u64, signed: u64 },
    /// The last line has no end.
    #[error("the answer ends in the middle of a line")]
    Cut,
    /// This server's own journal.
    #[error("this mirror's own journal cannot be read: {0}")]
    Own(JournalError),
    /// The lines could not be taken over.
    #[error(transparent)]
    Follow(#[from] FollowError),
}

impl Trouble {
    /// Whether it is only space that is missing here.
    pub(super) fn is_want_of_space(&self) -> bool {
        matches!(self, Self::NotKept { cause, .. } if is_full(cause))
    }

    /// What alarm it is; none where the upstream is only away, or this server is at fault.
    pub(super) fn alarm(&self) -> Option<AlarmKind> {
        match self {
            Self::Away(_) | Self::Own(_) | Self::NotKept { .. } => None,
            Self::Behind { .. } => Some(AlarmKind::MirrorUpstreamBehind),
            Self::Forked { .. } => Some(AlarmKind::MirrorForked),
            Self::Doubt(_) | Self::OtherSite(_) => Some(AlarmKind::MirrorUntrusted),
            Self::Follow(FollowError::Journal(JournalError::Foreign { .. })) => Some(AlarmKind::MirrorMalformed),
            Self::Follow(FollowError::Journal(_)) => None,
            Self::Follow(FollowError::Contradiction(_)) => Some(AlarmKind::MirrorMalformed),
            Self::Format(_)
            | Self::Circle
            | Self::BadTokenKey
            | Self::Malformed { .. }
            | Self::NotSigned { .. }
            | Self::Short { .. }
            | Self::Cut => Some(AlarmKind::MirrorMalformed),
        }
    }
}
