//! What is simulated.

use std::ops::Range;

use jiff::Timestamp;

use super::Fleet;
use crate::model::policy::PolicyError;
use crate::model::{ApplyError, Class, GroupName, ProductName, Span};

/// What is simulated.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The policy's text.
    pub policy: String,
    /// The product's class.
    pub class: Class,
    /// The product.
    pub product: ProductName,
    /// The devices.
    pub fleet: Fleet,
    /// When the release is published.
    pub published_at: Timestamp,
    /// How long after the publication the rollout is started, where the plan does not start it at once.
    pub start_after: Span,
    /// What is wrong with the release.
    pub fault: Fault,
    /// How long a device takes from its check-in to its report.
    pub report_delay: Span,
    /// How long after the first bad device could be known of people halt the release; never where absent.
    pub human_halt: Option<Span>,
    /// How long is looked at.
    pub duration: Span,
    /// Whether the gates know what devices share: without it no cluster is found.
    pub knows_shared: bool,
    /// What chance is made from.
    pub seed: u64,
    /// What goes wrong on the server's side and on the way.
    pub upsets: Upsets,
}

/// What devices do with the release. Shares are fractions of 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The share that fails and says so.
    pub failure_rate: f64,
    /// The share that is never heard of again.
    pub silent_rate: f64,
    /// How long after the installation that happens. Until then a device reports that it is healthy.
    pub onset: Span,
    /// The only devices that it happens to, such as `attr.model=m3` or `tag=kiosk`; all where absent.
    pub affected: Option<String>,
    /// The share of all devices that is given the attribute above in place of its other values; what the fleet says
    /// where absent.
    pub affected_share: Option<f64>,
    /// The share that fails with any release.
    pub usual_failures: f64,
    /// The share that does not report with any release.
    pub usual_silence: f64,
    /// Devices that lie: their share, and what they say at once.
    pub poison: Option<(f64, Poison)>,
}

/// What devices that lie say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poison {
    /// That they failed.
    Failed,
    /// That they are healthy.
    Healthy,
}

/// What goes wrong on the server's side and on the way. None of it by default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Upsets {
    /// Minutes in which the server is down.
    pub down: Vec<Range<u32>>,
    /// From a minute on the server's clock is off by so many seconds; in order of minute.
    pub clock: Vec<(u32, i64)>,
    /// The share of reports that come twice.
    pub twice: f64,
    /// Up to so many minutes a report is late by chance, so that reports overtake each other.
    pub late_max_minutes: u32,
}

/// Why nothing was simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The policy cannot be read.
    #[error("the policy cannot be read: {0}")]
    Policy(#[from] PolicyError),
    /// The fleet names a group that the policy does not have.
    #[error("the policy has no group {0}: name one of its groups in the fleet")]
    UnknownGroup(GroupName),
    /// There are no devices, or too many.
    #[error("the fleet has {0} devices: give it between 1 and 100,000,000")]
    Devices(u64),
    /// Devices ask too often.
    #[error("devices of group {0} check in every {1}: give them at least 1m and at most 7d")]
    CheckIn(GroupName, Span),
    /// A share is none.
    #[error("{0} is {1}: a share lies between 0 and 1")]
    Share(&'static str, f64),
    /// Nobody has what the affected devices share.
    #[error("no device of the fleet has {0:?}: give the fleet devices with it, or name a share such as 1%")]
    NobodyAffected(String),
    /// More time than is simulated.
    #[error("a duration of {0} is too long or too short: give it at least 1h and at most 90d")]
    Duration(Span),
    /// An event did not fit.
    #[error(transparent)]
    Event(#[from] ApplyError),
}

/// The most devices.
pub(super) const DEVICES_MAX: u64 = 100_000_000;

impl Default for Fault {
    /// A good release: of 1,000 devices one fails and five do not report, as with any other.
    fn default() -> Self {
        Self {
            failure_rate: 0.0,
            silent_rate: 0.0,
            onset: Span::NONE,
            affected: None,
            affected_share: None,
            usual_failures: 0.001,
            usual_silence: 0.005,
            poison: None,
        }
    }
}

impl Scenario {
    /// Says what is wrong with it, apart from its policy.
    pub(super) fn check(&self) -> Result<(), SimulateError> {
        let devices = self.fleet.devices();
        if devices == 0 || devices > DEVICES_MAX {
            return Err(SimulateError::Devices(devices));
        }
        for group in &self.fleet.groups {
            if !(60..=7 * 86_400).contains(&group.check_in.as_secs()) {
                return Err(SimulateError::CheckIn(group.group.clone(), group.check_in));
            }
        }
        if !(3_600..=90 * 86_400).contains(&self.duration.as_secs()) {
            return Err(SimulateError::Duration(self.duration));
        }
        let fault = &self.fault;
        let offline = self.fleet.groups.iter().map(|group| ("the share of devices that are offline", group.offline));
        let shares = [
            ("the failure rate", fault.failure_rate),
            ("the rate of silent devices", fault.silent_rate),
            ("the baseline's failure rate", fault.usual_failures),
            ("the baseline's rate of silent devices", fault.usual_silence),
            ("the share of affected devices", fault.affected_share.unwrap_or(0.0)),
            ("the share of devices that lie", fault.poison.map_or(0.0, |(share, _)| share)),
            ("the share of reports that come twice", self.upsets.twice),
        ];
        let bad = offline.chain(shares).find(|(_, share)| !(0.0..=1.0).contains(share));
        bad.map_or(Ok(()), |(what, share)| Err(SimulateError::Share(what, share)))
    }
}
