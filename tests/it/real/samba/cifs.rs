//! Staging through SMB: the kernel's client mounts the share that smbd serves, and the stager writes there.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::readers::{Findings, PAIR, WINDOWS};
use super::smbd::{Held, Smbd};
use super::storm::switch;
use super::{is_root, public_dir};
use crate::support::tools::need;
use crate::support::{Run, skip};
use ringfence::share::stage::verify;

/// A mounted share, unmounted when dropped.
struct Cifs(tempfile::TempDir);

impl Cifs {
    /// What `mount` said where it cannot.
    fn mount(smbd: &Smbd, share: &str) -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "cifs", "-o", &format!("guest,port={}", smbd.port())]);
        let run = Run::of(mount.arg(format!("//127.0.0.1/{share}")).arg(dir.path()));
        if run.code == 0 { Ok(Self(dir)) } else { Err(run.stderr.lines().next().unwrap_or_default().to_owned()) }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Cifs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).output();
    }
}

#[test]
fn a_share_is_staged_onto_a_cifs_mount() {
    const TEST: &str = "real::samba::cifs::a_share_is_staged_onto_a_cifs_mount";
    need!("real::samba::cifs::a_share_is_staged_onto_a_cifs_mount", "smbd", "smbclient", "mount.cifs");
    if !is_root(TEST) {
        return;
    }
    let public = public_dir();
    let smbd = Smbd::start(&[("target", public.path())], true);
    let mount = match Cifs::mount(&smbd, "target") {
        Ok(mount) => mount,
        Err(why) => return skip(TEST, &format!("a share cannot be mounted here: {why}")),
    };
    let found = Findings::default();
    for number in 1..=3 {
        found.expect(&WINDOWS, number);
        found.expect(&PAIR, number);
    }
    let check = |number| {
        for path in WINDOWS.iter().chain(&PAIR) {
            let bytes = std::fs::read(public.path().join("tree").join(path)).unwrap();
            assert_eq!(found.version(path, &bytes), Some(number), "{path}");
        }
    };
    let dir = mount.path().join("tree");
    assert_eq!(switch(&dir, 1, 1, Duration::ZERO).is_pending, None);
    check(1);
    let held = Held::open(&smbd, "target", "tree/x64/mpam-fe.exe");
    let staged = switch(&dir, 2, 2, Duration::from_secs(1));
    eprintln!("{TEST}: with a file held open by another client: {:?}", staged.is_pending);
    assert_eq!(found.version(WINDOWS[0], &held.finish()), Some(1), "a file that was open meanwhile");
    assert_eq!(switch(&dir, 2, 2, Duration::from_secs(30)).is_pending, None, "nothing is open any more");
    check(2);
    assert_eq!(switch(&dir, 3, 3, Duration::from_secs(30)).is_pending, None);
    check(3);
    let verified = verify(&dir).unwrap();
    assert!(verified.is_good(), "{verified:?}");
}
