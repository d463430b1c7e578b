//! Sites of random histories: the same decisions as at the origin, and nothing that is withheld.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{Terms, carried_of, scope};
use crate::model::policy::Group;
use crate::model::testing::TestJournal;
use crate::model::{
    Class, GroupName, HoldScope, Platform, ReleaseState, Rollout, RolloutKind, Snapshot, Span, Version,
};
use crate::policy::tests::histories::{history, play, product, version};
use crate::policy::{Requester, decide_for_share, decide_in_group, may_stay_shown};

fn names(groups: &[&str]) -> Vec<GroupName> {
    groups.iter().map(|group| group.parse().unwrap()).collect()
}

fn terms(groups: &[GroupName], now: Timestamp, preload_hours: u64) -> Terms<'_> {
    let grace = SignedDuration::from_hours(3);
    Terms { groups, now, grace, preload: Span::from_secs(preload_hours * 3_600), before: &[] }
}

/// What a requester of the last wave with this version gets, by sequence.
fn decided(
    snapshot: &Snapshot,
    group: &Group,
    (platform, current): (&Option<Platform>, &Option<Version>),
    at: Timestamp,
) -> Option<(u64, Version)> {
    let who = Requester { platform: platform.clone(), current: current.clone(), ..Requester::default() };
    let release = decide_in_group(snapshot, group, &who, &product(), at).release;
    release.map(|release| (release.sequence, release.version().clone()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_site_decides_as_the_origin_does(
        steps in history(),
        groups in proptest::sample::select(vec![vec!["a", "b"], vec!["a"], vec!["b"]]),
        (later, preload) in (0i64..4, 0u64..9),
        current in prop::option::of(prop_oneof![(1u8..8).prop_map(version), (0u8..8).prop_map(|n| format!("{n}.5").parse().unwrap())]),
    ) {
        let origin = play(&steps);
        let now = origin.now() + SignedDuration::from_hours(later);
        let names = names(&groups);
        let scope = scope(origin.snapshot(), terms(&names, now, preload)).unwrap();
        prop_assert_eq!(&carried_of(&scope.content), &scope.carried);
        let site = Snapshot::of_content(&scope.content).unwrap();
        let policy = site.policies()[0].policy().unwrap();
        for group in names.iter().map(|name| policy.group(name).unwrap()) {
            prop_assert_eq!(origin.snapshot().product(&product()).is_some() && group.sees(&product()), site.product(&product()).is_some() && group.sees(&product()));
            for platform in [None, Some("any"), Some("x"), Some("y"), Some("z")] {
                let platform: Option<Platform> = platform.map(|name| name.parse().unwrap());
                for half_hours in 0..=(preload * 2) as i64 {
                    let at = now + SignedDuration::from_mins(30 * half_hours);
                    let [there, here] = [origin.snapshot(), &site].map(|snapshot| {
                        decide_for_share(snapshot, group, (&product(), platform.as_ref()), &[], at).release.map(|release| release.sequence)
                    });
                    let is_withheld = |sequence| !may_stay_shown(origin.snapshot(), group, &product(), sequence, now);
                    // What is withheld now is not brought, though its hold may end by itself before long.
                    prop_assert!(here == there || there.is_some_and(is_withheld), "{here:?} not {there:?} at {at}");
                    let who = (&platform, &current);
                    let [there, here] = [origin.snapshot(), &site].map(|snapshot| decided(snapshot, group, who, at));
                    let is_excused = there.as_ref().is_some_and(|(sequence, _)| is_withheld(*sequence));
                    // What it has is no longer brought; there is nothing to fetch then either.
                    let fetched = |decided: Option<(u64, Version)>| decided.filter(|(_, version)| Some(version) != current.as_ref());
                    let (there, here) = (fetched(there), fetched(here));
                    prop_assert!(here == there || is_excused, "{current:?}: {here:?} not {there:?} at {at}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_brought_that_none_of_its_groups_may_see(
        steps in history(),
        groups in proptest::sample::select(vec![vec!["a", "b"], vec!["a"], vec!["b"]]),
        preload in 0u64..9,
    ) {
        let origin = play(&steps);
        let names = names(&groups);
        let now = origin.now();
        let scope = scope(origin.snapshot(), terms(&names, now, preload)).unwrap();
        let policy = origin.snapshot().policies().last().unwrap().policy().unwrap();
        for product in &scope.content.products {
            for release in &product.releases {
                let is_back_to = |rollout: &Rollout| matches!(rollout.kind, RolloutKind::Rollback { .. }) && rollout.sequence == release.sequence;
                let is_way_back = product.absent.contains(&release.id) && scope.content.rollouts.iter().any(is_back_to);
                prop_assert!(release.published_at.is_some_and(|at| at <= now) || is_way_back);
                if product.absent.contains(&release.id) {
                    continue;
                }
                prop_assert_eq!(release.state_at(now), ReleaseState::Published);
                let is_held = |group: &Group| origin.snapshot().holds().any(|hold| {
                    let concerns = match &hold.scope {
                        HoldScope::Everyone => true,
                        HoldScope::Group(name) => name == group.name(),
                        HoldScope::Ring(ring) => group.ring(Class::Platform) == ring,
                        HoldScope::Devices(_) => false,
                    };
                    hold.is_active_at(now) && concerns && hold.version.as_ref().is_none_or(|version| version == release.version())
                });
                let mut seeing = names.iter().map(|name| policy.group(name).unwrap()).filter(|group| group.sees(&product.product.name));
                prop_assert!(seeing.any(|group| !is_held(group)), "{} is held for all", release.version());
            }
        }
    }
}

const POLICY: &str = "[[ring]]\nname = \"r\"\n\
    [[group]]\nname = \"a\"\nmatch = { tag = \"a\" }\nring = \"r\"\ndefer = \"2d\"\n\
    [[group]]\nname = \"b\"\nmatch = { tag = \"b\" }\nring = \"r\"\nkeep = \"N-1\"\n\
    [[group]]\nname = \"c\"\nmatch = \"any\"\nring = \"r\"\nwindow = [\"Sat-Sun 00:00-06:00 UTC\"]\n";

/// Three releases, each a day after the one before, on a Monday to Wednesday.
fn three_days() -> TestJournal {
    let mut origin = TestJournal::new("2026-11-16T12:00:00Z".parse().unwrap());
    origin.product("p", Class::Platform).policy(POLICY);
    for version in ["1", "2", "3"] {
        origin.release("p", version, &["any"], false).advance(86_400);
    }
    origin
}

/// The versions that come with their bytes, and those that only count.
fn brought(origin: &TestJournal, groups: &[&str], preload_hours: u64) -> (Vec<String>, Vec<String>) {
    let names = names(groups);
    let content = scope(origin.snapshot(), terms(&names, origin.now(), preload_hours)).unwrap().content;
    let product = &content.products[0];
    let list = |is_absent| {
        let releases = product.releases.iter().filter(|release| product.absent.contains(&release.id) == is_absent);
        releases.map(|release| release.version().to_string()).collect()
    };
    (list(false), list(true))
}

#[test]
fn each_group_brings_what_it_is_shown_and_what_it_will_be() {
    let origin = three_days();
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(brought(&origin, &["a"], 0), (texts(&["1", "2"]), texts(&[])), "two days old a moment ago, and now");
    assert_eq!(brought(&origin, &["a"], 23), (texts(&["1", "2"]), texts(&[])));
    assert_eq!(brought(&origin, &["a"], 24), (texts(&["1", "2", "3"]), texts(&[])), "from tomorrow on");
    assert_eq!(brought(&origin, &["b"], 0), (texts(&["2"]), texts(&["3"])), "the newest only counts");
    assert_eq!(brought(&origin, &["c"], 0), (texts(&["3"]), texts(&[])), "the window is kept there");
    assert_eq!(brought(&origin, &["a", "b", "c"], 0), (texts(&["1", "2", "3"]), texts(&[])));
}

#[test]
fn what_a_share_shows_outside_of_its_window_is_brought_again() {
    let origin = three_days();
    let names = names(&["c"]);
    let before =
        scope(&origin.snapshot_at("2026-11-17T13:00:00Z".parse().unwrap()), terms(&names, origin.now(), 0)).unwrap();
    let terms = Terms { before: std::slice::from_ref(&before.content), ..terms(&names, origin.now(), 0) };
    let content = scope(origin.snapshot(), terms).unwrap().content;
    let versions: Vec<_> = content.products[0].releases.iter().map(|release| release.version().to_string()).collect();
    assert_eq!(versions, ["2", "3"]);
}

#[test]
fn without_a_policy_or_its_group_there_is_no_scope() {
    let mut origin = TestJournal::new(Timestamp::UNIX_EPOCH);
    let of = |origin: &TestJournal| {
        let names = names(&["nobody"]);
        scope(origin.snapshot(), terms(&names, origin.now(), 0)).unwrap_err().to_string()
    };
    assert_eq!(of(&origin), "no policy is in force: apply one with `ringfence policy apply` first");
    origin.policy(POLICY);
    assert_eq!(of(&origin), "the policy has no group nobody");
}
