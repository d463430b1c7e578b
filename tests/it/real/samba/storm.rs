//! The stager alone, without a server that switches on whole seconds: as many switches as it can, while smbclient reads.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use ringfence::model::{Blake3Digest, Sha256Digest};
use ringfence::share::stage::{Bodies, Body, StageFile, StageOptions, StageTree, Staged, stage, verify};

use super::readers::{Findings, PAIR, WINDOWS, body};
use super::smbd::{Fresh, Held, Session, Smbd};
use super::{HELD, is_root, public_dir};
use crate::support::bodies::Random;
use crate::support::tools::need;
use crate::support::{is_full_tier, seed};

/// The bodies of one tree.
struct Version {
    intel: u64,
    rules: u64,
}

impl Version {
    fn body(&self, path: &str) -> Vec<u8> {
        body(path, if PAIR.contains(&path) { self.rules } else { self.intel })
    }

    /// The Windows tree and the flat pair in one directory. Every version takes effect a second after the one before.
    fn tree(&self) -> StageTree {
        let at = Timestamp::from_second(1_700_000_000 + i64::try_from(self.rules).unwrap()).unwrap();
        let mut files: Vec<StageFile> = PAIR.iter().chain(&WINDOWS).map(|path| self.file(path, at)).collect();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        StageTree {
            share: "storm".parse().unwrap(),
            layout: "plain".parse().unwrap(),
            switch: self.rules,
            at,
            releases: Vec::new(),
            files,
            retired: Vec::new(),
        }
    }

    fn file(&self, path: &str, modified: Timestamp) -> StageFile {
        let bytes = self.body(path);
        StageFile {
            path: path.parse().unwrap(),
            size: bytes.len() as u64,
            blake3: Blake3Digest::of(&bytes),
            sha256: Sha256Digest::of(&bytes),
            modified,
            set: if PAIR.contains(&path) { "rules" } else { &path[..3] }.to_owned(),
            last: path == PAIR[0],
        }
    }
}

impl Bodies for Version {
    fn open(&self, file: &StageFile) -> io::Result<Body> {
        Ok(Body::Bytes(Bytes::from(self.body(file.path.as_str()))))
    }
}

/// Stages a version of both, as the command does.
pub(super) fn switch(dir: &Path, intel: u64, rules: u64, retry_for: Duration) -> Staged {
    let version = Version { intel, rules };
    let tree = version.tree();
    let options = StageOptions { keep_previous: rules.is_multiple_of(2), rehash: false, retry_for, adopt: false };
    let staged = stage(&tree, dir, &version, &options, tree.at, &mut |_| ());
    staged.unwrap_or_else(|error| panic!("switch {rules}: {error}"))
}

#[test]
fn readers_find_whole_files_and_sets_in_a_storm_of_switches() {
    const TEST: &str = "real::samba::storm::readers_find_whole_files_and_sets_in_a_storm_of_switches";
    need!(
        "real::samba::storm::readers_find_whole_files_and_sets_in_a_storm_of_switches",
        "smbd",
        "smbclient",
        "stdbuf"
    );
    if !is_root(TEST) {
        return;
    }
    let switches = if is_full_tier() { 10_000 } else { 60 };
    let mut random = Random(seed(TEST));
    let public = public_dir();
    let dir = public.path().join("storm");
    let found = Findings::default();
    found.expect(&WINDOWS, 0);
    found.expect(&PAIR, 0);
    switch(&dir, 0, 0, Duration::ZERO);
    let smbd = Smbd::start(&[("storm", &dir)], false);
    std::thread::scope(|scope| {
        let _ends = found.end_when_dropped();
        scope.spawn(|| found.read_sets(Session::open(&smbd, "storm")));
        scope.spawn(|| found.read_sets(Fresh { smbd: &smbd, share: "storm" }));
        scope.spawn(|| found.read_pairs(Session::open(&smbd, "storm")));
        scope.spawn(|| found.read_pairs(Fresh { smbd: &smbd, share: "storm" }));
        let held: Vec<Held> = (0..HELD).map(|_| Held::open(&smbd, "storm", WINDOWS[0])).collect();
        let (mut pending, mut switch_us) = (0, Vec::new());
        for number in 1..=switches {
            // Back and forth among eight: bytes to write, and bytes that the tree before still has.
            let intel = random.below(8);
            found.expect(&WINDOWS, intel);
            found.expect(&PAIR, number);
            let staged = switch(&dir, intel, number, Duration::from_secs(2));
            pending += u64::from(staged.is_pending.is_some());
            switch_us.push(staged.switch_us);
            found.check();
            assert!(smbd.open_files(&dir) >= HELD);
            std::thread::sleep(Duration::from_millis(random.below(150)));
            if number % 10 == 0 && staged.is_pending.is_none() {
                found.wait_for_whole_reads();
            }
        }
        for held in held {
            assert_eq!(found.version(WINDOWS[0], &held.finish()), Some(0), "a file that was open all the time");
        }
        switch_us.sort_unstable();
        let (median, most) = (switch_us[switch_us.len() / 2], switch_us[switch_us.len() - 1]);
        eprintln!("{TEST}: {switches} switches, {pending} pending, {median} µs in the middle, {most} µs at most");
    });
    found.check();
    eprintln!("{TEST}: {}", found.told());
    let least = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed) >= switches / 20;
    assert!(least(&found.whole_sets) && least(&found.pairs) && least(&found.unsettled), "too little was read");
    let verified = verify(&dir).unwrap();
    assert!(verified.is_good(), "{verified:?}");
}
