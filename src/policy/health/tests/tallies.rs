//! Bounds of tallies, and what metrics and rollouts that come and go do to them.

use std::iter::empty;

use super::*;

#[test]
fn only_the_newest_rollouts_are_counted() {
    let mut health = Health::new();
    for rollout in 1..=ROLLOUTS_MAX as u64 {
        health.watch(rollout, rollout, &[None]);
        health.offered(key(rollout), rollout, 0, at(0), empty());
    }
    assert_eq!(health.devices(), ROLLOUTS_MAX);
    health.watch(1_000, 1_000, &[None]);
    assert!(!health.is_watched(1) && health.is_watched(2) && health.is_watched(1_000));
    assert_eq!(health.devices(), ROLLOUTS_MAX - 1, "the oldest one's device is dropped with it");
    health.watch(0, 0, &[None]);
    assert!(!health.is_watched(0), "one older than all others is not counted in their place");
    // The place of the dropped rollout is used again: nobody else's votes may appear in it.
    assert_eq!(health.counts(1_000, 0, at(0)), Counts::default());
    assert_eq!(health.reported(key(1), 1_000, ReportEvent::Failed, &BTreeMap::new(), empty()), Counted::NotWatched);
}

#[test]
fn watching_twice_keeps_the_votes() {
    let mut health = watching(1);
    offer(&mut health, 0..3);
    health.watch(ROLLOUT, 99, &[]);
    assert_eq!(health.counts(ROLLOUT, 0, at(0)).offered, 3);
    assert_eq!(health.total(ROLLOUT, at(0)).offered, 3);
}

#[test]
fn devices_are_bounded() {
    let mut health = Health::with_devices_max(2);
    health.watch(ROLLOUT, SEQUENCE, &[None]);
    health.watch(ROLLOUT + 1, SEQUENCE + 1, &[None]);
    offer(&mut health, 0..2);
    assert_eq!(health.offered(key(2), ROLLOUT, 0, at(0), empty()), Counted::NotWatched);
    assert_eq!(health.offered(key(1), ROLLOUT + 1, 0, at(0), empty()), Counted::New, "a known one may move");
    assert_eq!((health.devices(), health.counts(ROLLOUT, 0, at(0)).offered), (2, 2));
}

#[test]
fn what_is_not_watched_is_not_counted() {
    let mut health = watching(1);
    assert_eq!(health.offered(key(1), 77, 0, at(0), empty()), Counted::NotWatched);
    assert_eq!(health.offered(key(1), ROLLOUT, 1, at(0), empty()), Counted::NotWatched);
    assert_eq!(health.offered(key(1), ROLLOUT, usize::MAX, at(0), empty()), Counted::NotWatched);
    let healthy = ReportEvent::Healthy;
    let never_offered = health.reported(key(1), SEQUENCE, healthy, &BTreeMap::new(), empty());
    assert_eq!(never_offered, Counted::NotWatched);
    offer(&mut health, 1..2);
    let other_release = health.reported(key(1), SEQUENCE + 1, healthy, &BTreeMap::new(), empty());
    assert_eq!(other_release, Counted::NotWatched);
    assert_eq!(health.total(ROLLOUT, at(0)).concluded(), 0);
}

#[test]
fn a_device_that_goes_on_keeps_its_old_vote_and_is_not_waited_for() {
    let mut health = watching(1);
    health.watch(ROLLOUT + 5, SEQUENCE + 1, &[None]);
    offer(&mut health, 0..3);
    report(&mut health, 0..1, ReportEvent::Healthy);
    for number in 0..2 {
        assert_eq!(health.offered(key(number), ROLLOUT + 5, 0, at(60), empty()), Counted::New);
        assert_eq!(health.offered(key(number), ROLLOUT, 0, at(90), empty()), Counted::NotWatched, "never back");
    }
    let counts = health.counts(ROLLOUT, 0, at(90_000));
    assert_eq!((counts.offered, counts.healthy, counts.pending, counts.silent), (3, 1, 1, 1));
    report(&mut health, 0..2, ReportEvent::Failed);
    assert_eq!(health.counts(ROLLOUT, 0, at(90_000)), counts, "a late report on the older one changes nothing");
}

#[test]
fn one_value_of_a_metric_counts_per_device() {
    let mut health = watching(1);
    offer(&mut health, 0..6);
    let values = |value: f64| BTreeMap::from([("cpu".parse().unwrap(), MetricValue::new(value).unwrap())]);
    for number in 0..5 {
        health.reported(key(number), SEQUENCE, ReportEvent::Healthy, &values(1.0), empty());
    }
    // The sixth shouts, in every way there is.
    for _ in 0..100 {
        for event in [ReportEvent::Fetched, ReportEvent::Failed, ReportEvent::Healthy] {
            health.reported(key(5), SEQUENCE, event, &values(1e9), empty());
        }
    }
    let ring = &health.tally(ROLLOUT).unwrap().rings[0];
    let histogram = ring.metrics.get(&"cpu".parse().unwrap()).unwrap();
    assert_eq!(histogram.values(), 6);
    let median = histogram.median().unwrap();
    assert!(median.low <= 1_000 && 1_000 <= median.high, "{median:?}");
}

#[test]
fn only_watched_metrics_are_counted() {
    let mut health = watching(1);
    health.watch_metrics(ROLLOUT, BTreeSet::from(["cpu".parse().unwrap()]));
    offer(&mut health, 0..1);
    let one = MetricValue::new(1.0).unwrap();
    let values = BTreeMap::from([("cpu".parse().unwrap(), one), ("noise".parse().unwrap(), one)]);
    health.reported(key(0), SEQUENCE, ReportEvent::Healthy, &values, empty());
    let metrics = &health.tally(ROLLOUT).unwrap().rings[0].metrics;
    assert!(metrics.get(&"cpu".parse().unwrap()).is_some() && metrics.get(&"noise".parse().unwrap()).is_none());
}

#[test]
fn shared_strings_are_bounded() {
    let mut health = watching(1);
    let long = "x".repeat(201);
    for number in 0..5_000u64 {
        let own = format!("attr.serial={number}");
        let shared = ["tag=all", &own, &long];
        health.offered(key(number), ROLLOUT, 0, at(0), shared.into_iter());
        health.reported(key(number), SEQUENCE, ReportEvent::Failed, &BTreeMap::new(), shared.into_iter());
    }
    assert_eq!(health.tally(ROLLOUT).unwrap().clusters.strings(), 4_096);
}

#[test]
fn who_went_on_to_what_is_not_known_votes_in_nothing_older() {
    let mut health = watching(2);
    offer(&mut health, 0..2);
    health.went_on(key(1), ROLLOUT + 5, at(60));
    health.went_on(key(2), ROLLOUT + 5, at(60));
    assert!(!health.is_watched(ROLLOUT + 5));
    assert_eq!(health.counts(ROLLOUT, 0, at(60)).pending, 1);
    let failed = |health: &mut Health, device| {
        health.reported(key(device), SEQUENCE, ReportEvent::Failed, &BTreeMap::new(), empty())
    };
    assert_eq!(failed(&mut health, 1), Counted::NotWatched);
    assert_eq!(failed(&mut health, 0), Counted::Changed);
    assert_eq!(health.offered(key(2), ROLLOUT, 0, at(60), empty()), Counted::NotWatched);
    health.watch(ROLLOUT + 9, 9, &[None]);
    assert_eq!(health.offered(key(2), ROLLOUT + 9, 0, at(60), empty()), Counted::New);
    // Once it is known, it begins with nothing.
    health.watch(ROLLOUT + 5, 5, &[None, None]);
    assert!(health.is_watched(ROLLOUT + 5));
    assert_eq!(health.total(ROLLOUT + 5, at(60)), Counts::default());
}

#[test]
fn what_is_not_known_takes_nobodys_room() {
    let mut health = Health::new();
    let all = ROLLOUTS_MAX as u64;
    (1..all).for_each(|rollout| health.watch(rollout, rollout, &[None]));
    health.went_on(key(1), all + 1, at(0));
    assert!(health.is_full());
    health.went_on(key(2), all + 2, at(0));
    assert_eq!(health.devices(), 1, "only the newest that is not known is kept");
    assert!((1..all).all(|rollout| health.is_watched(rollout)));
    health.make_room(|rollout| rollout < 10);
    assert!(health.is_watched(9) && !health.is_watched(10) && health.is_watched(11));
    assert!(!health.is_full());
}

#[test]
fn another_place_is_forgotten_whole() {
    let mut health = watching(2);
    let counts = Counts { offered: 3, ..Counts::default() };
    health.set_elsewhere(ROLLOUT, 0, "site a", counts);
    health.set_elsewhere(ROLLOUT, 1, "site a", counts);
    health.set_elsewhere(ROLLOUT, 1, "site b", counts);
    let mut fresh = watching(2);
    fresh.take_elsewhere(&mut health);
    assert_eq!((health.total(ROLLOUT, at(0)).offered, fresh.total(ROLLOUT, at(0)).offered), (0, 9));
    fresh.forget_elsewhere("site a");
    assert_eq!(fresh.total(ROLLOUT, at(0)), counts);
}
