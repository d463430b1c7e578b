//! Verifying the whole journal, against heads that were kept elsewhere.

use std::ops::ControlFlow;
use std::path::Path;

use crate::model::Blake3Digest;

use super::chain::NO_HASH;
use super::error::JournalError;
use super::segment;
use super::walk::{Start, walk};

/// A journal that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The last record's `seq`; 0 in an empty journal.
    pub seq: u64,
    /// The last record's hash; zeros in an empty journal.
    pub hash: Blake3Digest,
    /// How many segments there are.
    pub segments: u64,
    /// Bytes in whole lines.
    pub bytes: u64,
    /// Bytes after the last whole line: a line being written just now, or a cut one that the next start sets aside.
    pub incomplete_bytes: u64,
}

/// Reads the whole journal and checks every line, that each of `heads` (`seq` and `hash`, in any order) is the record
/// it was taken from, and changes nothing. Without an external head, a journal rewritten from some line on, or cut
/// short between lines, is whole in itself: only heads kept elsewhere tell. Safe while a writer runs.
///
/// # Errors
/// [`JournalError::HeadMismatch`] for a head that the journal does not hold, and the damage errors of
/// [`Journal::open`](super::Journal::open).
pub fn verify(dir: &Path, heads: &[(u64, Blake3Digest)]) -> Result<Verified, JournalError> {
    let segments = segment::list_gapless(dir)?;
    let mut heads = Heads::new(heads);
    heads.check(0, NO_HASH)?;
    let end = walk(&segments, Start::at_the_beginning(), &mut |_, record| {
        heads.check(record.seq, record.hash)?;
        Ok(ControlFlow::Continue(()))
    })?;
    heads.finish()?;
    let (seq, hash) = end.chain.head();
    let (segments, incomplete_bytes) = (segments.len() as u64, end.cut.len() as u64);
    Ok(Verified { seq, hash, segments, bytes: end.bytes, incomplete_bytes })
}

/// The heads still to be met, the next one last.
struct Heads(Vec<(u64, Blake3Digest)>);

impl Heads {
    fn new(heads: &[(u64, Blake3Digest)]) -> Self {
        let mut heads = heads.to_vec();
        heads.sort_unstable_by(|one, two| two.cmp(one));
        Self(heads)
    }

    fn check(&mut self, seq: u64, hash: Blake3Digest) -> Result<(), JournalError> {
        while let Some((_, expected)) = self.0.pop_if(|(head, _)| *head == seq) {
            if expected != hash {
                return Err(JournalError::HeadMismatch { seq, expected, found: Some(hash) });
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), JournalError> {
        match self.0.pop() {
            Some((seq, expected)) => Err(JournalError::HeadMismatch { seq, expected, found: None }),
            None => Ok(()),
        }
    }
}
