//! Starting, pausing, resuming, halting, promoting, signalling, resetting.

use super::*;
use crate::model::GateSignal;

#[tokio::test]
async fn a_person_starts_what_waits_for_one_and_only_once() {
    let stage = Stage::new().await;
    let id = stage.publish("2.0", true).await;
    stage.tick().await;
    assert_eq!(stage.state(id), RolloutState::Scheduled);
    let start = |version: &'static str| {
        let catalog = stage.catalog.clone();
        async move {
            let (product, version) = (parse("intel"), parse(version));
            start_rollout(&catalog, &actor("bo"), &product, &version, None).await
        }
    };
    assert_eq!(start("2.0").await.unwrap().id, id);
    stage.tick().await;
    assert_eq!(steps(&stage.rollout(id)), ["started", "wave_opened"]);
    let text = refused!(stage, start("2.0"));
    assert_eq!(text, format!("rollout {id} is baking, so it cannot be started: it runs already"));
    let text = refused!(stage, start("1.0"));
    assert!(text.contains("everyone may see it already"), "{text}");
    assert!(refused!(stage, start("9.0")).contains("no release 9.0"));
    let added = release_added(&stage.catalog, "intel", "3.0", &[b"x"]).await;
    commit(&stage.catalog, vec![added]).await;
    let text = refused!(stage, start("3.0"));
    assert!(text.contains("approve it first"), "{text}");
}

#[tokio::test]
async fn a_pause_stops_and_a_resume_goes_on() {
    let stage = Stage::new().await;
    let id = stage.running("2.0").await;
    let (catalog, bo) = (&stage.catalog, actor("bo"));
    assert!(refused!(stage, resume_rollout(catalog, &bo, id, parse("r"))).contains("neither paused nor halted"));
    pause_rollout(catalog, &bo, id, parse("a look first")).await.unwrap();
    assert_eq!(stage.state(id), RolloutState::Paused);
    let text = refused!(stage, pause_rollout(catalog, &bo, id, parse("r")));
    assert!(text.ends_with("it admits nobody already"), "{text}");
    let text = refused!(stage, promote_rollout(catalog, &bo, id, parse("r")));
    assert!(text.contains(&format!("`ringfence rollout resume {id} --reason TEXT` first")), "{text}");
    resume_rollout(catalog, &bo, id, parse("looked")).await.unwrap();
    assert_eq!(stage.state(id), RolloutState::Baking);
    assert_eq!(refused!(stage, pause_rollout(catalog, &bo, 999, parse("r"))), "there is no rollout 999");
}

#[tokio::test]
async fn a_promotion_passes_the_wave_and_lets_it_into_the_next_ring() {
    let stage = Stage::new().await;
    let id = stage.publish("2.0", true).await;
    let (catalog, bo) = (&stage.catalog, actor("bo"));
    let promote = |reason: &'static str| promote_rollout(catalog, &bo, id, parse(reason));
    let text = refused!(stage, promote("r"));
    assert!(text.contains("start it first"), "{text}");
    start_rollout(catalog, &bo, &parse("intel"), &parse("2.0"), None).await.unwrap();
    stage.tick().await;
    promote("the lab is fine").await.unwrap();
    let rollout = promote("still fine").await.unwrap();
    assert_eq!(steps(&rollout), ["started", "wave_opened", "wave_passed", "wave_opened", "wave_passed", "wave_opened"]);
    let RolloutChange::WavePassed { evidence, .. } = &rollout.steps()[2].change else { panic!() };
    assert!(evidence.detail.starts_with("promoted: the lab is fine; 1h before its bake time was over"), "{evidence:?}");
    let RolloutChange::WaveOpened { ring, devices, .. } = &rollout.steps()[5].change else { panic!() };
    assert_eq!((ring.as_str(), *devices), ("broad", 1));
    promote("everyone").await.unwrap();
    assert_eq!(stage.state(id), RolloutState::Completed);
    assert!(refused!(stage, promote("again")).contains("everyone may have it already"));
    assert!(refused!(stage, pause_rollout(catalog, &bo, id, parse("r"))).contains("halt it to take it back"));
}

#[tokio::test]
async fn a_ring_that_waits_for_a_person_is_entered_by_promotion() {
    let stage = Stage::new().await;
    let id = stage.running("2.0").await;
    let (catalog, bo) = (&stage.catalog, actor("bo"));
    // The first ring passes by a signal once it has baked; the second waits.
    for _ in 0..2 {
        signal_rollout(catalog, &bo, id, (GateSignal::Pass, "monitor".into()), parse("all green")).await.unwrap();
        stage.wait(3_601);
        stage.tick().await;
    }
    assert_eq!(stage.state(id), RolloutState::Evaluating);
    assert!(stage.rollout(id).rings()[1].opened.is_empty());
    let rollout = promote_rollout(catalog, &bo, id, parse("go")).await.unwrap();
    assert_eq!(rollout.rings()[1].opened.len(), 1);
}

#[tokio::test]
async fn a_halt_stops_and_was_a_false_alarm_when_resumed() {
    let stage = Stage::new().await;
    let id = stage.running("2.0").await;
    let (catalog, bo) = (&stage.catalog, actor("bo"));
    let halted = halt_rollout(catalog, &bo, id, parse("boot loops")).await.unwrap();
    let RolloutChange::Halted { cause, .. } = &halted.steps().last().unwrap().change else { panic!() };
    assert_eq!(*cause, crate::model::HaltCause::Person);
    assert!(refused!(stage, halt_rollout(catalog, &bo, id, parse("r"))).contains("nobody gets it"));
    assert!(refused!(stage, promote_rollout(catalog, &bo, id, parse("r"))).contains("resume"));
    resume_rollout(catalog, &bo, id, parse("other cause")).await.unwrap();
    assert_eq!(stage.state(id), RolloutState::Baking);
}

#[tokio::test]
async fn rolling_forward_is_one_step() {
    let stage = Stage::new().await;
    let bad = stage.running("2.0").await;
    let (catalog, bo) = (&stage.catalog, actor("bo"));
    halt_rollout(catalog, &bo, bad, parse("boot loops")).await.unwrap();
    let fixed = stage.publish("2.1", true).await;
    start_rollout(catalog, &bo, &parse("intel"), &parse("2.1"), Some(parse("the fix"))).await.unwrap();
    assert_eq!(stage.state(bad), RolloutState::Superseded);
    assert_eq!(steps(&stage.rollout(bad)).last().unwrap(), "superseded");
    stage.tick().await;
    assert_eq!(stage.state(fixed), RolloutState::Baking);
    // The halt stays: the bad one is no way back.
    let text = refused!(stage, start_rollout(catalog, &bo, &parse("intel"), &parse("2.0"), None));
    assert!(text.contains(&format!("rollout {fixed} took its place")), "{text}");
    stage.complete(fixed).await;
    let snapshot = stage.catalog.snapshot();
    let product = snapshot.product(&parse("intel")).unwrap();
    let target = crate::policy::rollout::rollback_target(product, 3, stage.catalog.now()).unwrap();
    assert_eq!(target.version().to_string(), "1.0");
}

#[tokio::test]
async fn signals_are_recorded_and_a_failing_one_halts() {
    let stage = Stage::new().await;
    let id = stage.publish("2.0", true).await;
    let (catalog, bo) = (&stage.catalog, actor("bo"));
    let signal = |signal, source: &str| signal_rollout(catalog, &bo, id, (signal, source.to_owned()), parse("INC-1"));
    assert!(refused!(stage, signal(GateSignal::Fail, "monitor")).contains("nothing of it is open yet"));
    start_rollout(catalog, &bo, &parse("intel"), &parse("2.0"), None).await.unwrap();
    stage.tick().await;
    for bad in ["", "   ", "a\nb", &"x".repeat(101)] {
        assert!(refused!(stage, signal(GateSignal::Pass, bad)).contains("1 to 100 printable"));
    }
    signal(GateSignal::Pass, "monitor").await.unwrap();
    assert_eq!(stage.state(id), RolloutState::Baking);
    let halted = signal(GateSignal::Fail, "monitor").await.unwrap();
    assert_eq!(steps(&halted)[2..], ["signalled", "signalled", "halted"]);
    let RolloutChange::Halted { cause, .. } = &halted.steps().last().unwrap().change else { panic!() };
    assert_eq!(*cause, crate::model::HaltCause::Signal { source: "monitor".into() });
    // Once more is recorded, and halts nothing twice.
    let again = signal(GateSignal::Fail, "monitor").await.unwrap();
    assert_eq!(steps(&again)[5..], ["signalled"]);
}

#[tokio::test]
async fn a_frozen_product_takes_a_reset() {
    let stage = Stage::new().await;
    let (catalog, bo) = (&stage.catalog, actor("bo"));
    let intel = parse("intel");
    let reset = || reset_product(catalog, &bo, &intel, parse("understood"));
    assert_eq!(refused!(stage, reset()), "intel is not frozen: there is nothing to reset");
    let first = stage.running("2.0").await;
    halt_rollout(catalog, &bo, first, parse("bad")).await.unwrap();
    let second = stage.running("3.0").await;
    halt_rollout(catalog, &bo, second, parse("bad as well")).await.unwrap();
    stage.publish("4.0", true).await;
    let text = refused!(stage, start_rollout(catalog, &bo, &parse("intel"), &parse("4.0"), None));
    assert!(text.contains("`ringfence rollout reset intel --reason TEXT` first"), "{text}");
    let freeze = reset().await.unwrap();
    assert_eq!(freeze.reset.as_ref().unwrap().1.as_str(), "understood");
    start_rollout(catalog, &bo, &parse("intel"), &parse("4.0"), None).await.unwrap();
}
