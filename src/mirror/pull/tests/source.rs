//! A source in this process that lies, stalls and breaks off as it is told to.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use crate::mirror::{BlobSource, RangeBody, SourceError, SourceFuture};
use crate::model::{Blake3Digest, ObjectRef, Sha256Digest};
use crate::store::group_values;

/// What one call of the source does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// As it should.
    Right,
    /// A byte in the middle is another one.
    WrongByte,
    /// The answer ends after so many thousandths of it, as if it were whole.
    Short(u64),
    /// More bytes come than were asked for.
    Long,
    /// It breaks off after so many thousandths.
    Breaks(u64),
    /// Nothing more comes after so many thousandths.
    Stalls(u64),
    /// It cannot be reached.
    Away,
    /// It says that it has no such blob.
    NotThere,
}

/// The source. Turns are taken in order; after the last it does as it should.
#[derive(Default)]
pub(crate) struct TestSource {
    bodies: HashMap<Blake3Digest, Bytes>,
    pub(crate) turns: Mutex<VecDeque<Turn>>,
    /// Every turn from now on.
    pub(crate) always: Mutex<Option<Turn>>,
    /// Bytes a second of each answer.
    pace: Option<u64>,
    pub(crate) sent: Arc<AtomicU64>,
    pub(crate) ranges: Mutex<Vec<Range<u64>>>,
    pub(crate) lists: AtomicU64,
}

struct Answer {
    pieces: VecDeque<Bytes>,
    end: Option<SourceError>,
    stalls: bool,
    pace: Option<u64>,
    sent: Arc<AtomicU64>,
}

impl RangeBody for Answer {
    fn next(&mut self) -> SourceFuture<'_, Option<Bytes>> {
        Box::pin(async {
            let Some(piece) = self.pieces.pop_front() else {
                if self.stalls {
                    std::future::pending::<()>().await;
                }
                return self.end.take().map_or(Ok(None), Err);
            };
            if let Some(pace) = self.pace {
                tokio::time::sleep(Duration::from_secs_f64(piece.len() as f64 / pace as f64)).await;
            }
            self.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
            Ok(Some(piece))
        })
    }
}

/// Bytes that no two places have alike.
pub(crate) fn body(seed: u64, size: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..size.div_ceil(8)).flat_map(|_| next()).collect();
    bytes.truncate(size);
    bytes.into()
}

impl TestSource {
    /// One whose every answer is this slow.
    pub(crate) fn paced(bytes_per_second: u64) -> Self {
        Self { pace: Some(bytes_per_second), ..Self::default() }
    }

    pub(crate) fn add(&mut self, body: Bytes) -> ObjectRef {
        let (blake3, sha256) = (Blake3Digest::of(&body), Sha256Digest::of(&body));
        let size = body.len() as u64;
        self.bodies.insert(blake3, body);
        ObjectRef { blake3, sha256, size }
    }

    fn turn(&self) -> Turn {
        let queued = self.turns.lock().unwrap().pop_front();
        queued.or(*self.always.lock().unwrap()).unwrap_or(Turn::Right)
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    fn answer(&self, blob: &Blake3Digest, range: Range<u64>) -> Result<Answer, SourceError> {
        let (start, end) = (range.start as usize, range.end as usize);
        let mut bytes = self.bodies[blob].slice(start..end);
        self.ranges.lock().unwrap().push(range);
        let (mut error, mut stalls) = (None, false);
        let cut = |bytes: &Bytes, thousandths: u64| bytes.slice(..bytes.len() * thousandths as usize / 1_000);
        match self.turn() {
            Turn::Right => {}
            Turn::WrongByte => {
                let mut wrong = bytes.to_vec();
                let middle = wrong.len() / 2;
                wrong[middle] ^= 1;
                bytes = wrong.into();
            }
            Turn::Short(thousandths) => bytes = cut(&bytes, thousandths),
            Turn::Long => bytes = [&bytes[..], b"more than was asked for"].concat().into(),
            Turn::Breaks(thousandths) => {
                bytes = cut(&bytes, thousandths);
                error = Some(SourceError::Away("the connection broke".into()));
            }
            Turn::Stalls(thousandths) => {
                bytes = cut(&bytes, thousandths);
                stalls = true;
            }
            Turn::Away => return Err(SourceError::Away("connection refused".into())),
            Turn::NotThere => return Err(SourceError::NotThere),
        }
        let pieces = (0..bytes.len()).step_by(50_000).map(|at| bytes.slice(at..bytes.len().min(at + 50_000)));
        Ok(Answer { pieces: pieces.collect(), end: error, stalls, pace: self.pace, sent: self.sent.clone() })
    }
}

impl BlobSource for TestSource {
    fn groups<'a>(&'a self, blob: &'a Blake3Digest) -> SourceFuture<'a, Vec<[u8; 32]>> {
        Box::pin(async {
            self.lists.fetch_add(1, Ordering::Relaxed);
            let mut values = group_values(&self.bodies[blob]);
            match self.turn() {
                Turn::Right | Turn::Breaks(_) => {}
                Turn::WrongByte => values[0][7] ^= 1,
                Turn::Short(_) => drop(values.pop()),
                Turn::Long => values.push([0; 32]),
                Turn::Stalls(_) => std::future::pending().await,
                Turn::Away => return Err(SourceError::Away("connection refused".into())),
                Turn::NotThere => return Err(SourceError::NotThere),
            }
            Ok(values)
        })
    }

    fn range<'a>(&'a self, blob: &'a Blake3Digest, range: Range<u64>) -> SourceFuture<'a, Box<dyn RangeBody>> {
        Box::pin(async { Ok(Box::new(self.answer(blob, range)?) as Box<dyn RangeBody>) })
    }
}
