//! Steps in and out of order, and the record an index keeps.

use super::*;
use crate::model::{Actor, BasisPoints, ProductName, ReleaseId, Span};

fn rollout() -> Rollout {
    let wave = |share| Wave { share: BasisPoints::new(share), over: Span::NONE, bake: Span::NONE };
    let ring = |name: &str| RingPlan {
        ring: name.parse().unwrap(),
        waves: vec![wave(2_000), wave(10_000)],
        gate: None,
        promote: Promote::Automatic,
    };
    let plan = Plan { rings: vec![ring("canary"), ring("broad")], ..Plan::default() };
    let product: ProductName = "p".parse().unwrap();
    let release: ReleaseId = "0".repeat(64).parse().unwrap();
    let planned = Stamp { at: at(0), by: Actor::system() };
    Rollout::new(7, (product, release, 1), RolloutKind::Release, plan, "salt".into(), planned, None)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn reason() -> Reason {
    "because".parse().unwrap()
}

fn push(rollout: &mut Rollout, second: i64, by: &str, change: RolloutChange) -> Result<(), String> {
    let seq = 8 + rollout.steps().len() as u64;
    rollout.push(RolloutStep { seq, at: at(second), by: by.parse().unwrap(), change })
}

fn open(ring: &str, wave: u32) -> RolloutChange {
    RolloutChange::WaveOpened { ring: ring.parse().unwrap(), wave, devices: 10, rated: Default::default() }
}

fn pass(ring: &str, wave: u32) -> RolloutChange {
    RolloutChange::WavePassed { ring: ring.parse().unwrap(), wave, evidence: Evidence::default() }
}

fn halt() -> RolloutChange {
    RolloutChange::Halted { cause: HaltCause::Person, reason: reason(), evidence: Evidence::default() }
}

#[test]
fn waves_open_and_pass_in_order_only() {
    let mut rollout = rollout();
    assert!(push(&mut rollout, 1, "a", open("canary", 1)).is_err());
    assert!(push(&mut rollout, 1, "a", pass("canary", 0)).is_err());
    push(&mut rollout, 1, "a", open("canary", 0)).unwrap();
    assert!(push(&mut rollout, 2, "a", open("canary", 0)).is_err());
    push(&mut rollout, 2, "a", pass("canary", 0)).unwrap();
    assert!(push(&mut rollout, 3, "a", pass("canary", 1)).is_err());
    push(&mut rollout, 3, "a", open("canary", 1)).unwrap();
    assert!(push(&mut rollout, 3, "a", open("canary", 2)).is_err());
    assert!(push(&mut rollout, 3, "a", open("elsewhere", 0)).is_err());
    assert_eq!(rollout.rings()[0].opened.len(), 2);
    assert_eq!(rollout.rings()[1], RingHistory::default());
    assert_eq!(rollout.steps().len(), 3, "a step that is refused leaves no trace");
}

#[test]
fn a_halt_ends_a_pause_and_a_resume_ends_either() {
    let mut rollout = rollout();
    assert!(push(&mut rollout, 1, "a", RolloutChange::Resumed { reason: reason() }).is_err());
    push(&mut rollout, 1, "a", RolloutChange::Paused { reason: reason() }).unwrap();
    assert!(push(&mut rollout, 2, "a", RolloutChange::Paused { reason: reason() }).is_err());
    push(&mut rollout, 3, "a", halt()).unwrap();
    assert!(push(&mut rollout, 4, "a", halt()).is_err());
    push(&mut rollout, 5, "a", RolloutChange::Resumed { reason: reason() }).unwrap();
    assert_eq!(rollout.stop_at(at(0)), None);
    assert_eq!(rollout.stop_at(at(2)).map(|stop| stop.is_halt), Some(false));
    assert_eq!(rollout.stop_at(at(3)).map(|stop| stop.is_halt), Some(true));
    assert_eq!(rollout.stop_at(at(5)), None);
}

#[test]
fn one_person_approves_once_and_nothing_follows_an_end() {
    let mut rollout = rollout();
    push(&mut rollout, 1, "bo", RolloutChange::Approved).unwrap();
    assert!(push(&mut rollout, 2, "bo", RolloutChange::Approved).is_err());
    push(&mut rollout, 2, "chen", RolloutChange::Approved).unwrap();
    assert_eq!(rollout.approvers().count(), 2);
    push(&mut rollout, 3, "a", RolloutChange::Superseded { by: 9 }).unwrap();
    assert!(push(&mut rollout, 4, "a", open("canary", 0)).is_err());
}

#[test]
fn a_record_of_it_gives_the_same_rollout() {
    let mut rollout = rollout();
    push(&mut rollout, 1, "a", RolloutChange::Started).unwrap();
    push(&mut rollout, 1, "a", open("canary", 0)).unwrap();
    push(&mut rollout, 2, "a", halt()).unwrap();
    let text = serde_json::to_string(&rollout).unwrap();
    assert_eq!(serde_json::from_str::<Rollout>(&text).unwrap(), rollout);
}
