//! Rollouts driven as the server drives them: the next steps journaled, devices asking, reports coming in.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::model::testing::TestJournal;
use crate::model::{Class, DeviceId, Event, Evidence, HaltCause, ProductName, ReportEvent, Rollout, RolloutChange};
use crate::policy::health::{DeviceKey, Health};
use crate::policy::rollout::{Census, RolloutState, Round, next_steps, plan_release, standing};
use crate::policy::{Requester, decide_quiet};

const POLICY: &str = r#"
[[ring]]
name = "canary"
[[ring]]
name = "broad"
[[group]]
name = "canaries"
match = { id = "canary-*" }
ring = "canary"
[[group]]
name = "everyone"
match = "any"
ring = "broad"
[plan.platform]
canary = { waves = ["50% bake 1h", "100% bake 2h"], gate = { samples = 5, failures = "5%", silence = "10%", within = "1h", timeout = "12h" } }
broad = { waves = ["20% over 2h bake 1h", "100% over 4h bake 2h"], gate = { samples = 5, failures = "5%", silence = "10%", within = "1h", timeout = "12h" } }
rollback = { automatic = true, waves = ["100%"], blast_limit = 100 }
breaker = "2 halts in 7d"
"#;

/// What the devices of a ring make of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Healthy,
    Fail,
    Silent,
}

struct Stand {
    journal: TestJournal,
    health: Health,
    has: BTreeMap<DeviceId, u64>,
    pending: Vec<(Timestamp, DeviceId, u64, ReportEvent)>,
}

fn product() -> ProductName {
    "p".parse().unwrap()
}

impl Stand {
    fn new() -> Self {
        let mut journal = TestJournal::new(Timestamp::from_second(1_700_000_000).unwrap());
        journal.product("p", Class::Platform).policy(POLICY).release("p", "1.0", &["any"], false);
        let canaries = (0..40).map(|n| format!("canary-{n}"));
        let devices = canaries.chain((0..60).map(|n| format!("pc-{n}")));
        let has = devices.map(|id| (id.parse().unwrap(), 1)).collect();
        Self { journal, health: Health::new(), has, pending: Vec::new() }
    }

    /// Publishes a release and starts its rollout; returns the rollout's id.
    fn publish(&mut self, version: &str) -> u64 {
        let release = self.journal.draft("p", version, &["any"], false);
        self.journal.push(Event::ReleasePublished { product: product(), release });
        let now = self.journal.now();
        let applied = self.journal.snapshot().policy_at(now).unwrap().policy().unwrap().clone();
        let plan = applied.plan(Class::Platform).unwrap();
        let id = self.journal.push(plan_release(&product(), Class::Platform, release, plan, None, now));
        self.change(id, RolloutChange::Started);
        let within: Vec<_> = plan.plan.rings.iter().map(|ring| ring.gate.as_ref().map(|gate| gate.within)).collect();
        let sequence = self.rollout(id).sequence;
        self.health.watch(id, sequence, &within);
        id
    }

    fn change(&mut self, rollout: u64, change: RolloutChange) {
        self.journal.push(Event::RolloutChanged { product: product(), rollout, change });
    }

    fn rollout(&self, id: u64) -> Rollout {
        self.journal.snapshot().product(&product()).unwrap().rollout(id).unwrap().as_ref().clone()
    }

    fn state(&self, id: u64) -> RolloutState {
        let known = self.journal.snapshot().product(&product()).unwrap();
        standing(known, known.rollout(id).unwrap(), self.journal.now()).state
    }

    /// Journals what is due, until nothing is.
    fn tick(&mut self) {
        let groups = [("canaries", 40u64), ("everyone", 60)];
        let groups = groups.into_iter().map(|(name, count)| (name.parse().unwrap(), count)).collect();
        let census = Census::from_groups(groups);
        for _ in 0..64 {
            let now = self.journal.now();
            let snapshot = self.journal.snapshot().clone();
            let policy = snapshot.policy_at(now).unwrap().policy().unwrap().clone();
            let known = snapshot.product(&product()).unwrap();
            let round = Round { product: known, policy: &policy, health: &self.health, census: &census, now };
            let events = next_steps(&round);
            if events.is_empty() {
                return;
            }
            for event in events {
                self.journal.push(event);
            }
        }
        panic!("64 rounds and still something is due");
    }

    /// Every device asks once; what it gets it reports half an hour later.
    fn check_in(&mut self, fate: impl Fn(&str, u64) -> Fate) {
        let now = self.journal.now();
        let snapshot = self.journal.snapshot().clone();
        let known = snapshot.product(&product()).unwrap();
        for (id, has) in &mut self.has {
            let current = known.by_sequence(*has).map(|release| release.version().clone());
            let who = Requester { device: Some(id), current, ..Requester::default() };
            let decision = decide_quiet(&snapshot, &who, &product(), now);
            let Some(release) = decision.release.filter(|_| !decision.is_current) else { continue };
            *has = release.sequence;
            let ring = decision.ring.unwrap();
            let key = DeviceKey(u64::from(blake(id)));
            for rollout in known.rollouts_of(release.sequence) {
                if let Some(index) = rollout.ring_index(&ring) {
                    self.health.offered(key, rollout.id, index, now, std::iter::empty());
                }
            }
            let event = match fate(id.as_str(), release.sequence) {
                Fate::Healthy => ReportEvent::Healthy,
                Fate::Fail => ReportEvent::Failed,
                Fate::Silent => continue,
            };
            self.pending.push((now + SignedDuration::from_mins(30), id.clone(), release.sequence, event));
        }
    }

    fn deliver(&mut self) {
        let now = self.journal.now();
        let (due, later) = std::mem::take(&mut self.pending).into_iter().partition(|(at, ..)| *at <= now);
        self.pending = later;
        let due: Vec<(Timestamp, DeviceId, u64, ReportEvent)> = due;
        for (_, id, sequence, event) in due {
            let key = DeviceKey(u64::from(blake(&id)));
            self.health.reported(key, sequence, event, &BTreeMap::new(), std::iter::empty());
        }
    }

    /// Moves on by this many minutes at a time, `steps` times.
    fn run(&mut self, minutes: i64, steps: usize, fate: impl Fn(&str, u64) -> Fate) {
        for _ in 0..steps {
            self.journal.advance(minutes * 60);
            self.deliver();
            self.tick();
            self.check_in(&fate);
        }
    }

    fn devices_with(&self, prefix: &str, sequence: u64) -> usize {
        self.has.iter().filter(|(id, has)| id.as_str().starts_with(prefix) && **has == sequence).count()
    }
}

fn blake(id: &DeviceId) -> u32 {
    id.as_str().bytes().fold(2_166_136_261, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}

#[test]
fn a_good_release_takes_every_ring_in_order_and_in_its_time() {
    let mut stand = Stand::new();
    let id = stand.publish("2.0");
    stand.tick();
    stand.run(15, 100, |_, _| Fate::Healthy);
    assert_eq!(stand.state(id), RolloutState::Completed);
    assert_eq!((stand.devices_with("canary", 2), stand.devices_with("pc", 2)), (40, 60));
    let rollout = stand.rollout(id);
    let opened = |ring: usize, wave: usize| rollout.rings()[ring].opened[wave].at;
    let hours = |from: Timestamp, to: Timestamp| (to.as_second() - from.as_second()) as f64 / 3_600.0;
    assert!(hours(opened(0, 0), opened(0, 1)) >= 1.0);
    assert!(hours(opened(0, 1), opened(1, 0)) >= 2.0);
    assert!(hours(opened(1, 0), opened(1, 1)) >= 3.0, "two hours of growing and one of baking");
    assert!(hours(opened(1, 1), rollout.completed_at().unwrap()) >= 6.0);
}

#[test]
fn a_failing_release_goes_back_by_itself_and_two_of_them_freeze_the_product() {
    let mut stand = Stand::new();
    let bad = |_: &str, sequence| if sequence == 1 { Fate::Healthy } else { Fate::Fail };
    let first = stand.publish("2.0");
    stand.tick();
    stand.run(15, 20, bad);
    assert_eq!(stand.state(first), RolloutState::RolledBack);
    assert_eq!(stand.devices_with("pc", 2), 0, "the next ring never saw it");
    assert_eq!(stand.devices_with("canary", 1), 40, "the canaries are back");
    let known = stand.journal.snapshot().product(&product()).unwrap();
    assert!(known.freezes().is_empty());
    let second = stand.publish("3.0");
    stand.tick();
    stand.run(15, 20, bad);
    assert_eq!(stand.state(second), RolloutState::RolledBack);
    let known = stand.journal.snapshot().product(&product()).unwrap();
    assert_eq!(known.freezes().len(), 1);
    // Frozen: a third, good one is not exposed to anybody until a person resets it.
    let third = stand.publish("4.0");
    stand.tick();
    stand.run(60, 24, |_, _| Fate::Healthy);
    assert_eq!(stand.devices_with("", 4), 0);
    stand
        .journal
        .push(Event::ProductReset { product: product(), reason: "both were the same defect".parse().unwrap() });
    stand.run(60, 40, |_, _| Fate::Healthy);
    assert_eq!(stand.state(third), RolloutState::Completed);
    assert_eq!(stand.devices_with("", 4), 100);
}

#[test]
fn a_late_failure_halts_a_completed_rollout() {
    let mut stand = Stand::new();
    let id = stand.publish("2.0");
    stand.tick();
    stand.run(15, 100, |_, _| Fate::Healthy);
    assert_eq!(stand.state(id), RolloutState::Completed);
    let now = stand.journal.now();
    let devices: Vec<_> = stand.has.keys().cloned().collect();
    for device in devices.iter().filter(|id| id.as_str().starts_with("pc")) {
        let key = DeviceKey(u64::from(blake(device)));
        stand.health.reported(key, 2, ReportEvent::Failed, &BTreeMap::new(), std::iter::empty());
    }
    stand.tick();
    assert!(matches!(stand.state(id), RolloutState::Halted | RolloutState::RolledBack));
    let who = Requester { device: Some(&devices[0]), ..Requester::default() };
    let seen = decide_quiet(stand.journal.snapshot(), &who, &product(), now).release;
    assert_eq!(seen.map(|release| release.sequence), Some(1));
}

#[test]
fn a_false_alarm_that_a_person_resumes_is_not_raised_again_by_the_same_devices() {
    let mut stand = Stand::new();
    let id = stand.publish("2.0");
    stand.tick();
    stand.run(15, 100, |_, _| Fate::Healthy);
    let devices: Vec<_> = stand.has.keys().filter(|id| id.as_str().starts_with("pc")).cloned().collect();
    let fail = |stand: &mut Stand, devices: &[DeviceId]| {
        for device in devices {
            let key = DeviceKey(u64::from(blake(device)));
            stand.health.reported(key, 2, ReportEvent::Failed, &BTreeMap::new(), std::iter::empty());
        }
        stand.journal.advance(60);
    };
    // A halt by hand, so that no rollback follows, with the evidence that the gate would have had.
    fail(&mut stand, &devices[..20]);
    let evidence = Evidence { failed: 20, ..Evidence::default() };
    let reason = || "a broken probe".parse().unwrap();
    stand.change(id, RolloutChange::Halted { cause: HaltCause::Failures, reason: reason(), evidence });
    stand.change(id, RolloutChange::Resumed { reason: reason() });
    stand.tick();
    assert_eq!(stand.state(id), RolloutState::Completed);
    fail(&mut stand, &devices[..50]);
    stand.tick();
    assert_ne!(stand.state(id), RolloutState::Completed, "more than twice as many");
}

#[test]
fn a_newer_release_never_restarts_an_older_ones_bake() {
    let mut stand = Stand::new();
    let older = stand.publish("2.0");
    stand.tick();
    stand.run(15, 6, |_, _| Fate::Healthy);
    let opened = stand.rollout(older).rings()[0].opened.clone();
    let newer = stand.publish("3.0");
    stand.tick();
    stand.run(15, 11, |_, _| Fate::Healthy);
    assert_eq!(stand.rollout(older).rings()[0].opened[..opened.len()], opened[..]);
    assert!(!stand.rollout(older).rings()[1].opened.is_empty(), "the older one has gone on to the next ring");
    assert!(stand.rollout(newer).rings()[1].opened.is_empty());
    assert!(stand.devices_with("pc", 2) > 0 && stand.devices_with("pc", 3) == 0);
}

#[test]
fn after_a_downtime_exactly_one_wave_opens_and_bakes_from_then_on() {
    let mut stand = Stand::new();
    let id = stand.publish("2.0");
    stand.tick();
    stand.run(15, 3, |_, _| Fate::Healthy);
    stand.journal.advance(30 * 86_400);
    stand.deliver();
    let back = stand.journal.now();
    stand.tick();
    let rollout = stand.rollout(id);
    assert_eq!(rollout.rings()[0].opened.len(), 2);
    assert_eq!(rollout.rings()[0].opened[1].at, back);
    assert!(rollout.rings()[1].opened.is_empty(), "its bake time begins with its opening");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_bricked_canary_always_stops_the_next_ring(
        minutes in proptest::collection::vec(1i64..600, 1..60),
        is_silent in any::<bool>(),
        spared in 0usize..4,
    ) {
        let mut stand = Stand::new();
        let id = stand.publish("2.0");
        let fate = move |device: &str, sequence: u64| {
            let is_spared = (0..spared).any(|n| device == format!("canary-{n}"));
            match sequence {
                2 if !is_spared && is_silent => Fate::Silent,
                2 if !is_spared => Fate::Fail,
                _ => Fate::Healthy,
            }
        };
        stand.tick();
        for minutes in minutes {
            stand.run(minutes, 1, fate);
            prop_assert_eq!(stand.devices_with("pc", 2), 0);
            prop_assert!(stand.rollout(id).rings()[1].opened.is_empty());
        }
    }
}
