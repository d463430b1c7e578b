//! Exporting: what is in a bundle, what is not, and what becomes of media that fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::bad_input::Tmpfs;
use crate::faults::kill::fault_points_of_exports;
use crate::support::run::Run;
use crate::support::{Setup, TestServer, random_bytes, sha256_hex, skip};

const POLICY: &str = r#"
[[ring]]
name = "r"

[[group]]
name  = "tills"
match = { id = "till-*" }
ring  = "r"
keep  = "N-1"

[[group]]
name  = "kiosks"
match = { id = "kiosk-*" }
ring  = "r"
defer = "2d"

[[group]]
name  = "everyone"
match = "any"
ring  = "r"

[[site]]
name   = "plant-7"
groups = ["everyone"]

[[site]]
name    = "ship"
groups  = ["kiosks"]
preload = "3d"

[[site]]
name   = "shop"
groups = ["tills"]
"#;

/// A server with three versions of one product, whose bodies are noise.
fn origin() -> (TestServer, BTreeMap<&'static str, Vec<u8>>) {
    let server = Setup::new().policy(POLICY).start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    let admin = server.as_admin();
    let bodies: BTreeMap<_, _> =
        [("1.0", 1), ("2.0", 2), ("3.0", 3)].map(|(version, seed)| (version, random_bytes(seed, 300_000))).into();
    for (version, body) in &bodies {
        admin.try_publish("feed", version, body).unwrap().expect(201);
    }
    (server, bodies)
}

fn export(server: &TestServer, site: &str, to: &Path, more: &[&str]) -> Run {
    let mut words = vec!["bundle", "export", "--site", site, "--to", to.to_str().unwrap()];
    words.extend(more);
    server.cli(&words)
}

/// A bundle as it lies in a directory, read by its offsets alone.
struct Read {
    manifest: Value,
    /// Packed bytes by the BLAKE3 of the body.
    packed: BTreeMap<String, Vec<u8>>,
    state: Value,
}

impl Read {
    fn from(dir: &Path) -> Self {
        let manifest: Value = serde_json::from_slice(&fs::read(dir.join("BUNDLE.json")).unwrap()).unwrap();
        assert!(fs::read_to_string(dir.join("BUNDLE.sig")).unwrap().starts_with("untrusted comment: "));
        let names: Vec<_> = manifest["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect();
        let mut found: BTreeSet<String> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        for name in names.iter().map(String::as_str).chain(["BUNDLE.json", "BUNDLE.sig"]) {
            assert!(found.remove(name), "{name} is there");
        }
        assert!(found.is_empty(), "and nothing else: {found:?}");
        let volumes: Vec<_> = names.iter().map(|name| fs::read(dir.join(name)).unwrap()).collect();
        let mut packed = BTreeMap::new();
        let (mut state, state_id) = (Value::Null, manifest["state"].as_str().unwrap());
        for object in manifest["objects"].as_array().unwrap() {
            let mut bytes = Vec::new();
            for part in object["parts"].as_array().unwrap() {
                let number = |key: &str| part[key].as_u64().unwrap() as usize;
                let piece = &volumes[number("volume") - 1][number("offset")..][..number("size")];
                assert_eq!(sha256_hex(piece), part["sha256"]);
                bytes.extend_from_slice(piece);
            }
            assert_eq!(sha256_hex(&bytes), object["packed"]["sha256"]);
            if object["blake3"] == state_id {
                let json = match object["encoding"].as_str().unwrap() {
                    "raw" => bytes.clone(),
                    _ => zstd::decode_all(&bytes[..]).unwrap(),
                };
                assert_eq!(sha256_hex(&json), object["sha256"]);
                state = serde_json::from_slice(&json).unwrap();
            }
            packed.insert(object["blake3"].as_str().unwrap().to_owned(), bytes);
        }
        Self { manifest, packed, state }
    }

    /// The versions that come with their bytes, and those that only count.
    fn versions(&self) -> (Vec<String>, Vec<String>) {
        let product = &self.state["products"][0];
        let absent: Vec<&Value> = product["absent"].as_array().into_iter().flatten().collect();
        let (mut here, mut only_named) = (Vec::new(), Vec::new());
        for release in product["releases"].as_array().unwrap() {
            let list = if absent.contains(&&release["id"]) { &mut only_named } else { &mut here };
            list.push(release["manifest"]["version"].as_str().unwrap().to_owned());
        }
        (here, only_named)
    }

    fn has(&self, body: &[u8]) -> bool {
        self.packed.values().any(|packed| packed == body)
    }
}

fn list(versions: &[&str]) -> Vec<String> {
    versions.iter().map(ToString::to_string).collect()
}

#[test]
fn a_bundle_has_what_its_groups_are_shown_and_nothing_else() {
    let (server, bodies) = origin();
    let dir = tempfile::tempdir().unwrap();
    let of = |site: &str, more: &[&str]| {
        let to = dir.path().join(format!("{site}-{}", more.join("")));
        export(&server, site, &to, more).ok();
        Read::from(&to)
    };
    let plant = of("plant-7", &[]);
    // The newest, and what was the newest within the download grace.
    assert_eq!(plant.versions(), (list(&["1.0", "2.0", "3.0"]), list(&[])));
    assert!(bodies.values().all(|body| plant.has(body)));
    assert_eq!(plant.manifest["groups"], serde_json::json!(["everyone"]));
    assert_eq!(plant.manifest["base"]["kind"], "full");
    let ship = of("ship", &[]);
    assert_eq!(ship.versions().0.last().map(String::as_str), Some("3.0"), "within its preload");
    let none_yet = of("other", &["--group", "kiosks"]);
    assert_eq!(none_yet.versions(), (list(&[]), list(&[])), "deferred, and there is no preload");
    let shop = of("shop", &[]);
    assert_eq!(shop.versions(), (list(&["1.0", "2.0"]), list(&["3.0"])), "the newest only counts");
    assert!(!shop.has(&bodies["3.0"]), "and is not in the volumes");

    server.cli(&["hold", "add", "feed", "3.0", "--everyone", "--reason", "it is bad", "--yes"]).ok();
    let held = of("plant-7", &["--since", "full"]);
    assert!(!held.has(&bodies["3.0"]), "what is withheld is not carried");
    assert_eq!(held.versions().0.last().map(String::as_str), Some("2.0"));
    assert_eq!(held.manifest["sequence"], 2);
    assert_eq!(held.manifest["previous"].as_str().map(str::len), Some(64));
    export(&server, "plant-7", &dir.path().join("x"), &["--group", "nobody"]).complains(1, &["no group nobody"]);
}

#[test]
fn the_newest_bundle_may_be_assumed_and_what_is_not_proven_is_not_patched() {
    let (server, bodies) = origin();
    let dir = tempfile::tempdir().unwrap();
    export(&server, "plant-7", &dir.path().join("1"), &[]).ok();
    let newer = random_bytes(4, 300_000);
    server.as_admin().try_publish("feed", "4.0", &newer).unwrap().expect(201);
    export(&server, "plant-7", &dir.path().join("2"), &[]).ok();
    let auto = Read::from(&dir.path().join("2"));
    assert_eq!(auto.manifest["base"]["kind"], "full", "no receipt has proven anything");
    assert!(bodies.values().all(|body| auto.has(body)) && auto.has(&newer));
    let answer = export(&server, "plant-7", &dir.path().join("3"), &["--since", "last", "--json"]).ok().json();
    assert_eq!(answer["base"]["kind"], "assumed");
    let last = Read::from(&dir.path().join("3"));
    assert_eq!(last.packed.len(), 1, "only what the origin decides is new");
    assert_eq!(last.manifest["base"]["root"], auto.manifest["root"]);
    // What a bundle said is kept, and a sweep leaves it.
    server.cli(&["store", "sweep"]).ok();
    server.cli(&["store", "verify"]).ok();
    export(&server, "plant-7", &dir.path().join("4"), &["--since", "last"]).ok();
    assert_eq!(Read::from(&dir.path().join("4")).manifest["base"]["kind"], "assumed");
}

#[test]
fn large_objects_are_split_and_every_volume_is_a_tar() {
    let (server, bodies) = origin();
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("small");
    export(&server, "plant-7", &to, &["--volume-size", "64KiB"]).ok();
    let read = Read::from(&to);
    assert!(bodies.values().all(|body| read.has(body)));
    for volume in read.manifest["volumes"].as_array().unwrap() {
        let path = to.join(volume["name"].as_str().unwrap());
        assert!(fs::metadata(&path).unwrap().len() <= 64 << 10);
        let listed = Run::of(std::process::Command::new("tar").arg("-tf").arg(&path)).ok();
        assert!(listed.stdout.starts_with("LIST.json\n") && listed.stderr.is_empty(), "{}", listed.stderr);
    }
    let tiny = dir.path().join("tiny");
    export(&server, "plant-7", &tiny, &["--volume-size", "1KiB"]).complains(1, &["choose between"]);
}

#[test]
fn a_directory_with_anything_in_it_is_refused_and_left_alone() {
    let (server, _) = origin();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("photo.jpg"), "x").unwrap();
    let seq = server.journal_seq();
    export(&server, "plant-7", dir.path(), &[]).complains(7, &["not empty", "photo.jpg"]);
    let missing = dir.path().join("a/b");
    export(&server, "plant-7", &missing, &[]).exits(1);
    assert_eq!(server.journal_seq(), seq, "nothing was exported");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// Ends the command at every fault point of its own.
#[test]
fn a_killed_export_has_no_signature_and_is_named() {
    let (server, bodies) = origin();
    let points = fault_points_of_exports();
    assert!(points.len() >= 3, "the sources name few fault points of exports: {points:?}");
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("killed");
    let words = ["bundle", "export", "--site", "plant-7", "--volume-size", "256KiB", "--to", to.to_str().unwrap()];
    for point in points {
        let cut = Run::of(server.command(&words).env("RINGFENCE_FAULT", &point));
        assert_eq!(cut.code, -1, "{point} was not passed: {}", cut.stderr);
        assert!(fs::read_dir(&to).unwrap().count() > 0 && !to.join("BUNDLE.sig").exists(), "{point}");
        export(&server, "plant-7", &to, &[]).complains(7, &["was not finished", "empty it"]);
        fs::remove_dir_all(&to).unwrap();
    }
    export(&server, "plant-7", &to, &[]).ok();
    assert!(Read::from(&to).has(&bodies["3.0"]));
}

#[test]
fn a_full_or_read_only_medium_is_named_and_left_clean() {
    const NAME: &str = "bundles::export::a_full_or_read_only_medium_is_named_and_left_clean";
    let Some(mount) = Tmpfs::mount("size=4m") else { return skip(NAME, "a tmpfs cannot be mounted") };
    let (server, _) = origin();
    let large = random_bytes(9, 8 << 20);
    server.as_admin().try_publish("feed", "9.0", &large).unwrap().expect(201);
    export(&server, "plant-7", mount.path(), &[]).complains(1, &["bytes free", "another medium"]);
    assert_eq!(fs::read_dir(mount.path()).unwrap().count(), 0);
    mount.remount("ro");
    export(&server, "plant-7", mount.path(), &[]).complains(1, &["read-only"]);
    mount.remount("rw");
    assert_eq!(fs::read_dir(mount.path()).unwrap().count(), 0);
}
