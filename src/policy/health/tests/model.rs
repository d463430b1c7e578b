//! Tallies against a slow oracle that keeps every vote and counts from scratch.

use std::collections::BTreeMap;
use std::iter::empty;

use proptest::prelude::*;

use super::*;

/// One call.
#[derive(Debug, Clone)]
enum Call {
    Watch(RolloutId),
    Forget(RolloutId),
    Offer { device: u64, rollout: RolloutId, ring: usize, second: i64 },
    Report { device: u64, sequence: u64, event: ReportEvent },
}

/// Several rollouts share a sequence: an emergency for a release that is under way.
fn sequence_of(rollout: RolloutId) -> u64 {
    rollout / 2
}

/// What the oracle keeps of a device in a rollout.
#[derive(Debug, Clone)]
struct Kept {
    ring: usize,
    offered_at: Timestamp,
    events: Vec<ReportEvent>,
    has_left: bool,
}

/// Everything: for each rollout what each device said while the rollout was its newest.
#[derive(Debug, Default)]
struct Model {
    rollouts: BTreeMap<RolloutId, Vec<(u64, Kept)>>,
    /// The newest rollout of each device.
    newest: BTreeMap<u64, RolloutId>,
}

impl Model {
    fn play(&mut self, call: &Call) {
        match *call {
            Call::Watch(rollout) => {
                self.rollouts.entry(rollout).or_default();
            }
            Call::Forget(rollout) => {
                self.rollouts.remove(&rollout);
                self.newest.retain(|_, newest| *newest != rollout);
            }
            Call::Offer { device, rollout, ring, second } => {
                let is_newer = self.newest.get(&device).is_none_or(|newest| *newest < rollout);
                if self.rollouts.contains_key(&rollout) && is_newer && ring < RINGS {
                    for (known, kept) in self.rollouts.values_mut().flatten() {
                        kept.has_left |= *known == device;
                    }
                    let kept = Kept { ring, offered_at: at(second), events: Vec::new(), has_left: false };
                    self.rollouts.entry(rollout).or_default().push((device, kept));
                    self.newest.insert(device, rollout);
                }
            }
            Call::Report { device, sequence, event } => {
                if let Some(newest) = self.newest.get(&device)
                    && sequence_of(*newest) == sequence
                    && let Some(devices) = self.rollouts.get_mut(newest)
                    && let Some((_, kept)) = devices.iter_mut().rev().find(|(known, _)| *known == device)
                {
                    kept.events.push(event);
                }
            }
        }
    }

    fn counts(&self, rollout: RolloutId, ring: usize, now: Timestamp) -> Counts {
        let mut counts = Counts::default();
        for (_, kept) in self.rollouts.get(&rollout).into_iter().flatten() {
            if kept.ring != ring {
                continue;
            }
            let said = |events: &[ReportEvent]| kept.events.iter().any(|event| events.contains(event));
            use ReportEvent::{Failed, Fetched, Healthy, Installed, RolledBack};
            counts.offered += 1;
            counts.fetched += u64::from(said(&[Fetched, Installed, Healthy, RolledBack]));
            counts.installed += u64::from(said(&[Installed, Healthy, RolledBack]));
            match kept.events.iter().rev().find(|event| [Healthy, Failed, RolledBack].contains(event)) {
                Some(Healthy) => counts.healthy += 1,
                Some(Failed) => counts.failed += 1,
                Some(RolledBack) => counts.rolled_back += 1,
                _ if kept.has_left => {}
                _ => {
                    counts.pending += 1;
                    let minute_end = (kept.offered_at.as_second().div_euclid(60) + 1) * 60;
                    counts.silent += u64::from(minute_end + WITHIN_S as i64 <= now.as_second());
                }
            }
        }
        counts
    }
}

const RINGS: usize = 3;

fn call() -> impl Strategy<Value = Call> {
    let event = proptest::sample::select(vec![
        ReportEvent::Offered,
        ReportEvent::Fetched,
        ReportEvent::Installed,
        ReportEvent::Healthy,
        ReportEvent::Failed,
        ReportEvent::RolledBack,
    ]);
    let offer = (0u64..6, 0u64..6, 0usize..RINGS + 1, -5_000i64..5_000);
    prop_oneof![
        2 => (0u64..6).prop_map(Call::Watch),
        1 => (0u64..6).prop_map(Call::Forget),
        8 => offer.prop_map(|(device, rollout, ring, second)| Call::Offer { device, rollout, ring, second }),
        12 => (0u64..6, 0u64..3, event)
            .prop_map(|(device, sequence, event)| Call::Report { device, sequence, event }),
    ]
}

fn apply(health: &mut Health, call: &Call) -> Counted {
    match *call {
        Call::Watch(rollout) => {
            health.watch(rollout, sequence_of(rollout), &[Some(Span::from_secs(WITHIN_S)); RINGS]);
            Counted::Unchanged
        }
        Call::Forget(rollout) => {
            health.forget(rollout);
            Counted::Unchanged
        }
        Call::Offer { device, rollout, ring, second } => {
            health.offered(key(device), rollout, ring, at(second), empty())
        }
        Call::Report { device, sequence, event } => {
            health.reported(key(device), sequence, event, &BTreeMap::new(), empty())
        }
    }
}

fn all_counts(counts: impl Fn(RolloutId, usize, Timestamp) -> Counts) -> Vec<Counts> {
    let times = [-10_000, -2_000, 0, 3_600, 6_000, 20_000];
    let places = (0..6).flat_map(|rollout| (0..RINGS).map(move |ring| (rollout, ring)));
    places.flat_map(|(rollout, ring)| times.map(|second| counts(rollout, ring, at(second)))).collect()
}

proptest! {
    #[test]
    fn equal_to_the_oracle_after_every_call(calls in prop::collection::vec(call(), 1..80)) {
        let (mut health, mut model) = (Health::new(), Model::default());
        for rollout in 0..4 {
            model.play(&Call::Watch(rollout));
            apply(&mut health, &Call::Watch(rollout));
        }
        for call in &calls {
            let before = all_counts(|rollout, ring, now| health.counts(rollout, ring, now));
            let counted = apply(&mut health, call);
            model.play(call);
            let after = all_counts(|rollout, ring, now| health.counts(rollout, ring, now));
            let expected = all_counts(|rollout, ring, now| model.counts(rollout, ring, now));
            for (ours, expected) in after.iter().zip(&expected) {
                prop_assert_eq!(ours, expected, "{:?}", call);
            }
            prop_assert_eq!(health.devices(), model.newest.len());
            if matches!(call, Call::Offer { .. } | Call::Report { .. }) {
                prop_assert_eq!(before != after, matches!(counted, Counted::New | Counted::Changed), "{:?}", call);
            }
            for counts in after {
                prop_assert!(counts.silent <= counts.pending);
                prop_assert!(counts.pending + counts.concluded() <= counts.offered);
                prop_assert!(counts.healthy + counts.rolled_back <= counts.installed);
                prop_assert!(counts.installed <= counts.fetched && counts.fetched <= counts.offered);
            }
        }
    }

    #[test]
    fn the_order_and_number_of_other_reports_does_not_matter(
        progress in prop::collection::vec(0usize..3, 0..6),
        copies in 1usize..4,
        last in 3usize..6,
        seed in any::<u64>(),
    ) {
        let events = [
            ReportEvent::Offered,
            ReportEvent::Fetched,
            ReportEvent::Installed,
            ReportEvent::Healthy,
            ReportEvent::Failed,
            ReportEvent::RolledBack,
        ];
        let counts = |order: &[usize]| {
            let mut health = watching(1);
            offer(&mut health, 0..1);
            for event in order {
                report(&mut health, 0..1, events[*event]);
            }
            health.counts(ROLLOUT, 0, at(90_000))
        };
        let mut all: Vec<usize> = progress.iter().copied().cycle().take(progress.len() * copies).collect();
        all.extend(vec![last; copies]);
        let expected = counts(&all);
        Draws(seed).shuffle(&mut all);
        prop_assert_eq!(counts(&all), expected);
    }
}
