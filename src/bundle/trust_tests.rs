use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::testing::{Make, TestBundle};
use super::*;
use crate::model::{KeyId, PublicKey};
use crate::signing::{BadSignature, KeyEntry, KeysDocument, SecretKey, introduction};

fn secret(byte: u8) -> SecretKey {
    SecretKey::from_random([byte; 32], [byte; 8])
}

fn time(minute: i64) -> Timestamp {
    let start: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    start + SignedDuration::from_mins(minute)
}

fn first(key: &SecretKey) -> KeyEntry {
    KeyEntry { key: key.public(), added_at: time(-90), introduced_by: None, introduction: None, retired_at: None }
}

/// `key`, introduced by `by`.
fn next(key: &SecretKey, by: &SecretKey) -> KeyEntry {
    let text = introduction(&key.public(), by.public().id, time(-60));
    KeyEntry {
        added_at: time(-60),
        introduced_by: Some(by.public().id),
        introduction: Some(by.sign(text.as_bytes(), "introduction")),
        ..first(key)
    }
}

fn retired(entry: KeyEntry) -> KeyEntry {
    KeyEntry { retired_at: Some(time(-1)), ..entry }
}

/// A bundle that `by` signs at minute 0, which tells of these keys.
fn signed(by: &SecretKey, keys: Vec<KeyEntry>) -> TestBundle {
    let mut make = Make::new(&[b"a body"]);
    make.secret = by.clone();
    make.keys = KeysDocument { keys };
    make.bundle()
}

fn trust(keys: &[&SecretKey]) -> OriginTrust {
    OriginTrust::in_keys(keys.iter().map(|key| key.public()))
}

fn check(bundle: &TestBundle, trust: &OriginTrust) -> Result<PublicKey, BundleRefusal> {
    let (manifest, id, signer) = verify(bundle.text.as_bytes(), Some(&bundle.signature), trust)?;
    assert_eq!((manifest, id), (bundle.manifest.clone(), bundle.id));
    Ok(signer)
}

#[track_caller]
fn refuses(bundle: &TestBundle, trust: &OriginTrust) -> BundleRefusal {
    let refusal = check(bundle, trust).expect_err("an attack");
    assert!(!refusal.to_string().is_empty());
    refusal
}

fn id(key: &SecretKey) -> KeyId {
    key.public().id
}

#[test]
fn what_a_trusted_key_signed_is_taken() {
    let (one, two, three) = (secret(1), secret(2), secret(3));
    assert_eq!(check(&signed(&one, vec![first(&one)]), &trust(&[&one])), Ok(one.public()));
    assert_eq!(check(&signed(&one, vec![first(&one)]), &trust(&[&two, &one])), Ok(one.public()));
    // A newer key, through one in between.
    let rotated = signed(&three, vec![first(&one), next(&two, &one), next(&three, &two)]);
    assert_eq!(check(&rotated, &trust(&[&one])), Ok(three.public()));
    assert_eq!(check(&rotated, &trust(&[&two])), Ok(three.public()));
    // An end that lies ahead is an overlap.
    let overlap = KeyEntry { retired_at: Some(time(1)), ..first(&one) };
    assert!(check(&signed(&two, vec![overlap.clone(), next(&two, &one)]), &trust(&[&one])).is_ok());
    assert!(check(&signed(&one, vec![overlap]), &trust(&[&one])).is_ok());
}

#[test]
fn who_has_seen_a_newer_key_never_goes_back() {
    let (one, two) = (secret(1), secret(2));
    let keys = vec![first(&one), next(&two, &one)];
    let newer = signed(&two, keys.clone());
    let after = trust(&[&one]).after(&newer.manifest, &two.public());
    assert_eq!(after, trust(&[&two]));
    assert!(matches!(refuses(&signed(&one, keys), &after), BundleRefusal::Stranger { .. }));
    // What was retired is remembered, even where a later bundle does not tell of it.
    let newer = signed(&two, vec![retired(first(&one)), next(&two, &one)]);
    let after = trust(&[&two]).after(&newer.manifest, &two.public());
    assert_eq!(after.retired, [(id(&one), None)]);
    let refusal = refuses(&signed(&one, vec![first(&one)]), &after);
    assert_eq!(refusal, BundleRefusal::Retired { by: id(&one), why: None });
}

#[test]
fn keys_that_do_not_count() {
    let (one, two, evil) = (secret(1), secret(2), secret(9));
    let stranger = BundleRefusal::Stranger { by: id(&evil), trusted: id(&one).to_string() };
    // The attacker's key vouches for itself, or pretends that somebody does.
    let claims = [
        first(&evil),
        next(&evil, &evil),
        KeyEntry { introduced_by: Some(id(&one)), ..next(&evil, &evil) },
        KeyEntry { introduction: None, ..next(&evil, &one) },
        KeyEntry { introduction: next(&two, &one).introduction, ..next(&evil, &one) },
        KeyEntry { added_at: time(-9), ..next(&evil, &one) },
    ];
    for claim in claims {
        assert_eq!(refuses(&signed(&evil, vec![first(&one), claim]), &trust(&[&one])), stranger);
    }
    // It takes the id of a key that counts.
    let impostor = SecretKey::from_random([9; 32], [1; 8]);
    let wrong = BundleRefusal::Signature(BadSignature::Wrong { by: id(&one) });
    assert_eq!(refuses(&signed(&impostor, vec![first(&impostor)]), &trust(&[&one])), wrong);
    // The signature is good, and the keys told of have another key under the signer's id.
    assert!(matches!(
        refuses(&signed(&one, vec![first(&impostor)]), &trust(&[&one])),
        BundleRefusal::OtherIssuer { .. }
    ));
    // Too far along to be looked at.
    let mut many: Vec<KeyEntry> = (0..64).map(|_| first(&one)).collect();
    many.push(next(&evil, &one));
    assert_eq!(refuses(&signed(&evil, many), &trust(&[&one])), stranger);
}

#[test]
fn keys_that_were_retired() {
    let (one, two, evil) = (secret(1), secret(2), secret(9));
    let gone = |by: &SecretKey| BundleRefusal::Retired { by: id(by), why: None };
    // By the trust, whatever the bundle says, and for a reason.
    let why: crate::model::Reason = "stolen".parse().unwrap();
    let known = OriginTrust { retired: vec![(id(&one), Some(why.clone()))], ..trust(&[&one, &two]) };
    let refusal = refuses(&signed(&one, vec![first(&one)]), &known);
    assert_eq!(refusal, BundleRefusal::Retired { by: id(&one), why: Some(why) });
    assert!(refusal.to_string().ends_with("which the origin retired: stolen"), "{refusal}");
    // What it vouches for, directly or in between.
    let chain = vec![first(&one), next(&evil, &one)];
    assert!(matches!(refuses(&signed(&evil, chain.clone()), &known), BundleRefusal::Stranger { .. }));
    let only = OriginTrust { retired: known.retired.clone(), ..trust(&[&one]) };
    assert_eq!(refuses(&signed(&evil, chain), &only), BundleRefusal::PinRetired(id(&one)));
    let between = OriginTrust { retired: vec![(id(&two), None)], ..trust(&[&one]) };
    let chain = vec![first(&one), next(&two, &one), next(&evil, &two)];
    assert!(matches!(refuses(&signed(&evil, chain), &between), BundleRefusal::Stranger { .. }));
    // By the bundle itself.
    assert_eq!(refuses(&signed(&one, vec![retired(first(&one))]), &trust(&[&one])), gone(&one));
    let chain = vec![first(&one), retired(next(&two, &one))];
    assert_eq!(refuses(&signed(&two, chain), &trust(&[&one])), gone(&two));
    let chain = vec![retired(first(&one)), next(&two, &one)];
    assert_eq!(refuses(&signed(&two, chain), &trust(&[&one])), BundleRefusal::PinRetired(id(&one)));
}

#[test]
fn signatures_that_are_none() {
    let one = secret(1);
    let bundle = signed(&one, vec![first(&one)]);
    let unsigned = verify(bundle.text.as_bytes(), None, &trust(&[&one])).unwrap_err();
    assert_eq!(unsigned, BundleRefusal::Unsigned);
    assert!(unsigned.to_string().starts_with("the bundle is not signed: there is no BUNDLE.sig"));
    assert_eq!(refuses(&bundle, &OriginTrust::default()), BundleRefusal::NoKeys);
    let malformed = BundleRefusal::Signature(BadSignature::Malformed);
    for signature in
        [String::new(), bundle.text.clone(), one.public().to_string(), bundle.signature.replacen('\n', "", 1)]
    {
        assert_eq!(refuses(&TestBundle { signature, ..bundle.clone() }, &trust(&[&one])), malformed);
    }
    // That of another bundle, or of something else that the origin signed.
    let mut other = Make::new(&[b"another body"]);
    other.secret = one.clone();
    other.keys = bundle.manifest.issuer_keys.clone();
    let swapped = TestBundle { signature: other.bundle().signature, ..bundle.clone() };
    let wrong = BundleRefusal::Signature(BadSignature::Wrong { by: id(&one) });
    assert_eq!(refuses(&swapped, &trust(&[&one])), wrong);
    let statement = "ringfence freshness statement\n".to_owned();
    let as_bundle = TestBundle { signature: one.sign(statement.as_bytes(), "x"), text: statement, ..bundle.clone() };
    assert!(matches!(refuses(&as_bundle, &trust(&[&one])), BundleRefusal::Manifest(ManifestError::Malformed { .. })));
    // It names another key than the one that signed it.
    let two = secret(2);
    let mut lying = signed(&one, vec![first(&one), next(&two, &one)]).manifest;
    lying.issuer = id(&two);
    let lying = TestBundle::signed(lying, Vec::new(), &one);
    assert_eq!(refuses(&lying, &trust(&[&one])), BundleRefusal::OtherIssuer { said: id(&two), by: id(&one) });
    // Signed, and in a format of later.
    let mut later = bundle.manifest.clone();
    later.format = 2;
    let later = TestBundle::signed(later, Vec::new(), &one);
    let refusal = refuses(&later, &trust(&[&one]));
    assert_eq!(refusal, BundleRefusal::Manifest(ManifestError::OtherFormat { found: 2 }));
}

proptest! {
    #[test]
    fn any_changed_byte_is_refused(place in any::<prop::sample::Index>(), change in 1u8..=255) {
        let (one, two) = (secret(1), secret(2));
        let bundle = signed(&two, vec![first(&one), next(&two, &one)]);
        let mut bytes = bundle.text.clone().into_bytes();
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        for trust in [trust(&[&one]), trust(&[&two])] {
            let refusal = verify(&bytes, Some(&bundle.signature), &trust).unwrap_err();
            let is_unread = matches!(
                refusal,
                BundleRefusal::Signature(_) | BundleRefusal::Stranger { .. } | BundleRefusal::PinRetired(_) | BundleRefusal::Retired { .. }
            );
            prop_assert!(is_unread, "{}", refusal);
        }
    }
}
