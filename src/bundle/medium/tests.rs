use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::bundle::testing::{Make, TestBundle, small};

fn written() -> (tempfile::TempDir, TestBundle) {
    let (dir, bundle) = (tempfile::tempdir().unwrap(), small());
    bundle.write(dir.path());
    (dir, bundle)
}

fn refusal(dir: &Path) -> String {
    Medium::open(dir).expect_err("no bundle").to_string()
}

#[test]
fn a_bundle_is_found_and_read() {
    let (dir, bundle) = written();
    let medium = Medium::open(dir.path()).unwrap();
    assert_eq!(medium.manifest().unwrap(), bundle.text.as_bytes());
    assert_eq!(medium.signature().unwrap(), Some(bundle.signature.clone()));
    let survey = medium.survey(&bundle.manifest);
    assert_eq!(survey, Survey { volumes: vec![VolumeState::Present; bundle.volumes.len()], ignored: Vec::new() });
    for object in &bundle.manifest.objects {
        for part in &object.parts {
            let file = medium.volume(&bundle.manifest, part.volume).unwrap();
            let mut bytes = Vec::new();
            file.span(part.offset, part.size).read_to_end(&mut bytes).unwrap();
            assert_eq!(crate::model::Sha256Digest::of(&bytes), part.sha256);
        }
    }
    assert!(medium.volume(&bundle.manifest, 0).is_err() && medium.volume(&bundle.manifest, 77).is_err());
}

#[test]
fn every_volume_that_is_not_as_it_should_be_is_named() {
    let (dir, bundle) = written();
    let at = |name: &str| dir.path().join(name);
    let mut other = Make::new(&[b"something else"]);
    other.sequence = 11;
    let other = other.bundle();
    fs::write(at("vol-0001.tar"), &other.volumes[0]).unwrap();
    fs::rename(at("vol-0002.tar"), at("vol-0099.tar")).unwrap();
    fs::write(at("vol-0003.tar"), &bundle.volumes[2][..2048]).unwrap();
    fs::write(at("read me.txt"), "hello").unwrap();
    fs::create_dir(at("System Volume Information")).unwrap();
    symlink("/etc/passwd", at("passwd")).unwrap();
    let medium = Medium::open(dir.path()).unwrap();
    let Survey { volumes, ignored } = medium.survey(&bundle.manifest);
    assert!(
        matches!(&volumes[0], VolumeState::Other(NotThisVolume::OtherBundle { found, .. }) if found.sequence == 11)
    );
    assert_eq!(volumes[1..], [VolumeState::Missing, VolumeState::WrongSize { found: 2048 }]);
    assert_eq!(ignored, ["System Volume Information", "passwd", "read me.txt", "vol-0099.tar"]);
    let short = medium.volume(&bundle.manifest, 3).unwrap_err().to_string();
    assert!(short.starts_with("vol-0003.tar ends at byte 2048, before"), "{short}");
    // Cut off while it is read.
    let file = medium.file_for_test("vol-0099.tar");
    fs::File::options().write(true).open(at("vol-0099.tar")).unwrap().set_len(1000).unwrap();
    let error = file.span(900, 500).read_to_end(&mut Vec::new()).unwrap_err();
    let error = error.downcast::<MediumError>().unwrap();
    assert_eq!(error, MediumError::Short { name: "vol-0099.tar".into(), end: 1000 });
}

#[test]
fn what_is_no_bundle_is_refused_in_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    assert!(refusal(&dir.path().join("none")).ends_with("there is no such directory; is the medium mounted?"));
    assert!(refusal(dir.path()).ends_with("is empty: is the medium mounted?"));
    fs::write(dir.path().join("vol-0001.tar"), "").unwrap();
    assert!(refusal(dir.path()).ends_with("holds no bundle: there is no BUNDLE.json in it"));
    assert!(refusal(&dir.path().join("vol-0001.tar")).contains("there is no such directory"));
    fs::write(dir.path().join("BUNDLE.json"), "").unwrap();
    let medium = Medium::open(dir.path()).unwrap();
    assert_eq!(medium.signature().unwrap(), None, "an export that was stopped");
    fs::write(dir.path().join("bundle.json"), "").unwrap();
    assert!(refusal(dir.path()).starts_with("bundle.json and BUNDLE.json differ only in case"));
    fs::remove_file(dir.path().join("bundle.json")).unwrap();
    fs::rename(dir.path().join("vol-0001.tar"), dir.path().join("VOL-0001.TAR")).unwrap();
    assert!(refusal(dir.path()).starts_with("VOL-0001.TAR is vol-0001.tar in another spelling"));
}

#[test]
fn links_special_files_and_long_ones_are_refused() {
    let (dir, bundle) = written();
    let at = |name: &str| dir.path().join(name);
    let swap = |name: &str, make: &dyn Fn(&Path)| {
        fs::rename(at(name), at("kept")).unwrap();
        make(&at(name));
        let medium = Medium::open(dir.path()).unwrap();
        let seen = match name {
            "BUNDLE.json" => medium.manifest().unwrap_err(),
            "BUNDLE.sig" => medium.signature().unwrap_err(),
            _ => medium.volume(&bundle.manifest, 1).unwrap_err(),
        };
        if at(name).is_dir() {
            fs::remove_dir(at(name)).unwrap()
        } else {
            fs::remove_file(at(name)).unwrap()
        }
        fs::rename(at("kept"), at(name)).unwrap();
        seen.to_string()
    };
    for name in ["BUNDLE.json", "BUNDLE.sig", "vol-0001.tar"] {
        let link = swap(name, &|path| symlink("kept", path).unwrap());
        assert_eq!(link, format!("{name} is a symbolic link, and none is followed: copy the file itself"));
        let folder = swap(name, &|path| fs::create_dir(path).unwrap());
        assert_eq!(folder, format!("{name} is no regular file, so it is nothing of a bundle's"));
        let pipe = swap(name, &|path| {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        });
        assert_eq!(pipe, folder, "and nobody waits for its other end");
        let long = swap(name, &|path| fs::File::create(path).unwrap().set_len(1 << 41).unwrap());
        assert!(long.starts_with(&format!("{name} has 2199023255552 bytes, and at most ")), "{long}");
    }
}

#[test]
fn a_medium_that_does_not_answer_says_where() {
    // Reading a process's unmapped memory is an I/O error like that of a medium that was pulled.
    let dir = Path::new("/proc/self");
    let medium = Medium::for_test(dir, "mem");
    let error = medium.file_for_test("mem").read_at(&mut [0; 16], 0).unwrap_err().to_string();
    assert!(
        error.starts_with("the medium cannot be read at /proc/self/mem, byte 0: it may have been pulled"),
        "{error}"
    );
    assert!(error.ends_with("nothing was changed"), "{error}");
}

#[test]
fn nothing_on_the_medium_changes() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let (dir, bundle) = written();
    let stamps = || {
        let mut seen: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let found = entry.metadata().unwrap();
                (entry.file_name(), found.mtime_nsec(), found.ctime_nsec(), fs::read(entry.path()).unwrap())
            })
            .collect();
        seen.sort();
        (seen, fs::metadata(dir.path()).unwrap().mtime_nsec())
    };
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let before = stamps();
    let medium = Medium::open(dir.path()).unwrap();
    assert!(medium.manifest().is_ok() && medium.signature().is_ok());
    assert!(medium.survey(&bundle.manifest).volumes.iter().all(|state| *state == VolumeState::Present));
    assert_eq!(stamps(), before);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
}
