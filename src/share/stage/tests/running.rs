//! Fresh, update, nothing to do, going back, repairs.

use std::os::unix::fs::MetadataExt as _;

use super::*;

const FIRST: &[(&str, &str)] = &[
    ("x:x64/a.exe", "a one"),
    ("x:x64/b.exe", "b same"),
    ("x:x64/sub/c.exe", "c one"),
    ("s:rules.tar.gz", "rules one"),
    ("s:rules.tar.gz.md5!", "md5 one"),
    ("readme.txt", "hello"),
];
const SECOND: &[(&str, &str)] = &[
    ("x:x64/a.exe", "a two!"),
    ("x:x64/b.exe", "b same"),
    ("x:x64/d.exe", "c one"),
    ("s:rules.tar.gz", "rules two"),
    ("s:rules.tar.gz.md5!", "md5 two"),
    ("new/readme.txt", "hello"),
];

#[test]
fn a_fresh_tree_an_update_and_nothing_to_do() {
    let mut target = Target::new();
    let first = target.memory.tree(1, FIRST);
    let staged = target.staged(&first, &OPTIONS);
    assert_eq!((staged.written_files, staged.written_bytes), (6, first.bytes()));
    assert_eq!((staged.tree_files, staged.removed_files, staged.reused_files), (6, 0, 0));

    let mut second = target.memory.tree(2, SECOND);
    let same = second.files.iter_mut().find(|file| file.path.as_str() == "x64/b.exe").unwrap();
    same.modified = super::second(1);
    let staged = target.staged(&second, &OPTIONS);
    assert_eq!((staged.written_files, staged.written_bytes), (5, 6 + 9 + 7 + 5 + 5), "dates of live files stay theirs");
    assert_eq!(staged.removed_files, 2);
    assert_eq!(staged.repaired, []);

    let manifest = target.dir().join(".ringfence/manifest.json");
    let inode = std::fs::metadata(&manifest).unwrap().ino();
    let asked = target.memory.asked.get();
    let staged = target.staged(&second, &OPTIONS);
    assert_eq!((staged.written_files, staged.removed_files, staged.switch_us), (0, 0, 0));
    assert_eq!(std::fs::metadata(&manifest).unwrap().ino(), inode, "nothing was written");
    assert_eq!(target.memory.asked.get(), asked);
    assert_eq!(target.staged(&second, &StageOptions { rehash: true, ..OPTIONS }).written_files, 0);
    assert_eq!(names(&target.dir().join(".ringfence")), ["lock", "manifest.json"]);
}

#[test]
fn going_back_writes_nothing() {
    let mut target = Target::new();
    let first = target.memory.tree(1, FIRST);
    let second = target.memory.tree(2, SECOND);
    target.staged(&first, &KEEPING);
    target.staged(&second, &KEEPING);
    let previous = target.dir().join(".ringfence/previous");
    let bodies = |tree: &StageTree, memory: &Memory| -> BTreeMap<String, Vec<u8>> {
        tree.files.iter().map(|file| (file.path.to_string(), memory.bodies[&file.blake3].clone())).collect()
    };
    assert_eq!(contents(&previous), bodies(&first, &target.memory));
    // The dates of a way back are new ones.
    let back = target.memory.tree(3, FIRST);
    let staged = target.staged(&back, &KEEPING);
    assert_eq!((staged.written_files, staged.written_bytes), (0, 0), "{staged:?}");
    assert_eq!(contents(&previous), bodies(&second, &target.memory));
    let forth = target.memory.tree(4, SECOND);
    assert_eq!(target.staged(&forth, &KEEPING).written_bytes, 0);
    target.staged(&forth, &OPTIONS);
    assert!(!previous.exists());
}

#[test]
fn what_was_edited_by_hand_is_reported_and_repaired() {
    let mut target = Target::new();
    let tree = target.memory.tree(1, FIRST);
    target.staged(&tree, &OPTIONS);
    target.write("x64/a.exe", "A ONE");
    target.write("stray/evil.exe", "evil");
    target.write("x64/stray.exe", "evil");
    std::fs::remove_file(target.dir().join("readme.txt")).unwrap();
    std::fs::create_dir(target.dir().join("empty")).unwrap();
    let found = verify(&target.dir()).unwrap();
    assert!(!found.is_good());
    assert_eq!(found.changed, ["x64/a.exe".parse().unwrap()]);
    assert_eq!(found.missing, ["readme.txt".parse().unwrap()]);
    assert_eq!(found.extra, ["stray/evil.exe", "x64/stray.exe"]);

    let plan = plan(&tree, &target.dir(), &OPTIONS, second(5)).unwrap();
    let changed: Vec<(&str, Change)> =
        plan.changes.iter().filter(|c| c.change != Change::Keep).map(|c| (c.path.as_str(), c.change)).collect();
    let expected = [
        ("readme.txt", Change::Repair),
        ("x64/a.exe", Change::Repair),
        ("stray/evil.exe", Change::Remove),
        ("x64/stray.exe", Change::Remove),
    ];
    assert_eq!(changed, expected);
    assert_eq!((plan.files_to_write, plan.bytes_to_write, plan.files_to_remove), (2, 10, 2));

    let staged = target.staged(&tree, &OPTIONS);
    let repaired: Vec<(&str, &str)> = staged.repaired.iter().map(|r| (r.path.as_str(), r.why.as_str())).collect();
    let expected = [
        ("readme.txt", "was missing"),
        ("x64/a.exe", "was changed by somebody else"),
        ("stray/evil.exe", "is not part of the share"),
        ("x64/stray.exe", "is not part of the share"),
    ];
    assert_eq!(repaired, expected);
    assert_eq!(staged.removed_files, 2);
}

#[test]
fn links_are_replaced_and_nothing_outside_is_touched() {
    use std::os::unix::fs::symlink;
    let mut target = Target::new();
    let tree = target.memory.tree(1, FIRST);
    target.staged(&tree, &KEEPING);
    let outside = target.temporary.path().join("outside");
    std::fs::create_dir_all(outside.join("sub")).unwrap();
    for name in ["a.exe", "b.exe", "sub/c.exe", "readme.txt", "lock", "keep"] {
        std::fs::write(outside.join(name), "outside").unwrap();
    }
    let before = contents(&outside);
    std::fs::remove_dir_all(target.dir().join("x64")).unwrap();
    symlink(&outside, target.dir().join("x64")).unwrap();
    std::fs::remove_file(target.dir().join("readme.txt")).unwrap();
    symlink(outside.join("readme.txt"), target.dir().join("readme.txt")).unwrap();
    symlink(&outside, target.dir().join("extra")).unwrap();
    symlink(&outside, target.dir().join(".ringfence/previous")).unwrap();
    std::fs::remove_file(target.dir().join(".ringfence/lock")).unwrap();
    symlink(outside.join("lock"), target.dir().join(".ringfence/lock")).unwrap();
    symlink(&outside, target.dir().join(".staging-0123456789abcdef")).unwrap();
    symlink(&outside, target.dir().join(".ringfence/retired")).unwrap();

    let staged = target.staged(&tree, &KEEPING);
    assert_eq!(staged.repaired.iter().filter(|r| r.why == "was a symbolic link").count(), 4, "{:?}", staged.repaired);
    assert_eq!(contents(&outside), before);
    let next = target.memory.tree(2, SECOND);
    target.staged(&next, &KEEPING);
    assert_eq!(contents(&outside), before);
}

#[test]
fn retired_files_stay_until_their_time() {
    let mut target = Target::new();
    let first = target.memory.tree(1, &[("a:{1}/a.exe", "one"), ("a:{1}/b.exe", "one b")]);
    let mut second_tree = target.memory.tree(2, &[("b:{2}/a.exe", "two"), ("b:{2}/b.exe", "two b")]);
    second_tree.retired =
        first.files.iter().map(|file| RetiredFile { file: file.clone(), until: second(500) }).collect();
    target.staged(&first, &OPTIONS);
    let at = |now| stage(&second_tree, &target.dir(), &target.memory, &OPTIONS, second(now), &mut |_| {}).unwrap();
    let staged = at(10);
    assert_eq!((staged.removed_files, staged.written_files), (0, 2));
    assert_eq!(contents(&target.dir()).len(), 4);
    assert!(verify(&target.dir()).unwrap().is_good());
    assert_eq!(at(499).removed_files, 0);
    target.write("{1}/a.exe", "bad");
    let staged = at(499);
    assert_eq!((staged.removed_files, staged.repaired.len()), (1, 1), "a retired file is not brought back");
    let staged = at(500);
    assert_eq!((staged.removed_files, staged.repaired.len()), (1, 0));
    target.assert_is(&second_tree);
}

#[test]
fn files_and_directories_may_change_places() {
    let mut target = Target::new();
    let first = target.memory.tree(1, &[("a", "file"), ("b/c", "deep"), ("z", "z")]);
    let swapped = target.memory.tree(2, &[("a/b", "now deep"), ("b", "now a file"), ("z", "z")]);
    target.staged(&first, &OPTIONS);
    assert_eq!(target.staged(&swapped, &OPTIONS).repaired, []);
    target.staged(&first, &OPTIONS);
}

#[test]
fn one_content_under_many_names_and_dates_converges() {
    let mut target = Target::new();
    let first = target.memory.tree(1, &[("a", "same"), ("b", "same"), ("c", "same")]);
    target.staged(&first, &OPTIONS);
    let mut dated = first.clone();
    dated.switch = 2;
    dated.files[0].modified = second(7);
    dated.files[1].modified = second(8);
    target.staged(&dated, &OPTIONS);
    assert_eq!(target.staged(&dated, &OPTIONS).written_files, 0);
    std::fs::remove_file(target.dir().join("b")).unwrap();
    std::fs::hard_link(target.dir().join("a"), target.dir().join("b")).unwrap();
    target.staged(&dated, &OPTIONS);
    // A name outside keeps its date: the inside one gets a file of its own.
    let outside = target.temporary.path().join("outside");
    std::fs::hard_link(target.dir().join("c"), &outside).unwrap();
    let date = std::fs::metadata(&outside).unwrap().modified().unwrap();
    dated.files[2].modified = second(9);
    target.staged(&dated, &OPTIONS);
    assert_eq!(std::fs::metadata(&outside).unwrap().modified().unwrap(), date);
}
