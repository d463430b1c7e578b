//! The loop, over a share that a test makes up and real directories.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::model::{Blake3Digest, Sha256Digest};

/// A share whose answers are given in advance; what is reported is kept.
#[derive(Default)]
struct Scripted {
    answers: Vec<Result<Option<Arc<StageTree>>, Unseen>>,
    bodies: BTreeMap<Blake3Digest, Vec<u8>>,
    reports: Vec<TargetReport>,
}

impl Bodies for Scripted {
    fn open(&self, file: &StageFile) -> std::io::Result<Body> {
        let body = self.bodies.get(&file.blake3).ok_or_else(|| std::io::Error::other("no such body"))?;
        Ok(Body::Bytes(body.clone().into()))
    }
}

impl TreeSource for Scripted {
    fn look(&mut self) -> Result<Option<Arc<StageTree>>, Unseen> {
        if self.answers.is_empty() { Ok(None) } else { self.answers.remove(0) }
    }

    fn report(&mut self, report: TargetReport) -> Result<(), String> {
        self.reports.push(report);
        Ok(())
    }
}

impl Scripted {
    /// A tree of one file with this body, which is to be had.
    fn tree(&mut self, switch: u64, body: &[u8]) -> Arc<StageTree> {
        let at = Timestamp::from_second(1_700_000_000 + switch as i64).unwrap();
        let blake3 = Blake3Digest::of(body);
        self.bodies.insert(blake3, body.to_vec());
        let file = StageFile {
            path: "a/file.bin".parse().unwrap(),
            size: body.len() as u64,
            blake3,
            sha256: Sha256Digest::of(body),
            modified: at,
            set: String::new(),
            last: false,
        };
        let (share, layout) = ("dc-intel".parse().unwrap(), "plain".parse().unwrap());
        Arc::new(StageTree { share, layout, switch, at, releases: Vec::new(), files: vec![file], retired: Vec::new() })
    }
}

const OPTIONS: StageOptions =
    StageOptions { keep_previous: false, rehash: false, retry_for: Duration::ZERO, adopt: false };

fn pace() -> Pace {
    let often = Duration::from_millis(1);
    Pace { ask_every: often, look_every: Duration::from_secs(3600), rehash_every: Duration::from_secs(3600) }
}

/// Runs the loop until `enough` says so of what was told, with `meddle` in between.
fn told_until(
    source: &mut Scripted,
    dir: &Path,
    pace: &Pace,
    enough: impl Fn(&[String]) -> bool,
    mut meddle: impl FnMut(&[String]),
) -> Vec<String> {
    let target = StageTarget::new(dir, OPTIONS);
    let stop = CancellationToken::new();
    let told = Mutex::new(Vec::new());
    let watchdog = Duration::from_secs(30);
    let begun = std::time::Instant::now();
    watch(&target, pace, source, &stop, &mut |news| {
        let mut told = told.lock().unwrap();
        told.push(match news {
            Told::Staged(staged) => format!("switch {}, {} written", staged.switch, staged.written_files),
            Told::Trouble(why) => format!("trouble: {why}"),
            Told::Recovered => "recovered".to_owned(),
        });
        meddle(&told);
        assert!(begun.elapsed() < watchdog, "{told:?}");
        if enough(&told) {
            stop.cancel();
        }
    });
    told.into_inner().unwrap()
}

#[test]
fn each_new_tree_is_staged_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("share");
    let mut source = Scripted::default();
    let trees = [source.tree(7, b"one"), source.tree(9, b"two")];
    source.answers = trees.into_iter().map(|tree| Ok(Some(tree))).collect();
    let told = told_until(&mut source, &to, &pace(), |told| told.len() == 2, |_| {});
    assert_eq!(told, ["switch 7, 1 written", "switch 9, 1 written"]);
    assert_eq!(std::fs::read(to.join("a/file.bin")).unwrap(), b"two");
    let reported: Vec<_> = source.reports.iter().map(|report| (report.switch, report.state)).collect();
    assert_eq!(reported, [(7, TargetState::Published), (9, TargetState::Published)]);
    assert!(source.reports[0].target.ends_with(&format!(":{}", to.display())), "{}", source.reports[0].target);
}

#[test]
fn troubles_are_told_once_and_their_end_too() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("share");
    let mut source = Scripted::default();
    let tree = source.tree(7, b"one");
    let nothing = || Err(Unseen::Nothing("nothing is shown yet".to_owned()));
    source.answers = vec![nothing(), nothing(), nothing(), Ok(Some(tree))];
    let told = told_until(&mut source, &to, &pace(), |told| told.len() == 3, |_| {});
    assert_eq!(told, ["trouble: nothing is shown yet", "recovered", "switch 7, 1 written"]);
}

#[test]
fn a_change_by_hand_is_put_right_at_the_next_look() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("share");
    let mut source = Scripted::default();
    let tree = source.tree(7, b"one");
    source.answers = vec![Ok(Some(tree))];
    let pace = Pace { look_every: Duration::from_millis(50), ..pace() };
    let file = to.join("a/file.bin");
    let meddle = |told: &[String]| {
        if told.len() == 1 {
            std::fs::write(&file, b"by hand").unwrap();
        }
    };
    let told = told_until(&mut source, &to, &pace, |told| told.len() == 2, meddle);
    assert_eq!(told, ["switch 7, 1 written", "switch 7, 1 written"]);
    assert_eq!(std::fs::read(&file).unwrap(), b"one");
    assert_eq!(source.reports.last().unwrap().repaired_files, 1);
}

#[test]
fn a_failure_is_reported_and_a_newer_tree_does_not_wait_for_its_retry() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("share");
    let mut source = Scripted::default();
    let (broken, good) = (source.tree(7, b"lost"), source.tree(9, b"found"));
    source.bodies.remove(&Blake3Digest::of(b"lost"));
    source.answers = vec![Ok(Some(broken)), Ok(Some(good))];
    let begun = std::time::Instant::now();
    let told = told_until(&mut source, &to, &pace(), |told| told.len() == 3, |_| {});
    assert!(told[0].starts_with("trouble: share dc-intel: the body of a/file.bin cannot be read"), "{told:?}");
    assert_eq!(told[1..], ["switch 9, 1 written", "recovered"]);
    assert!(begun.elapsed() < Duration::from_millis(900), "the first retry comes after a second");
    let failed = &source.reports[0];
    assert_eq!((failed.switch, failed.state), (7, TargetState::Failed));
    assert!(failed.why.as_deref().unwrap().contains("no such body"));
}

#[test]
fn a_tree_is_not_published_before_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut source = Scripted::default();
    let mut tree = StageTree::clone(&source.tree(7, b"one"));
    tree.at = SystemClock.now() + Duration::from_millis(400);
    let target = StageTarget::new(&dir.path().join("share"), OPTIONS);
    target.publish(&tree, &source, false, &CancellationToken::new(), &mut |_| {}).unwrap();
    assert!(SystemClock.now() >= tree.at);
}

#[test]
fn nothing_is_begun_after_the_end_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("share");
    let mut source = Scripted::default();
    let tree = source.tree(7, b"one");
    let stop = CancellationToken::new();
    stop.cancel();
    let outcome = StageTarget::new(&to, OPTIONS).publish(&tree, &source, false, &stop, &mut |_| {});
    assert!(outcome.unwrap_err().to_string().contains("told to stop"));
    assert!(!to.join("a/file.bin").exists());
}
