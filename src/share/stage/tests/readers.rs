//! A reader beside two hundred switches.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use super::*;

fn version(memory: &mut Memory, number: u64) -> StageTree {
    let body = |name: &str| format!("{name} {number} {}", "x".repeat(usize::try_from(number % 7).unwrap() * 3_000));
    let bodies = ["a", "b", "c", "zip", "index", "lone"].map(body);
    let names = ["x:x64/a", "x:x64/b", "x:x64/deep/c", "s:p.zip", "s:index.json!", "lone"];
    let files: Vec<(&str, &str)> = names.into_iter().zip(bodies.iter().map(String::as_str)).collect();
    memory.tree(number, &files)
}

/// What a reader sees of one version: `None` where the manifest says that it may be two.
fn read(dir: &Path) -> Option<()> {
    let manifest_bytes = std::fs::read(dir.join(".ringfence/manifest.json")).unwrap();
    let manifest: Manifest = serde_json::from_slice(&manifest_bytes).unwrap();
    let bodies: Vec<Vec<u8>> =
        manifest.files.iter().map(|file| std::fs::read(dir.join(file.path.as_str())).unwrap()).collect();
    for body in &bodies {
        // Every version's body says how long it is: no file is ever seen in part.
        let text = std::str::from_utf8(body).unwrap();
        let number: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
        assert_eq!(text.split(' ').nth(2).unwrap().len(), number % 7 * 3_000);
    }
    let is_one = manifest.state == State::Settled
        && std::fs::read(dir.join(".ringfence/manifest.json")).unwrap() == manifest_bytes;
    is_one.then(|| {
        for (file, body) in manifest.files.iter().zip(&bodies) {
            assert_eq!(file.blake3, Blake3Digest::of(body), "{} at switch {}", file.path, manifest.switch);
        }
    })
}

#[test]
fn a_reader_never_sees_a_part_or_a_mix() {
    let mut target = Target::new();
    let trees: Vec<StageTree> = (1..=200).map(|number| version(&mut target.memory, number)).collect();
    target.staged(&trees[0], &KEEPING);
    let (is_done, whole, dir) = (AtomicBool::new(false), AtomicU32::new(0), target.dir());
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                whole.fetch_add(u32::from(read(&dir).is_some()), Ordering::Relaxed);
            }
        });
        for (number, tree) in trees[1..].iter().enumerate() {
            target.stage(tree, &KEEPING);
            // So that there are moments without a switch, too, now and then as long as the reader needs for one version.
            std::thread::sleep(Duration::from_millis(2));
            let (seen, until) = (whole.load(Ordering::Relaxed), Instant::now() + Duration::from_secs(60));
            let is_waited_for = || number % 8 == 0 && Instant::now() < until && !reader.is_finished();
            while is_waited_for() && whole.load(Ordering::Relaxed) == seen {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        is_done.store(true, Ordering::Relaxed);
    });
    target.assert_is(trees.last().unwrap());
    let whole = whole.into_inner();
    assert!(whole > 20, "the reader saw only {whole} whole versions");
}

/// A machine reads a dated folder as soon as it appears, so it must appear whole, also with a single file in it; the one
/// before stays for its readers until its time.
#[test]
fn a_new_folder_appears_complete() {
    for members in [1, 3] {
        let mut target = Target::new();
        let folder = |number: u64| format!("{{00000000-0000-0000-0000-26112112000{number}}}");
        let paths = |number: u64| -> Vec<String> {
            (0..members).map(|member| format!("f{number}:{}/m{member}.vdm", folder(number))).collect()
        };
        let body = "v".repeat(50_000);
        let mut trees = Vec::new();
        for number in 0..8 {
            let paths = paths(number);
            let files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), body.as_str())).collect();
            trees.push(target.memory.tree(number + 1, &files));
            if number > 0 {
                let before = trees[trees.len() - 2].files.clone();
                trees.last_mut().unwrap().retired =
                    before.into_iter().map(|file| RetiredFile { file, until: second(2_000_000) }).collect();
            }
        }
        target.stage(&trees[0], &OPTIONS);
        let (dir, done) = (target.dir(), std::sync::atomic::AtomicBool::new(false));
        std::thread::scope(|scope| {
            let (dir, done, body) = (&dir, &done, &body);
            let reader = scope.spawn(move || {
                let mut seen = std::collections::BTreeSet::new();
                loop {
                    // At the latest after the last one it looks, however late it was begun.
                    let is_last = done.load(std::sync::atomic::Ordering::Relaxed);
                    for name in names(dir).into_iter().filter(|name| name.starts_with('{')) {
                        // It may be retired while it is read, but then it was complete for long, and two newer ones are there.
                        if seen.insert(name.clone()) {
                            for member in 0..members {
                                let path = dir.join(&name).join(format!("m{member}.vdm"));
                                match std::fs::read_to_string(&path) {
                                    Ok(text) => assert_eq!(text, *body, "{}", path.display()),
                                    Err(error) => {
                                        let newer = names(dir).into_iter().filter(|other| *other > name);
                                        assert!(newer.count() >= 2, "{}: {error}", path.display());
                                        break;
                                    }
                                }
                            }
                        }
                    }
                    if is_last {
                        return seen.len();
                    }
                }
            });
            for tree in &trees[1..] {
                target.stage(tree, &OPTIONS);
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(reader.join().unwrap() >= 1);
        });
        let folders: Vec<_> = names(&target.dir()).into_iter().filter(|name| name.starts_with('{')).collect();
        assert_eq!(folders, [folder(6), folder(7)], "the newest and the one before");
    }
}
