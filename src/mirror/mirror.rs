//! The mirror: its parts, and what others may know of it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::fill::{FillStanding, FillState};
use super::kept::KeptFile;
use super::pull::Blame;
use super::relay::Relay;
use super::standing::{Alarm, AlarmKind, MissingBlobs, Standing, Watch, last_word};
use super::upstream::Upstream;
use crate::catalog::Catalog;
use crate::model::{OriginKey, PublicKey, SiteName};
use crate::signing::{KEYS_MAX, KeyEntry, KeysDocument, Signed};
use crate::sys::durable;

/// For how long an alarm lasts after wrong bytes; what was wrong is asked for again in less time.
const WRONG_BYTES_LAST: SignedDuration = SignedDuration::from_mins(15);

/// Takes over the key under which the origin's journal keeps tokens, durably.
pub type TakeTokenKey = Box<dyn Fn([u8; 32]) -> io::Result<()> + Send + Sync>;

/// How to follow.
pub struct MirrorOptions {
    /// This mirror's name, under which its devices' word is counted at the origin.
    pub name: SiteName,
    /// The keys of the origin that are believed, and those that they vouch for. Without any, the first that is met.
    pub origin_keys: Vec<PublicKey>,
    /// How old the origin's last word may be before an alarm is raised.
    pub stale_after: SignedDuration,
    /// How long the upstream is asked to wait for a next event.
    pub poll_wait: Duration,
    /// Where what must not be forgotten is kept.
    pub dir: PathBuf,
    /// The journal's directory, to look up what this mirror has followed before.
    pub journal_dir: PathBuf,
    /// Bytes of lines that are held in memory before the chain has reached the origin's word; more are fetched twice.
    pub held_max_bytes: usize,
    /// What is done with the upstream's token key.
    pub take_token_key: TakeTokenKey,
}

/// A mirror of an upstream.
pub struct Mirror {
    pub(super) options: MirrorOptions,
    pub(super) catalog: Arc<Catalog>,
    pub(super) upstream: Upstream,
    pub(super) kept: Arc<KeptFile>,
    pub(super) watch: Watch,
    relay: Relay,
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mirror({} of {})", self.options.name, self.upstream.address())
    }
}

impl Mirror {
    /// A mirror that goes on from what is kept in its directory. The catalog must be one that only follows.
    ///
    /// # Errors
    /// What is kept cannot be read.
    pub fn open(options: MirrorOptions, catalog: Arc<Catalog>, upstream: Upstream) -> io::Result<Self> {
        durable::create_dir_durably(&options.dir)?;
        let kept = Arc::new(KeptFile::open(options.dir.join("trust.json"), &options.origin_keys)?);
        let relay = Relay::new(upstream.clone(), &options.dir, kept.clone())?;
        let watch = Watch::default();
        watch.lock().signed_sequence = kept.get().seen.map_or(0, |(sequence, _)| sequence);
        Ok(Self { options, catalog, upstream, kept, watch, relay })
    }

    /// The server that is followed.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// What the origin signs for devices.
    pub fn relay(&self) -> &Relay {
        &self.relay
    }

    /// How many servers this one is away from the origin, and the origin's keys; none before the first contact.
    pub fn origin(&self) -> Option<(u32, KeysDocument)> {
        let hops = self.kept.get().hops?;
        Some((hops + 1, self.keys()))
    }

    /// The origin's keys: those of its journal, as far as that was followed. Only the end of an overlap, which depends on
    /// the origin's configuration, is the upstream's word. Before the first event all of it is.
    pub fn keys(&self) -> KeysDocument {
        let (told, snapshot) = (self.kept.get().keys, self.catalog.snapshot());
        let known = snapshot.origin_keys();
        if known.is_empty() {
            return told;
        }
        let entry = |known: &OriginKey| {
            let told = told.entry(known.key.id).and_then(|entry| entry.retired_at);
            KeyEntry {
                key: known.key,
                added_at: known.added.at,
                introduced_by: known.introduced_by,
                introduction: known.introduction.clone(),
                retired_at: [known.retired_at, told].into_iter().flatten().min(),
            }
        };
        KeysDocument { keys: known.iter().skip(known.len().saturating_sub(KEYS_MAX)).map(entry).collect() }
    }

    /// The origin's word on its journal, up to which this server has followed.
    pub fn statement(&self) -> Option<Signed> {
        self.kept.get().statement
    }

    /// Whether the upstream was ever followed.
    pub fn has_followed(&self) -> bool {
        self.kept.get().statement.is_some()
    }

    /// What is wrong now. Looks whether the origin's last word has grown too old.
    pub fn alarms(&self, now: Timestamp) -> Vec<Alarm> {
        self.look_at_age(now);
        self.watch.lock().alarms()
    }

    /// How far filling is, and when the upstream was last caught with wrong bytes.
    pub fn note_filling(&self, filling: FillStanding, blame: Option<Blame>) {
        let now = self.catalog.clock_now();
        let mut noted = self.watch.lock();
        match filling.not_kept.clone().or_else(|| noted.not_written.clone()) {
            Some(why) => noted.raise(AlarmKind::MirrorDisk, format!("what comes cannot be kept here: {why}"), now),
            None => drop(noted.alarms.remove(&AlarmKind::MirrorDisk)),
        }
        noted.filling = Some(filling).filter(|filling| filling.state != FillState::Starting);
        match blame.filter(|blame| now.duration_since(blame.at) < WRONG_BYTES_LAST) {
            Some(Blame { blob, what, .. }) => {
                let reason =
                    format!("the upstream sends wrong bytes of blob {blob} ({what}); nothing of them is served");
                noted.raise(AlarmKind::MirrorWrongBytes, reason, now);
            }
            None => drop(noted.alarms.remove(&AlarmKind::MirrorWrongBytes)),
        }
    }

    /// How this mirror stands; `sequence` is its last event.
    pub fn standing(&self, sequence: u64, now: Timestamp) -> Standing {
        self.look_at_age(now);
        let kept = self.kept.get();
        let noted = self.watch.lock().clone();
        Standing {
            name: self.options.name.to_string(),
            upstream: self.upstream.address(),
            hops: kept.hops,
            doing: noted.doing(kept.statement.is_some()),
            reached_at: noted.reached_at,
            sequence,
            last_word: kept.followed().map(|statement| last_word(&statement, now)),
            behind_events: noted.signed_sequence.saturating_sub(sequence),
            missing: noted
                .filling
                .as_ref()
                .map(|filling| MissingBlobs { blobs: filling.missing_blobs, bytes: filling.missing_bytes }),
            filling: noted.filling.clone(),
            tallies_sent_at: noted.tallies_sent_at,
            alarms: noted.alarms(),
            last_error: noted.last_error,
        }
    }

    fn look_at_age(&self, now: Timestamp) {
        let word = self.kept.get().followed().map(|statement| statement.at);
        let mut noted = self.watch.lock();
        let Some(at) = word.filter(|at| now.duration_since(*at) > self.options.stale_after) else {
            noted.alarms.remove(&AlarmKind::MirrorStale);
            return;
        };
        let why = noted.last_error.clone().unwrap_or_else(|| "nothing newer comes".to_owned());
        noted.raise(AlarmKind::MirrorStale, format!("the origin's last word is of {at}: {why}"), now);
    }
}
