//! How names are switched: in one step where the file system can, one by one where it cannot, later where one is open.

use super::*;
use crate::sys::tree::weak::{Operation, Weakness, with};

#[test]
fn a_busy_name_is_pending_and_its_index_waits() {
    let mut target = Target::new();
    let files = |body: &'static str| [("s:a.zip", body), ("s:index.json!", body), ("lone", body)];
    let first = target.memory.tree(1, &files("one"));
    let next = target.memory.tree(2, &files("two"));
    target.staged(&first, &OPTIONS);
    let busy = || Weakness { busy: vec![("a.zip".into(), 1_000)], ..Weakness::default() };
    let patient = StageOptions { retry_for: Duration::from_millis(40), ..OPTIONS };
    let staged = with(busy(), || target.stage(&next, &patient));
    let pending = staged.is_pending.unwrap();
    assert_eq!(pending.path, "a.zip");
    assert!(staged.took_ms >= 40);
    let now = contents(&target.dir());
    assert_eq!([&now["a.zip"], &now["index.json"], &now["lone"]], [b"one", b"one", b"two"]);
    assert_eq!(target.manifest().state, State::Switching);
    // Everything is ready: the next run writes nothing.
    let staged = target.staged(&next, &OPTIONS);
    assert_eq!((staged.written_bytes, staged.repaired.len()), (0, 0), "{staged:?}");
}

#[test]
fn a_name_that_is_soon_free_is_only_waited_for() {
    let mut target = Target::new();
    let first = target.memory.tree(1, &[("s:d/a", "one"), ("s:d/b", "one"), ("lone", "one")]);
    let next = target.memory.tree(2, &[("s:d/a", "two"), ("s:d/b", "two"), ("lone", "two")]);
    target.staged(&first, &OPTIONS);
    let busy = Weakness { busy: vec![("d".into(), 2), ("lone".into(), 2)], ..Weakness::default() };
    let patient = StageOptions { retry_for: Duration::from_secs(60), ..OPTIONS };
    with(busy, || target.staged(&next, &patient));
}

#[test]
fn what_is_open_is_removed_by_a_later_run() {
    let mut target = Target::new();
    let first = target.memory.tree(1, &[("a", "one"), ("b", "one")]);
    let next = target.memory.tree(2, &[("a", "two")]);
    target.staged(&first, &OPTIONS);
    let busy = Weakness { busy: vec![("b".into(), 1_000)], ..Weakness::default() };
    let staged = with(busy, || target.stage(&next, &OPTIONS));
    assert_eq!(staged.requeued, ["b".parse().unwrap()]);
    assert_eq!((staged.is_pending, staged.removed_files), (None, 0));
    let staged = target.staged(&next, &OPTIONS);
    assert_eq!((staged.removed_files, staged.repaired.len()), (1, 0));
}

#[test]
fn weaker_file_systems_end_with_the_same_tree() {
    for without in [vec![Operation::Link], vec![Operation::Exchange], vec![Operation::Link, Operation::Exchange]] {
        let mut target = Target::new();
        let first = target.memory.tree(1, &[("s:d/a", "one"), ("s:d/b", "same"), ("s:d/c", "one c")]);
        let next = target.memory.tree(2, &[("s:d/a", "two"), ("s:d/b", "same"), ("s:d/e", "one c")]);
        let weak = || Weakness { without: without.clone(), ..Weakness::default() };
        with(weak(), || target.staged(&first, &KEEPING));
        with(weak(), || target.staged(&next, &KEEPING));
        let previous = contents(&target.dir().join(".ringfence/previous"));
        assert_eq!(previous["d/a"], b"one", "{without:?}");
    }
}
