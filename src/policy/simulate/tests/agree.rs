//! The simulator and a server agree: decisions made from its journal say what it says.

use super::*;
use crate::model::Platform;
use crate::policy::simulate::roster::device_id;
use crate::policy::{Requester, bucket, decide_quiet, group_of};

/// Whether the journal's decision gives a device the new release at a second.
fn decided(scenario: &Scenario, run: &Run, device: u32, second: u64) -> bool {
    let id = device_id(device).unwrap();
    let platform: Platform = "any".parse().unwrap();
    let who =
        Requester { device: Some(&id), address: None, platform: Some(platform), current: Some("1.0".parse().unwrap()) };
    let at = scenario.published_at + jiff::SignedDuration::from_secs(second as i64);
    let group = group_of(&run.snapshot, &who, at).unwrap();
    // The made-up inventory is not in the journal, so every device would be in the group that takes all.
    assert_eq!(group.name().as_str(), "everyone");
    let decision = decide_quiet(&run.snapshot, &who, &scenario.product, at);
    decision.release.is_some_and(|release| release.version().as_str() == "2.0")
}

#[test]
fn the_same_seed_ends_the_same_way() {
    let one = with_canaries(WAVES, 60, 3_000, 5);
    let (first, second) = (run(&one), run(&one));
    assert_eq!(first.exposed_s, second.exposed_s);
    assert_eq!(first.openings, second.openings);
    assert_eq!(format!("{:?}", first.records), format!("{:?}", second.records));
    assert_ne!(first.exposed_s, run(&with_canaries(WAVES, 60, 3_000, 6)).exposed_s);
}

#[test]
fn decisions_from_the_journal_agree_for_each_device_at_each_check_in() {
    for seed in 0..seeds(3, 100) {
        let mut one = with_canaries(WAVES, 60, 400, seed);
        if seed % 3 == 2 {
            one.fault.failure_rate = 0.2;
        }
        let run = run(&one);
        let canaries = one.fleet.groups[0].devices as u32;
        assert_eq!(run.hit() > 60, run.halt.is_none(), "seed {seed}");
        for device in canaries..run.devices as u32 {
            let got = run.exposed_second(device);
            if let Some(second) = got {
                assert!(decided(&one, &run, device, u64::from(second)), "seed {seed}, device {device}");
            }
            // It asks once an hour; each time before it got the release the answer was no.
            for earlier in (0..48).map_while(|hours| got?.checked_sub(3_600 * (hours + 1))) {
                assert!(!decided(&one, &run, device, u64::from(earlier)), "seed {seed}, device {device}");
            }
        }
    }
}

#[test]
fn no_wave_has_more_devices_than_its_share() {
    let mut complete = 0;
    for seed in 0..seeds(5, 200) {
        let one = with_canaries(WAVES, 60, 2_000, seed);
        let run = run(&one);
        let canaries = one.fleet.groups[0].devices as u32;
        let rollout = run.snapshot.product(&one.product).unwrap().rollouts().last().unwrap().clone();
        let starts: Vec<u32> =
            run.openings.iter().filter(|opening| opening.ring == "broad").map(|opening| opening.minute).collect();
        complete += u32::from(starts.len() == 3);
        for device in canaries..run.devices as u32 {
            let Some(second) = run.exposed_second(device) else { continue };
            let number = bucket(&one.product, &rollout.salt, &device_id(device).unwrap());
            let wave = starts.iter().rposition(|start| start * 60 <= second).unwrap();
            let elapsed = u64::from(second - starts[wave] * 60);
            // In hundredths of a percent, with the growth inside a wave.
            let admitted = match wave {
                0 => 1_000 * elapsed.min(3_600) / 3_600,
                1 => 5_000,
                _ => 5_000 + 5_000 * elapsed.min(7_200) / 7_200,
            };
            let is_over = run.completed_minute.is_some_and(|minute| minute * 60 <= second);
            assert!(is_over || u64::from(number) < admitted, "seed {seed}: bucket {number} of {admitted}");
        }
    }
    // A gate may stay without a verdict where two devices of a small wave fail by chance, but seldom.
    assert!(complete >= 3, "{complete} seeds saw all waves");
}

#[test]
fn exposure_never_falls_and_reaches_every_reachable_device() {
    let run = run(&with_canaries(WAVES, 60, 3_000, 1));
    assert!(run.curve().is_sorted());
    assert_eq!(run.hit(), run.reachable);
    assert!(run.completed_minute.is_some() && run.halt.is_none());
    assert!(run.minute_of(0.95).unwrap() < run.minute_of(1.0).unwrap());
}
