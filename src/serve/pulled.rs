//! Blobs on their way from an upstream, as bodies of answers.

use std::ops::Range;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use super::http::Arriving;
use crate::mirror::{PullError, Pulls, Reading, Urgency};
use crate::model::ObjectRef;

/// How long the head of an answer waits for the upstream's first word.
pub(super) const FIRST_WORD: Duration = Duration::from_secs(15);

impl Arriving for Reading {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        Self::poll_next(self, cx).map_err(|error| error.to_string())
    }
}

/// These ranges of a blob that is not there, one source for each. Returns once the upstream has said something about the
/// blob that can be believed: from then on, the head of an answer may be sent.
///
/// # Errors
/// The upstream is away, or as much is being pulled as may be.
pub async fn pulled(
    pulls: &Pulls,
    blob: ObjectRef,
    ranges: Vec<Range<u64>>,
) -> Result<Vec<Box<dyn Arriving>>, PullError> {
    let pull = pulls.pull(blob, Urgency::OnDemand)?;
    let readings = pulls.read_several(&pull, ranges)?;
    let silent = |_| PullError::Away(format!("it has not said a word for {FIRST_WORD:?}"));
    tokio::time::timeout(FIRST_WORD, pull.begun()).await.map_err(silent)??;
    Ok(readings.into_iter().map(|reading| Box::new(reading) as Box<dyn Arriving>).collect())
}
