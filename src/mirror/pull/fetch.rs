//! One run of groups, fetched as one range: verified group by group, taken up again where a connection broke.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, timeout};

use super::figures::PullFigures;
use super::one::Pull;
use super::pulls::PullOptions;
use super::throttle::Throttle;
use super::wanted::bytes_of;
use crate::mirror::{BlobSource, RangeBody, SourceError};
use crate::store::{Sparse, SparseError, StoreError};

/// The pause before a range that broke in the middle is taken up again.
const RESUME_AFTER: Duration = Duration::from_millis(100);

/// How a run ended.
#[derive(Debug)]
pub(super) enum RunEnd {
    /// All of it is there, or it made room for what somebody waits for.
    Whole,
    /// The source broke off and gave nothing more; `moved` if some of the run came before that.
    Broken { error: SourceError, moved: bool },
    /// This group was not what the digest says.
    Wrong(usize),
    /// What came cannot be kept.
    Store(StoreError),
}

/// Why reading one answer ended early.
enum Stop {
    Broken(SourceError),
    Wrong(usize),
    Store(StoreError),
}

/// One run under way.
pub(super) struct Fetch {
    pub(super) source: Arc<dyn BlobSource>,
    pub(super) pull: Arc<Pull>,
    pub(super) sparse: Arc<Sparse>,
    pub(super) options: PullOptions,
    pub(super) throttle: Arc<Throttle>,
    pub(super) figures: Arc<PullFigures>,
    /// The groups that are still to come, the first of them the one in `buffer`.
    left: Range<usize>,
    /// Whether somebody waits for it.
    is_wished: bool,
    /// What has come of the first group.
    buffer: BytesMut,
    /// For how long the source was waited for, since the last whole group.
    waited: Duration,
}

impl Fetch {
    pub(super) fn new(
        (source, pull, sparse): (Arc<dyn BlobSource>, Arc<Pull>, Arc<Sparse>),
        (options, throttle, figures): (PullOptions, Arc<Throttle>, Arc<PullFigures>),
        (run, is_wished): (Range<usize>, bool),
    ) -> Self {
        let (buffer, waited) = (BytesMut::new(), Duration::ZERO);
        Self { source, pull, sparse, options, throttle, figures, left: run, is_wished, buffer, waited }
    }

    /// Fetches until the run is whole, or an attempt brings nothing.
    pub(super) async fn run(mut self) -> RunEnd {
        let begun_at = self.left.start;
        loop {
            let before = self.position();
            let Err(stop) = self.attempt().await else { return RunEnd::Whole };
            match stop {
                Stop::Wrong(group) => return RunEnd::Wrong(group),
                Stop::Store(error) => return RunEnd::Store(error),
                Stop::Broken(error) => {
                    self.figures.broken();
                    if self.position() == before || self.waited > self.options.group_timeout {
                        return RunEnd::Broken { error, moved: self.left.start > begun_at };
                    }
                    tracing::debug!(blob = %self.pull.object().blake3, %error, "a range broke off and goes on");
                }
            }
            tokio::time::sleep(RESUME_AFTER).await;
        }
    }

    /// The offset of the next byte to come.
    fn position(&self) -> u64 {
        bytes_of(&self.left, self.pull.object().size).start + self.buffer.len() as u64
    }

    async fn attempt(&mut self) -> Result<(), Stop> {
        let object = *self.pull.object();
        let end = bytes_of(&self.left, object.size).end;
        let range = self.position()..end;
        if range.is_empty() {
            return self.take(Bytes::new()).await;
        }
        let asked = Instant::now();
        let answer = timeout(self.options.answer_timeout, self.source.range(&object.blake3, range)).await;
        self.waited += asked.elapsed();
        let no_answer = || SourceError::Away(format!("no answer within {:?}", self.options.answer_timeout));
        let mut body = answer.unwrap_or_else(|_| Err(no_answer())).map_err(Stop::Broken)?;
        while !self.left.is_empty() {
            let piece = self.receive(&mut *body).await.map_err(Stop::Broken)?;
            self.figures.received(piece.len());
            self.throttle.pay(piece.len(), self.pull.urgency()).await;
            let before = self.left.start;
            self.take(piece).await?;
            if self.left.start > before && !self.is_wished && self.pull.has_wish() {
                // What has come of the next group is given up: it costs less than the wait would.
                return Ok(());
            }
        }
        Ok(())
    }

    async fn receive(&mut self, body: &mut dyn RangeBody) -> Result<Bytes, SourceError> {
        let asked = Instant::now();
        let piece = timeout(self.options.stall_timeout, body.next()).await;
        self.waited += asked.elapsed();
        match piece {
            Ok(Ok(Some(piece))) => Ok(piece),
            Ok(Err(error)) => Err(error),
            Ok(Ok(None)) => Err(SourceError::Away("the answer ended early".to_owned())),
            Err(_) => Err(SourceError::Away(format!("nothing came for {:?}", self.options.stall_timeout))),
        }
    }

    /// Keeps each group that becomes whole with these bytes.
    async fn take(&mut self, mut piece: Bytes) -> Result<(), Stop> {
        loop {
            let group = self.left.start;
            let size = self.pull.object().size;
            let bytes = bytes_of(&(group..group + 1), size);
            let length = usize::try_from(bytes.end - bytes.start).unwrap_or(usize::MAX);
            let wanted = length - self.buffer.len();
            if self.left.is_empty() {
                // More than was asked for is no reason to doubt what was verified.
                return Ok(());
            }
            if piece.len() < wanted {
                self.buffer.reserve(wanted);
                self.buffer.extend_from_slice(&piece);
                return Ok(());
            }
            let whole = if self.buffer.is_empty() {
                piece.split_to(wanted)
            } else {
                self.buffer.extend_from_slice(&piece.split_to(wanted));
                self.buffer.split().freeze()
            };
            self.keep(group, whole).await?;
            self.left.start += 1;
            self.waited = Duration::ZERO;
        }
    }

    /// Verifies a group and writes it, beside the runtime.
    async fn keep(&self, group: usize, bytes: Bytes) -> Result<(), Stop> {
        let sparse = self.sparse.clone();
        let put = tokio::task::spawn_blocking(move || sparse.put(group as u64, &bytes)).await;
        match put {
            Ok(Ok(())) => {
                self.pull.note_contact();
                self.pull.put(group);
                Ok(())
            }
            Ok(Err(SparseError::Store(error))) => Err(Stop::Store(error)),
            Ok(Err(_)) => Err(Stop::Wrong(group)),
            // The process is shutting down.
            Err(error) => Err(Stop::Broken(SourceError::Away(error.to_string()))),
        }
    }
}
