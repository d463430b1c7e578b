//! What brings one blob in: the values of its groups, its groups in parallel ranges, and the commit.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::PullError;
use super::fetch::{Fetch, RunEnd};
use super::one::Pull;
use super::pulls::Inner;
use crate::mirror::SourceError;
use crate::store::{BlobStore as _, Sparse, SparseError, group_count, root_of_groups};

/// Groups that are fetched as one range.
const RUN_GROUPS: usize = 8;
/// The first pause after an attempt that brought nothing; doubled each time.
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A pause before what another thread is about to let go of is looked at again.
const A_MOMENT: Duration = Duration::from_millis(5);
/// Attempts before an upstream that has not said a word about this blob is taken to be away.
const FIRST_ATTEMPTS: u32 = 3;

/// How long attempts that bring nothing are borne.
struct Patience {
    give_up_after: Duration,
    has_contact: bool,
    failures: u32,
    since: Option<Instant>,
}

impl Patience {
    fn new(give_up_after: Duration) -> Self {
        Self { give_up_after, has_contact: false, failures: 0, since: None }
    }

    fn progress(&mut self) {
        *self = Self { has_contact: true, ..Self::new(self.give_up_after) };
    }

    /// How long to wait before the next attempt; `None` to give up.
    fn failed(&mut self) -> Option<Duration> {
        self.failures += 1;
        let since = *self.since.get_or_insert_with(Instant::now);
        let is_over = since.elapsed() >= self.give_up_after || !self.has_contact && self.failures >= FIRST_ATTEMPTS;
        (!is_over).then(|| PAUSE_MAX.min(PAUSE * 2_u32.saturating_pow(self.failures - 1)))
    }
}

/// Brings the blob in; returns its bytes once they are committed.
pub(super) async fn drive(inner: &Arc<Inner>, pull: &Arc<Pull>) -> Result<Bytes, PullError> {
    let mut patience = Patience::new(inner.options.give_up_after);
    let sparse = open(inner, pull, &mut patience).await?;
    let object = *pull.object();
    let there = (0..group_count(object.size)).filter(|group| sparse.has(*group));
    // Not more groups than a list of values in memory has.
    pull.fill(sparse.clone(), there.map(|group| group as usize).collect::<Vec<_>>().into_iter());
    let sparse = fill(inner, pull, sparse, &mut patience).await?;
    let finished = alone(inner, pull, sparse).await?.finish(&inner.store).await;
    let _committed = finished.map_err(|error| inner.not_kept(&object, error))?;
    let body = inner.store.open(&object.blake3, object.size)?;
    body.map(|body| body.bytes)
        .ok_or_else(|| PullError::Away("the blob was removed as soon as it was there".to_owned()))
}

/// The partial file without other owners: who reads on has the file open.
async fn alone(inner: &Inner, pull: &Pull, sparse: Arc<Sparse>) -> Result<Sparse, PullError> {
    let path = inner.partial.join(pull.object().blake3.to_hex());
    let file = std::fs::File::open(&path);
    pull.whole(file.map_err(|cause| PullError::Away(format!("{} cannot be opened again: {cause}", path.display())))?);
    let mut shared = sparse;
    loop {
        // A reader may be in the midst of a read, which takes no longer than a moment.
        match Arc::try_unwrap(shared) {
            Ok(sparse) => return Ok(sparse),
            Err(still_shared) => shared = still_shared,
        }
        tokio::time::sleep(A_MOMENT).await;
    }
}

/// The partial file, with values that were checked against the digest.
async fn open(inner: &Arc<Inner>, pull: &Arc<Pull>, patience: &mut Patience) -> Result<Arc<Sparse>, PullError> {
    let object = *pull.object();
    let values = if group_count(object.size) == 1 {
        vec![*object.blake3.as_bytes()]
    } else {
        values(inner, pull, patience).await?
    };
    pull.note_values(&values);
    let mut attempts = 0;
    loop {
        let (opener, values) = (inner.clone(), values.clone());
        let opened = tokio::task::spawn_blocking(move || opener.open_partial(object, values)).await;
        match opened.map_err(|_| PullError::Stopped)? {
            Ok(sparse) => return Ok(Arc::new(sparse)),
            // A write of an earlier pull is about to end.
            Err(SparseError::InUse { .. }) if attempts < 1_000 => attempts += 1,
            Err(error) => return Err(inner.not_kept(&object, error)),
        }
        tokio::time::sleep(A_MOMENT).await;
    }
}

async fn values(inner: &Arc<Inner>, pull: &Arc<Pull>, patience: &mut Patience) -> Result<Vec<[u8; 32]>, PullError> {
    let object = *pull.object();
    let mut is_second = false;
    loop {
        let limit = inner.options.answer_timeout;
        let asked = timeout(limit, inner.source.groups(&object.blake3)).await;
        let away = |_| Err(SourceError::Away(format!("no answer within {limit:?}")));
        let error = match asked.unwrap_or_else(away) {
            Ok(values) if root_of_groups(&values, object.size) == Some(object.blake3) => {
                patience.progress();
                pull.note_contact();
                return Ok(values);
            }
            Ok(_) if is_second => {
                return Err(inner.wrong(&object, "its list of groups is not that of the blob".to_owned()));
            }
            Ok(_) => {
                is_second = true;
                inner.figures.wrong();
                continue;
            }
            Err(error) => error,
        };
        match patience.failed() {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(PullError::given_up(object.blake3, error)),
        }
    }
}

/// Fetches until all groups are there.
async fn fill(
    inner: &Arc<Inner>,
    pull: &Arc<Pull>,
    sparse: Arc<Sparse>,
    patience: &mut Patience,
) -> Result<Arc<Sparse>, PullError> {
    let mut runs: JoinSet<(Range<usize>, RunEnd)> = JoinSet::new();
    let mut suspects = HashSet::new();
    let mut resume_at: Option<Instant> = None;
    while !pull.has_all() {
        let may_begin = runs.len() < inner.options.parallel_ranges && resume_at.is_none() && pull.has_more();
        let urgency = pull.urgency();
        tokio::select! {
            biased;
            Some(ended) = runs.join_next() => {
                let (run, end) = ended.map_err(|_| PullError::Stopped)?;
                pull.give_back(&run);
                if let Some(pause) = weigh(inner, pull, end, (&mut suspects, patience))? {
                    resume_at = Some(Instant::now() + pause);
                }
            }
            () = tokio::time::sleep_until(resume_at.unwrap_or_else(Instant::now)), if resume_at.is_some() => {
                resume_at = None;
            }
            lane = inner.lanes.enter(urgency), if may_begin => {
                if let Some((run, is_wished)) = pull.next_run(RUN_GROUPS) {
                    let parts = (inner.source.clone(), pull.clone(), sparse.clone());
                    let with = (inner.options.clone(), inner.throttle.clone(), inner.figures.clone());
                    let fetch = Fetch::new(parts, with, (run.clone(), is_wished));
                    runs.spawn(async move {
                        let _lane = lane;
                        (run, fetch.run().await)
                    });
                }
            }
            // It may have become more urgent.
            () = pull.asked.notified() => {}
        }
    }
    // The last ones may be about to end.
    while runs.join_next().await.is_some() {}
    Ok(sparse)
}

/// What the end of a run means: nothing, a pause, or the end of the pull.
fn weigh(
    inner: &Inner,
    pull: &Pull,
    end: RunEnd,
    (suspects, patience): (&mut HashSet<usize>, &mut Patience),
) -> Result<Option<Duration>, PullError> {
    match end {
        RunEnd::Whole => {
            patience.progress();
            Ok(None)
        }
        RunEnd::Broken { error, moved } => {
            if moved {
                patience.progress();
            }
            match patience.failed() {
                Some(pause) => Ok(Some(pause)),
                None => Err(PullError::given_up(pull.object().blake3, error)),
            }
        }
        // Bits turn over on the way, too: a group is asked for once more.
        RunEnd::Wrong(group) if suspects.insert(group) => {
            inner.figures.wrong();
            tracing::warn!(blob = %pull.object().blake3, group, "the upstream sent a wrong group; it is asked again");
            Ok(None)
        }
        RunEnd::Wrong(group) => Err(inner.wrong(pull.object(), format!("group {group} came wrong twice"))),
        RunEnd::Store(error) => Err(error.into()),
    }
}
