//! Folding events of every kind, what does not fit, and putting a snapshot together again.

use jiff::Timestamp;
use proptest::prelude::*;

use super::dump::{dump, parts};
use super::random::changes;
use super::*;
use crate::model::ReleaseManifest;
use crate::model::testing::TestJournal;
use crate::model::{Class, Event, EventRecord, HoldScope, ReleaseId, ReleaseState, TokenScope};

const POLICY: &str = "[[ring]]\nname = \"r\"\n[[group]]\nname = \"g\"\nmatch = \"any\"\nring = \"r\"\n";

fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn journal() -> TestJournal {
    let mut journal = TestJournal::new(Timestamp::from_second(1_700_000_000).unwrap());
    journal.product("p", Class::Platform);
    journal
}

fn hold(expires_at: Option<Timestamp>) -> Event {
    let (product, reason) = (parse("p"), parse("why"));
    Event::HoldAdded { product, version: None, scope: HoldScope::Everyone, reason, expires_at }
}

fn pin(version: &str) -> Event {
    Event::PinAdded { group: parse("g"), product: parse("p"), version: parse(version), reason: parse("kept") }
}

/// The record that would come next, its place in the chain right.
fn next(journal: &TestJournal, event: Event) -> EventRecord {
    let (seq, prev) = (journal.snapshot().seq() + 1, journal.snapshot().head());
    EventRecord { seq, time: journal.now(), actor: parse("tester"), event, prev, hash: Blake3Digest::of(b"next") }
}

/// Why the event does not fit; checks that it changes nothing.
fn refusal(journal: &TestJournal, event: Event) -> String {
    refusal_of(journal, &next(journal, event))
}

fn refusal_of(journal: &TestJournal, record: &EventRecord) -> String {
    let mut snapshot = journal.snapshot().clone();
    let error = snapshot.apply(record).unwrap_err();
    assert_eq!(dump(&snapshot), dump(journal.snapshot()), "{error}");
    assert_eq!((error.seq, error.event), (record.seq, record.event.name()));
    error.why
}

#[test]
fn a_release_passes_its_states_each_from_its_time_on() {
    let mut journal = journal();
    let release = journal.draft("p", "1.0", &["any"], false);
    let mut times = vec![journal.now()];
    let product = || parse("p");
    for event in [
        Event::ReleaseApproved { product: product(), release },
        Event::ReleasePublished { product: product(), release },
        Event::ReleaseWithdrawn { product: product(), release, reason: parse("bad") },
    ] {
        journal.advance(60);
        times.push(journal.now());
        journal.push(event);
    }
    let found = journal.snapshot().product(&product()).unwrap().by_id(&release).unwrap();
    let states = [ReleaseState::Draft, ReleaseState::Approved, ReleaseState::Published, ReleaseState::Withdrawn];
    for (at, state) in times.iter().zip(states) {
        assert_eq!(found.state_at(*at), state);
        assert_eq!(found.state_at(*at - jiff::SignedDuration::from_millis(1)) == state, state == ReleaseState::Draft);
    }
    let releases = journal.snapshot().product(&product()).unwrap();
    assert_eq!(releases.next_change_after(times[0]), Some(times[1]));
    assert_eq!(releases.next_change_after(times[3]), None);
}

#[test]
fn a_hold_is_active_until_lifted_or_expired_whichever_is_first() {
    let mut journal = journal();
    let end = journal.now() + jiff::SignedDuration::from_secs(100);
    let id = journal.push(hold(Some(end)));
    assert_eq!(journal.snapshot().hold(id).unwrap().ends_at(), Some(end));
    journal.advance(40);
    let lifted_at = journal.now();
    journal.push(Event::HoldLifted { hold: id, reason: parse("fixed") });
    let hold = journal.snapshot().hold(id).unwrap();
    assert_eq!(hold.ends_at(), Some(lifted_at));
    assert!(hold.is_active_at(hold.added_at) && !hold.is_active_at(lifted_at));
    assert_eq!(journal.snapshot().product(&parse("p")).unwrap().holds(), std::slice::from_ref(hold));
}

#[test]
fn a_new_pin_replaces_the_one_of_the_same_group_only() {
    let mut journal = journal();
    journal.product("q", Class::Platform);
    let first = journal.push(pin("1"));
    let of_q = journal.push(Event::PinAdded {
        group: parse("g"),
        product: parse("q"),
        version: parse("1"),
        reason: parse("kept"),
    });
    let other = journal.push(Event::PinAdded {
        group: parse("h"),
        product: parse("p"),
        version: parse("1"),
        reason: parse("kept"),
    });
    journal.advance(10);
    let second = journal.push(pin("2"));
    let removed = |id| journal.snapshot().pin(id).unwrap().removed.as_ref().map(|stamp| stamp.at);
    assert_eq!(removed(first), Some(journal.now()));
    assert_eq!((removed(second), removed(other), removed(of_q)), (None, None, None));
    let pins = journal.snapshot().product(&parse("p")).unwrap().pins();
    assert_eq!(pins.iter().map(|pin| pin.id).collect::<Vec<_>>(), [first, other, second]);
    assert!(pins[0].removed.is_some(), "the product's own list knows it, too");
    journal.push(Event::PinRemoved { pin: second, reason: parse("done") });
    assert!(journal.snapshot().pin(second).unwrap().removed.is_some());
}

#[test]
fn policies_devices_and_tokens_keep_their_history() {
    let mut journal = journal();
    journal.policy(POLICY).devices(&[r#"{"id":"d"}"#, r#"{"id":"e"}"#]);
    let start = journal.now();
    let hash = Blake3Digest::of(b"secret");
    let scope = TokenScope::Device(parse("d"));
    let token = journal.push(Event::TokenCreated { scope, hash, expires_at: None });
    journal.advance(10);
    journal.policy(&format!("{POLICY}# again\n")).devices(&[r#"{"id":"d","tags":["t"]}"#]);
    journal.push(Event::DevicesRemoved { devices: vec![parse("e")] });
    journal.push(Event::TokenRevoked { token });
    let (snapshot, now) = (journal.snapshot(), journal.now());
    assert_eq!(snapshot.policy_at(start).unwrap().seq, 2);
    assert_eq!(snapshot.policy_at(now).unwrap().seq, snapshot.policies()[1].seq);
    assert_eq!(snapshot.next_policy_after(start), Some(now));
    assert!(snapshot.policy_at(start - jiff::SignedDuration::from_secs(1)).is_none());
    let history = snapshot.device(&parse("d")).unwrap();
    assert!(history.at(start).unwrap().tags.is_empty() && !history.latest().unwrap().tags.is_empty());
    let removed = snapshot.device(&parse("e")).unwrap();
    assert!(removed.at(start).is_some() && removed.latest().is_none());
    let found = snapshot.token_by_hash(&hash).unwrap();
    assert!(found.is_valid_at(start) && !found.is_valid_at(now));
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mut journal = journal();
    let release = journal.draft("p", "1.0", &["any"], false);
    let unknown = ReleaseId(Blake3Digest::of(b"?"));
    let (known, missing) = (|| parse("p"), || parse("q"));
    let added = |change: &dyn Fn(&mut ReleaseManifest, &mut u64, &mut ReleaseId)| {
        let mut manifest = journal.snapshot().product(&known()).unwrap().releases()[0].manifest.clone();
        (manifest.version, manifest.barrier) = (parse("2.0"), true);
        let (mut sequence, mut release) = (2, manifest.id());
        change(&mut manifest, &mut sequence, &mut release);
        Event::ReleaseAdded { release, sequence, manifest, approval: crate::model::ApprovalRule::Auto }
    };
    let cases = [
        (Event::ProductAdded { product: known(), class: Class::Platform }, "product p exists already"),
        (added(&|_, sequence, _| *sequence = 1), "sequence 1 where 2 comes next"),
        (added(&|_, sequence, _| *sequence = 3), "sequence 3 where 2 comes next"),
        (added(&|_, _, id| *id = unknown), "the manifest does not have the release's digest"),
        (
            added(&|manifest, _, id| {
                manifest.version = parse("1.0.0");
                *id = manifest.id();
            }),
            "version 1.0.0 exists already",
        ),
        (
            added(&|manifest, _, id| {
                manifest.product = missing();
                *id = manifest.id();
            }),
            "there is no product q",
        ),
        (Event::ReleaseApproved { product: missing(), release }, "there is no product q"),
        (Event::ReleasePublished { product: known(), release: unknown }, "there is no release"),
        (Event::ReleaseWithdrawn { product: known(), release: unknown, reason: parse("r") }, "there is no release"),
        (Event::HoldLifted { hold: 1, reason: parse("r") }, "there is no hold 1"),
        (Event::PinRemoved { pin: 1, reason: parse("r") }, "there is no pin 1"),
        (Event::TokenRevoked { token: 1 }, "there is no token 1"),
        (Event::PolicyApplied { digest: Blake3Digest::of(b"?"), text: POLICY.into() }, "does not have its digest"),
    ];
    for (event, why) in cases {
        let name = event.name();
        let found = refusal(&journal, event);
        assert!(found.contains(why), "{name}: {found}");
    }
    let mut stray_hold = hold(None);
    let mut stray_pin = pin("1");
    if let (Event::HoldAdded { product, .. }, Event::PinAdded { product: other, .. }) =
        (&mut stray_hold, &mut stray_pin)
    {
        (*product, *other) = (missing(), missing());
    }
    for event in [stray_hold, stray_pin] {
        assert_eq!(refusal(&journal, event), "there is no product q");
    }
}

#[test]
fn an_event_out_of_its_place_is_refused() {
    let journal = journal();
    let event = || Event::DevicesRemoved { devices: vec![parse("d")] };
    for seq in [0, 1, 3] {
        let record = EventRecord { seq, ..next(&journal, event()) };
        assert_eq!(refusal_of(&journal, &record), "event 2 was expected");
    }
    let record = EventRecord { prev: Blake3Digest::of(b"?"), ..next(&journal, event()) };
    assert_eq!(refusal_of(&journal, &record), "its prev is not the hash of the event before");
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let mut journal = journal();
    journal.release("p", "1", &["any"], false).release("p", "2", &["any"], false);
    let id = journal.push(hold(None));
    let broken = |change: &dyn Fn(&mut SnapshotParts)| {
        let mut parts = parts(journal.snapshot());
        change(&mut parts);
        Snapshot::restore(parts).unwrap_err()
    };
    assert_eq!(broken(&|parts| parts.products[0].1.reverse()), "release 1 of p behind release 2");
    assert_eq!(broken(&|parts| parts.products.clear()), "there is no product p");
    assert_eq!(journal.snapshot().hold(id).unwrap().id, id);
}

proptest! {
    #[test]
    fn a_restored_snapshot_answers_like_the_folded_one(changes in changes(60)) {
        let mut journal = TestJournal::new(Timestamp::from_second(1_700_000_000).unwrap());
        for (index, change) in changes.into_iter().enumerate() {
            journal.advance(index as i64 % 3 * 70);
            for event in change.events(journal.snapshot(), journal.now()) {
                journal.push(event);
            }
        }
        let restored = Snapshot::restore(parts(journal.snapshot())).unwrap();
        prop_assert_eq!(dump(&restored), dump(journal.snapshot()));
    }
}
