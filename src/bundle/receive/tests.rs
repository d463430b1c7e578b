//! Receipts of a real site, carried to its origin in whatever order and from whatever copy.

use jiff::SignedDuration;

use super::*;
use crate::bundle::receipt::testing::{Pair, SITE, changed, lose, only, site_key};
use crate::bundle::receipt::{About, ShortReceipt, SignedShort, Signer, give_receipt};
use crate::catalog::testing::{STAGED, actor, events_of, parse};
use crate::control::{advance_rollouts, apply_policy};
use crate::model::{Blake3Digest, Export, GivenReceipt, ReportEvent, RolloutChange};
use crate::policy::rollout::{RolloutState, standing};
use crate::signing::{KeyEntry, KeysDocument, SecretKey, introduction};

async fn imported() -> (Pair, Export) {
    let pair = Pair::new().await;
    pair.publish("1.0").await;
    let export = pair.export().await;
    pair.import(&export).await;
    (pair, export)
}

async fn take(pair: &Pair, given: &GivenReceipt) -> Result<Told, ReceiptRefusal> {
    take_with(pair, given, None).await
}

async fn take_with(pair: &Pair, given: &GivenReceipt, key: Option<PublicKey>) -> Result<Told, ReceiptRefusal> {
    let carried = Carried::whole(given.text.clone(), given.signature.clone())?;
    taken(pair, carried, key).await
}

async fn taken(pair: &Pair, carried: Carried, key: Option<PublicKey>) -> Result<Told, ReceiptRefusal> {
    match take_receipt(&pair.origin.catalog, &actor("ada"), carried, key).await {
        Ok(told) => Ok(told),
        Err(CommitError::Refused(refusal)) => Err(refusal),
        Err(error) => panic!("{error}"),
    }
}

fn astray(told: &Told) -> &str {
    told.astray.as_deref().unwrap_or("not astray")
}

#[tokio::test]
async fn a_receipt_moves_the_base_and_is_taken_once() {
    let (pair, export) = imported().await;
    let first = pair.give().await;
    let told = take(&pair, &first).await.unwrap();
    assert!(told.is_new && told.astray.is_none());
    assert_eq!(told.proven, Some((export.bundle, 1)));
    assert_eq!(told.notes.len(), 1);
    assert!(told.notes[0].contains(&site_key().public().to_string()), "{told:?}");
    let head = pair.origin.catalog.head();
    let again = take(&pair, &first).await.unwrap();
    assert!(!again.is_new && again.proven == told.proven, "{again:?}");
    assert_eq!(pair.origin.catalog.head(), head, "nothing was journaled");
    // The next bundle, and a receipt that was given before it was applied.
    pair.publish("2.0").await;
    let export = pair.export().await;
    let before = pair.give().await;
    pair.import(&export).await;
    let after = pair.give().await;
    let told = take(&pair, &after).await.unwrap();
    assert_eq!((told.proven, told.notes), (Some((export.bundle, 2)), vec!["receipt 2 was never seen".to_owned()]));
    let refusal = take(&pair, &before).await.unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "receipt 2 of site plant-7 is old: receipt 3 was taken already; nothing was changed"
    );
    let record = pair.origin.catalog.snapshot().site(&parse("plant-7")).cloned().unwrap();
    assert_eq!(record.receipt.as_ref().unwrap().0.versions.len(), 4, "two products in two groups");
}

#[tokio::test]
async fn lost_receipts_are_told_and_harmless() {
    let (pair, export) = imported().await;
    for _ in 0..4 {
        pair.give().await;
    }
    let fifth = pair.give().await;
    let told = take(&pair, &fifth).await.unwrap();
    assert_eq!(told.notes[1..], ["receipts 1 to 4 were never seen"]);
    for _ in 0..2 {
        pair.give().await;
    }
    let told = take(&pair, &pair.give().await).await.unwrap();
    assert_eq!(told.notes, ["receipts 6 and 7 were never seen"]);
    assert_eq!((told.proven, told.astray), (Some((export.bundle, 1)), None));
}

#[tokio::test]
async fn forks_lead_astray_until_a_full_bundle_was_written() {
    let (pair, _) = imported().await;
    let (first, second) = (pair.give().await, pair.give().await);
    take(&pair, &first).await.unwrap();
    let told = take(&pair, &pair.copy_of_given(&first)).await.unwrap();
    assert!(astray(&told).starts_with("fork: two receipts of site plant-7 have number 1, "), "{told:?}");
    assert_eq!(told.proven, None);
    // The second one follows the first, not its copy.
    let told = take(&pair, &second).await.unwrap();
    assert!(astray(&told).starts_with("fork: receipt 2 of site plant-7 follows another receipt 1 "), "{told:?}");
    // What fits again is no reason to believe that there is one site only.
    let told = take(&pair, &pair.give().await).await.unwrap();
    assert!(told.proven.is_none() && told.astray.is_some(), "{told:?}");
    let export = pair.export().await;
    pair.import(&export).await;
    let told = take(&pair, &pair.give().await).await.unwrap();
    assert_eq!((told.proven, told.astray), (Some((export.bundle, 2)), None));
}

#[tokio::test]
async fn a_site_that_was_put_back_is_noticed() {
    let (pair, old) = imported().await;
    let first = pair.give().await;
    pair.publish("2.0").await;
    let export = pair.export().await;
    pair.import(&export).await;
    let second = pair.give().await;
    take(&pair, &second).await.unwrap();
    // By its number, which went back while time went on.
    let again = changed(&first, |receipt| receipt.trusted_time += SignedDuration::from_hours(24));
    let told = take(&pair, &again).await.unwrap();
    assert!(astray(&told).starts_with("restored: receipt 1 of site plant-7 was written after receipt 2, "), "{told:?}");
    // By what it serves, though the numbers go on.
    let (pair, _) = imported().await;
    pair.publish("2.0").await;
    let export = pair.export().await;
    pair.import(&export).await;
    take(&pair, &pair.give().await).await.unwrap();
    let back = changed(&pair.give().await, |receipt| {
        (receipt.bundle, receipt.applied) = (Some(old.bundle), Some(old.bundle));
        (receipt.sequence, receipt.applied_sequence, receipt.root) = (1, 1, old.root);
    });
    let told = take(&pair, &back).await.unwrap();
    assert_eq!(
        astray(&told),
        "restored: site plant-7 serves bundle 1 again, after bundle 2; it was put back from a backup"
    );
    // By serving nothing, after it has served something.
    let (pair, _) = imported().await;
    take(&pair, &pair.give().await).await.unwrap();
    let nothing = changed(&pair.give().await, |receipt| {
        receipt.outcome = ReceiptOutcome::Partial;
        (receipt.bundle, receipt.applied, receipt.sequence, receipt.applied_sequence) = (None, None, 0, 0);
    });
    let told = take(&pair, &nothing).await.unwrap();
    assert!(astray(&told).starts_with("restored: site plant-7 serves nothing again, after bundle 1; "), "{told:?}");
}

#[tokio::test]
async fn what_an_origin_does_not_know_leads_astray() {
    let (pair, _) = imported().await;
    let given = pair.give().await;
    let later = changed(&given, |receipt| {
        (receipt.bundle, receipt.applied) =
            (Some(BundleId(Blake3Digest::of(b"9"))), Some(BundleId(Blake3Digest::of(b"9"))));
        (receipt.sequence, receipt.applied_sequence) = (9, 9);
    });
    let told = take(&pair, &later).await.unwrap();
    assert!(astray(&told).contains("none after 1 is known here: this origin was put back from a backup"), "{told:?}");
    // The next bundle lies above it, so that the site takes it.
    assert_eq!(pair.export().await.sequence, 10);
    // Something of it was lost at the site.
    let (pair, _) = imported().await;
    lose(&pair.site, &Blake3Digest::of(b"1.0"));
    let told = take(&pair, &pair.give().await).await.unwrap();
    assert_eq!((told.proven, told.outcome), (None, ReceiptOutcome::Partial));
    assert!(astray(&told).starts_with("site plant-7 does not hold all that bundle 1 brought it: "), "{told:?}");
}

#[tokio::test]
async fn a_partial_or_refused_import_leaves_the_base_where_it_is() {
    let (pair, export) = imported().await;
    take(&pair, &pair.give().await).await.unwrap();
    pair.publish("2.0").await;
    let second = pair.export().await;
    let about = |outcome, bundle, sequence| About {
        bundle: Some(bundle),
        sequence,
        outcome,
        reasons: vec!["it is not there whole".into()],
        missing: [Blake3Digest::of(b"2.0")].into(),
    };
    let (_, partial) = pair.give_about(about(ReceiptOutcome::Partial, second.bundle, 2)).await;
    let told = take(&pair, &partial).await.unwrap();
    assert_eq!((told.proven, told.astray), (Some((export.bundle, 1)), None));
    // A bundle of somebody else, with a sequence that nobody should count on.
    let foreign = about(ReceiptOutcome::Refused, BundleId(Blake3Digest::of(b"foreign")), 1 << 50);
    let (_, refused) = pair.give_about(foreign).await;
    let told = take(&pair, &refused).await.unwrap();
    assert_eq!((told.proven, told.astray), (Some((export.bundle, 1)), None));
    assert_eq!(pair.export().await.sequence, 3);
}

#[tokio::test]
async fn a_receipt_is_the_sites_or_it_is_refused() {
    let (pair, _) = imported().await;
    let given = pair.give().await;
    let mut unsigned = given.clone();
    unsigned.signature = site_key().sign(b"something else", "receipt");
    assert!(matches!(take(&pair, &unsigned).await, Err(ReceiptRefusal::Signature(_))));
    unsigned.signature = "no signature".into();
    assert!(matches!(take(&pair, &unsigned).await, Err(ReceiptRefusal::Signature(_))));
    let stranger = changed(&given, |receipt| receipt.site = parse("ship"));
    assert!(matches!(take(&pair, &stranger).await, Err(ReceiptRefusal::UnknownSite(_))));
    // The first key is believed; then it is that one.
    let thief = SecretKey::from_random([66; 32], [66; 8]);
    let by_thief = |given: &GivenReceipt| signed_by(given, &thief, only(&thief));
    let named = Some(site_key().public());
    assert!(matches!(take_with(&pair, &by_thief(&given), named).await, Err(ReceiptRefusal::OtherKey { .. })));
    take_with(&pair, &given, named).await.unwrap();
    let next = pair.give().await;
    let refusal = take(&pair, &by_thief(&next)).await.unwrap_err();
    assert!(refusal.to_string().contains("the known key of site plant-7 is 0909090909090909"), "{refusal}");
    // A key for which the site's vouches needs nobody's word, even when the old one is retired by now.
    let new = SecretKey::from_random([10; 32], [10; 8]);
    let (at, by) = (pair.site.now(), site_key().public().id);
    let introduced = site_key().sign(introduction(&new.public(), by, at).as_bytes(), "next");
    let mut keys = only(&site_key()).keys;
    keys[0].retired_at = Some(at);
    let (key, introduction, introduced_by) = (new.public(), Some(introduced), Some(by));
    keys.push(KeyEntry { key, added_at: at, introduced_by, introduction, retired_at: None });
    let told = take(&pair, &signed_by(&next, &new, KeysDocument { keys })).await.unwrap();
    assert_eq!(told.notes, ["site plant-7 signs with key 0A0A0A0A0A0A0A0A from now on"]);
    assert_eq!((told.astray, told.key), (None, new.public()));
    // The old one does not come back.
    assert!(matches!(take(&pair, &pair.give().await).await, Err(ReceiptRefusal::OtherKey { .. })));
    // Unless a person says so, and the policy does not contradict.
    assert!(take_with(&pair, &pair.give().await, named).await.is_ok());
    let pinned = format!("{STAGED}{SITE}key = \"{}\"\n", new.public());
    apply_policy(&pair.origin.catalog, &actor("ada"), pinned, None).await.unwrap();
    let given = pair.give().await;
    assert!(matches!(take_with(&pair, &given, named).await, Err(ReceiptRefusal::OtherThanPolicy { .. })));
    let refusal = take(&pair, &given).await.unwrap_err();
    assert!(refusal.to_string().contains("the policy's key for site plant-7 is 0A0A0A0A0A0A0A0A"), "{refusal}");
}

fn signed_by(given: &GivenReceipt, key: &SecretKey, keys: KeysDocument) -> GivenReceipt {
    let mut signed = changed(given, |receipt| (receipt.key, receipt.keys) = (key.public(), keys));
    signed.signature = key.sign(signed.text.as_bytes(), "receipt");
    signed
}

fn short_of(given: &GivenReceipt) -> SignedShort {
    let (receipt, id) = Receipt::parse(&given.text).unwrap();
    ShortReceipt::of(&receipt, id, site_key().public().id).sign(&site_key())
}

#[tokio::test]
async fn the_short_form_moves_the_base_and_opens_no_gate() {
    let (pair, export) = imported().await;
    pair.canaries_report("1.0", 0..2, ReportEvent::Healthy).await;
    let first = pair.give().await;
    let unknown = taken(&pair, Carried::short(&short_of(&first).code()).unwrap(), None).await;
    assert!(matches!(unknown, Err(ReceiptRefusal::UnknownKey { .. })), "{unknown:?}");
    take(&pair, &first).await.unwrap();
    pair.publish("2.0").await;
    let second = pair.export().await;
    pair.import(&second).await;
    pair.canaries_report("2.0", 0..2, ReportEvent::Failed).await;
    let given = pair.give().await;
    let told = taken(&pair, Carried::short(&short_of(&given).typed()).unwrap(), None).await.unwrap();
    assert_eq!((told.proven, told.astray), (Some((second.bundle, 2)), None));
    assert!(told.proven != Some((export.bundle, 1)));
    let record = pair.origin.catalog.snapshot().site(&parse("plant-7")).cloned().unwrap();
    let receipt = &record.receipt.as_ref().unwrap().0;
    let healthy: Vec<_> = receipt.tallies.iter().map(|tally| (tally.healthy, tally.failed)).collect();
    assert_eq!(healthy, [(2, 0)], "those of the receipt before it");
    // The whole one of it is known then.
    assert!(!take(&pair, &given).await.unwrap().is_new);
    let mut forged = short_of(&pair.give().await);
    forged.short.number += 1;
    assert!(matches!(
        taken(&pair, Carried::short(&forged.code()).unwrap(), None).await,
        Err(ReceiptRefusal::Signature(_))
    ));
}

fn state_of(pair: &Pair) -> (RolloutState, Option<String>) {
    let snapshot = pair.origin.catalog.snapshot();
    let product = snapshot.product(&parse("intel")).unwrap();
    let standing = standing(product, product.rollouts().last().unwrap(), pair.origin.catalog.now());
    (standing.state, standing.ring.map(|ring| ring.to_string()))
}

#[tokio::test]
async fn what_a_sites_devices_say_reaches_the_gates() {
    let (pair, _) = imported().await;
    let state = || state_of(&pair);
    pair.origin.world.clock.advance(SignedDuration::from_hours(1));
    pair.canaries_report("1.0", 0..2, ReportEvent::Healthy).await;
    // Three samples are asked for: the same two again and again are two.
    for _ in 0..3 {
        take(&pair, &pair.give().await).await.unwrap();
        advance_rollouts(&pair.origin.catalog).await.unwrap();
        assert_eq!(state().1, Some("canary".into()));
    }
    pair.canaries_report("1.0", 2..3, ReportEvent::Healthy).await;
    take(&pair, &pair.give().await).await.unwrap();
    advance_rollouts(&pair.origin.catalog).await.unwrap();
    assert_eq!(state(), (RolloutState::Baking, Some("broad".into())));
}

#[tokio::test]
async fn a_sites_failures_halt_the_rollout_and_a_restart_knows_them() {
    let (pair, _) = imported().await;
    pair.canaries_report("1.0", 0..6, ReportEvent::Failed).await;
    take(&pair, &pair.give().await).await.unwrap();
    let Pair { origin, .. } = pair;
    let crate::publish::testing::Desk { world, catalog, publisher } = origin;
    drop((catalog, publisher));
    let catalog = world.catalog();
    let before = catalog.snapshot().seq();
    advance_rollouts(&catalog).await.unwrap();
    let halted: Vec<_> = events_of(&world, before + 1)
        .into_iter()
        .filter_map(|event| match event {
            Event::RolloutChanged { change: RolloutChange::Halted { evidence, .. }, .. } => Some(evidence.failed),
            _ => None,
        })
        .collect();
    assert_eq!(halted, [6]);
}

#[tokio::test]
async fn a_site_has_no_say_in_rings_that_it_is_not_in() {
    let pair = Pair::new().await;
    let policy = format!("{STAGED}{}", SITE.replace("\"canaries\", ", ""));
    apply_policy(&pair.origin.catalog, &actor("ada"), policy, None).await.unwrap();
    pair.publish("1.0").await;
    let mut export = pair.export().await;
    pair.import(&export).await;
    pair.canaries_report("1.0", 0..6, ReportEvent::Failed).await;
    // The bundle of the tests names both groups; that of another pair only one.
    let told = take(&pair, &pair.give().await).await.unwrap();
    assert!(!told.notes.iter().any(|note| note.contains("not counted")), "{told:?}");
    export.groups = vec![parse("everyone")];
    let other = Pair::new().await;
    let policy = format!("{STAGED}{}", SITE.replace("\"canaries\", ", ""));
    apply_policy(&other.origin.catalog, &actor("ada"), policy, None).await.unwrap();
    other.publish("1.0").await;
    let event = Event::BundleExported { site: parse("plant-7"), export: Box::new(export.clone()) };
    crate::catalog::testing::commit(&other.origin.catalog, vec![event]).await;
    let told = take(&other, &pair.give().await).await.unwrap();
    assert!(told.notes.iter().any(|note| note.starts_with("1 tally is of rings ")), "{told:?}");
    let before = state_of(&other);
    advance_rollouts(&other.origin.catalog).await.unwrap();
    assert_eq!(state_of(&other), before, "nothing is halted");
}

#[tokio::test]
async fn a_server_is_one_site() {
    let (pair, _) = imported().await;
    let (key, keys) = (site_key(), only(&site_key()));
    let about = About::present(&pair.site.snapshot());
    let signer = Signer { key: &key, keys: &keys };
    let other = give_receipt(&pair.site, &actor("operator"), &parse("ship"), about, signer).await;
    assert_eq!(other.unwrap_err().to_string(), "this server is site plant-7, not ship");
}
