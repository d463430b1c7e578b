//! Samba: a real smbd over staged directories, and smbclient reading while they are switched, with files held open. No
//! file is ever partial or missing, no set is mixed, a payload is never older than its digest.

mod cifs;
mod readers;
mod smbd;
mod storm;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::Ordering;

use serde_json::json;

use crate::support::tools::need;
use crate::support::{Run, Setup, TestServer, is_full_tier, skip, wait_until};
use readers::{Findings, PAIR, WINDOWS, body};
use smbd::{Fresh, Held, Session, Smbd};

const POLICY: &str = r#"
[[ring]]
name = "all"
[[group]]
name  = "everyone"
match = "any"
ring  = "all"
[[share]]
name     = "windows"
group    = "everyone"
layout   = "defender-windows"
products = ["intel"]
[[share]]
name     = "rules"
group    = "everyone"
layout   = "suricata"
products = ["rules"]
"#;

/// Handles that stay open from the first switch to the last.
const HELD: usize = 10;

fn is_root(test: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skip(test, "smbd serves guests only when started as root");
    }
    is_root
}

/// A directory that `nobody` may read from.
fn public_dir() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::Builder::new().prefix("ringfence-staged-").tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn publish(server: &TestServer, product: &str, number: u64, files: &[(&str, &str, Vec<u8>)]) {
    let admin = server.as_admin();
    let uploads = files.iter().map(
        |(target, platform, body)| json!({ "target": target, "platform": platform, "upload": admin.upload(body) }),
    );
    admin.release(product, &format!("1.{number}"), &uploads.collect::<Vec<_>>()).expect(201);
}

fn publish_intel(server: &TestServer, number: u64) {
    let file = |path: &'static str| (&path[4..], if path.starts_with("x64") { "windows-x64" } else { "windows-x86" });
    let files = WINDOWS.map(|path| (file(path).0, file(path).1, body(path, number)));
    publish(server, "intel", number, &files);
}

fn publish_rules(server: &TestServer, number: u64) {
    publish(server, "rules", number, &[(PAIR[1], "any", body(PAIR[1], number))]);
}

/// Waits until the newest switch of a share is to this version: its number.
fn switch_to(server: &TestServer, share: &str, number: u64) -> u64 {
    wait_until(&format!("the switch of {share} to 1.{number}"), || {
        let answer = server.api("GET", &format!("/v1/shares/{share}/tree"), None);
        let tree = (answer.status == 200).then(|| answer.json())?;
        let releases = tree["releases"].as_array()?;
        let is_there =
            !releases.is_empty() && releases.iter().all(|release| release["version"] == format!("1.{number}"));
        is_there.then(|| tree["switch"].as_u64().unwrap())
    })
}

/// Runs the stager: published, or pending with a reason. Whether it is published.
fn stage(server: &TestServer, share: &str, dir: &Path, switch: u64, more: &[&str]) -> bool {
    let words = ["share", "stage", share, "--json", "--retry-for", "2s", "--to"];
    let run = Run::of(server.command(&words).arg(dir).args(more));
    let staged = run.json();
    assert_eq!(staged["switch"], switch, "{staged}");
    match run.code {
        0 => assert!(staged.get("is_pending").is_none(), "{staged}"),
        9 => assert!(staged["is_pending"]["why"].as_str().is_some_and(|why| !why.is_empty()), "{staged}"),
        code => panic!("exit code {code}: {}{}", run.stdout, run.stderr),
    }
    run.code == 0
}

/// The two shares, each staged and served.
struct Staged {
    server: TestServer,
    dir: tempfile::TempDir,
}

impl Staged {
    fn new() -> Self {
        let server = Setup::new().policy(POLICY).start();
        for product in ["intel", "rules"] {
            server.cli(&["product", "add", product, "--class", "intelligence"]).ok();
        }
        let staged = Self { server, dir: public_dir() };
        publish_intel(&staged.server, 1);
        publish_rules(&staged.server, 1);
        assert!(staged.bring(1, 1, false), "nobody reads yet");
        staged
    }

    /// Waits for the switches and stages both: whether both are published.
    fn bring(&self, intel: u64, rules: u64, keeps: bool) -> bool {
        let more: &[&str] = if keeps { &["--keep-previous"] } else { &[] };
        let windows = switch_to(&self.server, "windows", intel);
        let pair = switch_to(&self.server, "rules", rules);
        let is_published = stage(&self.server, "windows", &self.dir.path().join("windows"), windows, more);
        stage(&self.server, "rules", &self.dir.path().join("rules"), pair, &[]) && is_published
    }
}

#[test]
fn readers_find_whole_files_and_sets_during_switches() {
    const TEST: &str = "real::samba::readers_find_whole_files_and_sets_during_switches";
    need!("real::samba::readers_find_whole_files_and_sets_during_switches", "smbd", "smbclient", "stdbuf");
    if !is_root(TEST) {
        return;
    }
    let switches = if is_full_tier() { 1_000 } else { 12 };
    let staged = Staged::new();
    let (windows, rules) = (staged.dir.path().join("windows"), staged.dir.path().join("rules"));
    let smbd = Smbd::start(&[("windows", &windows), ("rules", &rules)], false);
    let found = Findings::default();
    found.expect(&WINDOWS, 1);
    found.expect(&PAIR, 1);
    std::thread::scope(|scope| {
        let _ends = found.end_when_dropped();
        scope.spawn(|| found.read_sets(Session::open(&smbd, "windows")));
        scope.spawn(|| found.read_sets(Fresh { smbd: &smbd, share: "windows" }));
        scope.spawn(|| found.read_pairs(Session::open(&smbd, "rules")));
        scope.spawn(|| found.read_pairs(Fresh { smbd: &smbd, share: "rules" }));
        let published = switch_often(&staged, &smbd, &found, switches);
        eprintln!("{TEST}: {switches} switches of each share, {published} published; {}", found.told());
    });
    found.check();
    let least = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed) >= switches;
    assert!(least(&found.whole_sets) && least(&found.pairs), "too little was read: {}", found.told());
    let (missed, files) = (found.missed.load(Ordering::Relaxed), found.files.load(Ordering::Relaxed));
    // A few in any number of reads: it takes one thread of smbd that loses its processor between the two steps.
    assert!(missed <= 5 + files / 500, "names are missing too often: {}", found.told());
    for dir in [windows, rules] {
        staged.server.cli(&["share", "verify", &dir.display().to_string()]).ok();
    }
}

/// Two steps forward, one step back for the Windows share; the rules only go forward. Files are held open meanwhile.
/// How often both were published.
fn switch_often(staged: &Staged, smbd: &Smbd, found: &Findings, switches: u64) -> u64 {
    let held: Vec<Held> = (0..HELD).map(|_| Held::open(smbd, "windows", WINDOWS[0])).collect();
    let mut turns: VecDeque<(u64, Held)> = VecDeque::new();
    let (mut newest, mut published) = (1, 0);
    for switch in 1..=switches {
        let rules = switch + 1;
        found.expect(&PAIR, rules);
        publish_rules(&staged.server, rules);
        let shown = if switch % 3 == 0 {
            let version = format!("1.{newest}");
            let words = ["release", "withdraw", "intel", &version, "--reason", "a bad batch", "--yes"];
            staged.server.cli(&words).ok();
            newest - 1
        } else {
            newest += 1;
            found.expect(&WINDOWS, newest);
            publish_intel(&staged.server, newest);
            newest
        };
        let is_published = staged.bring(shown, rules, switch % 2 == 0);
        published += u64::from(is_published);
        found.check();
        if is_published {
            turns.push_back((shown, Held::open(smbd, "windows", WINDOWS[2])));
        }
        if turns.len() > 4
            && let Some((version, held)) = turns.pop_front()
        {
            assert_eq!(found.version(WINDOWS[2], &held.finish()), Some(version), "a file that was open meanwhile");
        }
        let open = smbd.open_files(staged.dir.path());
        assert!(open >= HELD, "only {open} files are open");
    }
    for held in held {
        assert_eq!(found.version(WINDOWS[0], &held.finish()), Some(1), "a file that was open all the time");
    }
    published
}
