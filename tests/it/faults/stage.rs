//! A stager that dies or runs out of space: every file that readers find is whole and of the old or the new tree, a set
//! in its own directory is never mixed, and the next run brings the directory to where it should be.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bad_input::Tmpfs;
use crate::support::bodies::Random;
use crate::support::{Run, Setup, TestServer, is_full_tier, random_bytes, seed, skip, wait_until};

/// Everywhere that a run may be cut.
const POINTS: [&str; 6] = [
    "share.stage-written",
    "share.stage-switching",
    "share.stage-between",
    "share.stage-between:2",
    "share.stage-switched",
    "share.stage-settling",
];

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
"#;

/// The files of one version: two sets of two files each.
fn artifacts(number: u64) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let body = |file: u64, length: usize| random_bytes(number * 10 + file, length);
    vec![
        ("mpam-fe.exe", "windows-x64", body(1, 300_000)),
        ("nis_full.exe", "windows-x64", body(2, 40_000)),
        ("mpam-fe.exe", "windows-x86", body(3, 200_000)),
        ("nis_full.exe", "windows-x86", body(4, 1_000)),
    ]
}

/// What the share's paths hold for one version.
fn expected(number: u64) -> Vec<(String, Vec<u8>)> {
    let artifacts = artifacts(number).into_iter();
    artifacts.map(|(name, platform, body)| (format!("{}/{name}", &platform[8..]), body)).collect()
}

fn publish(server: &TestServer, number: u64) {
    let admin = server.as_admin();
    let uploads = artifacts(number).into_iter().map(|(target, platform, body)| {
        serde_json::json!({ "target": target, "platform": platform, "upload": admin.upload(&body) })
    });
    admin.release("intel", &format!("1.{number}"), &uploads.collect::<Vec<_>>()).expect(201);
    wait_for(server, number);
}

/// Waits until the share's newest switch shows this version, and is in effect.
fn wait_for(server: &TestServer, number: u64) {
    wait_until(&format!("version 1.{number} in the share"), || {
        let answer = server.api("GET", "/v1/shares/windows/tree", None);
        let releases: Value = (answer.status == 200).then(|| answer.json()["releases"].clone())?;
        let shown = releases.as_array().unwrap();
        let is_shown = shown.len() == 2 && shown.iter().all(|release| release["version"] == format!("1.{number}"));
        is_shown.then_some(())
    });
    std::thread::sleep(Duration::from_millis(1_500));
}

fn server(setup: Setup) -> TestServer {
    let server = setup.policy(POLICY).start();
    server.cli(&["product", "add", "intel", "--class", "intelligence"]).ok();
    server
}

fn stager(server: &TestServer, dir: &Path, environment: &[(&str, &str)]) -> Command {
    let mut command = server.command(&["share", "stage", "windows", "--to"]);
    command.arg(dir).envs(environment.iter().copied());
    command
}

/// Which version each directory holds: every file whole, and both of a directory from the same one.
fn versions(dir: &Path, candidates: &[u64]) -> Vec<u64> {
    let sets = ["x64", "x86"].map(|set| {
        let holds = |number: &&u64| {
            expected(**number)
                .iter()
                .filter(|(path, _)| path.starts_with(set))
                .all(|(path, body)| std::fs::read(dir.join(path)).is_ok_and(|bytes| bytes == *body))
        };
        let found = candidates.iter().find(holds);
        *found.unwrap_or_else(|| panic!("{set} is no version of {candidates:?} as a whole"))
    });
    sets.into()
}

fn staging_leftovers(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(".staging-")).collect()
}

#[track_caller]
fn converges(server: &TestServer, dir: &Path, number: u64) {
    Run::of(&mut stager(server, dir, &[])).ok();
    assert_eq!(versions(dir, &[number]), [number, number]);
    assert_eq!(staging_leftovers(dir), Vec::<PathBuf>::new());
    server.cli(&["share", "verify", &dir.display().to_string()]).ok();
    let again = server.json(&["share", "stage", "windows", "--to", &dir.display().to_string()]);
    assert_eq!(again["written_files"], 0, "{again}");
}

#[test]
fn a_stager_that_dies_anywhere_leaves_whole_sets() {
    let server = server(Setup::new());
    let dir = server.root().join("target");
    publish(&server, 1);
    converges(&server, &dir, 1);
    for (round, point) in POINTS.iter().enumerate() {
        let number = round as u64 + 2;
        publish(&server, number);
        let cut = Run::of(&mut stager(&server, &dir, &[("RINGFENCE_FAULT", point)]));
        assert_ne!(cut.code, 0, "{point} was not passed: {}", cut.stdout);
        let found = versions(&dir, &[number - 1, number]);
        match *point {
            "share.stage-written" | "share.stage-switching" | "share.stage-between" => {
                assert_eq!(found, [number - 1, number - 1], "{point}");
            }
            "share.stage-between:2" => assert_eq!(found, [number, number - 1], "{point}"),
            _ => assert_eq!(found, [number, number], "{point}"),
        }
        converges(&server, &dir, number);
    }
}

/// A copy of a target, in place of what was there.
fn copy(from: &Path, to: &Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).unwrap();
    }
    Run::of(Command::new("cp").arg("-a").args([from, to])).ok();
}

/// Starts a run and kills it after this time; whether that came before its end. A run that ends by itself must succeed.
fn cut_after(mut command: Command, moment: Duration) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(moment);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    let was_cut = status.signal() == Some(9);
    assert!(was_cut || status.success(), "the stager failed by itself: {status}");
    was_cut
}

#[test]
fn a_stager_killed_at_random_moments_leaves_whole_sets() {
    let test = "faults::stage::a_stager_killed_at_random_moments_leaves_whole_sets";
    let (versions_count, kills) = if is_full_tier() { (50, 200) } else { (2, 15) };
    let mut random = Random(seed(test));
    let server = server(Setup::new());
    let [before, dir] = ["before", "target"].map(|name| server.root().join(name));
    publish(&server, 1);
    converges(&server, &before, 1);
    let (mut runs, mut cut, mut midway) = (0, 0, 0);
    for number in 2..2 + versions_count {
        publish(&server, number);
        copy(&before, &dir);
        let begun = Instant::now();
        Run::of(&mut stager(&server, &dir, &[])).ok();
        // Runs are cut before this time, which follows what the machine needs for one: longer as long as they are cut,
        // shorter when one ends first.
        let mut longest = begun.elapsed();
        let mut has_work = false;
        for round in 0.. {
            // Beyond their number only where a seed, or a first run in a busy moment, made the kills miss.
            if round >= kills && (round >= 20 * kills || midway > 0 && cut >= runs / 4) {
                break;
            }
            if !has_work {
                copy(&before, &dir);
            }
            let moment = Duration::from_micros(random.below(longest.as_micros() as u64 + 1));
            has_work = cut_after(stager(&server, &dir, &[]), moment);
            longest = if has_work { longest * 9 / 8 } else { longest * 3 / 4 };
            runs += 1;
            cut += u32::from(has_work);
            let found = versions(&dir, &[number - 1, number]);
            midway += u32::from(has_work && (found.contains(&number) || !staging_leftovers(&dir).is_empty()));
        }
        converges(&server, &dir, number);
        converges(&server, &before, number);
    }
    eprintln!("{test}: of {runs} runs {cut} were cut, {midway} after they had begun to write");
    assert!(cut >= runs / 4, "only {cut} of {runs} runs were cut: the test tested little");
    assert!(midway > 0, "no run was cut after it had begun to write: the test tested nothing");
}

#[test]
fn a_full_target_is_left_as_it_was() {
    let Some(mount) = Tmpfs::mount("size=2m") else {
        skip("faults::stage::a_full_target_is_left_as_it_was", "a tmpfs cannot be mounted");
        return;
    };
    let server = server(Setup::new());
    let dir = mount.path().join("target");
    publish(&server, 1);
    converges(&server, &dir, 1);
    // Room for the manifest and little more, so that it is the check before that refuses.
    std::fs::write(mount.path().join("filler"), vec![0_u8; 1_300_000]).unwrap();
    publish(&server, 2);
    Run::of(&mut stager(&server, &dir, &[])).complains(1, &["windows", "no room"]);
    assert_eq!(versions(&dir, &[1]), [1, 1]);
    server.cli(&["share", "verify", &dir.display().to_string()]).ok();
    std::fs::remove_file(mount.path().join("filler")).unwrap();
    converges(&server, &dir, 2);
}
