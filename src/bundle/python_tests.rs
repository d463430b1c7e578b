//! The check that `docs/` gives to whoever trusts nobody's program, run beside our own.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::testing::{Make, TestBundle, secret, small};
use super::*;
use crate::signing::{KeyEntry, SecretKey, introduction, public_key_file};

/// The Python that has what the check needs: that of `scripts/venv`, or the machine's.
fn python() -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    let has = |python: &PathBuf| {
        Command::new(python).args(["-c", "import cryptography"]).output().is_ok_and(|output| output.status.success())
    };
    [venv, PathBuf::from("python3")].into_iter().find(has)
}

/// Says loudly that a test is skipped; `./tests/run` prints the names again at its end.
fn skip(test: &str) {
    let why = "python3 has no package cryptography; scripts/venv makes one that has";
    eprintln!("SKIPPED {test}: {why}");
    if let Some(file) = std::env::var_os("RINGFENCE_SKIPPED") {
        let file = fs::File::options().append(true).create(true).open(file);
        file.and_then(|mut file| writeln!(file, "  {test}: {why}")).ok();
    }
}

/// What the script says of a directory, and whether it takes it.
fn check(python: &Path, dir: &Path, key: &str) -> (bool, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify_bundle.py");
    let output = Command::new(python).arg(script).arg(dir).arg(key).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), said)
}

fn takes(dir: &Path) -> bool {
    let inspect = || {
        let medium = Medium::open(dir).ok()?;
        let signature = medium.signature().ok()?;
        let trust = OriginTrust::in_keys([secret().public()]);
        let (manifest, ..) = verify(&medium.manifest().ok()?, signature.as_deref(), &trust).ok()?;
        let states = medium.survey(&manifest).volumes;
        let is_here = states.iter().all(|state| *state == VolumeState::Present);
        (is_here && audit(&medium, &manifest, &states, |_| {}).findings.is_empty()).then_some(())
    };
    inspect().is_some()
}

#[test]
fn python_takes_what_is_made_and_refuses_what_is_damaged() {
    let Some(python) = python() else { return skip("python_takes_what_is_made_and_refuses_what_is_damaged") };
    let key = secret().public().to_string();
    let bundle = small();
    let fresh = || {
        let dir = tempfile::tempdir().unwrap();
        bundle.write(dir.path());
        dir
    };
    let dir = fresh();
    let (taken, said) = check(&python, dir.path(), &key);
    let count = bundle.manifest.objects.len();
    assert!(taken && said.starts_with(&format!("valid: bundle 1 of site plant-7, {count} objects")), "{said}");
    assert!(takes(dir.path()));
    let file = dir.path().join("origin.pub");
    fs::write(&file, public_key_file(&secret().public())).unwrap();
    assert!(check(&python, dir.path(), file.to_str().unwrap()).0, "a key's file");
    let other = SecretKey::from_random([9; 32], *b"bundles1").public().to_string();
    assert!(!check(&python, dir.path(), &other).0, "another key under the same id");
    // One byte anywhere: both see it, but for what nobody signs.
    let files: Vec<PathBuf> =
        fs::read_dir(fresh().path()).unwrap().map(|entry| entry.unwrap().file_name().into()).collect();
    for (index, name) in files.iter().enumerate() {
        for place in [3_usize, 130, 555, 1_200, 9_001, 1 << 40].map(|place| place + index) {
            let dir = fresh();
            let path = dir.path().join(name);
            let mut bytes = fs::read(&path).unwrap();
            let place = place.min(bytes.len() - 1);
            bytes[place] ^= 0x21;
            fs::write(&path, bytes).unwrap();
            let (taken, said) = check(&python, dir.path(), &key);
            let ours = takes(dir.path());
            // Padding and what tar does not mind are only seen by us.
            let is_free = !ours && name.extension().is_some_and(|end| end == "tar") && taken;
            assert!(taken == ours || is_free, "byte {place} of {}: ours {ours}, {said}", name.display());
            assert!(taken || said.starts_with("NOT VALID: "), "{said}");
        }
    }
    for name in &files {
        let dir = fresh();
        fs::remove_file(dir.path().join(name)).unwrap();
        assert!(!check(&python, dir.path(), &key).0 && !takes(dir.path()), "without {}", name.display());
    }
}

#[test]
fn python_follows_the_keys_of_an_origin_and_reads_objects_only_where_they_are() {
    let test = "python_follows_the_keys_of_an_origin_and_reads_objects_only_where_they_are";
    let Some(python) = python() else { return skip(test) };
    let newer = SecretKey::from_random([8; 32], *b"bundles2");
    let mut make = Make::new(&[b"a body", b"another one"]);
    let (first, at) = (make.keys.keys[0].clone(), make.created);
    let text = introduction(&newer.public(), first.key.id, at);
    let introduced = KeyEntry {
        key: newer.public(),
        introduced_by: Some(first.key.id),
        introduction: Some(secret().sign(text.as_bytes(), "introduction")),
        ..first.clone()
    };
    make.secret = newer.clone();
    make.keys.keys = vec![first, introduced];
    let dir = tempfile::tempdir().unwrap();
    let bundle = make.bundle();
    bundle.write(dir.path());
    let key = secret().public().to_string();
    let (taken, said) = check(&python, dir.path(), &key);
    assert!(taken, "{said}");
    // An increment with a patch: its frames cannot be unpacked here, and must add up.
    let mut increment = bundle.manifest.clone();
    let (root, base) = (increment.root, increment.objects[1].body());
    let bundle_before = crate::model::BundleId(base.blake3);
    increment.base = crate::model::BundleBase::Assumed { bundle: bundle_before, root };
    let patch = &mut increment.objects[0];
    let half = |size: u64, packed_size: u64| Segment { size, packed_size, base_offset: 0, base_size: base.size };
    (patch.encoding, patch.base, patch.size) = (Encoding::Patch, Some(base), 700);
    patch.segments = vec![half(400, 2), half(300, patch.packed.size - 2)];
    increment.totals.bytes = increment.objects.iter().map(|object| object.size).sum();
    let says = |manifest: BundleManifest| {
        TestBundle::signed(manifest, bundle.volumes.clone(), &newer).write(dir.path());
        check(&python, dir.path(), &key)
    };
    let (taken, said) = says(increment.clone());
    assert!(taken, "{said}");
    for change in [|one: &mut Segment| one.size += 1, |one: &mut Segment| one.packed_size -= 1] {
        let mut manifest = increment.clone();
        change(&mut manifest.objects[0].segments[0]);
        let (taken, said) = says(manifest);
        assert!(!taken && said.contains("do not add up"), "{said}");
    }
    // Signed, and yet not what is there: sums, roots, names.
    type Change = fn(&mut BundleManifest);
    let changes: [(&str, Change); 6] = [
        ("packed", |manifest| {
            manifest.objects[0].packed.size += 1;
            manifest.objects[1].packed.size -= 1;
        }),
        ("totals", |manifest| manifest.totals.bytes += 1),
        ("root", |manifest| manifest.root = crate::model::Sha256Digest::of(b"x")),
        ("order", |manifest| manifest.objects.swap(0, 1)),
        ("issuer", |manifest| manifest.issuer = secret().public().id),
        ("place", |manifest| manifest.objects[0].parts[0].offset += 512),
    ];
    for (what, change) in changes {
        let mut manifest = bundle.manifest.clone();
        change(&mut manifest);
        let (taken, said) = says(manifest);
        assert!(!taken && said.starts_with("NOT VALID: "), "{what}: {said}");
    }
}
