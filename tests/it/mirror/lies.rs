//! Upstreams that lie: nothing of it is taken over, the alarm has its name, and the truth is followed again.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::liar::Liar;
use super::{copy, standing, start_mirror, wait_for_alarm, wait_for_head, wait_until, wait_until_well};
use crate::support::{Setup, TestServer, random_bytes};

/// An origin with a release, a liar that speaks for it, and a mirror that has followed.
fn world() -> (TestServer, Liar, TestServer) {
    let origin = TestServer::start();
    origin.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    origin.as_admin().try_publish("feed", "1.0", &random_bytes(1, 10_000)).unwrap().expect(201);
    let liar = Liar::honest(origin.admin);
    let mirror = start_mirror(&origin, &liar.url(), "mirror-1");
    wait_for_head(&origin, &mirror);
    (origin, liar, mirror)
}

fn publish(origin: &TestServer, version: &str) {
    origin.as_admin().try_publish("feed", version, &random_bytes(2, 10_000)).unwrap().expect(201);
}

/// The mirror decides as before, and has nothing new.
#[track_caller]
fn stays(mirror: &TestServer, seq: u64, version: &str) {
    assert_eq!(mirror.journal_seq(), seq);
    assert_eq!(mirror.offered_version("pc-1", "feed").as_deref(), Some(version));
}

/// What a lie does to an answer's body.
type Change = fn(&mut Vec<u8>);

/// Changes a text in the lines and makes every hash good again from there on.
fn rewrite(lines: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(lines.clone()).unwrap();
    let mut prev: Option<String> = None;
    let mut out = String::new();
    for line in text.lines() {
        let mut body = line.rsplit_once(",\"hash\":").unwrap().0.replace(from, to);
        if let Some(prev) = &prev {
            let at = body.rfind("\"prev\":\"").unwrap() + 8;
            body.replace_range(at..at + 64, prev);
        }
        let hash = blake3::hash(body.as_bytes()).to_hex().to_string();
        out.push_str(&format!("{body},\"hash\":\"{hash}\"}}\n"));
        prev = Some(hash);
    }
    *lines = out.into_bytes();
}

#[test]
fn changed_and_forged_lines_are_never_taken_over() {
    let (origin, liar, mirror) = world();
    let seq = mirror.journal_seq();
    // A byte is another one; a line is missing its end; a version is another one (and no time, which must not go back),
    // and all hashes are good again.
    let lies: [(&str, &str, Change); 4] = [
        ("a flipped bit", "came broken", |body| {
            let middle = body.len() / 2;
            if let Some(byte) = body.get_mut(middle) {
                *byte ^= 1;
            }
        }),
        ("a cut line", "middle of a line", |body| {
            let _ = body.pop();
        }),
        ("a forged event", "are not its own", |body| rewrite(body, "\"2.0\"", "\"9.9\"")),
        ("lines of nothing", "came broken", |body| {
            if !body.is_empty() {
                *body = b"{}\n".to_vec();
            }
        }),
    ];
    liar.lie(|path, body| {
        if path.starts_with("/v1/follow/journal") {
            *body = Vec::new();
        }
    });
    publish(&origin, "2.0");
    let reason = wait_for_alarm(&mirror, "mirror_malformed");
    assert!(reason.contains("gives no line after event"), "{reason}");
    for (what, said, lie) in lies {
        liar.lie(move |path, body| {
            if path.starts_with("/v1/follow/journal") {
                lie(body);
            }
        });
        let reason = wait_until(what, || {
            let reason = wait_for_alarm(&mirror, "mirror_malformed");
            reason.contains(said).then_some(reason)
        });
        assert!(!reason.is_empty());
        stays(&mirror, seq, "1.0");
    }
    assert_eq!(standing(&mirror)["doing"], "stopped");
    liar.tell_the_truth();
    wait_for_head(&origin, &mirror);
    wait_until_well(&mirror);
    assert_eq!(mirror.offered_version("pc-1", "feed").as_deref(), Some("2.0"));
}

#[test]
fn an_older_journal_is_an_alarm_also_after_a_restart() {
    let (origin, liar, mut mirror) = world();
    let old: Value = origin.api("GET", "/v1/follow/statement", None).expect(200).json();
    publish(&origin, "2.0");
    wait_for_head(&origin, &mirror);
    // What was signed before is good to the letter, and yet a thing of the past.
    liar.lie(move |path, body| match path {
        "/v1/follow/statement" => *body = old.to_string().into_bytes(),
        path if path.starts_with("/v1/follow/journal") => body.clear(),
        _ => {}
    });
    let seq = mirror.journal_seq();
    let reason = wait_for_alarm(&mirror, "mirror_upstream_behind");
    assert!(reason.contains(&format!("event {seq} was signed before")), "{reason}");
    stays(&mirror, seq, "2.0");
    mirror.kill();
    mirror.start_again();
    wait_for_alarm(&mirror, "mirror_upstream_behind");
    stays(&mirror, seq, "2.0");
    let metrics = mirror.api("GET", "/metrics", None).expect(200).text();
    assert!(metrics.contains("ringfence_mirror_alarm{alarm=\"mirror_upstream_behind\"} 1"), "{metrics}");
    liar.tell_the_truth();
    wait_until_well(&mirror);
}

#[test]
fn a_forked_journal_stops_the_mirror_which_serves_on() {
    let (mut origin, liar, mut mirror) = world();
    // The origin as a backup has it: same key, same past, another future.
    origin.stop();
    let twin = Setup::new();
    copy(origin.root(), twin.root());
    let _ = std::fs::remove_file(twin.root().join("data/server.json"));
    let twin = twin.start();
    origin.start_again();
    liar.speak_for(origin.admin);
    publish(&origin, "2.0");
    wait_for_head(&origin, &mirror);
    publish(&twin, "3.0");
    publish(&twin, "4.0");
    liar.speak_for(twin.admin);
    let reason = wait_for_alarm(&mirror, "mirror_forked");
    let seq = mirror.journal_seq();
    let hash = |server: &TestServer| {
        let events = server.api("GET", &format!("/v1/journal?after={}&limit=1", seq - 1), None).expect(200).json();
        events["events"][0]["hash"].as_str().unwrap().to_owned()
    };
    assert!(reason.contains(&hash(&twin)) && reason.contains(&hash(&mirror)), "{reason}");
    assert_eq!(hash(&mirror), hash(&origin));
    stays(&mirror, seq, "2.0");
    assert_eq!(standing(&mirror)["doing"], "stopped");
    liar.speak_for(origin.admin);
    wait_until_well(&mirror);
    // Whoever wants the other history takes away all but the blobs, as docs/mirrors.md says.
    mirror.stop();
    for entry in std::fs::read_dir(mirror.data()).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.file_name() {
            Some(name) if name == "blobs" => {}
            _ if entry.is_dir() => std::fs::remove_dir_all(&entry).unwrap(),
            _ => std::fs::remove_file(&entry).unwrap(),
        }
    }
    liar.speak_for(twin.admin);
    mirror.start_again();
    wait_for_head(&twin, &mirror);
    assert_eq!(hash(&mirror), hash(&twin));
    mirror.cli(&["store", "verify"]).ok();
}

#[test]
fn whoever_signs_with_another_key_is_not_believed() {
    let (origin, liar, mirror) = world();
    let seq = mirror.journal_seq();
    let stranger = TestServer::start();
    // The stranger would even take the mirror's token.
    let token = stranger.token();
    assert_ne!(token, origin.token());
    let hello = stranger.api("GET", "/v1/follow/hello", None).expect(200).json();
    let statement = stranger.api("GET", "/v1/follow/statement", None).expect(200).json();
    let told = Mutex::new((hello, statement));
    liar.lie(move |path, body| {
        let told = told.lock().unwrap();
        match path {
            "/v1/follow/hello" => *body = told.0.to_string().into_bytes(),
            "/v1/follow/statement" => *body = told.1.to_string().into_bytes(),
            path if path.starts_with("/v1/follow/journal") => body.clear(),
            _ => {}
        }
    });
    let reason = wait_for_alarm(&mirror, "mirror_untrusted");
    assert!(reason.contains("vouches for"), "{reason}");
    stays(&mirror, seq, "1.0");
    liar.tell_the_truth();
    wait_until_well(&mirror);
    // A device's token is known by the origin's key for tokens, whatever the stranger gave.
    let enrolled = origin.api("POST", "/v1/tokens", Some(&json!({"device": "pc-7"}))).expect(201).json();
    wait_for_head(&origin, &mirror);
    let bearer = format!("Bearer {}", enrolled["token"].as_str().unwrap());
    let asked = crate::support::request(mirror.device, "GET", "/v1/offers/feed", &[("Authorization", &bearer)], b"");
    asked.expect(200);
}
