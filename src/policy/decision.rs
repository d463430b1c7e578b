//! What a decision says.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{GroupName, ProductName, Release, RingName};

/// The rules in the order in which they are asked. Two rules of one step stand in their order within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Step 1: who asks, and whether its group sees the product at all.
    Identity,
    /// Step 1: which published releases have an artifact for its platform.
    Fit,
    /// Step 2: withdrawn releases are gone.
    Withdrawn,
    /// Step 2: a barrier must be installed before anything later.
    Barrier,
    /// Step 3: nobody gets a release that was halted or gone back from.
    Halt,
    /// Step 3: no new exposure of anything of a frozen product.
    Freeze,
    /// Step 4: what is withheld from the device.
    Hold,
    /// Step 5: the version that its group is kept at.
    Pin,
    /// Step 6: the only way down.
    Rollback,
    /// Step 7: an emergency, in place of steps 8 to 11.
    Expedite,
    /// Step 8: staying a number of releases behind the newest.
    Keep,
    /// Step 8: waiting a time from publication on.
    Deferral,
    /// Step 9: what was eligible at the last tick, until the next one.
    Cadence,
    /// Step 10: the ring, and the wave in it.
    Ring,
    /// Step 10: what is baked for so long that it is no longer held back.
    Staleness,
    /// Step 11: the maintenance windows.
    Window,
    /// Step 11: how many devices of the group may change in a time.
    Rate,
    /// Step 12: what was not brought to this offline site yet. It counted where releases are counted.
    Absent,
    /// Step 12: nothing goes below what the device has.
    NeverBelow,
    /// Step 12: the highest sequence left.
    Highest,
}

impl Rule {
    /// Its step in the order of decision.
    pub const fn step(self) -> u8 {
        match self {
            Self::Identity | Self::Fit => 1,
            Self::Withdrawn | Self::Barrier => 2,
            Self::Halt | Self::Freeze => 3,
            Self::Hold => 4,
            Self::Pin => 5,
            Self::Rollback => 6,
            Self::Expedite => 7,
            Self::Keep | Self::Deferral => 8,
            Self::Cadence => 9,
            Self::Ring | Self::Staleness => 10,
            Self::Window | Self::Rate => 11,
            Self::Absent | Self::NeverBelow | Self::Highest => 12,
        }
    }

    /// The word used in JSON, metrics and on the terminal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Fit => "fit",
            Self::Withdrawn => "withdrawn",
            Self::Barrier => "barrier",
            Self::Halt => "halt",
            Self::Freeze => "freeze",
            Self::Hold => "hold",
            Self::Pin => "pin",
            Self::Rollback => "rollback",
            Self::Expedite => "expedite",
            Self::Keep => "keep",
            Self::Deferral => "deferral",
            Self::Cadence => "cadence",
            Self::Ring => "ring",
            Self::Staleness => "staleness",
            Self::Window => "window",
            Self::Rate => "rate",
            Self::Absent => "absent",
            Self::NeverBelow => "never_below",
            Self::Highest => "highest",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a rule did in one decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It changed nothing.
    Passed,
    /// It took releases away, but another rule decided.
    Narrowed,
    /// It decided. Exactly one rule of a decision does.
    Decided,
}

impl Outcome {
    /// The word used in JSON and on the terminal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Narrowed => "narrowed",
            Self::Decided => "decided",
        }
    }
}

/// One rule's line in the trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceLine {
    /// The rule's step.
    pub step: u8,
    /// The rule.
    pub rule: Rule,
    /// What it did.
    pub outcome: Outcome,
    /// How, in words.
    pub detail: String,
}

/// Which release a device sees, why, and until when that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The product that was asked for.
    pub product: ProductName,
    /// The release; `None` where nothing is allowed now.
    pub release: Option<Arc<Release>>,
    /// Whether `release` is what the device says it has: there is nothing to fetch.
    pub is_current: bool,
    /// The one rule that decided: the last that changed which release comes out on top, or the pin, or the barrier.
    pub rule: Rule,
    /// Why, as one sentence.
    pub reason: String,
    /// A line for each rule, in order; empty where it was not asked for.
    pub trace: Vec<TraceLine>,
    /// The next moment at which the answer may change; it never changes before. `None`: not before the next event.
    pub valid_until: Option<Timestamp>,
    /// The device's group.
    pub group: Option<GroupName>,
    /// The ring its group sits in for the product's class.
    pub ring: Option<RingName>,
    /// Whether the device may know that the product exists. Where not, the answer is the same as for no product.
    pub visible: bool,
}
