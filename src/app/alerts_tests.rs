//! Which alerts are raised, and what becomes of their command.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::alert_command::{AlertQueue, run_commands};
use super::alerts::{Alert, Alerts};
use super::rollout_figures::figures;
use crate::config::AlertSettings;
use crate::model::testing::TestJournal;
use crate::model::{Class, Event, Evidence, HaltCause, Plan, RolloutChange, RolloutKind};

const STALE: &str = r#"
[[ring]]
name = "broad"
[[group]]
name = "behind"
match = "any"
ring = "broad"
keep = "N-1"
staleness = "7d"
"#;

fn start() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn some_alert(product: &str) -> Alert {
    Alert {
        alert: "halted",
        product: Some(parse(product)),
        share: None,
        site: None,
        version: Some(parse("1.0")),
        rollout: Some(7),
        group: None,
        reason: "too many failures".into(),
        evidence: Some(Evidence::default()),
        time: start(),
    }
}

async fn wait_until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited for 60 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_gets_the_alert_and_one_that_hangs_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("got");
    // Hangs on the first product, and writes what it is told of the second.
    let script =
        format!("text=$(cat); case $text in *slow*) exec sleep 600;; esac; echo \"$text\" >> {}", file.display());
    let command = vec!["/bin/sh".to_owned(), "-c".to_owned(), script];
    let settings = AlertSettings { command, timeout: Duration::from_secs(2) };
    let queue = Arc::new(AlertQueue::default());
    let stop = CancellationToken::new();
    let worker = tokio::spawn(run_commands(queue.clone(), settings, stop.clone()));
    for product in ["slow", "quick"] {
        queue.push(some_alert(product));
    }
    let text = || std::fs::read_to_string(&file).unwrap_or_default();
    wait_until(|| text().ends_with('\n')).await;
    stop.cancel();
    worker.await.unwrap();
    let quick: serde_json::Value = serde_json::from_str(&text()).unwrap();
    assert_eq!((&quick["alert"], &quick["product"], &quick["rollout"]), (&"halted".into(), &"quick".into(), &7.into()));
    assert_eq!(quick["evidence"]["failed"], 0);
}

#[tokio::test]
async fn of_too_many_the_oldest_are_dropped() {
    let queue = AlertQueue::default();
    for n in 0..150 {
        queue.push(some_alert(&format!("p{n}")));
    }
    let waiting = queue.drain();
    assert_eq!((waiting.len(), waiting[0].about()), (100, "p50"));
}

#[test]
fn a_halt_and_a_freeze_are_told_once() {
    let mut journal = TestJournal::new(start());
    journal.product("agent", Class::Platform).policy(STALE).release("agent", "1.0", &["any"], false);
    let queue = Arc::new(AlertQueue::default());
    let alerts = Alerts::new(Some(queue.clone()), journal.snapshot().seq(), Arc::new(AtomicUsize::new(0)));
    let release = journal.snapshot().product(&parse("agent")).unwrap().releases()[0].id;
    let text = r#"{"rings":[{"ring":"broad","waves":[{"share":10000,"over":"0s","bake":"0s"}]}]}"#;
    let plan: Plan = serde_json::from_str(text).unwrap();
    let rollout = journal.push(Event::RolloutPlanned {
        product: parse("agent"),
        release,
        rollout: RolloutKind::Release,
        plan,
        salt: "s".into(),
        reason: None,
    });
    let evidence = Evidence { failed: 4, ..Evidence::default() };
    let change = RolloutChange::Halted { cause: HaltCause::Person, reason: parse("it breaks"), evidence };
    journal.push(Event::RolloutChanged { product: parse("agent"), rollout, change });
    journal.push(Event::ProductFrozen { product: parse("agent"), reason: parse("too many halts") });
    alerts.look(journal.snapshot());
    alerts.look(journal.snapshot());
    let told: Vec<_> = queue.drain().into_iter().map(|alert| (alert.alert, alert.reason)).collect();
    assert_eq!(told, [("halted", "it breaks".to_owned()), ("frozen", "too many halts".to_owned())]);
    let figures = figures(journal.snapshot(), journal.now());
    assert_eq!((figures.halts["agent"], figures.frozen["agent"]), (1, 1));
    assert_eq!(figures.live[&("agent".to_owned(), "halted")], 1);
}

#[test]
fn a_group_that_stays_behind_is_told_until_it_no_longer_is() {
    let mut journal = TestJournal::new(start());
    journal.product("agent", Class::Platform).policy(STALE);
    journal.release("agent", "1.0", &["any"], false).release("agent", "2.0", &["any"], false);
    let count = Arc::new(AtomicUsize::new(0));
    let queue = Arc::new(AlertQueue::default());
    let alerts = Alerts::new(Some(queue.clone()), journal.snapshot().seq(), count.clone());
    let later = |days: i64| journal.now() + jiff::SignedDuration::from_hours(24 * days);
    alerts.look_for_stale(journal.snapshot(), later(6));
    assert!(queue.drain().is_empty());
    for _ in 0..2 {
        alerts.look_for_stale(journal.snapshot(), later(8));
    }
    let told = queue.drain();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].alert, told[0].group.as_ref().unwrap().as_str()), ("stale", "behind"));
    assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 1);
    alerts.look_for_stale(journal.snapshot(), later(6));
    assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 0);
}
