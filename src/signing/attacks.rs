//! Attacks on a client of signed answers, one by one: each must be refused, for the reason that it is.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::verify::{Answers, Asked, Offer, OfferedArtifact, Remembered, Signed, Untrusted, Verified, verify};
use super::{BadSignature, Freshness, KeyEntry, KeysDocument, OfferLine, SecretKey, introduction, view_of};
use crate::model::{
    Artifact, Blake3Digest, DeviceId, Platform, ProductName, ReleaseId, ReleaseManifest, Sha256Digest, Version,
};

fn time(minute: i64) -> Timestamp {
    "2026-11-21T10:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minute)
}

fn secret(byte: u8) -> SecretKey {
    SecretKey::from_random([byte; 32], [byte; 8])
}

fn signed(key: &SecretKey, text: String) -> Signed {
    let signature = key.sign(text.as_bytes(), "test");
    Signed { text, signature }
}

fn first(key: &SecretKey) -> KeyEntry {
    KeyEntry { key: key.public(), added_at: time(-60), introduced_by: None, introduction: None, retired_at: None }
}

/// `key`, for which `by` vouches.
fn next(key: &SecretKey, by: &SecretKey) -> KeyEntry {
    let text = introduction(&key.public(), by.public().id, time(-10));
    let introduction = Some(by.sign(text.as_bytes(), "introduction"));
    let introduced_by = Some(by.public().id);
    KeyEntry { key: key.public(), added_at: time(-10), introduced_by, introduction, retired_at: None }
}

fn manifest(version: &str) -> ReleaseManifest {
    let artifact = |target: &str, platform: &str| Artifact {
        target: target.parse().unwrap(),
        platform: platform.parse().unwrap(),
        size: version.len() as u64,
        blake3: Blake3Digest::of(version.as_bytes()),
        sha256: Sha256Digest::of(version.as_bytes()),
        media_type: "application/octet-stream".into(),
    };
    let artifacts = vec![artifact("linux.bin", "linux-x64"), artifact("windows.bin", "windows-x64")];
    ReleaseManifest { product: "av".parse().unwrap(), version: version.parse().unwrap(), barrier: false, artifacts }
}

fn offer(version: &str, sequence: u64) -> Offer {
    let ReleaseManifest { product, version, artifacts, .. } = manifest(version);
    let release = manifest(version.as_str()).id();
    let artifacts = artifacts.into_iter().filter(|artifact| artifact.platform == windows()).map(|artifact| {
        let Artifact { target, platform, size, blake3, sha256, .. } = artifact;
        OfferedArtifact { target, platform, size, blake3, sha256 }
    });
    let artifacts = artifacts.collect();
    Offer { product, version, release, sequence, artifacts }
}

fn windows() -> Platform {
    "windows-x64".parse().unwrap()
}

fn pc() -> DeviceId {
    "pc-1".parse().unwrap()
}

/// What an honest origin says to `pc-1` at minute 0, when its journal stands at 40: version 2 of `av`.
fn statement(key: &SecretKey) -> Freshness {
    let Offer { product, version, release, sequence, .. } = offer("2", 2);
    Freshness {
        origin: key.public().id,
        view: view_of(Some(&pc())),
        platform: Some(windows()),
        sequence: 40,
        at: time(0),
        expires: time(15),
        offers: vec![OfferLine { product, version, sequence, release }],
    }
}

fn honest(key: &SecretKey) -> Answers {
    Answers {
        keys: KeysDocument { keys: vec![first(key)] },
        freshness: signed(key, statement(key).text()),
        offer: Some((offer("2", 2), signed(key, manifest("2").text()))),
    }
}

/// With a statement that says something else, properly signed.
fn saying(key: &SecretKey, change: impl FnOnce(&mut Freshness)) -> Answers {
    let mut said = statement(key);
    change(&mut said);
    Answers { freshness: signed(key, said.text()), ..honest(key) }
}

/// What a client of `pc-1` remembers that pinned key 1 and saw sequence 40 at minute 0.
fn remembered() -> Remembered {
    let key = secret(1).public();
    Remembered { pinned: key, newest: key, view: view_of(Some(&pc())), sequence: 40, at: time(0) }
}

struct Client {
    pinned: SecretKey,
    known: Option<Remembered>,
    platform: Option<Platform>,
    current: Option<Version>,
    device: Option<DeviceId>,
    now: Timestamp,
}

impl Client {
    fn new() -> Self {
        let (platform, now) = (Some(windows()), time(1));
        Self { pinned: secret(1), known: Some(remembered()), platform, current: None, device: None, now }
    }

    fn at(minute: i64) -> Self {
        Self { now: time(minute), ..Self::new() }
    }

    fn new_here() -> Self {
        Self { known: None, ..Self::new() }
    }

    fn verify(&self, answers: &Answers) -> Result<Verified, Untrusted> {
        let product: ProductName = "av".parse().unwrap();
        let (platform, current) = (self.platform.as_ref(), self.current.as_ref());
        let asked = Asked { product: &product, platform, current, device: self.device.as_ref(), now: self.now };
        verify(&self.pinned.public(), self.known.as_ref(), &asked, answers)
    }

    #[track_caller]
    fn refuses(&self, answers: &Answers) -> Untrusted {
        let refusal = self.verify(answers).expect_err("an attack");
        assert!(!refusal.to_string().is_empty());
        refusal
    }
}

#[test]
fn what_an_honest_origin_says_is_believed() {
    let answers = honest(&secret(1));
    for client in [Client::new(), Client::new_here(), Client { device: Some(pc()), ..Client::new_here() }] {
        let verified = client.verify(&answers).unwrap();
        assert_eq!(verified.remembered, remembered());
        assert_eq!(verified.manifest, Some(manifest("2")));
    }
    // Nothing to fetch: it has what is decided, or nothing is.
    let has_it = Client { current: Some("2".parse().unwrap()), ..Client::new() };
    assert!(has_it.verify(&Answers { offer: None, ..honest(&secret(1)) }).unwrap().manifest.is_none());
    let nothing = Answers { offer: None, ..saying(&secret(1), |said| said.offers.clear()) };
    assert!(Client::new().verify(&nothing).is_ok());
    // A rollback that the origin means has a higher sequence, and a lower version.
    let back = saying(&secret(1), |said| {
        said.sequence = 41;
        said.offers[0] = OfferLine {
            version: "1".parse().unwrap(),
            sequence: 1,
            release: manifest("1").id(),
            ..said.offers[0].clone()
        };
    });
    let back = Answers { offer: Some((offer("1", 1), signed(&secret(1), manifest("1").text()))), ..back };
    assert_eq!(Client::new().verify(&back).unwrap().remembered.sequence, 41);
}

#[test]
fn rollback_freeze_and_expiry() {
    let key = secret(1);
    let behind = saying(&key, |said| said.sequence = 39);
    assert_eq!(Client::new().refuses(&behind), Untrusted::RolledBack { seen: 40, found: 39 });
    let older = saying(&key, |said| said.at = time(-1));
    assert_eq!(Client::new().refuses(&older), Untrusted::Older { seen: time(0), found: time(-1) });
    assert!(Client::new_here().verify(&behind).is_ok(), "who has seen nothing cannot know");
    // A clock may be five minutes off, either way, and no more.
    let answers = honest(&key);
    assert!(Client::at(20).verify(&answers).is_ok() && Client::at(-5).verify(&answers).is_ok());
    assert_eq!(Client::at(21).refuses(&answers), Untrusted::Expired(time(15)));
    assert_eq!(Client { known: None, ..Client::at(-6) }.refuses(&answers), Untrusted::Ahead(time(0)));
    // Freeze: the offer is kept back while the statement says that there is one.
    let frozen = Answers { offer: None, ..honest(&key) };
    assert!(matches!(Client::new().refuses(&frozen), Untrusted::Withheld { .. }));
    let has_an_older_one = Client { current: Some("1".parse().unwrap()), ..Client::new() };
    assert!(matches!(has_an_older_one.refuses(&frozen), Untrusted::Withheld { .. }));
    // At the ends of time nothing breaks.
    let endless = saying(&key, |said| said.expires = Timestamp::MAX);
    assert!(Client::at(60).verify(&endless).is_ok());
    let ancient = saying(&key, |said| said.at = Timestamp::MIN);
    assert!(Client::new_here().verify(&ancient).is_ok());
}

#[test]
fn mix_and_match() {
    let key = secret(1);
    let sign = |version| signed(&key, manifest(version).text());
    // An old release, its own manifest, the present statement.
    let old_offer = Answers { offer: Some((offer("1", 1), sign("1"))), ..honest(&key) };
    assert!(matches!(Client::new().refuses(&old_offer), Untrusted::OtherOffer { .. }));
    // The right offer with another release's manifest.
    let other_manifest = Answers { offer: Some((offer("2", 2), sign("1"))), ..honest(&key) };
    assert_eq!(Client::new().refuses(&other_manifest), Untrusted::OtherManifest(manifest("2").id()));
    // The right manifest and an offer that differs from it, in whatever.
    let changes: [fn(&mut Offer); 6] = [
        |offer| offer.artifacts[0].blake3 = Blake3Digest::of(b"evil"),
        |offer| offer.artifacts[0].sha256 = Sha256Digest::of(b"evil"),
        |offer| offer.artifacts[0].size += 1,
        |offer| offer.artifacts[0].target = "other.bin".parse().unwrap(),
        |offer| offer.artifacts.clear(),
        |offer| offer.artifacts.push(offer.artifacts[0].clone()),
    ];
    for change in changes {
        let mut changed = offer("2", 2);
        change(&mut changed);
        let answers = Answers { offer: Some((changed, sign("2"))), ..honest(&key) };
        assert_eq!(Client::new().refuses(&answers), Untrusted::OtherArtifacts);
    }
    let changes: [fn(&mut Offer); 4] = [
        |offer| offer.product = "drivers".parse().unwrap(),
        |offer| offer.version = "3".parse().unwrap(),
        |offer| offer.sequence = 3,
        |offer| offer.release = ReleaseId(Blake3Digest::of(b"evil")),
    ];
    for change in changes {
        let mut changed = offer("2", 2);
        change(&mut changed);
        let answers = Answers { offer: Some((changed, sign("2"))), ..honest(&key) };
        assert!(matches!(Client::new().refuses(&answers), Untrusted::OtherOffer { .. }));
    }
    // Signed by the origin as one thing, shown as another.
    let as_statement = Answers { freshness: sign("2"), ..honest(&key) };
    assert!(matches!(Client::new().refuses(&as_statement), Untrusted::Statement(_)));
}

#[test]
fn answers_for_others() {
    let key = secret(1);
    let other = saying(&key, |said| said.view = view_of(Some(&"canary-1".parse().unwrap())));
    let nobodys = saying(&key, |said| said.view = view_of(None));
    for answers in [&other, &nobodys] {
        assert_eq!(Client::new().refuses(answers), Untrusted::OtherView, "as it remembers");
        let named = Client { device: Some(pc()), ..Client::new_here() };
        assert_eq!(named.refuses(answers), Untrusted::OtherView, "as it says");
    }
    for platform in [Some("linux-x64".parse().unwrap()), None] {
        let answers = saying(&key, |said| said.platform = platform);
        assert!(matches!(Client::new().refuses(&answers), Untrusted::OtherPlatform { .. }));
    }
}

#[test]
fn keys_that_do_not_count() {
    let (one, two, evil) = (secret(1), secret(2), secret(9));
    let stranger = |by: &SecretKey| Untrusted::Stranger {
        what: "freshness statement",
        by: by.public().id,
        trusted: one.public().id,
    };
    assert_eq!(Client::new().refuses(&honest(&evil)), stranger(&evil));
    // The attacker's key vouches for itself, or pretends that somebody does.
    let claims = [
        next(&evil, &evil),
        KeyEntry { introduced_by: Some(one.public().id), ..next(&evil, &evil) },
        KeyEntry { introduction: None, introduced_by: Some(one.public().id), ..first(&evil) },
        KeyEntry { introduction: next(&two, &one).introduction, ..next(&evil, &one) },
        KeyEntry { added_at: time(-9), ..next(&evil, &one) },
    ];
    for claim in claims {
        let keys = KeysDocument { keys: vec![first(&one), claim] };
        assert_eq!(Client::new().refuses(&Answers { keys, ..honest(&evil) }), stranger(&evil));
    }
    // It takes the id of a key that counts.
    let impostor = SecretKey::from_random([9; 32], [1; 8]);
    let keys = KeysDocument { keys: vec![first(&one), first(&impostor)] };
    assert!(matches!(Client::new().refuses(&Answers { keys, ..honest(&impostor) }), Untrusted::Signature { .. }));
    // A retired key vouches for nobody, whenever it says it did.
    let retired = KeyEntry { retired_at: Some(time(0)), ..first(&one) };
    let keys = KeysDocument { keys: vec![retired.clone(), next(&evil, &one)] };
    let refusal = Client::new().refuses(&Answers { keys, ..honest(&evil) });
    assert_eq!(refusal, Untrusted::PinRetired(one.public().id));
    let keys = KeysDocument {
        keys: vec![first(&one), KeyEntry { retired_at: Some(time(0)), ..next(&two, &one) }, next(&evil, &two)],
    };
    assert_eq!(Client::new().refuses(&Answers { keys: keys.clone(), ..honest(&evil) }), stranger(&evil));
    let by = two.public().id;
    let refusal = Client::new().refuses(&Answers { keys, ..honest(&two) });
    assert_eq!(refusal, Untrusted::Retired { what: "freshness statement", by });
    // The statement is good, the manifest is by somebody else.
    let forged = Answers { offer: Some((offer("2", 2), signed(&evil, manifest("2").text()))), ..honest(&one) };
    assert!(matches!(Client::new().refuses(&forged), Untrusted::Stranger { what: "manifest", .. }));
    // It names another key than the one that signed it.
    let said = two.public().id;
    let lying = saying(&one, |statement| statement.origin = said);
    assert_eq!(Client::new().refuses(&lying), Untrusted::OtherOrigin { said, by: one.public().id });
}

#[test]
fn a_rotation_is_followed_and_never_back() {
    let (one, two, three) = (secret(1), secret(2), secret(3));
    let keys = KeysDocument { keys: vec![first(&one), next(&two, &one), next(&three, &two)] };
    let by = |key: &SecretKey| Answers { keys: keys.clone(), ..honest(key) };
    for key in [&one, &two, &three] {
        let verified = Client::new().verify(&by(key)).unwrap();
        assert_eq!(verified.remembered.newest, key.public());
        assert_eq!(verified.remembered.pinned, one.public());
    }
    let seen = Client { known: Client::new().verify(&by(&two)).ok().map(|seen| seen.remembered), ..Client::new() };
    assert!(matches!(seen.refuses(&by(&one)), Untrusted::Stranger { .. }), "an older key");
    assert!(seen.verify(&by(&three)).is_ok());
    // Once the newer key was seen, the end of the old one changes nothing.
    let mut keys = keys.clone();
    keys.keys[0].retired_at = Some(time(0));
    let later = Answers { keys, ..honest(&three) };
    assert!(seen.verify(&later).is_ok());
    assert_eq!(Client::new_here().refuses(&later), Untrusted::PinRetired(one.public().id));
    // An end that lies ahead is an overlap.
    let mut overlapping = later.clone();
    overlapping.keys.keys[0].retired_at = Some(time(2));
    assert!(Client::new_here().verify(&overlapping).is_ok());
    // Pinning anew starts from the pinned key; what was seen still counts.
    let pinned_anew = Client { pinned: secret(3), ..seen };
    assert!(pinned_anew.verify(&later).is_ok());
    let behind = Answers { keys: later.keys, ..saying(&three, |said| said.sequence = 1) };
    assert!(matches!(pinned_anew.refuses(&behind), Untrusted::RolledBack { .. }));
}

#[test]
fn stripped_signatures() {
    let key = secret(1);
    let strip = |signed: &mut Signed| signed.signature.clear();
    let mut answers = honest(&key);
    strip(&mut answers.freshness);
    let malformed = |what| Untrusted::Signature { what, cause: BadSignature::Malformed };
    assert_eq!(Client::new().refuses(&answers), malformed("freshness statement"));
    answers.freshness.text.clear();
    assert_eq!(Client::new().refuses(&answers), Untrusted::Missing("freshness statement"));
    let mut answers = honest(&key);
    answers.offer.iter_mut().for_each(|(_, manifest)| strip(manifest));
    assert_eq!(Client::new().refuses(&answers), malformed("manifest"));
}

proptest! {
    #[test]
    fn any_changed_byte_is_refused(place in any::<prop::sample::Index>(), change in 1u8..=255, is_manifest: bool) {
        let mut answers = honest(&secret(1));
        let text = match (&mut answers.offer, is_manifest) {
            (Some((_, manifest)), true) => &mut manifest.text,
            _ => &mut answers.freshness.text,
        };
        let mut bytes = text.clone().into_bytes();
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        // What is no text never gets that far.
        prop_assume!(String::from_utf8(bytes.clone()).is_ok());
        *text = String::from_utf8(bytes).unwrap();
        let is_refused = matches!(Client::new().verify(&answers), Err(Untrusted::Signature { .. }));
        prop_assert!(is_refused);
    }
}
