//! Disks and media that fill up in the middle: a sentence, nothing that is taken for whole, and it works when there is space.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::origin::{Origin, SITE, bodies, offered, word};
use crate::bad_input::Tmpfs;
use crate::support::{Run, Setup, TestServer, have, random_bytes, skip};

/// Takes all the space of a file system once something is so, from another thread; gives it back when dropped.
pub(crate) struct Taker {
    filler: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<bool>>,
}

impl Taker {
    fn when(place: &Path, is_so: impl Fn() -> bool + Send + 'static) -> Self {
        let filler = place.join("filler");
        let (path, stop) = (filler.clone(), Arc::new(AtomicBool::new(false)));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            while !is_so() {
                if stopped.load(Ordering::Relaxed) {
                    return false;
                }
                std::thread::sleep(Duration::from_micros(300));
            }
            let file = std::fs::File::create(&path).unwrap();
            let size = rustix::fs::statvfs(&path).map(|stat| stat.f_bavail * stat.f_frsize).unwrap();
            // At once if it can be, then to the last byte.
            let _ = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, size);
            let mut end = std::fs::File::options().append(true).open(&path).unwrap();
            let page = [0; 4096];
            while std::io::Write::write_all(&mut end, &page).is_ok() {}
            true
        });
        Self { filler, stop, thread: Some(thread) }
    }

    pub(crate) fn now(place: &Path) -> Self {
        let mut taker = Self::when(place, || true);
        taker.thread.take().unwrap().join().unwrap();
        taker
    }

    /// All but so many bytes, now.
    fn leaving(place: &Path, left_bytes: u64) -> Self {
        let filler = place.join("filler");
        let file = std::fs::File::create(&filler).unwrap();
        let free_bytes = rustix::fs::statvfs(&filler).map(|stat| stat.f_bavail * stat.f_frsize).unwrap();
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, free_bytes - left_bytes).unwrap();
        Self { filler, stop: Arc::default(), thread: None }
    }

    /// Whether it has; what has not become so by now is not waited for.
    fn has_taken(&mut self) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().is_some_and(|thread| thread.join().unwrap())
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        self.has_taken();
        let _ = std::fs::remove_file(&self.filler);
    }
}

/// Bytes that shrink when packed, and not to nothing.
fn text(seed: u64, length: usize) -> Vec<u8> {
    random_bytes(seed, length).into_iter().map(|byte| b"0123456789abcdef"[usize::from(byte % 16)]).collect()
}

fn export(server: &TestServer, to: &Path) -> Run {
    server.cli(&["bundle", "export", "--site", SITE, "--volume-size", "8MiB", "--to", word(to)])
}

/// Nobody takes it for a bundle, and it says what to do with it.
#[track_caller]
fn is_no_bundle(origin: &Origin, dir: &Path) {
    assert!(!dir.join("BUNDLE.sig").exists());
    let key = origin.server.root().join("origin.pub");
    let run = origin.server.cli(&["bundle", "inspect", word(dir), "--key", word(&key)]);
    assert!(run.code != 0 && run.stderr.trim_end().lines().count() == 1, "{} {}", run.code, run.stderr);
    for entry in dir.read_dir().unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.starts_with("vol-"), "what was not whole is removed: {name}");
    }
}

#[test]
fn a_medium_that_fills_up_in_a_volume_is_named_and_another_one_works() {
    const NAME: &str = "bundles::full::a_medium_that_fills_up_in_a_volume_is_named_and_another_one_works";
    let Some(mount) = Tmpfs::mount("size=48m") else { return skip(NAME, "a tmpfs cannot be mounted") };
    let origin = Origin::start();
    origin.publish("1.0", &bodies(1, 40 << 20, 3));
    let to = mount.path().join("medium");
    // On a busy machine the space may be taken only when all volumes are written: then once more.
    let cut = (0..5).find_map(|_| {
        let first = to.join("vol-0001.tar");
        let mut taker = Taker::when(mount.path(), move || first.exists());
        let run = export(&origin.server, &to);
        if taker.has_taken() && run.code != 0 {
            return Some((run, taker));
        }
        std::fs::remove_dir_all(&to).unwrap();
        None
    });
    let (run, taker) = cut.expect("every export was through before the space was gone: the test tested nothing");
    let run = run.complains(1, &["no space is left on the medium", "vol-000"]);
    assert_eq!(run.stderr.lines().filter(|line| line.contains("no space")).count(), 1, "{}", run.stderr);
    is_no_bundle(&origin, &to);
    assert!(to.join("vol-0001.tar").exists(), "it filled up too early to tell");
    drop(taker);
    export(&origin.server, &to).complains(7, &["was not finished", "empty it"]);
    std::fs::remove_dir_all(&to).unwrap();
    export(&origin.server, &to).ok();
    let site = origin.site(Setup::new(), SITE).start();
    site.cli(&["bundle", "import", word(&to)]).ok();
    assert_eq!(offered(&site, "pc-1").as_deref(), Some("1.0"));
}

#[test]
fn a_medium_that_fails_while_it_is_written_is_named() {
    const NAME: &str = "bundles::full::a_medium_that_fails_while_it_is_written_is_named";
    if !have("strace") {
        return skip(NAME, "strace is not installed");
    }
    let origin = Origin::start();
    origin.publish("1.0", &bodies(1, 3 << 20, 3));
    let key = origin.server.root().join("origin.pub");
    // The bytes of a volume, the fsync of one, and the names of the last files.
    let injected = [
        ("write:error=EIO:when=3+", ".ringfence-vol-0001.tar"),
        ("write:error=ENOSPC:when=2+", ".ringfence-vol-0001.tar"),
        ("fsync:error=EIO", ".ringfence-vol-0001.tar"),
        ("fsync:error=EIO", ".ringfence-BUNDLE.json"),
        ("write:error=EIO", ".ringfence-BUNDLE.sig"),
        ("fsync:error=ENOSPC", ".ringfence-BUNDLE.sig"),
    ];
    for (number, (rule, file)) in injected.into_iter().enumerate() {
        let to = origin.server.root().join(format!("medium-{number}"));
        let export = origin.server.command(&["bundle", "export", "--site", SITE, "--to", word(&to)]);
        let mut command = std::process::Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-P"]).arg(to.join(file)).args(["-e", &format!("inject={rule}")]);
        command.arg(export.get_program()).args(export.get_args());
        command.envs(export.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let said = if rule.contains("EIO") { "damaged or gone" } else { "no space" };
        Run::of(&mut command).complains(1, &[said]);
        assert!(!to.join("BUNDLE.sig").exists(), "{rule} {file}");
        let run = origin.server.cli(&["bundle", "inspect", word(&to), "--key", word(&key)]);
        assert_ne!(run.code, 0, "{rule} {file}");
    }
    export(&origin.server, &origin.server.root().join("good")).ok();
}

#[test]
fn an_origin_without_space_for_what_is_packed_says_so_and_goes_on() {
    const NAME: &str = "bundles::full::an_origin_without_space_for_what_is_packed_says_so_and_goes_on";
    let Some(mount) = Tmpfs::mount("size=96m") else { return skip(NAME, "a tmpfs cannot be mounted") };
    let origin = Origin::of(Setup::below(mount.path()));
    origin.publish("1.0", &[text(1, 24 << 20), random_bytes(2, 100_000)]);
    let scratch = tempfile::tempdir().unwrap();
    let seq = origin.server.journal_seq();
    let exports = origin.server.data().join("exports");
    let nothing_packed = || assert_eq!(exports.read_dir().unwrap().count(), 0);
    // Full before it begins.
    let taker = Taker::now(mount.path());
    let to = scratch.path().join("full");
    export(&origin.server, &to).complains(1, &["no space left on the server"]);
    assert_eq!(to.read_dir().unwrap().count(), 0);
    drop(taker);
    nothing_packed();
    // Full in the middle: of twelve packed MiB there is space for a third.
    let taker = Taker::leaving(mount.path(), 4 << 20);
    export(&origin.server, &to).complains(1, &["no space left on the server"]);
    assert_eq!(to.read_dir().unwrap().count(), 0);
    assert_eq!(origin.server.journal_seq(), seq, "nothing was exported");
    assert_eq!(origin.server.offered_version("pc-1", "feed").as_deref(), Some("1.0"));
    drop(taker);
    nothing_packed();
    export(&origin.server, &to).ok();
    origin.server.cli(&["journal", "verify"]).ok();
    origin.server.cli(&["store", "verify"]).ok();
}

#[test]
fn a_site_whose_space_is_taken_in_an_import_goes_on_when_it_is_back() {
    const NAME: &str = "bundles::full::a_site_whose_space_is_taken_in_an_import_goes_on_when_it_is_back";
    let Some(mount) = Tmpfs::mount("size=128m") else { return skip(NAME, "a tmpfs cannot be mounted") };
    let origin = Origin::start();
    origin.publish("0.1", &bodies(9, 100_000, 3));
    let first = origin.export(SITE, "full", 4 << 20);
    let mut packed = bodies(1, 2 << 20, 20);
    packed.extend((0..8).map(|number| text(number, 4 << 20)));
    packed.extend((0..5).map(|number| random_bytes(100 + number, 4 << 20)));
    origin.publish("1.0", &packed);
    let bundle = origin.export(SITE, "full", 4 << 20);
    let mut site = origin.site(Setup::below(mount.path()), SITE).start();
    site.cli(&["bundle", "import", word(&first)]).ok();
    let place = mount.path().to_owned();
    let free_bytes = move || rustix::fs::statvfs(&place).map_or(0, |stat| stat.f_bavail * stat.f_frsize);
    // Space for all of it is there when it begins, each time.
    let mut cut = 0;
    for _ in 0..4 {
        let (before, free_bytes) = (free_bytes(), free_bytes.clone());
        let mut taker = Taker::when(mount.path(), move || free_bytes() + (1 << 20) < before);
        let run = site.cli(&["bundle", "import", word(&bundle)]);
        if !taker.has_taken() || run.code == 0 {
            break;
        }
        cut += 1;
        let run = run.complains(1, &["space"]);
        assert_eq!(run.stderr.lines().filter(|line| line.contains("space")).count(), 1, "{}", run.stderr);
        assert_eq!(offered(&site, "pc-1").as_deref(), Some("0.1"), "nothing is visible early, and what was is served");
        drop(taker);
        // As it stands, it can be started again.
        site.kill();
        site.start_again();
        assert_eq!(offered(&site, "pc-1").as_deref(), Some("0.1"));
        site.cli(&["store", "verify"]).ok();
    }
    assert!(cut > 0, "every import was through before the space was gone: the test tested nothing");
    site.cli(&["bundle", "import", word(&bundle)]).ok();
    assert_eq!(offered(&site, "pc-1").as_deref(), Some("1.0"));
    assert_eq!(site.data().join("imports").read_dir().unwrap().count(), 0);
    site.cli(&["store", "verify"]).ok();
    site.cli(&["journal", "verify"]).ok();
}
