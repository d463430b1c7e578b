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
    /// How often it was asked.
    looks: usize,
}

impl Bodies for Scripted {
    fn open(&self, file: &StageFile) -> std::io::Result<Body> {
        let body = self.bodies.get(&file.blake3).ok_or_else(|| std::io::Error::other("no such body"))?;
        Ok(Body::Bytes(body.clone().into()))
    }
}

impl TreeSource for Scripted {
    fn look(&mut self) -> Result<Option<Arc<StageTree>>, Unseen> {
        self.looks += 1;
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
    let told = told_until(&mut source, &to, &pace(), |told| told.len() == 3, |_| {});
    assert!(told[0].starts_with("trouble: share dc-intel: the body of a/file.bin cannot be read"), "{told:?}");
    assert_eq!(told[1..], ["switch 9, 1 written", "recovered"]);
    assert_eq!(source.looks, 2, "it is staged when it is seen; the retry would come some hundred looks later");
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

/// A catalog whose policy has share `pcs`, with a release of one file that the share does not show yet.
async fn cataloged() -> (crate::catalog::testing::World, Arc<crate::catalog::Catalog>, crate::model::Event) {
    use crate::catalog::testing::{POLICY, World, commit, parse, product_added, release_added};
    use crate::model::{Event, ShareFile, Shown};
    let world = World::new();
    let catalog = world.catalog();
    let share = "[[share]]\nname = \"pcs\"\ngroup = \"all\"\nlayout = \"plain\"\nproducts = [\"feed\"]\n";
    let text = format!("{POLICY}{share}");
    commit(&catalog, vec![Event::PolicyApplied { digest: Blake3Digest::of(text.as_bytes()), text }]).await;
    commit(&catalog, vec![product_added("feed")]).await;
    let added = release_added(&catalog, "feed", "1.0", &[b"the bytes of a release"]).await;
    let Event::ReleaseAdded { release, manifest, .. } = added.clone() else { unreachable!() };
    commit(&catalog, vec![added, Event::ReleasePublished { product: parse("feed"), release }]).await;
    let at = catalog.now();
    let artifact = &manifest.artifacts[0];
    let put = ShareFile {
        path: artifact.target.clone(),
        size: artifact.size,
        blake3: artifact.blake3,
        sha256: artifact.sha256,
        media_type: artifact.media_type.clone(),
        product: parse("feed"),
        sequence: 1,
        set: String::new(),
        last: false,
    };
    let shown = Shown { product: parse("feed"), version: parse("1.0"), sequence: 1, platform: None, since: at };
    let switched = Event::ShareSwitched {
        share: parse("pcs"),
        at,
        layout: parse("plain"),
        shows: vec![shown],
        put: vec![put],
        removed: Vec::new(),
        forgotten: Vec::new(),
    };
    (world, catalog, switched)
}

#[tokio::test]
async fn the_servers_own_share_is_seen_once_it_shows_something_and_when_it_changes() {
    use crate::catalog::testing::{commit, parse};
    use crate::model::{Event, HoldScope};
    let (world, catalog, switched) = cataloged().await;
    let shares = Arc::new(crate::share::Shares::new(catalog.clone()));
    let source = |name: &str| CatalogSource::new(shares.clone(), parse(name), jiff::SignedDuration::ZERO);
    let mut stranger = source("other");
    assert_eq!(stranger.look(), Err(Unseen::Nothing("the policy has no share other".into())));
    let mut source = source("pcs");
    assert_eq!(source.look(), Err(Unseen::Nothing("nothing is shown yet in share pcs".into())));
    commit(&catalog, vec![switched]).await;
    let tree = source.look().unwrap().expect("the first tree");
    assert_eq!((tree.files.len(), tree.files[0].path.as_str()), (1, "file-0"));
    assert_eq!(source.look(), Ok(None));
    world.clock.advance(jiff::SignedDuration::from_secs(60));
    assert_eq!(source.look(), Ok(None), "time alone changes nothing here");
    assert!(matches!(source.open(&tree.files[0]).unwrap(), Body::File(_)));

    let target = StageTarget::new(&world.dir.path().join("target"), OPTIONS);
    let outcome = target.publish(&tree, &source, false, &CancellationToken::new(), &mut |_| {});
    assert_eq!(std::fs::read(target.dir().join("file-0")).unwrap(), b"the bytes of a release");
    source.report(target.report(&tree, &outcome)).unwrap();
    assert_eq!(shares.targets(&parse("pcs"))[0].state, TargetState::Published);

    let hold = Event::HoldAdded {
        product: parse("feed"),
        version: Some(parse("1.0")),
        scope: HoldScope::Everyone,
        reason: parse("a bad batch"),
        expires_at: Some(catalog.now() + jiff::SignedDuration::from_secs(60)),
    };
    commit(&catalog, vec![hold]).await;
    assert_eq!(source.look().unwrap().expect("another tree").files.len(), 0, "what is held goes at once");
    world.clock.advance(jiff::SignedDuration::from_secs(61));
    assert_eq!(source.look().unwrap().expect("another tree").files.len(), 1, "a hold may end without an event");
}
