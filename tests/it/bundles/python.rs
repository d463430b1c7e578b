//! The check that `docs/` gives to whoever trusts nobody's program, over what real servers write: a full bundle, and an
//! increment with frames, patches and objects in parts.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::origin::{Origin, SITE, bodies, volumes, word};
use super::receipts::{edited, last_receipt, manifest};
use crate::support::{Run, Setup, random_bytes, skip};

/// The Python that has what the check needs: that of `scripts/venv`, or the machine's.
fn python() -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    let has = |python: &PathBuf| {
        let asked = Command::new(python).args(["-c", "import cryptography"]).output();
        asked.is_ok_and(|output| output.status.success())
    };
    [venv, PathBuf::from("python3")].into_iter().find(has)
}

fn check(python: &Path, bundle: &Path, key: &Path) -> Run {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify_bundle.py");
    Run::of(Command::new(python).arg(script).args([bundle, key]))
}

fn copy_of(bundle: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(bundle).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

/// The parts of the first object that is packed so, in so many parts.
fn parts<'a>(manifest: &'a Value, encoding: &str, is_wanted: impl Fn(usize) -> bool) -> &'a [Value] {
    let objects = manifest["objects"].as_array().unwrap();
    let parts = |object: &'a Value| object["parts"].as_array().unwrap().as_slice();
    let found = objects.iter().find(|object| object["encoding"] == encoding && is_wanted(parts(object).len()));
    parts(found.unwrap_or_else(|| panic!("there is no such {encoding} object in {manifest}")))
}

#[test]
fn python_takes_an_increment_with_patches_and_refuses_a_damaged_one() {
    const NAME: &str = "bundles::python::python_takes_an_increment_with_patches_and_refuses_a_damaged_one";
    let Some(python) = python() else { return skip(NAME, "python3 has no package cryptography") };
    let origin = Origin::start();
    let key = origin.server.root().join("origin.pub");
    let text = |line: &str| format!("{line}\n").repeat(3_000).into_bytes();
    let one = bodies(1, 400_000, 3);
    origin.publish("1.0", &[one.clone(), vec![text("one line of many")]].concat());
    let full = origin.export(SITE, "full", 64 << 10);
    assert!(volumes(&full).len() > 6);
    let run = check(&python, &full, &key).ok();
    assert!(run.stdout.starts_with("valid: bundle 1 of site plant-7, "), "{}", run.stdout);
    let site = origin.site(Setup::new(), SITE).start();
    site.cli(&["bundle", "import", word(&full)]).ok();
    let stick = tempfile::tempdir().unwrap();
    origin.server.cli(&["bundle", "receipt", word(&last_receipt(&site, stick.path()))]).ok();

    // A small patch, a patch that is longer than a volume, a frame, and new noise in parts.
    let mut rewritten = one[0].clone();
    rewritten.splice(50_000..150_000, random_bytes(77, 100_000));
    let two =
        [edited(&one[0], 7), rewritten, text("another line, which is new"), random_bytes(78, 150_000), one[1].clone()];
    origin.publish("2.0", &two);
    let increment = origin.export(SITE, "auto", 64 << 10);
    let said = manifest(&increment);
    assert_eq!(said["base"]["kind"], "proven");
    let run = check(&python, &increment, &key).ok();
    let valid = format!("valid: bundle 2 of site plant-7, {} objects", said["objects"].as_array().unwrap().len());
    assert!(run.stdout.starts_with(&valid), "{}", run.stdout);

    let is_one = |parts: usize| parts == 1;
    let are_several = |parts: usize| parts > 1;
    let places = [
        parts(&said, "patch", is_one).first(),
        parts(&said, "patch", are_several).last(),
        parts(&said, "zstd", is_one).first(),
        parts(&said, "raw", are_several).last(),
    ];
    for part in places.map(Option::unwrap) {
        let number = |key: &str| part[key].as_u64().unwrap();
        let name = format!("vol-{:04}.tar", number("volume"));
        let damaged = copy_of(&increment);
        let volume = damaged.path().join(&name);
        let mut bytes = std::fs::read(&volume).unwrap();
        bytes[(number("offset") + number("size") / 2) as usize] ^= 0x10;
        std::fs::write(&volume, bytes).unwrap();
        check(&python, damaged.path(), &key).complains(1, &["NOT VALID: object ", "is damaged in", &name]);
        std::fs::File::options().write(true).open(&volume).unwrap().set_len(number("offset")).unwrap();
        check(&python, damaged.path(), &key).complains(1, &["NOT VALID: ", &name, "has another length"]);
        std::fs::remove_file(&volume).unwrap();
        check(&python, damaged.path(), &key).complains(1, &["NOT VALID: volume ", "is missing"]);
    }
    // What the signature covers: the base, and a patch's frames.
    let text = std::fs::read_to_string(increment.join("BUNDLE.json")).unwrap();
    for (from, to) in [("\"kind\":\"proven\"", "\"kind\":\"broken\""), ("\"base_offset\":0", "\"base_offset\":1")] {
        assert!(text.contains(from), "{said}");
        let changed = copy_of(&increment);
        std::fs::write(changed.path().join("BUNDLE.json"), text.replacen(from, to, 1)).unwrap();
        check(&python, changed.path(), &key).complains(1, &["NOT VALID: BUNDLE.json is not signed"]);
    }
    // Volumes of the bundle before, under the same names.
    let mixed = copy_of(&increment);
    std::fs::copy(full.join("vol-0001.tar"), mixed.path().join("vol-0001.tar")).unwrap();
    check(&python, mixed.path(), &key).complains(1, &["NOT VALID: "]);
    let done = site.json(&["bundle", "import", word(&increment)]);
    assert_eq!(done["state"], json!("applied"), "and the site takes what the check takes");
}
