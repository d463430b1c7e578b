//! slowhttptest: thousands of connections that take their time over headers, bodies and answers, while an honest device
//! asks.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Honest, feed, resident_bytes};
use crate::support::tools::need;
use crate::support::{TestServer, is_full_tier};

/// What an honest answer may take longer though nothing is wrong: the attacker's process runs on the same processors.
const SLACK: Duration = Duration::from_millis(30);

/// Something else on the machine may slow down one run or two; a server that attackers slow down is slow in each.
const RUNS_MAX: usize = 3;

/// The tool sends no field of our own but through this one: without a device it would be refused at once.
const DEVICE: &str = "a=b\r\nRingfence-Device: slow";

fn withstand(server: &TestServer, what: &str, path: &str, options: &[&str]) {
    let slow: Vec<_> = (0..RUNS_MAX).map_while(|_| attack(server, what, path, options).err()).collect();
    assert!(slow.len() < RUNS_MAX, "{}", slow.join("\n"));
    server.api("GET", "/healthz", None).expect(200);
}

/// Runs one attack, and asks for offers meanwhile: how much slower they were answered, if it was too much.
fn attack(server: &TestServer, what: &str, path: &str, options: &[&str]) -> Result<(), String> {
    let (connections, seconds) = if is_full_tier() { ("10000", "120") } else { ("500", "8") };
    let honest = Honest::start(server.device);
    std::thread::sleep(Duration::from_secs(3));
    let (baseline, _) = honest.p99();
    let before = resident_bytes(server.pid());
    let mut command = Command::new("slowhttptest");
    command.args(["-j", DEVICE, "-c", connections, "-l", seconds, "-r", "2000", "-i", "2", "-p", "3", "-u"]);
    command.arg(format!("http://{}{path}", server.device)).args(options);
    let mut attack = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The connections are there first: what is measured is what they cost once they stand.
    std::thread::sleep(Duration::from_secs(1));
    let honest = Honest::start(server.device);
    let mut most = before;
    while attack.try_wait().unwrap().is_none() {
        most = most.max(resident_bytes(server.pid()));
        std::thread::sleep(Duration::from_millis(50));
    }
    let (p99, answers) = honest.p99();
    let growth = most.saturating_sub(before) >> 10;
    eprintln!(
        "{what}, {connections} connections: p99 {baseline:?} before, {p99:?} meanwhile ({answers} answers), +{growth} KiB"
    );
    match answers {
        0..=100 => {
            Err(format!("{what}: {answers} answers: the attack was over before it had begun, or nobody got any"))
        }
        _ if p99 < baseline * 2 + SLACK => Ok(()),
        _ => Err(format!("{what}: p99 {p99:?}, {baseline:?} before")),
    }
}

#[test]
fn slow_peers_do_not_slow_others() {
    need!("abuse::slow::slow_peers_do_not_slow_others", "slowhttptest");
    let caps = "[limits]\nconnections_max = 20000\nconnections_per_address_max = 20000\n\
                requests_per_second_per_device = 100000\nrequests_burst_per_device = 100000\n\
                requests_per_device_max = 20000\n";
    let (server, blob) = feed(caps, 4 << 20);
    withstand(&server, "slow headers", "/v1/offers/feed", &["-H"]);
    withstand(&server, "slow bodies", "/v1/reports", &["-B", "-s", "8192", "-x", "10", "-f", "application/json"]);
    withstand(&server, "slow readers", &blob, &["-X", "-w", "512", "-y", "1024", "-n", "2", "-z", "32"]);
    assert!(!server.log().contains("panicked"), "{}", server.log());
}
