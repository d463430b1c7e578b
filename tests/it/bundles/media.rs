//! Media that are damaged, cut, mixed up, pulled or too large; and what is not the origin's.

use super::origin::{Origin, SITE, bodies, offered, some_of, volumes, word};
use crate::bad_input::Tmpfs;
use crate::support::{Run, Setup, have, skip};

fn flip(path: &std::path::Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x40;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn damaged_and_cut_volumes_are_named_and_the_rest_is_kept() {
    let origin = Origin::start();
    origin.publish("1.0", &bodies(1, 700_000, 60));
    let bundle = origin.export(SITE, "full", 256 << 10);
    let volumes = volumes(&bundle);
    let medium = some_of(&bundle, &volumes);
    flip(&medium.path().join(&volumes[0]), 100_000);
    let cut = medium.path().join(&volumes[1]);
    std::fs::OpenOptions::new().write(true).open(&cut).unwrap().set_len(60_000).unwrap();
    let site = origin.site(Setup::new(), SITE).start();
    let run = site.cli(&["bundle", "import", word(medium.path())]).complains(11, &["missing"]);
    assert!(run.stdout.contains(&volumes[1]), "{}", run.stdout);
    assert!(run.stdout.contains("damaged"), "{}", run.stdout);
    assert_eq!(offered(&site, "pc-1"), None);
    let medium = some_of(&bundle, &volumes[..2]);
    let done = site.json(&["bundle", "import", word(medium.path())]);
    assert_eq!(done["state"], "applied");
    let whole: u64 = volumes.iter().map(|name| bundle.join(name).metadata().unwrap().len()).sum();
    assert!(done["sent_bytes"].as_u64().unwrap() < whole / 2, "what was here is not sent again: {done}");
}

#[test]
fn what_is_not_this_bundle_is_named_and_changes_nothing() {
    let origin = Origin::start();
    origin.publish("1.0", &bodies(1, 100_000, 3));
    let bundle = origin.export(SITE, "full", 1 << 20);
    let other = origin.export("plant-8", "full", 1 << 20);
    let site = origin.site(Setup::new(), SITE).start();
    let seq = site.journal_seq();
    let volumes = volumes(&bundle);
    site.cli(&["bundle", "import", word(&other)]).complains(7, &["plant-8", "plant-7"]);
    let unsigned = some_of(&bundle, &volumes);
    std::fs::remove_file(unsigned.path().join("BUNDLE.sig")).unwrap();
    site.cli(&["bundle", "import", word(unsigned.path())]).complains(10, &["not signed"]);
    let changed = some_of(&bundle, &volumes);
    flip(&changed.path().join("BUNDLE.json"), 500);
    site.cli(&["bundle", "import", word(changed.path())]).complains(10, &["BUNDLE.json"]);
    let stranger = Origin::start();
    stranger.publish("1.0", &bodies(1, 100, 1));
    let theirs = stranger.export(SITE, "full", 1 << 20);
    site.cli(&["bundle", "import", word(&theirs)]).complains(10, &["key"]);
    let empty = tempfile::tempdir().unwrap();
    site.cli(&["bundle", "import", word(empty.path())]).complains(6, &["mounted"]);
    assert_eq!(site.journal_seq(), seq);
    let mixed = some_of(&bundle, &[]);
    std::fs::copy(other.join(&volumes[0]), mixed.path().join(&volumes[0])).unwrap();
    let run = site.cli(&["bundle", "import", word(mixed.path())]).exits(11);
    assert!(run.stdout.contains(&volumes[0]), "{}", run.stdout);
    assert_eq!(offered(&site, "pc-1"), None);
    site.cli(&["bundle", "import", word(&bundle)]).ok();
}

#[test]
fn a_base_that_is_not_here_is_named_by_its_objects() {
    let origin = Origin::start();
    let one = bodies(1, 10_000, 2);
    origin.publish("1.0", &one);
    origin.export(SITE, "full", 1 << 20);
    origin.publish("2.0", &[bodies(2, 10_000, 0), vec![one[1].clone()]].concat());
    let second = origin.export(SITE, "last", 1 << 20);
    let site = origin.site(Setup::new(), SITE).start();
    let run = site.cli(&["bundle", "import", word(&second)]).complains(7, &["not here", "missing", "receipt"]);
    assert!(run.stderr.lines().filter(|line| line.contains("  missing  ")).count() >= 1, "{}", run.stderr);
    assert_eq!(offered(&site, "pc-1"), None);
    assert_eq!(std::fs::read_dir(site.data().join("imports")).unwrap().count(), 0);
}

#[test]
fn a_disk_that_is_too_small_says_so_before_anything_is_written() {
    let Some(mount) = Tmpfs::mount("size=96m") else {
        skip(
            "bundles::media::a_disk_that_is_too_small_says_so_before_anything_is_written",
            "a tmpfs cannot be mounted",
        );
        return;
    };
    let origin = Origin::start();
    origin.publish("1.0", &bodies(1, 20_000_000, 30));
    let bundle = origin.export(SITE, "full", 4 << 20);
    let site = origin.site(Setup::below(mount.path()), SITE).start();
    // Others take the space while an import runs: it ends with a sentence, and goes on when the space is back.
    let begun = some_of(&bundle, &volumes(&bundle)[..1]);
    site.cli(&["bundle", "import", word(begun.path())]).exits(11);
    let filler = mount.path().join("filler");
    let _ = std::fs::write(&filler, vec![0_u8; 96 << 20]);
    site.cli(&["bundle", "import", word(&bundle)]).complains(1, &["space"]);
    std::fs::remove_file(&filler).unwrap();
    assert_eq!(offered(&site, "pc-1"), None);
    site.cli(&["bundle", "import", word(&bundle)]).ok();
    assert_eq!(offered(&site, "pc-1").as_deref(), Some("1.0"));

    origin.publish("2.0", &bodies(2, 70_000_000, 3));
    let next = origin.export(SITE, "last", 128 << 20);
    let seq = site.journal_seq();
    for _ in 0..2 {
        let run = site.cli(&["bundle", "import", word(&next)]).complains(1, &["bytes", "free"]);
        assert!(run.stdout.contains("receipt  3 ("), "{}", run.stdout);
    }
    assert_eq!(site.journal_seq(), seq + 1, "one receipt, for the origin to know");
    assert_eq!(std::fs::read_dir(site.data().join("imports")).unwrap().count(), 0);
    assert_eq!(offered(&site, "pc-1").as_deref(), Some("1.0"));
}

#[test]
fn a_medium_that_fails_while_it_is_read_leaves_the_rest() {
    if !have("strace") {
        skip("bundles::media::a_medium_that_fails_while_it_is_read_leaves_the_rest", "strace is not installed");
        return;
    }
    let origin = Origin::start();
    origin.publish("1.0", &bodies(1, 6_000_000, 40));
    let bundle = origin.export(SITE, "full", 2 << 20);
    let site = origin.site(Setup::new(), SITE).start();
    let mut command = std::process::Command::new("strace");
    let volume = bundle.join(&volumes(&bundle)[1]);
    command.args(["-f", "-qq", "-o", "/dev/null", "-P"]).arg(&volume).args(["-e", "inject=read:error=EIO:when=3+"]);
    let import = site.command(&["bundle", "import", word(&bundle)]);
    command.arg(import.get_program()).args(import.get_args());
    command.envs(import.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let run = Run::of(&mut command).exits(11);
    assert!(run.stdout.contains("cannot be read at byte"), "{}", run.stdout);
    assert_eq!(offered(&site, "pc-1"), None);
    site.cli(&["bundle", "import", word(&bundle)]).ok();
}
