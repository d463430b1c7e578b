//! Sending what a site needs of a bundle: piece by piece, again where a connection broke, past what cannot be read.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::{Deserialize, Serialize};

use super::super::CliError;
use super::super::connect::Session;
use crate::bundle::{Medium, NeededSpan, VolumeState, volume_name};
use crate::client::{ClientError, SentPiece};

/// Broken connections in a row after which it is given up.
const BREAKS_MAX: u32 = 6;
/// The pause after the first of them; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Places of one volume that cannot be read, after which the rest of it is left alone.
const BAD_PLACES_MAX: u32 = 16;
/// How much is left out where a volume cannot be read.
const LEFT_OUT_BYTES: u64 = 1 << 20;

/// A damaged object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Damaged {
    pub(super) blake3: String,
    pub(super) why: String,
}

#[derive(Debug, Deserialize)]
struct Taken {
    taken: u64,
    #[serde(default)]
    damaged: Vec<Damaged>,
}

/// What came of all pieces.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Objects that the server took.
    pub(super) taken: u64,
    /// Bytes of volumes that were sent.
    pub(super) sent_bytes: u64,
    /// Objects whose bytes are damaged, by their id.
    pub(super) damaged: BTreeMap<String, Damaged>,
    /// What is wrong with volumes, by their number, each as one sentence.
    pub(super) volumes: BTreeMap<u32, String>,
    /// Whether a connection broke, so that what was sent may not have arrived.
    pub(super) did_break: bool,
}

/// Sends pieces of the volumes on a medium.
pub(super) struct Sender<'a> {
    session: &'a Session,
    medium: &'a Medium,
    volumes: Vec<VolumeState>,
    bundle: String,
    bar: ProgressBar,
    pub(super) outcome: Outcome,
    breaks: u32,
}

impl<'a> Sender<'a> {
    pub(super) fn new(session: &'a Session, medium: &'a Medium, volumes: Vec<VolumeState>, bundle: &str) -> Self {
        let bar = ProgressBar::hidden();
        Self { session, medium, volumes, bundle: bundle.to_owned(), bar, outcome: Outcome::default(), breaks: 0 }
    }

    /// Shows how far it is, of this many bytes, from now on.
    pub(super) fn expect(&mut self, bytes: u64) {
        if !std::io::stderr().is_terminal() || self.session.json() {
            return;
        }
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        let template = "{msg} {bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        self.bar = bar;
    }

    /// Takes the bar off the terminal.
    pub(super) fn done(&self) {
        self.bar.finish_and_clear();
    }

    /// Sends these pieces, as far as the volumes are there and can be read.
    ///
    /// # Errors
    /// The server refuses, or cannot be reached.
    pub(super) fn send(&mut self, pieces: &[NeededSpan]) -> Result<(), CliError> {
        self.outcome.did_break = false;
        for piece in pieces {
            self.send_piece(*piece)?;
        }
        Ok(())
    }

    fn send_piece(&mut self, piece: NeededSpan) -> Result<(), CliError> {
        let NeededSpan { volume, mut offset, size } = piece;
        let mut end = offset.saturating_add(size);
        match self.state(volume) {
            VolumeState::Present => {}
            VolumeState::Missing => {
                self.wrong(volume, format!("{} is not on this medium", volume_name(volume)));
                return Ok(());
            }
            // What comes before the place where it was cut is good.
            VolumeState::WrongSize { found } => {
                let why = format!("{} has {found} bytes, which is not its length: copy it again", volume_name(volume));
                self.wrong(volume, why);
                end = end.min(found);
            }
            VolumeState::Other(other) => {
                self.wrong(volume, other.to_string());
                return Ok(());
            }
            VolumeState::Unreadable(error) => {
                self.wrong(volume, error.to_string());
                return Ok(());
            }
        }
        for _ in 0..BAD_PLACES_MAX {
            if offset >= end {
                return Ok(());
            }
            let Some((at, why)) = self.put(volume, (offset, end - offset))? else { return Ok(()) };
            self.wrong(volume, format!("{} cannot be read at byte {at}: {why}", volume_name(volume)));
            offset = at.max(offset).saturating_add(LEFT_OUT_BYTES);
        }
        Ok(())
    }

    fn state(&self, volume: u32) -> VolumeState {
        let state = (volume as usize).checked_sub(1).and_then(|index| self.volumes.get(index));
        state.cloned().unwrap_or(VolumeState::Missing)
    }

    /// Sends one piece; where the file cannot be read on, and why.
    fn put(&mut self, volume: u32, (offset, size): (u64, u64)) -> Result<Option<(u64, String)>, CliError> {
        let route = format!("/v1/site/imports/{}/volumes/{volume}?offset={offset}", self.bundle);
        let file = match self.medium.any_volume(volume) {
            Ok(file) => file.into_file(),
            Err(error) => return Ok(Some((offset, error.to_string()))),
        };
        let before = self.outcome.sent_bytes;
        self.bar.set_message(volume_name(volume));
        let bar = self.bar.clone();
        let progress = move |position: u64| bar.set_position(before + position.saturating_sub(offset));
        match self.session.put_piece(&route, file, (offset, size), &progress) {
            Ok(SentPiece::Answered(answer)) => {
                self.breaks = 0;
                self.outcome.sent_bytes += size;
                let taken: Taken = self.session.read(answer)?;
                self.outcome.taken += taken.taken;
                for damaged in taken.damaged {
                    self.outcome.damaged.insert(damaged.blake3.clone(), damaged);
                }
                Ok(None)
            }
            Ok(SentPiece::Unreadable { at, why }) => {
                self.outcome.sent_bytes += at.saturating_sub(offset);
                Ok(Some((at, why)))
            }
            Err(CliError::Client(error)) if may_pass(&error) && self.breaks < BREAKS_MAX => {
                self.outcome.did_break = true;
                std::thread::sleep(FIRST_PAUSE.saturating_mul(1 << self.breaks.min(8)));
                self.breaks += 1;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn wrong(&mut self, volume: u32, why: String) {
        self.outcome.volumes.insert(volume, why);
    }
}

/// Whether it is worth asking again what is still needed.
fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Broken { .. } | ClientError::Unreachable { .. } => true,
        ClientError::Refused(problem) => problem.status == 503,
        _ => false,
    }
}
