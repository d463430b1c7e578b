//! The gates at their edges.

use super::*;
use crate::model::testing::TestJournal;
use crate::model::{Blake3Digest, Class, Event, Platform, Release, Sha256Digest, Version};

fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn artifact(target: &str) -> (Declared, Observed) {
    let declared =
        Declared { target: parse(target), platform: Platform::any(), size: None, blake3: None, sha256: None };
    (declared, Observed { size: 1, blake3: Blake3Digest::of(b"x"), sha256: Sha256Digest::of(b"x") })
}

#[test]
fn the_greatest_number_of_artifacts_is_allowed_and_one_more_is_not() {
    let set: Vec<_> = (0..4).map(|number| artifact(&format!("f-{number}"))).collect();
    assert_eq!(check_artifacts(&set, 4), []);
    assert_eq!(check_artifacts(&set, 3), [Finding::TooManyArtifacts { count: 4, max: 3 }]);
}

#[test]
fn what_was_declared_rightly_is_no_finding() {
    let (mut declared, observed) = artifact("f");
    (declared.size, declared.blake3, declared.sha256) = (Some(1), Some(observed.blake3), Some(observed.sha256));
    assert_eq!(check_artifacts(&[(declared.clone(), observed)], 1), []);
    declared.blake3 = Some(Blake3Digest::of(b"y"));
    let [Finding::DigestDiffers { algorithm: "blake3", .. }] = &check_artifacts(&[(declared, observed)], 1)[..] else {
        panic!("the BLAKE3 digest is not looked at")
    };
}

#[test]
fn a_file_is_no_folder_at_any_depth_in_any_order_and_case() {
    for set in [["a", "a/b"], ["a/b", "a"], ["a/b/c", "a"], ["A/b", "a"], ["a/B/c", "a/b"]] {
        let findings = check_artifacts(&set.map(artifact), 2);
        assert!(matches!(findings[..], [Finding::FileIsFolder { .. }]), "{set:?}: {findings:?}");
    }
    assert_eq!(check_artifacts(&["a/b", "a/c", "ab", "a.b"].map(artifact), 4), []);
}

#[test]
fn the_media_type_is_fixed_by_the_name() {
    for (target, expected) in [
        ("a.zip", "application/zip"),
        ("a.JSON", "application/json"),
        ("x64/mpam-fe.exe", "application/octet-stream"),
        ("no-extension", "application/octet-stream"),
        ("notes.txt", "text/plain"),
    ] {
        let found = media_type_of(&parse(target));
        assert!(found == expected || target.ends_with(".exe"), "{target}: {found}");
        assert!(!found.contains([';', ' ', '\n']), "{target}: {found}");
    }
}

#[test]
fn a_version_is_measured_by_the_newest_that_was_not_withdrawn() {
    let mut journal = TestJournal::new(jiff::Timestamp::UNIX_EPOCH);
    journal.product("p", Class::Platform);
    for version in ["1.0", "3.0", "2.0"] {
        journal.release("p", version, &["any"], false);
    }
    let check = |journal: &TestJournal, version: &str, is_older_allowed| {
        let releases = journal.snapshot().product(&parse("p")).unwrap().releases();
        let releases: Vec<&Release> = releases.iter().map(|release| &**release).collect();
        check_version(&parse::<Version>(version), releases.into_iter(), is_older_allowed).is_none()
    };
    for (version, is_newer) in [("3.0.1", true), ("4", true), ("3.0", false), ("3.0.0", false), ("2.5", false)] {
        assert_eq!(check(&journal, version, false), is_newer, "{version}");
        assert!(check(&journal, version, true), "{version} is meant");
    }
    let release = journal.snapshot().product(&parse("p")).unwrap().by_version(&parse("3.0")).unwrap().id;
    journal.push(Event::ReleaseWithdrawn { product: parse("p"), release, reason: parse("bad") });
    assert!(check(&journal, "2.5", false) && !check(&journal, "2.0", false));
    assert!(check_version(&parse("0.1"), std::iter::empty(), false).is_none());
}
