//! What is refused, each with a sentence that names the share and the path, and with nothing changed.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn refused(target: &Target, tree: &StageTree, options: &StageOptions) -> String {
    let planned = plan(tree, &target.dir(), options, second(1)).map(drop).map_err(|error| error.to_string());
    let error = target.try_stage(tree, options).unwrap_err().to_string();
    if let Err(planned) = planned {
        assert_eq!(planned, error);
    }
    assert!(error.contains("share intel: "), "{error}");
    error
}

#[test]
fn targets_that_are_not_ours() {
    let mut target = Target::new();
    let tree = target.memory.tree(1, &[("a", "a")]);
    std::fs::write(target.dir(), "file").unwrap();
    assert!(refused(&target, &tree, &OPTIONS).contains("is not a directory"));
    std::fs::remove_file(target.dir()).unwrap();
    let deep = target.dir().join("missing");
    let error = stage(&tree, &deep, &target.memory, &OPTIONS, second(1), &mut |_| {}).unwrap_err();
    assert!(matches!(error, StageError::Missing { .. }), "{error}");
    target.write("precious", "precious");
    assert!(refused(&target, &tree, &OPTIONS).contains("is not empty and was not staged by us"));
    assert_eq!(names(&target.dir()), ["precious"]);
    target.staged(&tree, &StageOptions { adopt: true, ..OPTIONS });

    let mut other = tree.clone();
    other.share = "other".parse().unwrap();
    let error = target.try_stage(&other, &OPTIONS).unwrap_err().to_string();
    assert!(error.contains("share other: ") && error.contains("belongs to share intel"), "{error}");
    target.assert_is(&tree);
    target.staged(&other, &StageOptions { adopt: true, ..OPTIONS });
}

#[test]
fn a_manifest_that_cannot_be_read() {
    let mut target = Target::new();
    let tree = target.memory.tree(1, &[("a", "a")]);
    for damage in ["", "{", "{\"format\":2}", "[]"] {
        target.staged(&tree, &OPTIONS);
        target.write(".ringfence/manifest.json", damage);
        let error = refused(&target, &tree, &OPTIONS);
        assert!(error.contains("manifest.json cannot be read") && error.contains("--rehash"), "{error}");
        assert!(verify(&target.dir()).is_err());
        let staged = target.staged(&tree, &StageOptions { rehash: true, ..OPTIONS });
        assert_eq!(staged.written_files, 0);
    }
    assert!(matches!(verify(target.temporary.path()), Err(StageError::NoManifest { .. })));
}

#[test]
fn trees_that_cannot_be_staged() {
    let mut target = Target::new();
    for (files, expected) in [
        (&[("Dir/a", "1"), ("dir/b", "2")][..], "dir/b and Dir collide"),
        (&[("A", "1"), ("a", "2")], "a and A collide"),
        (&[("a", "1"), ("a/b", "2")], "a/b and a collide"),
        (&[(".ringfence/manifest.json", "1")], "the stager keeps for itself"),
        (&[(".Staging-x", "1")], "the stager keeps for itself"),
    ] {
        let tree = target.memory.tree(1, files);
        assert!(refused(&target, &tree, &OPTIONS).contains(expected), "{files:?}");
    }
    let mut tree = target.memory.tree(1, &[("a", "1"), ("b", "2")]);
    tree.files.swap(0, 1);
    assert!(refused(&target, &tree, &OPTIONS).contains("out of order at a"));
    let long = format!("{}/{}", "d".repeat(100), "f".repeat(130));
    let tree = target.memory.tree(1, &[(long.as_str(), "1")]);
    assert!(refused(&target, &tree, &OPTIONS).contains("characters, at most 240"));
    let mut tree = target.memory.tree(1, &[("a", "1")]);
    tree.files = vec![tree.files[0].clone(); FILES_MAX + 1];
    assert!(refused(&target, &tree, &OPTIONS).contains("200001 files"));
    assert!(!target.dir().exists());
}

#[test]
fn bodies_that_are_wrong_or_not_there() {
    struct Wrong(&'static str);
    impl Bodies for Wrong {
        fn open(&self, _: &StageFile) -> io::Result<Body> {
            Ok(Body::Reader(Box::new(self.0.as_bytes())))
        }
    }
    let mut target = Target::new();
    let first = target.memory.tree(1, &[("s:d/a", "right"), ("s:d/b", "b")]);
    target.staged(&first, &OPTIONS);
    let mut second_tree = target.memory.tree(2, &[("s:d/a", "other"), ("s:d/b", "b")]);
    second_tree.files[1].modified = second(1);
    for (body, expected) in [
        ("wrong", "its digest is blake3 "),
        ("long body", "it has at least 6 bytes, it should have 5"),
        ("no", "it has only 2 bytes, it should have 5"),
    ] {
        let error = stage(&second_tree, &target.dir(), &Wrong(body), &OPTIONS, second(9), &mut |_| {}).unwrap_err();
        assert!(matches!(error, StageError::WrongBytes { .. }) && error.to_string().contains(expected), "{error}");
        target.assert_is(&first);
    }
    target.memory.bodies.remove(&second_tree.files[0].blake3);
    assert!(matches!(target.try_stage(&second_tree, &OPTIONS), Err(StageError::Body { .. })));
    assert_eq!(contents(&target.dir()).len(), 2);
}

#[test]
fn a_second_stager_is_told_the_first() {
    let mut target = Target::new();
    let tree = target.memory.tree(1, &[("a", "a")]);
    target.staged(&tree, &OPTIONS);
    let root = crate::sys::tree::Root::open(&target.dir()).unwrap();
    let lock = root.lock(Path::new(".ringfence/lock")).unwrap().unwrap();
    let error = refused(&target, &tree, &OPTIONS);
    assert!(error.contains(&format!("is being staged by process {}", std::process::id())), "{error}");
    drop(lock);
    target.staged(&tree, &OPTIONS);
}

#[test]
fn a_tree_larger_than_the_disk_is_refused_before_a_write() {
    let mut target = Target::new();
    let mut tree = target.memory.tree(1, &[("a", "a")]);
    tree.files[0].size = 1 << 60;
    let error = refused(&target, &tree, &OPTIONS);
    assert!(error.contains("has no room: 1152921504606846976 bytes are needed"), "{error}");
    assert_eq!(target.memory.asked.get(), 0);
    assert_eq!(names(&target.dir()), [".ringfence"]);
}

#[test]
fn a_file_system_that_cannot_rename_or_write() {
    use crate::sys::tree::weak::{Operation, Weakness, with};
    let mut target = Target::new();
    let tree = target.memory.tree(1, &[("a", "a")]);
    let weakness = Weakness { without: vec![Operation::Rename], ..Weakness::default() };
    let error = with(weakness, || refused(&target, &tree, &OPTIONS));
    assert!(error.contains("cannot rename"), "{error}");
    target.staged(&tree, &OPTIONS);
}

/// Runs an ignored test of this file in a mount namespace of its own, where `$M` is a fresh mount.
fn in_namespace(mount: &str, name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("{mount} && exec \"$0\" --exact share::stage::tests::refusals::{name} --ignored --nocapture");
    let output = std::process::Command::new("unshare")
        .args(["-rm", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env("M", dir.path())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED {name}: unshare cannot be run: {error}");
            return;
        }
    };
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if text.contains("unshare failed") || text.contains("mount:") {
        eprintln!("SKIPPED {name}: no mount namespace here: {text}");
        return;
    }
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn a_disk_that_fills_up_and_one_that_is_read_only() {
    in_namespace("mount -t tmpfs -o size=1m tmpfs \"$M\"", "on_a_full_disk");
    in_namespace("mount -t tmpfs tmpfs \"$M\" && mount -o remount,ro \"$M\"", "on_a_read_only_disk");
}

#[test]
#[ignore = "run by the test above in a mount namespace of its own"]
fn on_a_full_disk() {
    let dir = PathBuf::from(std::env::var("M").unwrap());
    let mut memory = Memory::default();
    let first = memory.tree(1, &[("s:d/a", &"a".repeat(300_000)), ("s:d/b", "b")]);
    let run = |tree: &StageTree, memory: &Memory| stage(tree, &dir, memory, &OPTIONS, second(9), &mut |_| {});
    run(&first, &memory).unwrap();
    // Refused beforehand; and, where somebody else takes the room meanwhile, in the middle.
    let large = memory.tree(2, &[("s:d/a", &"A".repeat(900_000)), ("s:d/b", "B")]);
    let error = run(&large, &memory).unwrap_err();
    assert!(matches!(error, StageError::Full { need_bytes: 900_001, .. }), "{error}");
    struct Greedy(PathBuf, Memory);
    impl Bodies for Greedy {
        fn open(&self, file: &StageFile) -> io::Result<Body> {
            std::fs::write(&self.0, "x".repeat(600_000)).map(|()| self.1.open(file))?
        }
    }
    let next = memory.tree(3, &[("s:d/a", &"N".repeat(400_000)), ("s:d/b", "N")]);
    let greedy = Greedy(dir.join("lost+found"), memory);
    let error = stage(&next, &dir, &greedy, &OPTIONS, second(9), &mut |_| {}).unwrap_err();
    assert!(matches!(error, StageError::Full { .. }), "{error}");
    std::fs::remove_file(&greedy.0).unwrap();
    assert!(verify(&dir).unwrap().is_good());
    assert_eq!(contents(&dir)["d/a"], "a".repeat(300_000).as_bytes());
    assert_eq!(names(&dir), [".ringfence", "d"], "the staging directory is gone");
    stage(&next, &dir, &greedy.1, &OPTIONS, second(9), &mut |_| {}).unwrap();
    assert!(verify(&dir).unwrap().is_good());
}

#[test]
#[ignore = "run by the test above in a mount namespace of its own"]
fn on_a_read_only_disk() {
    let dir = PathBuf::from(std::env::var("M").unwrap());
    let mut memory = Memory::default();
    let tree = memory.tree(1, &[("a", "a")]);
    for target in [dir.clone(), dir.join("below")] {
        let error = stage(&tree, &target, &memory, &OPTIONS, second(9), &mut |_| {}).unwrap_err();
        assert!(matches!(error, StageError::ReadOnly { .. }), "{error}");
    }
}

#[test]
fn modes_are_what_readers_need_whatever_the_umask() {
    let mut target = Target::new();
    let tree = target.memory.tree(1, &[("d/a", "a")]);
    target.write("d/a", "a");
    std::fs::set_permissions(target.dir().join("d/a"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let staged = target.staged(&tree, &StageOptions { adopt: true, ..OPTIONS });
    assert_eq!(staged.written_files, 0);
}
