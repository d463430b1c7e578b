//! A reader beside two hundred switches.

use std::sync::atomic::{AtomicBool, Ordering};

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
    let (is_done, dir) = (AtomicBool::new(false), target.dir());
    let whole = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut whole = 0;
            while !is_done.load(Ordering::Relaxed) {
                whole += u32::from(read(&dir).is_some());
            }
            whole
        });
        for tree in &trees[1..] {
            target.stage(tree, &KEEPING);
            // So that there are moments without a switch, too.
            std::thread::sleep(Duration::from_millis(2));
        }
        is_done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    target.assert_is(trees.last().unwrap());
    assert!(whole > 20, "the reader saw only {whole} whole versions");
}
