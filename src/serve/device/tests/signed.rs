//! Signed answers over real sockets.

use serde_json::{Value, json};

use super::{CANARY, POLICY, TERMINAL, World, standard};
use crate::control::testing::origin_key;
use crate::model::{Event, ReleaseId};
use crate::signing::{Freshness, KeysDocument, Signature, Signed, parse_manifest, view_of};

/// The text of a signed answer, once its signature is verified.
fn verified(answer: Value) -> String {
    let Signed { text, signature } = serde_json::from_value(answer).unwrap();
    Signature::parse(&signature).unwrap().verify(&origin_key().public(), text.as_bytes()).unwrap();
    text
}

fn lines(statement: &Freshness) -> Vec<String> {
    statement.offers.iter().map(|line| format!("{} {} {}", line.product, line.version, line.sequence)).collect()
}

#[tokio::test]
async fn each_device_gets_a_statement_of_what_it_is_offered() {
    let (mut world, ..) = standard();
    world.product("drivers");
    world.release("drivers", "7", b"a driver");
    let seq = world.snapshot.seq();
    let server = world.serve();
    let answer = server.get("/v1/freshness?platform=windows-x64", &[CANARY]).await;
    assert!(answer.head.contains("no-store"), "{}", answer.head);
    let canary = Freshness::parse(&verified(answer.json())).unwrap();
    assert_eq!(lines(&canary), ["av 2.0 2", "drivers 7 1"]);
    assert_eq!(canary.view, view_of(Some(&"canary-1".parse().unwrap())));
    assert_eq!((canary.sequence, canary.origin), (seq, origin_key().public().id));
    assert_eq!(canary.platform.unwrap().as_str(), "windows-x64");
    assert_eq!(canary.expires.duration_since(canary.at).as_secs(), 15 * 60);
    let offer = server.get("/v1/offers/av?platform=windows-x64", &[CANARY]).await.json();
    assert_eq!(offer["release"], json!(canary.offers[0].release));
    let terminal = Freshness::parse(&verified(server.get("/v1/freshness", &[TERMINAL]).await.json())).unwrap();
    assert_eq!(lines(&terminal), ["av 1.0 1", "drivers 7 1"]);
    let nobody = Freshness::parse(&verified(server.get("/v1/freshness", &[]).await.json())).unwrap();
    assert_eq!((lines(&nobody), nobody.view), (Vec::new(), view_of(None)), "no group takes it");
    let head = server.ask("HEAD", "/v1/freshness", &[TERMINAL], "").await;
    assert_eq!((head.status(), head.body.len()), (200, 0));
    assert!(server.offers.lock().unwrap().iter().all(|(device, ..)| device == "canary-1"), "a statement is no offer");
}

#[tokio::test]
async fn a_statement_is_signed_once_in_five_seconds_and_anew_when_something_changes() {
    let (world, ..) = standard();
    let server = world.serve();
    let first = server.get("/v1/freshness", &[CANARY]).await;
    server.set_clock(4);
    assert_eq!(server.get("/v1/freshness", &[CANARY]).await, first);
    server.set_clock(5);
    let later = server.get("/v1/freshness", &[CANARY]).await;
    let at = |answer: &Value| Freshness::parse(&verified(answer.clone())).unwrap().at;
    assert_eq!(at(&later.json()).duration_since(at(&first.json())).as_secs(), 5);
    server.change(|world| world.hold("av", "2.0", "canaries"));
    let held = Freshness::parse(&verified(server.get("/v1/freshness", &[CANARY]).await.json())).unwrap();
    assert_eq!(lines(&held), ["av 1.0 1"]);
    let before = Freshness::parse(&verified(later.json())).unwrap();
    assert!(held.sequence > before.sequence && held.at >= before.at);
}

#[tokio::test]
async fn the_version_that_a_device_has_counts_for_its_product() {
    let mut world = World::default();
    world.policy(POLICY);
    world.product("av");
    world.release("av", "1.0", b"one");
    world.release("av", "2.0", b"two");
    world.device_token("pos-1");
    let server = world.serve();
    let asked = |query: &str| format!("/v1/freshness{query}");
    for (query, expected) in [("", "av 2.0 2"), ("?product=av&current=2.0", "av 2.0 2"), ("?product=no", "av 2.0 2")] {
        let statement = Freshness::parse(&verified(server.get(&asked(query), &[TERMINAL]).await.json())).unwrap();
        assert_eq!(lines(&statement), [expected], "{query}");
    }
    // Nobody goes below what it has, so there is nothing for it.
    let statement = server.get(&asked("?product=av&current=3.0"), &[TERMINAL]).await.json();
    assert_eq!(lines(&Freshness::parse(&verified(statement)).unwrap()), [""; 0]);
    assert_eq!(server.get(&asked("?product=A"), &[]).await.status(), 400);
    assert_eq!(server.get(&asked(""), &["authorization: Bearer rf_unknown"]).await.status(), 401);
    assert_eq!(server.ask("POST", "/v1/freshness", &[], "").await.status(), 405);
}

#[tokio::test]
async fn a_manifest_is_for_whoever_may_have_the_release() {
    let (world, ..) = standard();
    let releases = world.snapshot.product(&"av".parse().unwrap()).unwrap().releases().to_vec();
    let server = world.serve();
    for release in &releases {
        let path = format!("/v1/manifests/{}", release.id);
        let answer = server.get(&path, &[CANARY]).await;
        let text = verified(answer.json());
        assert_eq!(ReleaseId(crate::model::Blake3Digest::of(text.as_bytes())), release.id);
        assert_eq!(parse_manifest(&text).unwrap(), release.manifest);
        let signature = answer.json()["signature"].as_str().unwrap().to_owned();
        assert!(signature.contains(&format!("release av {}", release.version())), "{signature}");
        let head = server.ask("HEAD", &path, &[CANARY], "").await;
        assert_eq!((head.head, head.body.len()), (answer.head, 0));
    }
    let withheld = releases[1].id.to_string();
    for method in ["GET", "HEAD"] {
        let expected = server.ask(method, "/v1/nothing/at/all", &[TERMINAL], "").await;
        assert_eq!(expected.status(), 404);
        for name in [withheld.as_str(), &"00".repeat(32), "malformed", "", &withheld.to_uppercase()] {
            let path = format!("/v1/manifests/{name}");
            for condition in ["if-none-match: *", "range: bytes=0-1", "x: y"] {
                assert_eq!(server.ask(method, &path, &[TERMINAL, condition], "").await, expected, "{name}");
            }
        }
        let path = format!("/v1/manifests/{withheld}");
        assert_eq!(server.ask(method, &path, &["authorization: Bearer rf_x"], "").await, expected);
    }
    assert_eq!(server.ask("DELETE", "/v1/manifests/x", &[TERMINAL], "").await.status(), 405);
    assert_eq!(*server.bodies_read.lock().unwrap(), 0, "storage was not touched");
}

#[tokio::test]
async fn keys_are_told_to_anybody() {
    let (mut world, ..) = standard();
    let key = origin_key().public();
    world.add(Event::OriginKeyAdded { key, introduced_by: None, introduction: None });
    let other = crate::signing::SecretKey::from_random([6; 32], [6; 8]).public();
    world.add(Event::OriginKeyAdded { key: other, introduced_by: Some(key.id), introduction: Some("x".into()) });
    let added_at = world.snapshot.origin_keys()[1].added.at;
    let server = world.serve();
    let document: KeysDocument = serde_json::from_value(server.get("/v1/keys", &[]).await.json()).unwrap();
    assert_eq!(document.keys.iter().map(|entry| entry.key).collect::<Vec<_>>(), [key, other]);
    // A key that was replaced counts until its overlap, here a day, is over.
    assert_eq!(document.keys[0].retired_at, Some(added_at + jiff::SignedDuration::from_hours(24)));
    assert_eq!(document.keys[1].retired_at, None);
    assert_eq!(server.ask("PUT", "/v1/keys", &[], "").await.status(), 405);
}
