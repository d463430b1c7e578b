//! How a share stands against the clock: how old what it shows is, and how far its targets are behind. The admin
//! listener, the metrics and the alerts ask here, so that they never say different things.

use jiff::Timestamp;
use serde::Serialize;

use super::targets::{TargetReport, TargetState};
use super::view::age_of;
use crate::model::policy::{SharePolicy, ShareStaleness};
use crate::model::{Class, Share, Snapshot};

/// How old the newest release of a share is, against what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Staleness {
    /// Nobody wants to be told, or nothing is shown yet.
    None,
    /// Young enough.
    Fresh,
    /// Older than the time of the warning.
    Warn,
    /// Older than the time of the critical alert.
    Critical,
}

/// The ages at which people are told: those of the policy; the defaults where it says none and the share carries
/// intelligence, which is old soon; none for anything else.
pub fn staleness_limits(snapshot: &Snapshot, share: &SharePolicy) -> Option<ShareStaleness> {
    let is_intelligence =
        |name| snapshot.product(name).is_some_and(|product| product.product().class == Class::Intelligence);
    let default = || share.products().iter().any(is_intelligence).then(ShareStaleness::default);
    share.staleness().or_else(default)
}

/// How stale a share is at `now`.
pub fn staleness(snapshot: &Snapshot, share: &SharePolicy, now: Timestamp) -> Staleness {
    let Some(limits) = staleness_limits(snapshot, share) else { return Staleness::None };
    let published_at = snapshot.share(share.name()).and_then(|state| age_of(snapshot, state));
    match published_at {
        None => Staleness::None,
        Some(at) if limits.critical.ends_at(at) <= now => Staleness::Critical,
        Some(at) if limits.warn.ends_at(at) <= now => Staleness::Warn,
        Some(_) => Staleness::Fresh,
    }
}

/// For how many seconds the newest switch of a share waits for this target; 0 where the target shows it.
pub fn lag_s(state: &Share, report: &TargetReport, now: Timestamp) -> u64 {
    if report.state == TargetState::Published && report.switch >= state.switch.seq {
        return 0;
    }
    u64::try_from(now.duration_since(state.switch.at).as_secs()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::policy::Policy;
    use crate::model::testing::TestJournal;
    use crate::model::{Event, ShareSwitch, Shown};

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + hours * 3_600).unwrap()
    }

    fn policy(stale: &str) -> Policy {
        let text = format!(
            "[[ring]]\nname = \"broad\"\n[[group]]\nname = \"all\"\nmatch = \"any\"\nring = \"broad\"\n[[share]]\n\
             name = \"s\"\ngroup = \"all\"\nlayout = \"plain\"\nproducts = [\"feed\"]\n{stale}"
        );
        Policy::parse(&text).unwrap()
    }

    #[test]
    fn the_policy_s_ages_come_first_and_nobody_asks_for_an_unknown_product() {
        let snapshot = Snapshot::default();
        let share = policy("stale = { warn = \"1h\", critical = \"2h\" }\n").shares()[0].clone();
        let limits = staleness_limits(&snapshot, &share).unwrap();
        assert_eq!((limits.warn.as_secs(), limits.critical.as_secs()), (3_600, 7_200));
        assert_eq!(staleness(&snapshot, &share, at(0)), Staleness::None, "nothing is shown");
        assert_eq!(staleness_limits(&snapshot, &policy("").shares()[0]), None);
    }

    #[test]
    fn intelligence_is_old_after_three_and_seven_days_and_platform_when_the_policy_says() {
        for (class, expected) in [
            (Class::Intelligence, [Staleness::Fresh, Staleness::Fresh, Staleness::Warn, Staleness::Critical]),
            (Class::Platform, [Staleness::None; 4]),
        ] {
            let mut journal = TestJournal::new(at(0));
            journal.product("feed", class).release("feed", "1.0", &["any"], false);
            let (product, version) = ("feed".parse().unwrap(), "1.0".parse().unwrap());
            journal.push(Event::ShareSwitched {
                share: "s".parse().unwrap(),
                at: at(0),
                layout: "plain".parse().unwrap(),
                shows: vec![Shown { product, version, sequence: 1, platform: None, since: at(0) }],
                put: Vec::new(),
                removed: Vec::new(),
                forgotten: Vec::new(),
            });
            let share = policy("").shares()[0].clone();
            let found = [0, 71, 72, 168].map(|hours| staleness(journal.snapshot(), &share, at(hours)));
            assert_eq!(found, expected, "{class:?}");
        }
    }

    #[test]
    fn a_target_lags_until_it_has_published_the_newest_switch() {
        let switch = ShareSwitch { seq: 17, at: at(0), layout: "plain".parse().unwrap(), shows: Vec::<Shown>::new() };
        let begun =
            "{\"name\":\"s\",\"switch\":{\"seq\":1,\"at\":\"2020-01-01T00:00:00Z\",\"layout\":\"plain\",\"shows\":[]}}";
        let mut state: Share = serde_json::from_str(begun).unwrap();
        state.switch = switch;
        let report = |switch, state| TargetReport {
            target: "a:/b".into(),
            switch,
            staged_at: at(0),
            state,
            why: None,
            written_bytes: 0,
            tree_files: 0,
            tree_bytes: 0,
            repaired_files: 0,
        };
        let cases = [
            (report(17, TargetState::Published), 0),
            (report(18, TargetState::Published), 0),
            (report(17, TargetState::Pending), 7_200),
            (report(17, TargetState::Failed), 7_200),
            (report(16, TargetState::Published), 7_200),
        ];
        for (report, expected) in cases {
            assert_eq!(lag_s(&state, &report, at(2)), expected, "{report:?}");
        }
        assert_eq!(lag_s(&state, &report(16, TargetState::Published), at(-1)), 0, "its time is still to come");
    }
}
