//! Shares that follow their group's decisions, over a real catalog and store.

use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{Found, Shares, find, stage_tree};
use crate::catalog::testing::{START, World, commit, parse, product_added};
use crate::catalog::{Catalog, Committed};
use crate::model::policy::Policy;
use crate::model::{
    ApprovalRule, Artifact, Blake3Digest, Event, HoldScope, Platform, ReleaseManifest, Sha256Digest, ShareFile,
    Snapshot, Version,
};
use crate::store::BlobStore as _;

const GRACE: SignedDuration = SignedDuration::from_hours(1);

/// A catalog with one product `p` and one share `s` in this layout, for group `g`, with these lines in the group.
struct Desk {
    world: World,
    catalog: Arc<Catalog>,
    shares: Arc<Shares>,
}

fn policy(layout: &str, group: &str, share: &str) -> Event {
    let text = format!(
        "[[ring]]\nname = \"r\"\n[[group]]\nname = \"g\"\nmatch = \"any\"\nring = \"r\"\n{group}\n[[share]]\n\
         name = \"s\"\ngroup = \"g\"\nlayout = \"{layout}\"\nproducts = [\"p\"]\nopen_to = \"anyone\"\n{share}\n"
    );
    Policy::parse(&text).unwrap();
    Event::PolicyApplied { digest: Blake3Digest::of(text.as_bytes()), text }
}

impl Desk {
    async fn new(layout: &str, group: &str, share: &str) -> Self {
        let world = World::new();
        let catalog = world.catalog();
        let shares = Arc::new(Shares::new(catalog.clone()));
        let desk = Self { world, catalog, shares };
        desk.commit(vec![product_added("p"), policy(layout, group, share)]).await;
        desk
    }

    async fn commit(&self, events: Vec<Event>) -> Committed {
        self.pass(1);
        commit(&self.catalog, events).await
    }

    fn pass(&self, seconds: i64) {
        self.world.clock.advance(SignedDuration::from_secs(seconds));
    }

    /// Publishes a release with these artifacts: target, platform, body.
    async fn publish(&self, version: &str, artifacts: &[(&str, &str, &[u8])]) {
        let mut published = Vec::new();
        for (target, platform, body) in artifacts {
            let mut staged = self.catalog.store().stage(None).unwrap();
            staged.append(Bytes::copy_from_slice(body)).await.unwrap();
            let done = staged.finish().await.unwrap();
            published.push(Artifact {
                target: parse(target),
                platform: parse(platform),
                size: done.size(),
                blake3: *done.blake3(),
                sha256: *done.sha256(),
                media_type: "application/octet-stream".into(),
            });
            let _ = self.catalog.store().commit(done).unwrap();
        }
        published.sort_by(|a, b| (&a.target, &a.platform).cmp(&(&b.target, &b.platform)));
        let (product, version): (_, Version) = (parse("p"), parse(version));
        let manifest = ReleaseManifest { product, version, barrier: false, artifacts: published };
        let product = manifest.product.clone();
        let sequence = self.snapshot().product(&product).unwrap().releases().len() as u64 + 1;
        let release = manifest.id();
        let approval = ApprovalRule::Auto;
        self.commit(vec![
            Event::ReleaseAdded { release, sequence, manifest, approval },
            Event::ReleaseApproved { product: product.clone(), release },
            Event::ReleasePublished { product, release },
        ])
        .await;
    }

    async fn hold(&self, version: &str) -> u64 {
        let hold = Event::HoldAdded {
            product: parse("p"),
            version: Some(parse(version)),
            scope: HoldScope::Everyone,
            reason: parse("bad"),
            expires_at: None,
        };
        self.commit(vec![hold]).await.records[0].seq
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.catalog.snapshot()
    }

    fn now(&self) -> Timestamp {
        self.catalog.now()
    }

    /// Lets the share switch, and the switch take effect.
    async fn settle(&self) -> usize {
        let switched = self.shares.advance().await.unwrap();
        self.pass(2);
        switched
    }

    /// What is at the path for readers, and its `Last-Modified`.
    fn found(&self, path: &str) -> Option<(ShareFile, Timestamp)> {
        let snapshot = self.snapshot();
        let now = self.now();
        let policy = snapshot.policy_at(now).unwrap().policy().unwrap();
        let share = policy.share(&parse("s")).unwrap();
        let Found { file, since } = find(&snapshot, policy, share, &parse(path), (now, GRACE))?;
        assert!(since <= now);
        Some((file.clone(), since))
    }

    /// What a reader gets: the body's text and `Last-Modified`.
    fn read(&self, path: &str) -> Option<(String, Timestamp)> {
        let (file, since) = self.found(path)?;
        let body = self.catalog.body(&file.blake3, file.size).unwrap().unwrap();
        assert_eq!((Blake3Digest::of(&body), Sha256Digest::of(&body)), (file.blake3, file.sha256));
        assert_eq!(since.subsec_nanosecond(), 0);
        Some((String::from_utf8_lossy(&body).into_owned(), since))
    }

    fn text(&self, path: &str) -> Option<String> {
        self.read(path).map(|(text, _)| text)
    }

    fn problems(&self) -> Vec<String> {
        self.shares.problems(&parse("s"))
    }

    fn tree(&self) -> Vec<String> {
        let snapshot = self.snapshot();
        let now = self.now();
        let policy = snapshot.policy_at(now).unwrap().policy().unwrap();
        let tree = stage_tree(&snapshot, policy, policy.share(&parse("s")).unwrap(), (now, GRACE));
        tree.map(|tree| tree.files.iter().map(|file| file.path.to_string()).collect()).unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_follows_its_group_and_switches_on_whole_seconds() {
    let desk = Desk::new("plain", "", "").await;
    assert_eq!((desk.settle().await, desk.read("a")), (0, None), "nothing is published yet");
    desk.publish("1.0", &[("a", "any", b"a1"), ("b", "any", b"same")]).await;
    assert_eq!(desk.shares.advance().await.unwrap(), 1);
    assert_eq!(desk.read("a"), None, "not before its second");
    let at = desk.snapshot().share(&parse("s")).unwrap().switch.at;
    assert!(at > desk.now() && at <= desk.now() + SignedDuration::from_secs(2));
    desk.pass(2);
    assert_eq!(desk.read("a"), Some(("a1".into(), at)));
    let b = desk.read("b");
    assert_eq!(desk.settle().await, 0, "it shows what it should");

    desk.publish("2.0", &[("a", "any", b"a2"), ("b", "any", b"same"), ("c", "any", b"c2")]).await;
    assert_eq!(desk.settle().await, 1);
    let (text, since) = desk.read("a").unwrap();
    assert!(text == "a2" && since > at);
    assert_eq!(desk.read("b"), b, "the same bytes keep their time");
    let released = desk.snapshot().share(&parse("s")).unwrap().paths()[&parse::<crate::model::TargetName>("b")].clone();
    assert_eq!(released.active.unwrap().file.sequence, 2);
    assert_eq!(desk.tree(), ["a", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_withheld_is_gone_at_once_and_the_one_before_comes_back_with_a_later_time() {
    let desk = Desk::new("plain", "", "").await;
    desk.publish("1.0", &[("a", "any", b"a1"), ("gone", "any", b"g1")]).await;
    desk.settle().await;
    desk.publish("2.0", &[("a", "any", b"a2")]).await;
    desk.settle().await;
    let (_, second) = desk.read("a").unwrap();
    assert_eq!(desk.text("gone").as_deref(), Some("g1"), "lingers for whoever read an index that names it");
    let hold = desk.hold("2.0").await;
    assert_eq!(desk.read("a"), None, "before any switch");
    assert!(desk.tree().is_empty(), "stagers remove it, too");
    desk.settle().await;
    let (text, third) = desk.read("a").unwrap();
    assert!(text == "a1" && third > second);
    desk.commit(vec![Event::HoldLifted { hold, reason: parse("fine") }]).await;
    desk.settle().await;
    let (text, fourth) = desk.read("a").unwrap();
    assert!(text == "a2" && fourth > third);
    desk.pass(GRACE.as_secs() + 10);
    assert_eq!(desk.read("gone"), None, "after the grace");
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_of_its_windows_a_share_keeps_what_it_has() {
    // 1_700_000_000 is a Tuesday, 22:13:20 UTC.
    let desk = Desk::new("plain", "window = [\"Tue 22:00-23:00 UTC\"]", "").await;
    assert_eq!(START, 1_700_000_000, "what the window below is about");
    desk.publish("1.0", &[("a", "any", b"a1")]).await;
    desk.settle().await;
    desk.pass(3_600);
    desk.publish("2.0", &[("a", "any", b"a2")]).await;
    desk.settle().await;
    assert_eq!(desk.text("a").as_deref(), Some("a1"));
    desk.hold("1.0").await;
    assert_eq!(desk.text("a"), None, "safety does not wait for windows");
    desk.settle().await;
    assert_eq!(desk.text("a"), None, "and nothing new comes before the next one");
    desk.pass(7 * 86_400 - 3_600);
    desk.settle().await;
    assert_eq!(desk.text("a").as_deref(), Some("a2"));
    desk.publish("3.0", &[("a", "any", b"a3")]).await;
    desk.settle().await;
    assert_eq!(desk.text("a").as_deref(), Some("a3"));
    desk.pass(3_600);
    desk.hold("3.0").await;
    desk.settle().await;
    assert_eq!(desk.text("a").as_deref(), Some("a2"), "what it has shown is nothing new and does not wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn platforms_are_decided_for_one_by_one_and_one_that_is_missing_is_a_problem() {
    let desk = Desk::new("defender-windows", "", "platforms = [\"windows-x64\", \"windows-x86\"]").await;
    let (x64, x86) = ("windows-x64", "windows-x86");
    desk.publish("1.0", &[("mpam-fe.exe", x64, b"64-1")]).await;
    assert_eq!(desk.settle().await, 0);
    assert_eq!(
        desk.problems(),
        ["p 1.0 has no artifact for windows-x86, which share s must serve; publish a release that has one, or take \
          windows-x86 out of the share's platforms"]
    );
    desk.publish("2.0", &[("mpam-fe.exe", x64, b"64-2"), ("mpam-fe.exe", x86, b"86-2")]).await;
    assert_eq!((desk.settle().await, desk.problems()), (1, vec![]));
    desk.publish("3.0", &[("mpam-fe.exe", x64, b"64-3")]).await;
    assert_eq!(desk.settle().await, 1);
    let texts = ["x64/mpam-fe.exe", "x86/mpam-fe.exe"].map(|path| desk.text(path).unwrap());
    assert_eq!(texts, ["64-3", "86-2"], "each platform has its newest");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_cannot_be_filled_leaves_the_one_that_is_there() {
    let desk = Desk::new("clamav", "", "").await;
    desk.publish("1", &[("daily.cvd", "any", b"d1")]).await;
    desk.settle().await;
    desk.publish("2", &[("daily.exe", "any", b"d2")]).await;
    assert_eq!(desk.settle().await, 0);
    assert_eq!(desk.text("daily.cvd").as_deref(), Some("d1"));
    assert!(desk.problems()[0].contains("daily.exe"), "{:?}", desk.problems());
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_are_generated_and_switch_with_what_they_are_of() {
    let desk = Desk::new("suricata", "", "").await;
    desk.publish("1", &[("et.rules.tar.gz", "any", b"rules")]).await;
    desk.settle().await;
    // md5sum of "rules"
    assert_eq!(desk.text("et.rules.tar.gz.md5").as_deref(), Some("a4f86f7bfc24194b276c22e0ef158197"));
    let state = desk.snapshot().share(&parse("s")).unwrap().clone();
    let sets: Vec<_> = state.files().map(|active| (active.file.set.clone(), active.file.last)).collect();
    assert_eq!(sets[0].0, sets[1].0);
    assert!(!sets[0].1 && sets[1].1);
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_are_unpacked_into_the_store_and_made_again_when_they_are_lost() {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let large: Vec<u8> = (0..100_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (name, body) in [("mpasbase.vdm", &large[..]), ("readme", b"short")] {
        writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut writer, body).unwrap();
    }
    let archive = writer.finish().unwrap().into_inner();
    let desk = Desk::new("defender-vdi", "", "").await;
    desk.publish("1", &[("content.zip", "windows-x64", &archive)]).await;
    desk.settle().await;
    let tree = desk.tree();
    assert_eq!(tree.len(), 2, "{:?} {tree:?}", desk.problems());
    assert!(tree[0].starts_with("{00000000-0000-0000-0000-2311142213") && tree[0].ends_with("}/mpasbase.vdm"));
    assert_eq!(desk.text(&tree[1]).as_deref(), Some("short"));
    let state = desk.snapshot().share(&parse("s")).unwrap().clone();
    let blob = state.files().next().unwrap().file.blake3;
    assert!(matches!(desk.catalog.store().remove(&blob).unwrap(), crate::store::Removal::Removed { .. }));
    // Another release with the same archive has to make it again.
    desk.publish("2", &[("content.zip", "windows-x64", &archive), ("extra.txt", "windows-x64", b"x")]).await;
    desk.settle().await;
    assert_eq!(desk.catalog.store().size(&blob).unwrap(), Some(100_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_previous_release_stands_beside_where_the_layout_has_a_place_for_it() {
    let desk = Desk::new("defender-offline", "", "").await;
    for (version, body) in [("1.0", b"zip-1"), ("2.0", b"zip-2")] {
        desk.publish(version, &[("updates.zip", "linux-x64", body)]).await;
        desk.settle().await;
    }
    let text = |path: &str| desk.text(&format!("linux/{path}/arch_x86_64/updates.zip"));
    assert_eq!((text("production").unwrap(), text("production_back").unwrap()), ("zip-2".into(), "zip-1".into()));
    let manifest = desk.text("linux/production_back/arch_x86_64/manifest.json").unwrap();
    assert!(manifest.contains("\"DefinitionVersion\":\"1.0\""), "{manifest}");
    desk.hold("1.0").await;
    assert_eq!(text("production_back"), None);
    desk.settle().await;
    assert_eq!((text("production").unwrap(), text("production_back")), ("zip-2".into(), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_changes_nothing_and_goes_on() {
    let desk = Desk::new("suricata", "", "").await;
    desk.publish("1", &[("a.rules", "any", b"one")]).await;
    desk.settle().await;
    let before = (desk.read("a.rules"), desk.read("a.rules.md5"));
    let Desk { world, catalog, shares } = desk;
    drop((catalog, shares));
    let catalog = world.catalog();
    let desk = Desk { shares: Arc::new(Shares::new(catalog.clone())), catalog, world };
    assert_eq!((desk.read("a.rules"), desk.read("a.rules.md5")), before);
    assert_eq!(desk.settle().await, 0, "made again, found to be the same");
    desk.catalog.rebuild_index().unwrap();
    assert_eq!((desk.read("a.rules"), desk.read("a.rules.md5")), before);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever happens, a path's time only ever grows, other bytes mean a later one, and nothing withheld is read.
    #[test]
    fn times_grow_and_nothing_withheld_is_shown(steps in proptest::collection::vec((0u8..5, 0u8..4, 0i64..3), 1..25)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let desk = Desk::new("plain", "", "").await;
            let (mut version, mut holds) = (0, Vec::new());
            let mut last: Option<(String, Timestamp)> = None;
            for (kind, number, seconds) in steps {
                match kind {
                    0 | 1 => {
                        version += 1;
                        let body = format!("body {number}");
                        let platform = Platform::any();
                        desk.publish(&format!("{version}"), &[("a", platform.as_str(), body.as_bytes())]).await;
                    }
                    2 if version > 0 => {
                        let held = 1 + i64::from(number) % version;
                        holds.push((desk.hold(&held.to_string()).await, held));
                    }
                    3 if !holds.is_empty() => {
                        let (hold, _) = holds.remove(usize::from(number) % holds.len());
                        desk.commit(vec![Event::HoldLifted { hold, reason: parse("fine") }]).await;
                    }
                    _ => {
                        desk.shares.advance().await.unwrap();
                    }
                }
                desk.pass(seconds);
                let Some((text, since)) = desk.read("a") else { continue };
                // Each version has the sequence of its number.
                let sequence = desk.found("a").unwrap().0.sequence;
                prop_assert!(!holds.iter().any(|(_, held)| u64::try_from(*held) == Ok(sequence)));
                if let Some((before, at)) = &last {
                    prop_assert!(since >= *at);
                    prop_assert!(since > *at || text == *before);
                }
                last = Some((text, since));
            }
            Ok(())
        })?;
    }
}
