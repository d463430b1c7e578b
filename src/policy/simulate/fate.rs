//! What becomes of a device that has the release, and what it says.

use super::random::{Purpose, draw, unit};
use super::roster::Roster;
use super::{Poison, Scenario};
use crate::model::ReportEvent;

/// A device's story from its check-in on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fate {
    /// What it reports, so many seconds after the check-in.
    pub(super) reports: [Option<(u64, ReportEvent)>; 2],
    /// When the release's fault shows, in seconds after the check-in.
    pub(super) bad_after_s: Option<u64>,
}

impl Fate {
    fn of(reports: [Option<(u64, ReportEvent)>; 2]) -> Self {
        Self { reports, bad_after_s: None }
    }
}

/// The fate of one device with the release of the scenario.
pub(super) fn fate(scenario: &Scenario, roster: &Roster<'_>, device: u32) -> Fate {
    let fault = &scenario.fault;
    let chance = |purpose: Purpose| unit(scenario.seed, device, purpose as u64);
    let delay_s = scenario.report_delay.as_secs();
    if let Some((share, says)) = fault.poison
        && chance(Purpose::Poison) < share
    {
        let event = match says {
            Poison::Failed => ReportEvent::Failed,
            Poison::Healthy => ReportEvent::Healthy,
        };
        return Fate::of([Some((0, event)), None]);
    }
    let drawn = if roster.is_affected(device) { chance(Purpose::Fate) } else { 1.0 };
    let onset_s = fault.onset.as_secs();
    let before = (onset_s > 0).then_some((delay_s, ReportEvent::Healthy));
    if drawn < fault.failure_rate {
        let failed = Some((onset_s + delay_s, ReportEvent::Failed));
        return Fate { reports: [before, failed], bad_after_s: Some(onset_s) };
    }
    if drawn < fault.failure_rate + fault.silent_rate {
        return Fate { reports: [before, None], bad_after_s: Some(onset_s) };
    }
    usual(scenario, device)
}

/// The fate of a device with a good release.
pub(super) fn usual(scenario: &Scenario, device: u32) -> Fate {
    let (fault, delay_s) = (&scenario.fault, scenario.report_delay.as_secs());
    let drawn = unit(scenario.seed, device, Purpose::Noise as u64);
    if drawn < fault.usual_failures {
        Fate::of([Some((delay_s, ReportEvent::Failed)), None])
    } else if drawn < fault.usual_failures + fault.usual_silence {
        Fate::default()
    } else {
        Fate::of([Some((delay_s, ReportEvent::Healthy)), None])
    }
}

/// By how many minutes a device's report is late, and whether it comes a second time, and how late.
pub(super) fn upset(scenario: &Scenario, device: u32, place: u64) -> (u64, Option<u64>) {
    let upsets = &scenario.upsets;
    let late = |which: u64| {
        let drawn = draw(scenario.seed, device, Purpose::Delay as u64 + 8 * (2 * place + which));
        drawn % (u64::from(upsets.late_max_minutes) + 1)
    };
    let is_twice = unit(scenario.seed, device, Purpose::Twice as u64 + 8 * place) < upsets.twice;
    (late(1), is_twice.then(|| late(2)))
}
