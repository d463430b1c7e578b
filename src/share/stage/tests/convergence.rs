//! Whatever trees follow each other and wherever runs are cut off, the directory gets to the desired tree, and no file
//! is ever anything but one of the versions that it was to be.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::sys::tree::weak::{Weakness, with};

const NAMES: [&str; 9] =
    ["x:x/a", "x:x/b", "x:x/y/c", "s:s.zip", "s:z.json!", "lone", "deep/down/lone", "v:v/1", "v:v/2"];

#[derive(Debug, Clone)]
struct Step {
    /// Which of the names there are, and with which of a few contents; with one, names share contents.
    bodies: Vec<Option<u8>>,
    keep_previous: bool,
    /// After how many operations each attempt is cut off, before the one that is not.
    cuts: Vec<u64>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bodies = prop::collection::vec(prop::option::weighted(0.8, 0..4u8), NAMES.len());
    let step = (bodies, any::<bool>(), prop::collection::vec(0..140u64, 0..3));
    prop::collection::vec(step.prop_map(|(bodies, keep_previous, cuts)| Step { bodies, keep_previous, cuts }), 1..6)
}

fn tree_of(memory: &mut Memory, switch: u64, step: &Step) -> StageTree {
    let texts: Vec<String> = step.bodies.iter().map(|body| format!("body {body:?}")).collect();
    let there = NAMES.iter().zip(&step.bodies).zip(&texts).filter(|((_, body), _)| body.is_some());
    let files: Vec<(&str, &str)> = there.map(|((name, _), text)| (*name, text.as_str())).collect();
    memory.tree(switch, &files)
}

/// Each file is one that `before` or `after` has there.
fn assert_whole(target: &Target, before: &[StageTree], after: &StageTree) {
    let mut allowed: BTreeSet<(String, Blake3Digest)> = BTreeSet::new();
    for tree in before.iter().chain([after]) {
        allowed.extend(tree.files.iter().map(|file| (file.path.to_string(), file.blake3)));
    }
    if !target.dir().exists() {
        return;
    }
    for (path, body) in contents(&target.dir()).into_iter().filter(|(path, _)| !path.ends_with('/')) {
        assert!(allowed.contains(&(path.clone(), Blake3Digest::of(&body))), "{path} is neither old nor new");
    }
    // A directory of one set is of one version.
    let whole = |tree: &StageTree| -> BTreeSet<(String, Blake3Digest)> {
        let files = tree.files.iter().filter(|file| file.set == "x");
        files.map(|file| (file.path.to_string(), file.blake3)).collect()
    };
    let all = contents(&target.dir());
    let there = all.iter().filter(|(path, _)| path.starts_with("x/") && !path.ends_with('/'));
    let there: BTreeSet<_> = there.map(|(path, body)| (path.clone(), Blake3Digest::of(body))).collect();
    let is_one = there.is_empty() || before.iter().chain([after]).any(|tree| whole(tree) == there);
    // Without a file to put there is nothing to exchange: files go one by one.
    let only_removes = whole(after).is_subset(&there) || there.is_superset(&whole(after));
    assert!(is_one || only_removes, "x is a mix: {there:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn every_run_converges(steps in steps()) {
        let mut target = Target::new();
        let mut before: Vec<StageTree> = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            let tree = tree_of(&mut target.memory, number as u64 + 1, step);
            let options = StageOptions { keep_previous: step.keep_previous, ..OPTIONS };
            for cut in &step.cuts {
                let weakness = Weakness { steps_left: Some(*cut), ..Weakness::default() };
                let _ = with(weakness, || target.try_stage(&tree, &options));
                assert_whole(&target, &before, &tree);
            }
            let staged = target.staged(&tree, &options);
            prop_assert_eq!(staged.repaired, vec![]);
            let staged = target.staged(&tree, &options);
            prop_assert_eq!((staged.written_files, staged.removed_files), (0, 0));
            before = vec![tree];
        }
    }
}
