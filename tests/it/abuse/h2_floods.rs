//! Floods of HTTP/2 frames: memory stays bounded, and an honest device is served meanwhile.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Honest, feed, resident_bytes};
use crate::support::tools::python;
use crate::support::{is_full_tier, skip};

/// assurance.md, bar 14.
const GROWTH_MAX_BYTES: u64 = 50 << 20;
/// Attackers at the same time.
const ATTACKERS: usize = 2;
const FLOODS: [&str; 11] = [
    "rapid-reset",
    "reset-by-fault",
    "continuation",
    "small-continuation",
    "empty-data",
    "settings",
    "ping",
    "priority",
    "window-update",
    "header-bomb",
    "shut-windows",
];

#[test]
fn floods_of_frames_cost_little_memory_and_stop_nobody() {
    let Some(python) = python("h2") else {
        skip("abuse::h2_floods::floods_of_frames_cost_little_memory_and_stop_nobody", "scripts/venv has no h2");
        return;
    };
    let seconds = if is_full_tier() { "60" } else { "2" };
    let (server, _) = feed("", 1000);
    // The first requests allocate what a server needs anyway.
    let honest = Honest::start(server.device);
    std::thread::sleep(Duration::from_millis(500));
    honest.p99();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/abuse/h2_floods.py");
    for flood in FLOODS {
        let before = resident_bytes(server.pid());
        let honest = Honest::start(server.device);
        let attack = || {
            let mut command = Command::new(&python);
            command.arg(script).arg(server.device.ip().to_string()).arg(server.device.port().to_string());
            command.args([flood, seconds]).stdout(Stdio::piped()).stdin(Stdio::null()).spawn().expect("python runs")
        };
        let mut attackers: Vec<_> = (0..ATTACKERS).map(|_| attack()).collect();
        let mut most = before;
        while attackers.iter_mut().any(|attacker| attacker.try_wait().unwrap().is_none()) {
            most = most.max(resident_bytes(server.pid()));
            std::thread::sleep(Duration::from_millis(20));
        }
        let (p99, answers) = honest.p99();
        let mut told = String::new();
        for attacker in attackers {
            let output = attacker.wait_with_output().unwrap();
            assert!(output.status.success(), "{flood}");
            told.push_str(String::from_utf8_lossy(&output.stdout).trim());
        }
        let growth = most.saturating_sub(before);
        eprintln!("{flood}: +{} KiB, {answers} honest answers, p99 {p99:?}; {told}", growth >> 10);
        assert!(growth < GROWTH_MAX_BYTES, "{flood}: {growth} bytes more");
        assert!(!told.contains("\"frames\": 0,"), "{flood}: {told}");
        assert!(p99 < Duration::from_secs(2), "{flood}: an honest device waits {p99:?}");
    }
    assert!(!server.log().contains("panicked"), "{}", server.log());
}
