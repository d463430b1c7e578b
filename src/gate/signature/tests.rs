//! Signatures by every kind of key, over everything that can be signed.

use jiff::Timestamp;

use super::*;
use crate::model::{Actor, NameGlob, Stamp};
use crate::signing::SecretKey;

const MANIFEST: &str = "ringfence release 1\n";

fn stamp() -> Stamp {
    Stamp { at: Timestamp::UNIX_EPOCH, by: Actor::system() }
}

fn trusted(secret: &SecretKey, products: &[&str]) -> TrustedKey {
    let glob = |text: &&str| serde_json::from_value::<NameGlob>(serde_json::json!(text)).unwrap();
    let products = products.iter().map(glob).collect();
    TrustedKey { key: secret.public(), name: "release key".into(), products, trusted: stamp(), revoked: None }
}

fn secret(byte: u8) -> SecretKey {
    SecretKey::from_random([byte; 32], [byte; 8])
}

fn check(
    rule: SignatureRule,
    keys: &[TrustedKey],
    signatures: &[(Option<&str>, String)],
) -> (Vec<Option<String>>, Vec<SignatureFinding>) {
    let targets: Vec<TargetName> = ["a", "b"].iter().map(|target| target.parse().unwrap()).collect();
    let bodies: Vec<_> =
        targets.iter().map(|target| CoveredBody { target, bytes: target.as_str().as_bytes() }).collect();
    let product = "p".parse().unwrap();
    let by = Signatures { product: &product, rule, keys, manifest: MANIFEST, bodies: &bodies };
    let new = |(target, text): &(Option<&str>, String)| NewSignature {
        target: target.map(|target| target.parse().unwrap()),
        text: text.clone(),
    };
    let signatures: Vec<_> = signatures.iter().map(new).collect();
    let (verified, findings) = check_signatures(&signatures, &by);
    (verified.into_iter().map(|good| good.target.map(|target| target.to_string())).collect(), findings)
}

use SignatureRule::{Optional, Required};

#[test]
fn the_manifest_or_every_artifact_has_to_be_signed() {
    let key = secret(1);
    let keys = [trusted(&key, &[])];
    let (manifest, a, b) = (key.sign(MANIFEST.as_bytes(), ""), key.sign(b"a", ""), key.sign(b"b", ""));
    assert_eq!(check(Optional, &keys, &[]), (vec![], vec![]));
    assert_eq!(check(Required, &keys, &[]), (vec![], vec![SignatureFinding::Missing { target: None }]));
    assert_eq!(check(Required, &keys, &[(None, manifest)]), (vec![None], vec![]));
    let both = [(Some("a"), a.clone()), (Some("b"), b)];
    assert_eq!(check(Required, &keys, &both), (vec![Some("a".into()), Some("b".into())], vec![]));
    let half = SignatureFinding::Missing { target: Some("b".parse().unwrap()) };
    assert_eq!(check(Required, &keys, &[(Some("a"), a.clone())]).1, [half]);
    assert_eq!(check(Optional, &keys, &[(Some("a"), a)]).1, []);
}

#[test]
fn a_signature_without_a_target_covers_the_only_artifact() {
    let key = secret(1);
    let (product, target) = ("p".parse().unwrap(), "a".parse().unwrap());
    let keys = [trusted(&key, &["x*", "p"])];
    let bodies = [CoveredBody { target: &target, bytes: b"a" }];
    let by = Signatures { product: &product, rule: Required, keys: &keys, manifest: MANIFEST, bodies: &bodies };
    let signature = NewSignature { target: None, text: key.sign(b"a", "comment") };
    let (verified, findings) = check_signatures(&[signature], &by);
    assert_eq!(findings, []);
    assert_eq!(verified[0].target.as_ref(), Some(&target));
    assert_eq!((verified[0].key, verified[0].comment.as_str()), (key.public().id, "comment"));
}

#[test]
fn everything_that_is_wrong_is_told() {
    let (good, other, revoked, stranger) = (secret(1), secret(2), secret(3), secret(4));
    let reason: Reason = "stolen".parse().unwrap();
    let gone = TrustedKey { revoked: Some((stamp(), reason.clone())), ..trusted(&revoked, &[]) };
    let keys = [trusted(&good, &[]), trusted(&other, &["q-*"]), gone];
    let sign = |key: &SecretKey| key.sign(MANIFEST.as_bytes(), "");
    let id = |key: &SecretKey| key.public().id;
    let name = || "release key".to_owned();
    let cases = [
        ((None, sign(&stranger)), SignatureFinding::UnknownKey { target: None, key: id(&stranger) }),
        ((None, sign(&revoked)), SignatureFinding::Revoked { target: None, key: id(&revoked), name: name(), reason }),
        (
            (None, sign(&other)),
            SignatureFinding::OtherProduct {
                target: None,
                key: id(&other),
                name: name(),
                product: "p".parse().unwrap(),
            },
        ),
        ((None, good.sign(b"a", "")), SignatureFinding::Wrong { target: None, key: id(&good), name: name() }),
        (
            (Some("a"), good.sign(b"b", "")),
            SignatureFinding::Wrong { target: Some("a".parse().unwrap()), key: id(&good), name: name() },
        ),
        ((Some("c"), good.sign(b"c", "")), SignatureFinding::UnknownTarget { target: "c".parse().unwrap() }),
        (
            (Some("a"), "no signature".to_owned()),
            SignatureFinding::Malformed { target: Some("a".parse().unwrap()), source: BadSignature::Malformed },
        ),
    ];
    let all: Vec<_> = cases.iter().map(|(given, _)| given.clone()).collect();
    let expected: Vec<_> = cases.into_iter().map(|(_, finding)| finding).collect();
    for rule in [Optional, Required] {
        assert_eq!(check(rule, &keys, &all), (vec![], expected.clone()), "all at once, whatever is required");
    }
    for finding in expected {
        assert!(!finding.to_string().is_empty());
    }
    // Another key under a trusted key's id.
    let impostor = SecretKey::from_random([9; 32], [1; 8]);
    assert!(matches!(check(Optional, &keys, &[(None, sign(&impostor))]).1[..], [SignatureFinding::Wrong { .. }]));
    let many = vec![(None, sign(&good)); SIGNATURES_MAX + 1];
    assert!(matches!(check(Optional, &keys, &many).1[..], [SignatureFinding::TooMany { .. }]));
}
