//! How a mirror stands: when it last heard of its origin, how far it is behind, and what is wrong.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::fill::FillStanding;
use crate::signing::JournalStatement;

/// What is wrong with what is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// The upstream's journal is another one than this mirror's.
    MirrorForked,
    /// The upstream knows less than it, or somebody in its name, has told before.
    MirrorUpstreamBehind,
    /// Blobs come with wrong bytes.
    MirrorWrongBytes,
    /// What comes is not signed by a key that is believed, or is too old.
    MirrorUntrusted,
    /// The journal's lines are broken, or not those that the origin signed.
    MirrorMalformed,
    /// The origin's last word is older than it may be.
    MirrorStale,
    /// Blobs that come cannot be kept here: the disk is full, or fails.
    MirrorDisk,
}

impl AlarmKind {
    /// The word in alerts, JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MirrorForked => "mirror_forked",
            Self::MirrorUpstreamBehind => "mirror_upstream_behind",
            Self::MirrorWrongBytes => "mirror_wrong_bytes",
            Self::MirrorUntrusted => "mirror_untrusted",
            Self::MirrorMalformed => "mirror_malformed",
            Self::MirrorStale => "mirror_stale",
            Self::MirrorDisk => "mirror_disk",
        }
    }

    /// Whether nothing is taken from the upstream's journal while it lasts.
    pub(super) fn is_of_following(&self) -> bool {
        !matches!(self, Self::MirrorStale | Self::MirrorWrongBytes | Self::MirrorDisk)
    }

    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::MirrorForked,
        Self::MirrorUpstreamBehind,
        Self::MirrorUntrusted,
        Self::MirrorMalformed,
        Self::MirrorStale,
        Self::MirrorWrongBytes,
        Self::MirrorDisk,
    ];
}

/// Something that a person should hear of, for as long as it lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// What kind.
    pub alarm: AlarmKind,
    /// Since when.
    pub since: Timestamp,
    /// What was found, in a sentence.
    pub reason: String,
}

/// What a mirror is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// It has not reached its upstream yet, ever.
    Waiting,
    /// It follows.
    Following,
    /// The upstream is away or refuses; the last state is served.
    Away,
    /// It takes nothing from the upstream while an alarm lasts; the last state is served.
    Stopped,
}

/// The origin's last word, up to which the journal was followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastWord {
    /// The last event that it names.
    pub sequence: u64,
    /// When it was made.
    pub at: Timestamp,
    /// Until when it may be believed.
    pub expires: Timestamp,
    /// How old it is, in seconds.
    pub age_s: u64,
}

/// Blobs that releases need and that are not here yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingBlobs {
    /// How many.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How a mirror stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The mirror's name.
    pub name: String,
    /// The server that it follows.
    pub upstream: String,
    /// How many mirrors stand between the upstream and the origin; none before the first contact.
    pub hops: Option<u32>,
    /// What it is doing.
    pub doing: Doing,
    /// When the upstream last answered well.
    pub reached_at: Option<Timestamp>,
    /// This mirror's last event.
    pub sequence: u64,
    /// The origin's last word.
    pub last_word: Option<LastWord>,
    /// Events that the origin has signed and that are not here yet.
    pub behind_events: u64,
    /// Blobs that are not here yet; none where they were not looked for yet.
    pub missing: Option<MissingBlobs>,
    /// How far filling is; none before it was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filling: Option<FillStanding>,
    /// When the upstream last took what the devices here said.
    pub tallies_sent_at: Option<Timestamp>,
    /// What is wrong, if anything is.
    pub alarms: Vec<Alarm>,
    /// What went wrong at the last attempt, if that failed.
    pub last_error: Option<String>,
}

/// What is known of it while it runs.
#[derive(Debug, Default)]
pub(super) struct Watch(Mutex<Noted>);

#[derive(Debug, Clone, Default)]
pub(super) struct Noted {
    pub(super) reached_at: Option<Timestamp>,
    /// The highest sequence that the origin has signed, as far as is known.
    pub(super) signed_sequence: u64,
    pub(super) filling: Option<FillStanding>,
    pub(super) tallies_sent_at: Option<Timestamp>,
    pub(super) alarms: BTreeMap<AlarmKind, (Timestamp, String)>,
    pub(super) last_error: Option<String>,
    /// Why what must not be forgotten is in memory alone.
    pub(super) not_written: Option<String>,
}

impl Watch {
    pub(super) fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    /// Raises an alarm, or says of one that lasts what was found last.
    pub(super) fn raise(&mut self, kind: AlarmKind, reason: String, now: Timestamp) {
        let since = self.alarms.get(&kind).map_or(now, |(since, _)| *since);
        self.alarms.insert(kind, (since, reason));
    }

    /// The upstream answered well: whatever was wrong with it is over.
    pub(super) fn went_well(&mut self, now: Timestamp) {
        self.reached_at = Some(now);
        self.last_error = None;
        self.alarms.retain(|kind, _| !kind.is_of_following());
    }

    pub(super) fn alarms(&self) -> Vec<Alarm> {
        let alarm = |(alarm, (since, reason)): (&AlarmKind, &(Timestamp, String))| Alarm {
            alarm: *alarm,
            since: *since,
            reason: reason.clone(),
        };
        self.alarms.iter().map(alarm).collect()
    }

    pub(super) fn doing(&self, has_met: bool) -> Doing {
        let stops = AlarmKind::is_of_following;
        match &self.last_error {
            _ if self.alarms.keys().any(stops) => Doing::Stopped,
            None if has_met && self.reached_at.is_some() => Doing::Following,
            _ if has_met => Doing::Away,
            _ => Doing::Waiting,
        }
    }
}

/// The word with its age.
pub(super) fn last_word(statement: &JournalStatement, now: Timestamp) -> LastWord {
    LastWord {
        sequence: statement.sequence,
        at: statement.at,
        expires: statement.expires,
        age_s: u64::try_from(now.as_second().saturating_sub(statement.at.as_second())).unwrap_or(0),
    }
}
