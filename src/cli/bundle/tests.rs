use std::path::Path;

use clap::Parser as _;

use super::report::{Report, Signer};
use crate::bundle::testing::{Make, TestBundle, secret, small};
use crate::bundle::{Medium, audit};
use crate::cli::{Cli, CliError};
use crate::signing::{SecretKey, public_key_file};

fn written() -> (tempfile::TempDir, TestBundle) {
    let (dir, bundle) = (tempfile::tempdir().unwrap(), small());
    bundle.write(dir.path());
    (dir, bundle)
}

fn run(dir: &Path, options: &[&str]) -> Result<(), CliError> {
    let mut words = vec!["ringfence", "bundle", "inspect", dir.to_str().unwrap()];
    words.extend(options);
    Cli::try_parse_from(words).unwrap().command.unwrap().run()
}

/// The exit code and the sentence.
fn refused(dir: &Path, options: &[&str]) -> (u8, String) {
    let error = run(dir, options).expect_err("a refusal");
    (error.exit_code(), error.to_string())
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn a_bundle_is_inspected_by_its_key_alone() {
    let (dir, _) = written();
    let key = secret().public().to_string();
    run(dir.path(), &["--key", &key]).unwrap();
    run(dir.path(), &["--key", &key, "--verify", "--json"]).unwrap();
    run(dir.path(), &["--unverified"]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), public_key_file(&secret().public())).unwrap();
    let other = SecretKey::from_random([9; 32], [9; 8]).public().to_string();
    run(dir.path(), &["--key", &other, "--key", file.path().to_str().unwrap(), "--verify"]).unwrap();
}

#[test]
fn each_refusal_has_its_exit_code() {
    let (dir, bundle) = written();
    let key = secret().public().to_string();
    let (code, text) = refused(dir.path(), &[]);
    assert!(code == 2 && text.contains("`ringfence key show` prints it at the origin"), "{text}");
    assert_eq!(refused(dir.path(), &["--key", "no such file"]).0, 3);
    assert_eq!(refused(&dir.path().join("none"), &["--key", &key]).0, 6);
    let other = SecretKey::from_random([9; 32], [9; 8]).public().to_string();
    let (code, text) = refused(dir.path(), &["--key", &other]);
    assert!(code == 10 && text.contains("is not trusted here"), "{text}");
    let at = |name: &str| dir.path().join(name);
    // A missing volume is carried by somebody else; unless all of it is to be verified.
    std::fs::rename(at("vol-0002.tar"), at("kept")).unwrap();
    run(dir.path(), &["--key", &key]).unwrap();
    let (code, text) = refused(dir.path(), &["--key", &key, "--verify"]);
    assert_eq!((code, &*text), (8, "the bundle is not whole here: 1 volume missing"));
    std::fs::write(at("vol-0002.tar"), "something else").unwrap();
    let (code, text) = refused(dir.path(), &["--key", &key]);
    assert_eq!((code, &*text), (8, "the bundle is not whole here: 1 volume not as signed"));
    std::fs::rename(at("kept"), at("vol-0002.tar")).unwrap();
    // A damaged one is only seen by who reads it.
    let mut bytes = bundle.volumes[0].clone();
    let part = bundle.manifest.objects.iter().flat_map(|object| &object.parts).find(|part| part.volume == 1).unwrap();
    bytes[part.offset as usize] ^= 1;
    std::fs::write(at("vol-0001.tar"), bytes).unwrap();
    run(dir.path(), &["--key", &key]).unwrap();
    let (code, text) = refused(dir.path(), &["--key", &key, "--verify"]);
    assert_eq!((code, &*text), (8, "the bundle is not whole here: 1 finding"));
    std::fs::write(at("BUNDLE.json"), bundle.text.replace("plant-7", "plant-8")).unwrap();
    assert_eq!(refused(dir.path(), &["--key", &key]).0, 10);
    let (code, text) = refused(dir.path(), &["--unverified"]);
    assert!(code == 3 && text.contains("its bytes were changed"), "{text}");
    std::fs::remove_file(at("BUNDLE.sig")).unwrap();
    let (code, text) = refused(dir.path(), &["--key", &key]);
    assert!(code == 10 && text.starts_with("the bundle is not signed"), "{text}");
    std::fs::rename(at("BUNDLE.json"), at("bundle.json")).unwrap();
    assert_eq!(refused(dir.path(), &["--key", &key]).0, 3);
    // In a format of later, and signed.
    let mut later = bundle.manifest.clone();
    later.format = 2;
    let later = TestBundle::signed(later, bundle.volumes.clone(), &secret());
    std::fs::remove_file(at("bundle.json")).unwrap();
    later.write(dir.path());
    let (code, text) = refused(dir.path(), &["--key", &key]);
    assert!(code == 3 && text.contains("has format 2, and this version of ringfence reads format 1"), "{text}");
}

#[test]
fn what_is_said_of_a_bundle() {
    let (dir, bundle) = written();
    std::fs::remove_file(dir.path().join("vol-0002.tar")).unwrap();
    std::fs::write(dir.path().join("notes.txt"), "").unwrap();
    let medium = Medium::open(dir.path()).unwrap();
    let survey = medium.survey(&bundle.manifest);
    let audit = audit(&medium, &bundle.manifest, &survey.volumes, |_| {});
    let report = |signer, now: &str| Report {
        manifest: &bundle.manifest,
        bundle: bundle.id,
        signer,
        survey: &survey,
        audit: Some(&audit),
        now: now.parse().unwrap(),
    };
    let good = report(Signer::Verified(secret().public()), "2026-11-22T00:00:00Z");
    let text: Vec<String> = good.lines().iter().map(|(name, value)| plain(&format!("{name:<16} {value}"))).collect();
    insta::assert_snapshot!("inspected", text.join("\n"));
    let json = good.json();
    assert_eq!((&json["expired"], &json["signer"]), (&false.into(), &secret().public().to_string().into()));
    let states: Vec<&str> = json["volumes"].as_array().unwrap().iter().map(|v| v["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["present", "missing", "present"]);
    assert_eq!((&json["ignored"][0], &json["verified"]["findings"]), (&"notes.txt".into(), &serde_json::json!([])));
    let late = report(Signer::Unverified, "2027-01-01T00:00:00Z");
    assert_eq!((&late.json()["expired"], &late.json()["signer"]), (&true.into(), &serde_json::Value::Null));
    let said = plain(&late.lines().iter().map(|(_, value)| value.clone()).collect::<Vec<_>>().join("\n"));
    assert!(said.contains("(expired)") && said.contains("NOT VERIFIED"), "{said}");
    // A full one of nothing but its state is a bundle, too.
    assert_eq!(Make::new(&[]).bundle().manifest.totals.objects, 1);
}
