//! Enrolments and denials: what they do, what they refuse, and who wins a race.

use jiff::SignedDuration;

use super::*;
use crate::catalog::testing::{World, actor, parse};
use crate::model::{Event, TokenScope};

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn key() -> TokenKey {
    TokenKey::from_bytes([7; 32])
}

#[tokio::test]
async fn a_code_is_one_token_of_its_own_device() {
    let world = World::new();
    let (catalog, _) = world.open();
    let (enrolment, code) = create_enrolment(&catalog, &actor("ada"), &key(), parse("pos-1"), DAY).await.unwrap();
    assert_eq!(enrolment.expires_at, catalog.now() + DAY);
    let text = code.expose();
    assert!(text.len() == 47 && text.starts_with("rfe_"), "{text}");
    assert_eq!(format!("{code:?}"), "EnrolmentCode(…)");
    let again: EnrolmentCode = text.parse().unwrap();
    let (token, secret) = enrol_with_token(&catalog, &key(), &again, Some(DAY)).await.unwrap();
    assert_eq!(token.scope, TokenScope::Device(parse("pos-1")));
    assert_eq!((&token.created.by, token.expires_at), (&parse("device:pos-1"), Some(catalog.now() + DAY)));
    let snapshot = catalog.snapshot();
    assert_eq!(snapshot.token_by_hash(&key().hash(&secret)).unwrap().id, token.id);
    assert_eq!(snapshot.enrolments().len(), 0);
    let used = enrol_with_token(&catalog, &key(), &code, None).await;
    assert!(matches!(used, Err(ControlError::BadCode)), "{used:?}");
}

#[tokio::test]
async fn codes_that_are_not_good_are_one_error_and_change_nothing() {
    let world = World::new();
    let (catalog, _) = world.open();
    let create = |device: &'static str| {
        let catalog = catalog.clone();
        async move { create_enrolment(&catalog, &actor("ada"), &key(), parse(device), DAY).await.unwrap() }
    };
    let (denied, replaced, new, other_key) =
        (create("denied").await.1, create("a").await.1, create("a").await.1, create("b").await.1);
    deny_device(&catalog, &actor("ada"), parse("denied"), parse("stolen")).await.unwrap();
    let seq = catalog.snapshot().seq();
    for code in [&denied, &replaced] {
        let refused = enrol_with_token(&catalog, &key(), code, None).await;
        assert!(matches!(refused, Err(ControlError::BadCode)), "{refused:?}");
    }
    let other = TokenKey::from_bytes([8; 32]);
    assert!(matches!(enrol_with_token(&catalog, &other, &other_key, None).await, Err(ControlError::BadCode)));
    world.clock.set(catalog.now() + DAY);
    assert!(matches!(enrol_with_token(&catalog, &key(), &new, None).await, Err(ControlError::BadCode)), "expired");
    assert_eq!(catalog.snapshot().seq(), seq);
    for text in ["", "rfe_", "rf_AAAA", &new.expose()[..46], &format!("{}A", new.expose()), &"x".repeat(1 << 20)] {
        assert!(text.parse::<EnrolmentCode>().is_err(), "{}", text.len());
    }
}

#[tokio::test]
async fn a_code_is_no_token_and_a_token_no_code() {
    let world = World::new();
    let (catalog, _) = world.open();
    let (enrolment, code) = create_enrolment(&catalog, &actor("ada"), &key(), parse("a"), DAY).await.unwrap();
    let as_token: Secret = code.expose().replace("rfe_", "rf_").parse().unwrap();
    assert_ne!(key().hash(&as_token), enrolment.hash, "the same bytes have two hashes");
    assert!(code.expose().parse::<Secret>().is_err());
    assert!(as_token.expose().parse::<EnrolmentCode>().is_err());
}

#[tokio::test]
async fn of_many_with_one_code_one_wins() {
    let world = World::new();
    let (catalog, _) = world.open();
    let (enrolment, code) = create_enrolment(&catalog, &actor("ada"), &key(), parse("a"), DAY).await.unwrap();
    let claims = (0..40).map(|n| {
        let (catalog, code, enrolment) = (catalog.clone(), code.clone(), enrolment.clone());
        tokio::spawn(async move {
            if n % 2 == 0 {
                enrol_with_token(&catalog, &key(), &code, None).await.map(|_| ())
            } else {
                enrol_with_certificate(&catalog, &key(), &code, &enrolment, "00".repeat(32)).await
            }
        })
    });
    let mut won = 0;
    for claim in claims.collect::<Vec<_>>() {
        match claim.await.unwrap() {
            Ok(()) => won += 1,
            Err(error) => assert!(matches!(error, ControlError::BadCode), "{error}"),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn expired_codes_are_forgotten_and_open_ones_bounded() {
    let world = World::new();
    let (catalog, _) = world.open();
    let (ada, hour) = (actor("ada"), SignedDuration::from_hours(1));
    // As journaled by many calls, in few commits.
    let expires_at = catalog.now() + hour;
    for chunk in 0..20_u64 {
        let created = catalog.commit(&ada, |_, _| {
            let event = |n: u64| Event::EnrolmentCreated {
                device: parse(&format!("d{n}")),
                hash: crate::model::Blake3Digest::of(&n.to_be_bytes()),
                expires_at,
                forgotten: Vec::new(),
            };
            Ok::<_, ControlError>((chunk * 500..(chunk + 1) * 500).map(event).collect())
        });
        created.await.unwrap();
    }
    assert_eq!(catalog.snapshot().enrolments().len(), ENROLMENTS_OPEN_MAX);
    let full = create_enrolment(&catalog, &ada, &key(), parse("new"), hour).await;
    assert!(matches!(full, Err(ControlError::TooManyEnrolments { max: ENROLMENTS_OPEN_MAX })), "{full:?}");
    create_enrolment(&catalog, &ada, &key(), parse("d7"), DAY).await.unwrap();
    assert_eq!(catalog.snapshot().enrolments().len(), ENROLMENTS_OPEN_MAX, "in place of the one it had");
    world.clock.set(expires_at);
    create_enrolment(&catalog, &ada, &key(), parse("new"), hour).await.unwrap();
    assert_eq!(catalog.snapshot().enrolments().len(), ENROLMENTS_OPEN_MAX + 1 - 1000);
    let never = create_enrolment(&catalog, &ada, &key(), parse("x"), SignedDuration::ZERO).await;
    assert!(matches!(never, Err(ControlError::EndsInThePast)));
    let far = create_enrolment(&catalog, &ada, &key(), parse("x"), SignedDuration::MAX).await;
    assert!(matches!(far, Err(ControlError::EndsInThePast)));
}

#[tokio::test]
async fn denials() {
    let world = World::new();
    let (catalog, _) = world.open();
    let (ada, device) = (actor("ada"), || parse::<crate::model::DeviceId>("pos-1"));
    let first = deny_device(&catalog, &ada, device(), parse("stolen")).await.unwrap();
    assert_eq!((first.denied.by.as_str(), first.reason.as_str()), ("ada", "stolen"));
    let seq = catalog.snapshot().seq();
    deny_device(&catalog, &ada, device(), parse("stolen")).await.unwrap();
    assert_eq!(catalog.snapshot().seq(), seq, "again is no change");
    let second = deny_device(&catalog, &ada, device(), parse("sold")).await.unwrap();
    assert_eq!(second.reason.as_str(), "sold");
    let refused = create_enrolment(&catalog, &ada, &key(), device(), DAY).await;
    assert!(matches!(refused, Err(ControlError::DeviceDenied(_))), "{refused:?}");
    allow_device(&catalog, &ada, &device(), parse("back")).await.unwrap();
    assert!(catalog.snapshot().denial(&device()).is_none());
    let again = allow_device(&catalog, &ada, &device(), parse("back")).await;
    assert!(matches!(again, Err(ControlError::NotDenied(_))), "{again:?}");
    // The longest name still makes an actor that the journal can be read back with.
    let long = "d".repeat(128);
    let (_, code) = create_enrolment(&catalog, &ada, &key(), parse(&long), DAY).await.unwrap();
    let (token, _) = enrol_with_token(&catalog, &key(), &code, None).await.unwrap();
    drop(catalog);
    let (reopened, _) = world.open();
    assert_eq!(reopened.snapshot().token(token.id).unwrap().created.by.as_str(), format!("device:{long}"));
}
