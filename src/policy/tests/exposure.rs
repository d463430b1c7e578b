//! Shares that grow: monotone, smooth, and never above the wave's own; buckets at the ends.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::model::testing::TestJournal;
use crate::model::{
    BasisPoints, Class, DeviceId, Event, Plan, ProductName, Promote, RingPlan, RolloutChange, RolloutKind, Span, Wave,
};
use crate::policy::bucket;
use crate::policy::rollout::share_of;

fn product() -> ProductName {
    "p".parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn shares_grow_smoothly_and_stay_within_the_wave(
        shares in proptest::collection::btree_set(1u16..10_000, 0..5),
        overs in proptest::collection::vec(0u64..6, 6),
        gaps in proptest::collection::vec(1i64..8, 6),
        pauses in proptest::collection::vec((0i64..40, 1i64..10), 0..3),
    ) {
        let shares: BTreeSet<u16> = shares.into_iter().chain([10_000]).collect();
        let waves: Vec<Wave> = shares.iter().zip(&overs).map(|(share, hours)| Wave {
            share: BasisPoints::new(*share), over: Span::from_secs(hours * 3_600), bake: Span::NONE,
        }).collect();
        let (journal, id) = opened(&waves, &gaps, &pauses);
        let known = journal.snapshot().product(&product()).unwrap();
        let rollout = known.rollout(id).unwrap();
        let start = rollout.planned.at;
        let mut last = (0u16, start);
        for minute in 0..80 * 60 {
            let now = start + SignedDuration::from_mins(minute);
            let share = share_of(known, rollout, 0, now).get();
            let openings = rollout.rings()[0].opened.partition_point(|opening| opening.at <= now);
            let bound = openings.checked_sub(1).map_or(0, |wave| waves[wave].share.get());
            prop_assert!(share >= last.0, "it never falls");
            prop_assert!(share <= bound, "never above the wave's own share");
            // A wave that grows over hours takes no step of more than a minute's part of it.
            let is_same_wave = openings > 0 && rollout.rings()[0].opened[openings - 1].at < last.1;
            if let Some(wave) = openings.checked_sub(1).filter(|_| is_same_wave) {
                let over = waves[wave].over.as_secs() / 60;
                let from = wave.checked_sub(1).map_or(0, |before| waves[before].share.get());
                let step = u64::from(waves[wave].share.get() - from).checked_div(over).map_or(0, |step| step + 1);
                prop_assert!(u64::from(share - last.0) <= step);
            }
            last = (share, now);
        }
    }
}

/// One rollout of one ring, whose waves open one after the other.
fn opened(waves: &[Wave], gaps: &[i64], pauses: &[(i64, i64)]) -> (TestJournal, u64) {
    let mut journal = TestJournal::new(Timestamp::from_second(1_700_000_000).unwrap());
    journal.product("p", Class::Platform).release("p", "1", &["any"], false);
    let release = journal.snapshot().product(&product()).unwrap().releases()[0].id;
    let ring = RingPlan { ring: "r".parse().unwrap(), waves: waves.to_vec(), gate: None, promote: Promote::Automatic };
    let plan = Plan { rings: vec![ring], ..Plan::default() };
    let (rollout, salt) = (RolloutKind::Release, "s".to_owned());
    let id = journal.push(Event::RolloutPlanned { product: product(), release, rollout, plan, salt, reason: None });
    let mut moments: Vec<(i64, RolloutChange)> = Vec::new();
    let mut hour = 0;
    for (wave, gap) in gaps.iter().enumerate().take(waves.len()) {
        let (ring, rated) = ("r".parse().unwrap(), BTreeMap::new());
        moments.push((hour, RolloutChange::WaveOpened { ring, wave: wave as u32, devices: 10, rated }));
        hour += gap;
    }
    let mut free_from = 0;
    for (from, length) in pauses {
        let from = (*from).max(free_from);
        let reason = || "because".parse().unwrap();
        moments.push((from, RolloutChange::Paused { reason: reason() }));
        moments.push((from + length, RolloutChange::Resumed { reason: reason() }));
        free_from = from + length + 1;
    }
    moments.sort_by_key(|(hour, _)| *hour);
    let mut hour = 0;
    for (at, change) in moments {
        journal.advance((at - hour) * 3_600);
        hour = at;
        journal.push(Event::RolloutChanged { product: product(), rollout: id, change });
    }
    (journal, id)
}

#[test]
fn nobody_at_nothing_and_everybody_at_all() {
    let ids: Vec<DeviceId> = (0..500).map(|n| format!("d{n}").parse().unwrap()).collect();
    let buckets: Vec<u16> = ids.iter().map(|id| bucket(&product(), "s", id)).collect();
    assert!(buckets.iter().all(|bucket| *bucket < 10_000));
    assert!(!buckets.iter().any(|bucket| BasisPoints::NONE.get() > *bucket));
    assert!(buckets.iter().all(|bucket| BasisPoints::ALL.get() > *bucket));
}
