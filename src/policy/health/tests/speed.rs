//! Time and memory. `cargo test --release --lib health::tests::speed -- --ignored --nocapture`

use std::time::Instant;

use super::*;

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
#[ignore = "measures"]
fn a_million_devices() {
    const DEVICES: u64 = 1_000_000;
    let before = resident_kib();
    let mut health = watching(3);
    let models: Vec<String> = (0..200).map(|number| format!("attr.model=M{number}")).collect();
    let shared = |number: u64| {
        let model = models[(number % 200) as usize].as_str();
        ["attr.os=11", model, "attr.site=north", "tag=kiosk", "group=desks"].into_iter()
    };
    let metrics = BTreeMap::from([("cpu".parse().unwrap(), MetricValue::new(1.5).unwrap())]);
    let timed = |what: &str, calls: &mut dyn FnMut(u64)| {
        let start = Instant::now();
        (0..DEVICES).for_each(calls);
        println!("{what}: {} ns", start.elapsed().as_nanos() as u64 / DEVICES);
    };
    timed("key", &mut |n| assert_ne!(key(n).0, 1));
    timed("offered, first", &mut |n| {
        health.offered(key(n), ROLLOUT, (n % 3) as usize, at((n / 100) as i64), shared(n));
    });
    timed("offered, again", &mut |n| {
        health.offered(key(n), ROLLOUT, (n % 3) as usize, at((n / 100) as i64), shared(n));
    });
    timed("reported fetched", &mut |n| {
        health.reported(key(n), SEQUENCE, ReportEvent::Fetched, &BTreeMap::new(), shared(n));
    });
    timed("reported healthy with a metric", &mut |n| {
        health.reported(key(n), SEQUENCE, ReportEvent::Healthy, &metrics, shared(n));
    });
    timed("reported failed", &mut |n| {
        health.reported(key(n), SEQUENCE, ReportEvent::Failed, &metrics, shared(n));
    });
    println!("{} devices: {} KiB", health.devices(), resident_kib() - before);
    let gate = gate(1_000, 200, 2_000);
    let start = Instant::now();
    let (verdict, evidence) = health.verdict(&question(&gate, DEVICES, 20_000));
    println!("verdict {verdict:?}: {} ns; {}", start.elapsed().as_nanos(), evidence.detail);
    let start = Instant::now();
    health.forget(ROLLOUT);
    println!("forget: {} us", start.elapsed().as_micros());
}
