//! Mirrors that follow: the same answers as at the origin, without it, and behind one another.

use serde_json::{Value, json};

use super::{copy, key_of, mirror_of, standing, start_mirror, wait_for_alarm, wait_for_head, wait_until};
use crate::support::{Answer, POLICY, Setup, TestServer, random_bytes, request};

/// Ringfence's problem type for a change at the wrong place.
const READ_ONLY: &str = "urn:ringfence:read-only";

/// An origin with all that decisions depend on: groups, holds, pins, several versions, a share.
fn origin() -> TestServer {
    let share = "\n[[share]]\nname = \"feed\"\ngroup = \"everyone\"\nlayout = \"plain\"\nproducts = [\"feed\"]\n\
                 open_to = \"anyone\"\nlisting = true\n";
    let shares = "[shares]\nstraggler_grace = \"0s\"\n";
    // Where it is away in a test, nobody else may answer in its place.
    let server = Setup::new().alone().policy(&format!("{POLICY}{share}")).config(shares).start();
    for product in ["feed", "other"] {
        server.cli(&["product", "add", product, "--class", "intelligence"]).ok();
        for version in ["1.0", "2.0", "3.0"] {
            let body = random_bytes(u64::from(version.as_bytes()[0]), 30_000);
            server.as_admin().try_publish(product, version, &body).unwrap().expect(201);
        }
    }
    let devices: Vec<Value> = (0..30)
        .map(|n| json!({"id": format!("pc-{n}"), "tags": if n % 3 == 0 { json!(["slow"]) } else { json!([]) }}))
        .collect();
    server.api("POST", "/v1/devices/import", Some(&json!({ "devices": devices }))).expect(200);
    server.cli(&["hold", "add", "other", "3.0", "--group", "everyone", "--reason", "a bad batch", "--yes"]).ok();
    wait_until("the share", || {
        let answer = request(server.device, "GET", "/shares/feed/file.bin", &[], b"");
        (answer.status == 200 && answer.body == random_bytes(u64::from(b'3'), 30_000)).then_some(())
    });
    server
}

/// The blobs of an origin, put where its mirror looks for them, if it does not fetch them itself.
fn lend_blobs(origin: &TestServer, mirror: &TestServer) {
    if standing(mirror)["missing"].is_null() {
        copy(&origin.data().join("blobs"), &mirror.data().join("blobs"));
        return;
    }
    wait_until("all blobs", || (standing(mirror)["missing"]["blobs"] == 0).then_some(()));
}

fn ask(server: &TestServer, device: &str, path: &str) -> Answer {
    request(server.device, "GET", path, &[("Ringfence-Device", device)], b"")
}

/// An offer without the moment of the next question, which is spread at random.
fn offer(server: &TestServer, device: &str, product: &str) -> (u16, Value) {
    let answer = ask(server, device, &format!("/v1/offers/{product}"));
    let mut offer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if let Some(offer) = offer.as_object_mut() {
        offer.remove("next_check_s");
    }
    (answer.status, offer)
}

#[track_caller]
fn answers_are_the_same(origin: &TestServer, mirror: &TestServer) {
    let devices: Vec<String> =
        (0..30).map(|n| format!("pc-{n}")).chain((0..10).map(|n| format!("canary-{n}"))).collect();
    let mut offered = 0;
    for device in &devices {
        for product in ["feed", "other", "none"] {
            let (there, here) = (offer(origin, device, product), offer(mirror, device, product));
            assert_eq!(there, here, "{device} {product}");
            let Some(release) = there.1["release"].as_str() else { continue };
            offered += 1;
            let url = there.1["artifacts"][0]["url"].as_str().unwrap();
            let (there, here) = (ask(origin, device, url), ask(mirror, device, url));
            assert_eq!(there.without_date(), here.without_date(), "{device} {product}");
            assert_eq!(there.status, 200);
            let path = format!("/v1/manifests/{release}");
            assert_eq!(ask(origin, device, &path).json()["manifest"], ask(mirror, device, &path).json()["manifest"]);
        }
    }
    assert!(offered >= 60, "{offered}");
    for path in ["/shares/feed/file.bin", "/shares/feed/", "/shares/feed/none", "/v1/keys"] {
        let (there, here) = (ask(origin, "pc-1", path), ask(mirror, "pc-1", path));
        assert_eq!(there.without_date(), here.without_date(), "{path}");
    }
    let file = ask(mirror, "pc-1", "/shares/feed/file.bin").expect(200);
    assert!(file.header("last-modified").is_some() && file.header("etag").is_some(), "{}", file.head);
}

#[test]
fn origin_mirror_and_its_mirror_answer_the_same() {
    let origin = origin();
    let mirror = mirror_of(&origin, &origin, "mirror-1");
    let second = mirror_of(&origin, &mirror, "mirror-2");
    wait_for_head(&origin, &mirror);
    wait_for_head(&origin, &second);
    for server in [&mirror, &second] {
        lend_blobs(&origin, server);
        answers_are_the_same(&origin, server);
    }
    assert_eq!((standing(&mirror)["hops"].clone(), standing(&second)["hops"].clone()), (json!(0), json!(1)));
    // What changes later comes, too.
    let body = random_bytes(77, 40_000);
    origin.as_admin().try_publish("feed", "4.0", &body).unwrap().expect(201);
    wait_until("the share's next switch", || {
        (ask(&origin, "pc-2", "/shares/feed/file.bin").body == body).then_some(())
    });
    for server in [&mirror, &second] {
        wait_for_head(&origin, server);
        lend_blobs(&origin, server);
        answers_are_the_same(&origin, server);
        assert_eq!(server.offered_version("pc-1", "feed").as_deref(), Some("4.0"));
    }
    // The journals are the same to the byte, and each server finds its own whole.
    for server in [&mirror, &second] {
        let verified = server.api("POST", "/v1/journal/verify", Some(&json!({}))).expect(200).json();
        assert_eq!(verified["seq"], origin.journal_seq());
    }
    // A device that verifies believes all three.
    let token = origin.root().join("pc-1.token").display().to_string();
    origin.cli(&["token", "create", "--device", "pc-1", "--out", &token]).ok();
    let pin = origin.root().join("pin.pub").display().to_string();
    std::fs::write(&pin, origin.cli(&["key", "show"]).ok().stdout).unwrap();
    for (server, to) in [(&origin, "a"), (&mirror, "b"), (&second, "c")] {
        wait_for_head(&origin, server);
        let from = format!("http://{}", server.device);
        let to = origin.root().join(to).display().to_string();
        let words = ["fetch", "feed", "--to", &to, "--from", &from, "--token-file", &token, "--key", &pin];
        origin.cli(&words).ok();
    }
}

#[test]
fn changes_are_refused_before_their_bodies_are_read() {
    let origin = origin();
    let mirror = mirror_of(&origin, &origin, "mirror-1");
    wait_for_head(&origin, &mirror);
    let head = mirror.journal_seq();
    let address = format!("http://{}", origin.admin);
    let changes = [
        ("POST", "/v1/products", json!({"name": "new", "class": "intelligence"})),
        ("POST", "/v1/tokens", json!({"actor": "bo", "role": "auditor"})),
        ("POST", "/v1/devices/import", json!({"devices": [{"id": "pc-1"}]})),
        ("POST", "/v1/enrolments", json!({"device": "pc-1"})),
        ("POST", "/v1/products/feed/releases/1.0/withdraw", json!({"reason": "r"})),
        ("POST", "/v1/keys/rotate", json!({})),
        ("POST", "/v1/uploads", json!({})),
    ];
    for (method, path, body) in changes {
        let refused = mirror.api(method, path, Some(&body)).expect(409).json();
        assert_eq!(refused["type"], READ_ONLY, "{path}");
        assert!(refused["detail"].as_str().unwrap().contains(&address), "{refused}");
    }
    // The head alone is enough for the refusal: 1 TiB is declared, and never sent.
    let head_only = format!(
        "POST /v1/policy/apply HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 1099511627776\r\n\
         Connection: close\r\n\r\n",
        mirror.token()
    );
    let answer = crate::support::http::raw(mirror.admin, head_only.as_bytes());
    assert_eq!(crate::support::http::parse(&answer).unwrap().status, 409);
    let enrolled = request(mirror.device, "POST", "/v1/enrol", &[], br#"{"code":"rfe_x"}"#).expect(409);
    assert!(enrolled.text().contains(&address), "{}", enrolled.text());
    let run = mirror.cli(&["product", "add", "new", "--class", "intelligence"]);
    assert_eq!(run.code, 7);
    assert!(run.stderr.contains(&address), "{}", run.stderr);
    // Reading and its own store are its own business.
    for (method, path) in [("GET", "/v1/tokens"), ("GET", "/v1/products"), ("POST", "/v1/store/verify")] {
        mirror.api(method, path, (method == "POST").then_some(&json!({}))).expect(200);
    }
    // The origin's own admin is known here by the same token.
    let bearer = format!("Bearer {}", origin.token());
    request(mirror.admin, "GET", "/v1/status", &[("Authorization", &bearer)], b"").expect(200);
    // Nobody but a mirror or an admin follows.
    let auditor = origin.api("POST", "/v1/tokens", Some(&json!({"actor": "au", "role": "auditor"}))).expect(201).json();
    let bearer = format!("Bearer {}", auditor["token"].as_str().unwrap());
    request(origin.admin, "GET", "/v1/follow/hello", &[("Authorization", &bearer)], b"").expect(403);
    assert_eq!(mirror.api("GET", "/v1/products", None).json(), origin.api("GET", "/v1/products", None).json());
    assert!(mirror.journal_seq() <= head + 1, "only the origin's own event came");
}

#[test]
fn a_mirror_serves_on_without_its_origin_and_starts_without_it() {
    let mut origin = origin();
    let mut mirror = mirror_of(&origin, &origin, "mirror-1");
    wait_for_head(&origin, &mirror);
    lend_blobs(&origin, &mirror);
    let offered = |server: &TestServer| (0..30).map(|n| offer(server, &format!("pc-{n}"), "feed")).collect::<Vec<_>>();
    let before = offered(&origin);
    let release = before[1].1["release"].as_str().unwrap().to_owned();
    let statement = ask(&mirror, "pc-1", "/v1/freshness").expect(200).json();
    wait_until("the manifest", || {
        mirror.data().join(format!("mirror/manifests/{release}.json")).exists().then_some(())
    });
    origin.kill();
    let first_age = standing(&mirror)["last_word"]["age_s"].as_u64().unwrap();
    wait_until("the alarm, and why", || {
        // On a busy machine the word may have been too old before: then nothing newer came.
        let reason = wait_for_alarm(&mirror, "mirror_stale");
        (reason.contains("cannot be reached") || reason.contains("broke")).then_some(())
    });
    wait_until("a greater age", || (standing(&mirror)["last_word"]["age_s"].as_u64()? > first_age).then_some(()));
    assert_eq!(standing(&mirror)["doing"], "away");
    assert_eq!(offered(&mirror), before);
    // What was signed is good until it expires, and a manifest for good.
    assert_eq!(ask(&mirror, "pc-1", "/v1/freshness").expect(200).json(), statement);
    mirror.stop();
    mirror.start_again();
    assert_eq!(offered(&mirror), before);
    ask(&mirror, "pc-1", &format!("/v1/manifests/{release}")).expect(200);
    assert_eq!(ask(&mirror, "pc-1", "/v1/freshness").expect(200).json(), statement, "it outlives the process");
    let refused = ask(&mirror, "pc-2", "/v1/freshness").expect(503);
    assert!(refused.text().contains("signed by its origin alone"), "{}", refused.text());
    mirror.api("GET", "/readyz", None).expect(200);
    let metrics = mirror.api("GET", "/metrics", None).expect(200).text();
    for line in
        ["ringfence_mirror_following 0", "ringfence_mirror_statement_age_seconds ", "ringfence_mirror_behind_events 0"]
    {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let shown = mirror.cli(&["mirror", "status"]).ok().stdout;
    assert!(shown.contains("Mirror mirror-1") && shown.contains("mirror_stale"), "{shown}");
    // Back, it is followed again: at a new address, which the configuration names.
    origin.start_again();
    mirror.stop();
    let config = mirror.root().join("ringfence.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let old = text.lines().find(|line| line.starts_with("upstream")).unwrap();
    std::fs::write(&config, text.replace(old, &format!("upstream = \"http://{}\"", origin.admin))).unwrap();
    mirror.start_again();
    super::wait_until_well(&mirror);
}

#[test]
fn a_mirror_that_never_reached_its_upstream_says_so() {
    let origin = TestServer::start();
    let mirror = start_mirror(&origin, "http://127.0.0.1:1", "mirror-1");
    let ready = mirror.api("GET", "/readyz", None).expect(503).text();
    assert!(ready.contains("has not reached its upstream yet"), "{ready}");
    assert_eq!(ask(&mirror, "pc-1", "/v1/offers/feed").status, 404);
    assert_eq!(standing(&mirror)["doing"], "waiting");
    mirror.api("GET", "/v1/follow/hello", None).expect(503);
    let shown = mirror.cli(&["mirror", "status"]).ok().stdout;
    assert!(shown.contains("has not reached its upstream yet"), "{shown}");
    assert_eq!(origin.cli(&["mirror", "status"]).code, 6, "an origin is no mirror");
    assert!(!key_of(&origin).is_empty());
}

#[test]
fn what_devices_say_at_a_mirror_reaches_the_gate() {
    let plan = "\n[plan.intelligence]\n\
                canary = { waves = [\"100% bake 1h\"], gate = { samples = 3, failures = \"10%\", silence = \"50%\", within = \"1h\" } }\n\
                broad = { waves = [\"100% bake 1h\"], gate = \"canary\" }\n";
    let origin = Setup::new().policy(&format!("{POLICY}{plan}")).start();
    let mirror = mirror_of(&origin, &origin, "mirror-1");
    let second = mirror_of(&origin, &mirror, "mirror-2");
    origin.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    origin.as_admin().try_publish("feed", "1.0", &random_bytes(1, 5_000)).unwrap().expect(201);
    // A product that is not known there yet is a 404.
    wait_for_head(&origin, &second);
    wait_until("an offer behind both", || second.offered_version("canary-1", "feed"));
    let devices = ["canary-1", "canary-2", "canary-3", "canary-4"];
    // All of them first: once some have failed, the halt may be here at any moment.
    for device in devices {
        assert_eq!(second.offered_version(device, "feed").as_deref(), Some("1.0"));
    }
    for device in devices {
        let report = json!({"id": "r-1", "product": "feed", "version": "1.0", "event": "failed"});
        let headers = [("Ringfence-Device", device), ("Content-Type", "application/json")];
        let sent = request(second.device, "POST", "/v1/reports", &headers, report.to_string().as_bytes());
        assert!(sent.status < 300, "{}", sent.text());
    }
    let halted = wait_until("the halt", || {
        let rollouts = origin.api("GET", "/v1/rollouts?state=all", None).expect(200).json();
        rollouts["rollouts"].as_array()?.iter().find(|rollout| rollout["state"] == "halted").cloned()
    });
    assert_eq!(halted["product"], "feed");
    wait_for_head(&origin, &second);
    assert_eq!(second.offered_version("canary-9", "feed"), None, "the halt counts behind both mirrors");
    let kept = std::fs::read_dir(origin.data().join("reports/elsewhere")).unwrap();
    // It is told again at any moment, which makes another file for as long as that is written.
    let kept = kept.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "json"));
    assert_eq!(kept.count(), 1, "one file for the one mirror that tells the origin");
}
