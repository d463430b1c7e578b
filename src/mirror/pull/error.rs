//! Why a pull ended without its blob.

use crate::mirror::SourceError;
use crate::store::StoreError;

/// Why bytes did not come. Cloneable, because everybody who waits is told.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PullError {
    /// The upstream is away, or became so.
    #[error("the upstream does not answer ({0}): what is missing comes when it is back")]
    Away(String),
    /// The upstream answers, but has no such blob.
    #[error("the upstream does not have blob {0}: look whether it is complete there with `ringfence store verify`")]
    NotThere(crate::model::Blake3Digest),
    /// The upstream sends something that is not what the journal says, again and again.
    #[error(
        "the upstream sends wrong bytes ({0}): nothing of them was served; check the upstream's store and the way to it"
    )]
    Wrong(String),
    /// As many pulls as may be are under way.
    #[error("{0} blobs are being pulled already: ask again in a while")]
    Busy(usize),
    /// The bytes cannot be kept here.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server is about to stop.
    #[error("the server stops: what was pulled so far is kept")]
    Stopped,
}

impl PullError {
    /// What a source's last word makes of a pull.
    pub(super) fn given_up(blob: crate::model::Blake3Digest, error: SourceError) -> Self {
        match error {
            SourceError::Away(why) => Self::Away(why),
            SourceError::NotThere => Self::NotThere(blob),
            SourceError::Nonsense(what) => Self::Wrong(what),
        }
    }
}
