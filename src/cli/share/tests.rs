//! What is said of shares and of staging.

use super::words;
use crate::share::stage::{Change, Pending, PlannedChange, Repaired, StagePlan, Staged};

fn staged() -> Staged {
    Staged {
        share: "dc-intel".parse().unwrap(),
        switch: 17,
        is_pending: None,
        written_files: 10,
        written_bytes: 21_495_808,
        tree_files: 1_000,
        tree_bytes: 2 << 30,
        reused_files: 4,
        removed_files: 3,
        repaired: Vec::new(),
        requeued: Vec::new(),
        took_ms: 1_234,
        switch_us: 90,
    }
}

/// The text without its colours.
fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn a_run_is_summed_up_in_a_line() {
    assert_eq!(
        plain(&words::staged(&staged())),
        "published switch 17 of dc-intel: 10 of 1,000 files written, 20.50 MiB of 2.00 GiB; 4 reused; 3 removed; 1.2 s"
    );
}

#[test]
fn repaired_and_waiting_names_are_told_with_their_reason() {
    let repaired = vec![Repaired { path: "x64/a.exe".into(), why: "it was changed".into() }];
    let is_pending = Some(Pending { path: "index.xml".into(), why: "somebody has it open".into() });
    let text =
        plain(&words::staged(&Staged { repaired, is_pending, requeued: vec!["old.bin".parse().unwrap()], ..staged() }));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("prepared switch 17 of dc-intel: "), "{text}");
    assert_eq!(lines[1], "repaired: x64/a.exe: it was changed");
    assert_eq!(lines[2], "left: old.bin is open and is removed by a later run");
    assert_eq!(lines[3], "pending: index.xml: somebody has it open");
}

#[test]
fn a_plan_lists_what_changes_and_nothing_else() {
    let change = |path: &str, change, bytes| PlannedChange { path: path.into(), change, bytes };
    let mut plan = StagePlan {
        share: "dc-intel".parse().unwrap(),
        switch: 17,
        changes: vec![
            change("a", Change::Add, 1 << 20),
            change("b", Change::Keep, 0),
            change("c", Change::Move, 0),
            change("old", Change::Remove, 0),
        ],
        tree_files: 3,
        tree_bytes: 3 << 20,
        files_to_write: 1,
        bytes_to_write: 1 << 20,
        files_to_remove: 1,
        repaired: Vec::new(),
    };
    assert_eq!(
        super::plan::text(&plan),
        "CHANGE  BYTES     PATH\nadd     1.00 MiB  a\nmove    -         c\nremove  -         old\n\
         Switch 17 of dc-intel would write 1 of 3 files (1.00 MiB of 3.00 MiB) and remove 1."
    );
    plan.changes.retain(|planned| planned.change == Change::Keep);
    assert_eq!(super::plan::text(&plan), "The directory is switch 17 of dc-intel: 3 files, nothing to do.");
}

#[test]
fn lengths_of_time_have_two_units() {
    let cases =
        [(0, "0s"), (59, "59s"), (60, "1m"), (3_661, "1h 1m"), (86_400, "1d"), (90_000, "1d 1h"), (86_460, "1d")];
    for (seconds, expected) in cases {
        assert_eq!(words::span(seconds), expected, "{seconds}");
    }
}
