//! The device listener over real sockets.

mod denied;
mod enrol;
mod measure;
mod share_sets;
mod shares;
mod signed;
mod world;

use serde_json::json;
use world::{POLICY, Server, World};

use crate::model::{Artifact, Event, TokenScope};

const CANARY: &str = "authorization: Bearer rf_canary-1";
const TERMINAL: &str = "Authorization: bearer rf_pos-1";

/// `av` with 1.0 for everyone and 2.0 held back from the group `everyone`; `secret` with nothing for anyone.
fn standard() -> (World, Artifact, Artifact) {
    let mut world = World::default();
    world.policy(POLICY);
    world.product("av");
    let old = world.release("av", "1.0", b"the first version");
    let new = world.release("av", "2.0", b"the second version");
    world.hold("av", "2.0", "everyone");
    world.device_token("canary-1");
    world.device_token("pos-1");
    (world, old, new)
}

#[tokio::test]
async fn two_rings_get_two_offers() {
    let (world, old, new) = standard();
    let release = world.snapshot.product(&"av".parse().unwrap()).unwrap().releases()[1].id;
    let server = world.serve();
    let answer = server.get("/v1/offers/av?platform=windows-x64", &[CANARY]).await;
    let mut offer = answer.json();
    assert!(offer["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
    offer["reason"] = json!("");
    let artifact = json!({
        "target": "data.bin", "platform": "any", "size": 18, "sha256": new.sha256, "blake3": new.blake3,
        "url": format!("/v1/blobs/{}", new.blake3), "deltas": [],
    });
    let expected = json!({
        "product": "av", "version": "2.0", "release": release, "sequence": 2, "kernel_mode": false,
        "artifacts": [artifact], "manifest_url": format!("/v1/manifests/{release}"), "reason": "",
        "next_check_s": offer["next_check_s"],
    });
    // Nothing is known to happen, so within four hours, and up to a tenth earlier.
    assert!((12_960..=14_400).contains(&offer["next_check_s"].as_u64().unwrap()));
    assert_eq!(offer, expected);
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.starts_with(r#"{"product":"av","version":"2.0","release":""#), "keys keep their order: {text}");

    let offer = server.get("/v1/offers/av", &[TERMINAL]).await.json();
    assert_eq!((&offer["version"], &offer["artifacts"][0]["blake3"]), (&json!("1.0"), &json!(old.blake3)));
}

#[tokio::test]
async fn nothing_new_is_204_and_a_known_offer_304() {
    let (world, ..) = standard();
    let server = world.serve();
    let current = server.get("/v1/offers/av?current=2.0", &[CANARY]).await;
    assert_eq!((current.status(), current.body.len()), (204, 0));
    let retry_after = current.head.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
    assert!((12_960..=14_400).contains(&retry_after.parse::<u64>().unwrap()), "{}", current.head);
    assert!(server.offers.lock().unwrap().is_empty(), "what the device has is no offer");
    let offer = server.get("/v1/offers/av", &[CANARY]).await;
    let etag = offer.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    for tags in [etag.to_owned(), etag[2..].to_owned(), "*".to_owned(), format!("\"x\", {etag}")] {
        let known = server.get("/v1/offers/av", &[CANARY, &format!("if-none-match: {tags}")]).await;
        assert_eq!((known.status(), known.body.len()), (304, 0), "{tags}");
        assert!(known.head.contains(etag));
    }
    assert_eq!(server.get("/v1/offers/av", &[CANARY, "if-none-match: \"x\""]).await.status(), 200);
    let head = server.ask("HEAD", "/v1/offers/av", &[CANARY], "").await;
    assert_eq!((head.head, head.body.len()), (offer.head, 0));
    let offers = server.offers.lock().unwrap();
    assert!(
        offers.iter().all(|(_, version, ring)| (version.as_str(), ring.as_str()) == ("2.0", "canary")),
        "{offers:?}"
    );
    assert_eq!(offers.len(), 7, "a known offer is one, too");
}

#[tokio::test]
async fn a_malformed_query_is_400_whatever_the_product() {
    let (world, ..) = standard();
    let server = world.serve();
    let known = server.get("/v1/offers/av?platfrom=x", &[CANARY]).await;
    assert_eq!((known.status(), known.json()["status"].as_u64()), (400, Some(400)));
    assert_eq!(known, server.get("/v1/offers/none?platfrom=x", &[CANARY]).await);
}

/// Bar 17 in small: for every method and condition a withheld blob, an unknown one and a malformed name get the very
/// same bytes, and storage is not touched.
#[tokio::test]
async fn withheld_unknown_and_malformed_are_one_answer() {
    let (world, _, withheld) = standard();
    let server = world.serve();
    let etag = format!("if-none-match: \"{}\"", withheld.blake3);
    let matching = format!("if-match: \"{}\"", withheld.blake3);
    let if_range = format!("if-range: \"{}\"", withheld.blake3);
    let conditions: [&[&str]; 8] = [
        &[],
        &["range: bytes=0-3"],
        &["range: bytes=999-"],
        &[&etag],
        &[&matching],
        &["if-match: \"x\""],
        &[&if_range, "range: bytes=0-0"],
        &["if-modified-since: Fri, 20 Nov 2026 10:00:00 GMT", "want-repr-digest: sha-256=1"],
    ];
    let unknown = "00".repeat(32);
    let names = [
        withheld.blake3.to_hex(),
        format!("sha256:{}", withheld.sha256),
        unknown.clone(),
        format!("sha256:{unknown}"),
        "malformed".into(),
        withheld.blake3.to_hex().to_uppercase(),
        "..%2f..%2fetc%2fpasswd".into(),
    ];
    for method in ["GET", "HEAD"] {
        let expected = server.ask(method, "/v1/nothing/at/all", &[TERMINAL], "").await;
        assert_eq!(expected.status(), 404);
        for name in &names {
            for condition in conditions {
                let headers = [&[TERMINAL], condition].concat();
                let found = server.ask(method, &format!("/v1/blobs/{name}"), &headers, "").await;
                assert_eq!(found, expected, "{method} {name} {condition:?}");
            }
        }
        for product in ["unknown", "Bad%20Name", "av/extra", ""] {
            let found = server.ask(method, &format!("/v1/offers/{product}"), &[TERMINAL], "").await;
            assert_eq!(found, expected, "{method} {product}");
        }
        let path = format!("/v1/blobs/{}", withheld.blake3);
        let bad = server.ask(method, &path, &["authorization: Bearer rf_x"], "").await;
        assert_eq!(bad, expected, "a bad credential on a blob");
    }
    assert_eq!(*server.bodies_read.lock().unwrap(), 0, "storage was not touched");
    let known = server.ask("DELETE", &format!("/v1/blobs/{}", withheld.blake3), &[TERMINAL], "").await;
    assert_eq!(known.status(), 405);
    assert_eq!(known, server.ask("DELETE", "/v1/blobs/malformed", &[TERMINAL], "").await);
}

#[tokio::test]
async fn a_blob_is_served_whole_and_by_range_to_whoever_may_have_it() {
    let (world, old, new) = standard();
    let server = world.serve();
    let path = format!("/v1/blobs/{}", new.blake3);
    let whole = server.get(&path, &[CANARY]).await;
    assert_eq!((whole.status(), whole.body.as_slice()), (200, b"the second version".as_slice()));
    assert!(whole.head.contains("content-length: 18") && whole.head.contains("immutable"), "{}", whole.head);
    let part = server.get(&format!("/v1/blobs/sha256:{}", new.sha256), &[CANARY, "range: bytes=4-9"]).await;
    assert_eq!((part.status(), part.body.as_slice()), (206, b"second".as_slice()));
    let head = server.ask("HEAD", &path, &[CANARY, "range: bytes=4-9"], "").await;
    assert_eq!((head.head, head.body.len()), (whole.head, 0));
    let old = server.get(&format!("/v1/blobs/{}", old.blake3), &[TERMINAL]).await;
    assert_eq!(old.body, b"the first version");
}

#[tokio::test]
async fn identities() {
    let (mut world, ..) = standard();
    let revoked = world.device_token("canary-2");
    world.add(Event::TokenRevoked { token: revoked });
    let person =
        TokenScope::Person { actor: "bo".parse().unwrap(), role: crate::model::Role::Admin, reach: Default::default() };
    let hash = crate::model::Blake3Digest::of(b"rf_person");
    world.add(Event::TokenCreated { scope: person, hash, expires_at: None });
    let server = world.serve();
    let offer = "/v1/offers/av";
    for bad in [
        "authorization: Bearer rf_unknown",
        "authorization: Bearer rf_canary-2",
        "authorization: Bearer rf_person",
        "authorization: Bearer",
        "authorization: Basic cmY6cmY=",
        "ringfence-device: not a name",
    ] {
        let answer = server.get(offer, &[bad]).await;
        assert_eq!(answer.status(), 401, "{bad}");
    }
    let answer = server.get(offer, &["authorization: Bearer rf_unknown"]).await;
    assert!(answer.head.contains("www-authenticate: Bearer"), "{}", answer.head);
    assert_eq!(server.get(offer, &[CANARY, CANARY]).await.status(), 401, "two credentials");
    // The header is believed from this address; a token comes before it.
    assert_eq!(server.get(offer, &["ringfence-device: canary-9"]).await.json()["version"], "2.0");
    assert_eq!(server.get(offer, &["ringfence-device: canary-9", TERMINAL]).await.json()["version"], "1.0");
    assert_eq!(server.token_uses.lock().unwrap().len(), 1, "only a token that was taken was used");
    // The policy of this world has no group for requests without identity.
    assert_eq!(server.get(offer, &[]).await.status(), 404);
}

async fn post(server: &Server, headers: &[&str], body: &str) -> world::Raw {
    server.ask("POST", "/v1/reports", headers, body).await
}

#[tokio::test]
async fn reports_are_taken_from_proven_devices_only() {
    let (world, ..) = standard();
    let server = world.serve();
    let report = r#"{"id":"r1","product":"av","version":"1.0","event":"installed"}"#;
    assert_eq!(post(&server, &[], report).await.status(), 401);
    assert_eq!(post(&server, &["authorization: Bearer rf_x"], report).await.status(), 401);
    let taken = post(&server, &[TERMINAL], report).await;
    assert_eq!((taken.status(), taken.json()), (200, json!({"recorded": 1, "repeated": 0})));
    let list = format!("[{report},{}]", report.replace("r1", "r2"));
    assert_eq!(post(&server, &[TERMINAL], &list).await.json()["recorded"], 2);
    let stored = server.reports.lock().unwrap().clone();
    assert!(stored.len() == 3 && stored.iter().all(|report| report.device.as_str() == "pos-1"));

    for bad in [
        "".to_owned(),
        "nonsense".to_owned(),
        report.replace("installed", "enjoyed"),
        report.replace("\"id\"", "\"device\":\"canary-1\",\"id\""),
        report.replace("}", &format!(",\"code\":\"{}\"}}", "e".repeat(65))),
    ] {
        assert_eq!(post(&server, &[TERMINAL], &bad).await.status(), 400, "{bad}");
    }
    assert_eq!(post(&server, &[TERMINAL], &report.replace("1.0", "9.9")).await.status(), 422);
    assert_eq!(post(&server, &[TERMINAL], &"[".repeat(300_000)).await.status(), 413);
    assert_eq!(server.get("/v1/reports", &[TERMINAL]).await.status(), 405);
}

#[tokio::test]
async fn health_is_plain() {
    let server = World::default().serve();
    let answer = server.get("/healthz", &[]).await;
    assert_eq!((answer.status(), answer.body.as_slice()), (200, b"ok\n".as_slice()));
    assert_eq!(server.get("/v1/offers/av", &["ringfence-device: x"]).await.status(), 404, "no policy, no offer");
}
