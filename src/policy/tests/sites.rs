//! Decisions at an offline site, where releases may be known without their bytes.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::histories::{history, play, product, version};
use crate::model::testing::TestJournal;
use crate::model::{
    AppliedBundle, Blake3Digest, BundleId, Class, Event, JournalPlace, KeyId, ObjectRef, Platform, Sha256Digest,
    SiteContent, SitePolicy, SiteProduct, Snapshot,
};
use crate::policy::oracle::{is_withheld, oracle};
use crate::policy::{Outcome, Requester, Rule, decide, decide_for_share, may_download, may_stay_shown};

/// Everything that the origin decides, without the bytes of these releases.
fn content(origin: &Snapshot, is_absent: impl Fn(u64) -> bool) -> SiteContent {
    let policy = origin.policies().last().unwrap();
    let products = origin.products().map(|known| SiteProduct {
        product: known.product().clone(),
        releases: known.releases().iter().map(|release| release.as_ref().clone()).collect(),
        absent: known.releases().iter().filter(|release| is_absent(release.sequence)).map(|known| known.id).collect(),
    });
    let all = || origin.products().flat_map(|known| known.rollouts());
    let freezes = origin
        .products()
        .flat_map(|known| known.freezes().iter().map(|freeze| (known.product().name.clone(), freeze.as_ref().clone())));
    SiteContent {
        policy: Some(SitePolicy {
            seq: policy.seq,
            applied: policy.applied.clone(),
            digest: policy.digest,
            text: policy.text.to_string(),
        }),
        products: products.collect(),
        holds: origin.holds().map(|hold| hold.as_ref().clone()).collect(),
        pins: origin.pins().map(|pin| pin.as_ref().clone()).collect(),
        rollouts: all().map(|rollout| rollout.as_ref().clone()).collect(),
        freezes: freezes.collect(),
    }
}

/// A site that this was brought to.
fn site(origin: &TestJournal, content: SiteContent, groups: &[&str]) -> TestJournal {
    let mut journal = TestJournal::new(origin.now());
    let digest = Blake3Digest::of(b"x");
    let bundle = AppliedBundle {
        bundle: BundleId(digest),
        sequence: 1,
        root: Sha256Digest::of(b"x"),
        state: ObjectRef { blake3: digest, sha256: Sha256Digest::of(b"x"), size: 1 },
        created_at: origin.now(),
        expires_at: origin.now(),
        journal: JournalPlace { sequence: 1, head: digest },
        issuer: KeyId([1; 8]),
        keys: Vec::new(),
        retired: Vec::new(),
        groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
    };
    let site = "plant-7".parse().unwrap();
    journal.push(Event::BundleApplied { site, bundle: Box::new(bundle), content: Box::new(content) });
    journal.devices(&[r#"{"id":"d","tags":["t"]}"#]);
    journal
}

proptest! {
    #[test]
    fn what_is_absent_counts_and_is_never_given(
        steps in history(),
        absent in any::<u8>(),
        groups in proptest::sample::select(vec![vec!["a", "b"], vec!["a"], vec!["b"]]),
        current in prop::option::of((1u8..8).prop_map(version)),
        platform in proptest::sample::select(vec![None, Some("x"), Some("y")]),
    ) {
        let origin = play(&steps);
        let is_absent = |sequence: u64| absent >> (sequence % 8) & 1 == 1;
        let site = site(&origin, content(origin.snapshot(), is_absent), &groups);
        let id = "d".parse().unwrap();
        let platform = platform.map(|name| name.parse::<Platform>().unwrap());
        let who = Requester { device: Some(&id), address: None, platform, current };
        let known = site.snapshot().product(&product()).unwrap().clone();
        for hours in 0..8 {
            let now = site.now() + SignedDuration::from_hours(hours);
            let decision = decide(site.snapshot(), &who, &product(), now);
            let version = decision.release.as_ref().map(|release| release.version().clone());
            prop_assert_eq!((version, decision.rule), oracle(site.snapshot(), &who, &product(), now));
            prop_assert!(decision.release.is_none_or(|release| !is_absent(release.sequence)));
            let decided: Vec<_> = decision.trace.iter().filter(|line| line.outcome == Outcome::Decided).collect();
            prop_assert_eq!(decided.len(), 1);
            prop_assert_eq!(decided[0].rule, decision.rule);
            prop_assert!(decision.trace.is_sorted_by_key(|line| line.rule));
            for group in site.snapshot().policies()[0].policy().unwrap().groups() {
                let is_carried = groups.contains(&group.name().as_str());
                let shown = decide_for_share(site.snapshot(), group, (&product(), None), &[], now);
                prop_assert!(shown.release.is_none_or(|release| is_carried && !is_absent(release.sequence)));
            }
            for release in known.releases().iter().filter(|release| is_absent(release.sequence)) {
                let group = site.snapshot().policies()[0].policy().unwrap().groups()[1].clone();
                prop_assert!(!may_stay_shown(site.snapshot(), &group, &product(), release.sequence, now));
                let grace = SignedDuration::from_hours(3);
                prop_assert!(!may_download(site.snapshot(), &who, &product(), release, now, grace));
                prop_assert!(is_withheld(site.snapshot(), &who, &product(), release.version(), now));
            }
        }
    }
}

#[test]
fn an_absent_release_is_named_and_the_next_one_is_given() {
    let text = "[[ring]]\nname = \"r\"\n[[group]]\nname = \"a\"\nmatch = \"any\"\nring = \"r\"\nkeep = \"N-1\"\n";
    let mut origin = TestJournal::new(jiff::Timestamp::from_second(1_700_000_000).unwrap());
    origin.product("p", Class::Platform).policy(text);
    origin.release("p", "1", &["any"], false).release("p", "2", &["any"], false).release("p", "3", &["any"], false);
    let decided = |absent: &[u64]| {
        let site = site(&origin, content(origin.snapshot(), |sequence| absent.contains(&sequence)), &["a"]);
        let id = "d".parse().unwrap();
        let who = Requester { device: Some(&id), ..Requester::default() };
        decide(site.snapshot(), &who, &product(), site.now())
    };
    let told = |absent: &[u64]| {
        let decision = decided(absent);
        let version = decision.release.map_or("-".into(), |release| release.version().to_string());
        format!("{version} {}: {}", decision.rule, decision.reason)
    };
    // The newest is kept back, with its bytes or without.
    assert_eq!(told(&[]), told(&[3]));
    insta::assert_snapshot!([told(&[3]), told(&[2, 3]), told(&[1, 2, 3])].join("\n"), @r"
    2 keep: 2 is the highest release left: 3 is the newest, and group a stays one behind (N-1)
    1 absent: 1 is the highest release left: 2 is not at this site yet: it comes with a later bundle
    - absent: no release is left: 2 is not at this site yet: it comes with a later bundle
    ");
    let lines: Vec<_> =
        decided(&[2]).trace.into_iter().filter(|line| line.step == 12).map(|line| line.detail).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    2 is not at this site yet: it comes with a later bundle
    the device's version is unknown
    1 is served
    ");
    assert!(decided(&[]).trace.iter().all(|line| line.rule != Rule::Absent), "elsewhere it would say nothing");
}
