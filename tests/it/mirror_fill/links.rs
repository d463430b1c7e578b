//! A mirror in a network namespace of its own: links that are narrow, cut or flapping.

use std::process::Command;
use std::time::{Duration, Instant};

use super::{LIMITS, ask, filling, mirror, pulled, wait_for_plan, wait_until, wait_until_filled};
use crate::support::{Run, Setup, TestServer, is_full_tier, random_bytes, skip};

const MIB: usize = 1 << 20;
/// How often a mirror is filled for one that nothing else has slowed down.
const FILLINGS_MAX: u64 = 5;
/// Set in the namespace.
const INSIDE: &str = "RINGFENCE_TEST_INSIDE";

/// Runs a test of this file in a namespace, where it may change the network as it likes. Says loudly if it cannot.
fn in_namespace(name: &str) {
    let can = |words: &[&str]| Command::new(words[0]).args(&words[1..]).output().is_ok_and(|run| run.status.success());
    let probe = "ip link set lo up && mount -t tmpfs none /run && ip netns add probe && \
                 tc qdisc add dev lo root tbf rate 1gbit burst 1mb latency 50ms";
    if !can(&["unshare", "-nm", "sh", "-c", probe]) {
        return skip(name, "no rights to make network namespaces with ip, tc and unshare here");
    }
    let test = std::env::current_exe().unwrap();
    let mut inside = Command::new("unshare");
    inside.arg("-nm").arg(test).args(["--exact", name, "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
    let run = Run::of(&mut inside);
    eprintln!("{}", run.stdout);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

/// Whether this is the namespace; if not, the test runs there.
fn is_inside(name: &str) -> bool {
    let is_inside = std::env::var_os(INSIDE).is_some();
    if !is_inside {
        in_namespace(name);
    }
    is_inside
}

fn sh(line: &str) {
    let run = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(run.status.success(), "{line}: {}", String::from_utf8_lossy(&run.stderr));
}

/// An origin, and a mirror in a namespace of its own: the link `up` leads to the origin, `dev` to its devices.
struct Site {
    origin: TestServer,
    mirror: TestServer,
}

/// Makes the network, with a link of this rate to the origin.
fn network(rate: &str) {
    sh("ip link set lo up && mount -t tmpfs none /run && ip netns add site");
    for (link, net) in [("up", 1), ("dev", 2)] {
        sh(&format!(
            "ip link add {link}-o type veth peer name {link}-s netns site && ip addr add 10.9.{net}.1/24 dev {link}-o && \
             ip link set {link}-o up && ip -n site addr add 10.9.{net}.2/24 dev {link}-s && \
             ip -n site link set {link}-s up"
        ));
    }
    sh("ip -n site link set lo up");
    shape(rate);
}

fn shape(rate: &str) {
    sh(&format!("tc qdisc replace dev up-o root tbf rate {rate} burst 256kb latency 100ms"));
}

fn cut(is_cut: bool) {
    sh(if is_cut { "ip link set up-o down" } else { "ip link set up-o up" });
}

fn site(bodies: &[(&str, &[u8])], keys: &str) -> (Site, Vec<String>) {
    let listeners = "[device]\nlisten = \"10.9.1.1:0\"\n[admin]\nlisten = \"10.9.1.1:0\"\n";
    let origin = Setup::new().config(&format!("{LIMITS}{listeners}")).start();
    let paths = bodies.iter().map(|(product, body)| {
        origin.cli(&["product", "add", product, "--class", "intelligence"]).ok();
        origin.as_admin().try_publish(product, "1.0", body).unwrap().expect(201);
        format!("/v1/blobs/{}", blake3::hash(body).to_hex())
    });
    let paths = paths.collect();
    let listeners = "[device]\nlisten = \"10.9.2.2:0\"\nheader_trusted_from = [\"10.9.2.0/24\"]\n\
                     [admin]\nlisten = \"10.9.2.2:0\"\n";
    let setup = mirror(&origin, &origin, "m1", keys).config(listeners);
    let mirror = setup.within(&["ip", "netns", "exec", "site"]).start();
    (Site { origin, mirror }, paths)
}

#[test]
fn a_mirror_fills_at_four_fifths_of_the_link() {
    if !is_inside("mirror_fill::links::a_mirror_fills_at_four_fifths_of_the_link") {
        return;
    }
    let (mbit, size) = if is_full_tier() { (1_000, 1_024 * MIB) } else { (100, 40 * MIB) };
    network(&format!("{mbit}mbit"));
    let body = random_bytes(20, size);
    let (site, _) = site(&[("feed", &body)], "");
    // What else the machine does may slow one down, and makes none faster than the link: the best of a few counts.
    let (mut share, mut took) = filled_share(&site, 0, size as u64, mbit);
    for again in 1..FILLINGS_MAX {
        if share >= 0.8 {
            break;
        }
        let (before, body) = (pulled(&site.mirror), random_bytes(200 + again, size));
        site.origin.as_admin().try_publish("feed", &format!("1.{again}"), &body).unwrap().expect(201);
        let (other, other_took) = filled_share(&site, before, size as u64, mbit);
        (share, took) = if other > share { (other, other_took) } else { (share, took) };
    }
    println!("filled {} MiB over {mbit} Mbit/s in {took:?}: {share:.2} of the link", size / MIB);
    assert!(share >= 0.8, "{share:.2} of the link");
}

/// What share of the link a blob took that comes in after these bytes, from its first ones to its last, and how long.
fn filled_share(site: &Site, before: u64, size: u64, mbit: u32) -> (f64, Duration) {
    let begun = wait_until("the first bytes", || (pulled(&site.mirror) > before).then(Instant::now));
    let (first, end) = (pulled(&site.mirror), before + size);
    wait_until("all bytes", || (pulled(&site.mirror) >= end).then_some(()));
    let took = begun.elapsed();
    wait_until_filled(&site.origin, &site.mirror);
    (end.saturating_sub(first) as f64 * 8.0 / took.as_secs_f64() / (f64::from(mbit) * 1e6), took)
}

#[test]
fn a_mirror_serves_and_resumes_over_links_that_are_slow_cut_or_flapping() {
    if !is_inside("mirror_fill::links::a_mirror_serves_and_resumes_over_links_that_are_slow_cut_or_flapping") {
        return;
    }
    network("8mbit");
    let (small, large) = (random_bytes(21, 100_000), random_bytes(22, 20 * MIB));
    let (site, paths) = site(&[("small", &small), ("large", &large)], "critical = [\"small\"]\n");
    let Site { origin, mirror } = site;
    wait_for_plan(&origin, &mirror);
    wait_until("some of it", || (pulled(&mirror) > 2 * MIB as u64).then_some(()));
    // Slow: the end comes before what lies between.
    let begun = Instant::now();
    assert!(ask(&mirror, &paths[1], &[("Range", "bytes=-10")]).expect(206).body == large[large.len() - 10..]);
    println!("the end of a blob over a slow link after {:?}", begun.elapsed());
    assert_ne!(filling(&mirror).unwrap()["state"], "complete");
    // Cut: what is there is served, what is not breaks off or is refused, and nothing wrong comes.
    cut(true);
    assert!(ask(&mirror, &paths[0], &[]).expect(200).body == small);
    let head = format!("GET {} HTTP/1.1\r\nHost: x\r\nRingfence-Device: pc-1\r\nConnection: close\r\n\r\n", paths[1]);
    let got = crate::support::http::raw(mirror.device, head.as_bytes());
    let start = got.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    assert!(got.starts_with(b"HTTP/1.1 503") || large.starts_with(&got[start..]) && got.len() - start < large.len());
    // Flapping.
    for _ in 0..4 {
        cut(false);
        std::thread::sleep(Duration::from_millis(1_500));
        assert!(ask(&mirror, &paths[0], &[]).expect(200).body == small);
        cut(true);
        std::thread::sleep(Duration::from_millis(500));
    }
    cut(false);
    shape("400mbit");
    wait_until_filled(&origin, &mirror);
    assert!(ask(&mirror, &paths[1], &[]).expect(200).body == large);
    let (pulled, size) = (pulled(&mirror), (small.len() + large.len()) as u64);
    println!("{pulled} bytes were pulled for {size} over a link that was cut five times");
    assert!(pulled < 2 * size, "{pulled} bytes for {size}");
}
