//! Publishing: all or nothing, once, by whoever may, and visible when it is approved.

use serde_json::json;

use crate::support::{TestServer, random_bytes, sha256_hex, wait_until};

fn file(server: &TestServer, name: &str, bytes: &[u8]) -> String {
    let path = server.root().join(name);
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

#[test]
fn the_same_bytes_again_succeed_and_other_bytes_are_refused() {
    let server = TestServer::start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    server.cli(&["product", "add", "feed", "--class", "platform"]).exits(7);
    let first = file(&server, "first.bin", &random_bytes(1, 300_000));
    let other = file(&server, "other.bin", &random_bytes(2, 300_000));
    let artifact = format!("feed.bin={first}");
    let published = server.json(&["publish", "feed", "1.0", "--artifact", &artifact]);
    assert_eq!(published["artifacts"][0]["sha256"], sha256_hex(&random_bytes(1, 300_000)));
    assert_eq!(published["artifacts"][0]["blake3"], blake3::hash(&random_bytes(1, 300_000)).to_hex().as_str());
    assert_eq!(published["state"], "published");
    let seq = server.journal_seq();
    let again = server.json(&["publish", "feed", "1.0", "--artifact", &artifact]);
    assert_eq!(again["already_published"], true);
    assert_eq!(again["release"], published["release"]);
    server.cli(&["publish", "feed", "1.0", "--artifact", &format!("feed.bin={other}")]).complains(7, &["1.0"]);
    server
        .cli(&["publish", "feed", "0.9", "--artifact", &format!("feed.bin={other}")])
        .complains(1, &["0.9", "--allow-older"]);
    assert_eq!(server.journal_seq(), seq + 1, "only the gates' refusal is remembered");
    assert_eq!(server.json(&["release", "show", "feed", "0.9"])["state"], "refused");
    server.cli(&["publish", "feed", "0.9", "--artifact", &format!("feed.bin={other}"), "--allow-older"]).ok();
    // The highest sequence is offered, whatever its version: going back is meant. Nobody goes below what is installed.
    assert_eq!(server.offered_version("device-1", "feed").as_deref(), Some("0.9"));
    server.get(Some("device-1"), "/v1/offers/feed?current=1.0").expect(204);
    server.cli(&["publish", "no-such-product", "1.0", "--artifact", &artifact]).exits(6);
}

#[test]
fn a_list_that_is_piped_stands_in_columns() {
    let server = TestServer::start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    server.as_admin().try_publish("feed", "1.0", b"one").unwrap().expect(201);
    server.as_admin().try_publish("feed", "1.427.10.0", b"two").unwrap().expect(201);
    server.cli(&["release", "withdraw", "feed", "1.0", "--reason", "bad", "--yes"]).ok();
    let list = server.cli(&["release", "list", "feed"]).ok().stdout;
    let rows: Vec<&str> = list.lines().collect();
    let column = rows[0].find("ARTIFACTS").expect("a heading");
    for (row, version, state) in [(rows[1], "1.427.10.0", "published"), (rows[2], "1.0", "withdrawn")] {
        assert!(row.starts_with(version) && row[..column].trim_end().ends_with(state), "{list}");
        assert!(row[column..].starts_with("1 "), "{list}");
    }
    assert!(!list.contains('\u{1b}'), "no colours in a pipe: {list:?}");
    // The newest events, oldest first; all of them from a number on.
    let seqs = |words: &[&str]| {
        let events = server.json(&[&["journal", "show"], words].concat())["events"].take();
        events.as_array().unwrap().iter().map(|event| event["seq"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let head = server.journal_seq();
    assert_eq!(seqs(&["--limit", "2"]), [head - 1, head]);
    assert_eq!(seqs(&["--after", "0", "--limit", "2"]), [1, 2]);
    assert_eq!(seqs(&[]), (1..=head).collect::<Vec<_>>());
}

#[test]
fn a_release_of_several_artifacts_is_one_release() {
    let server = TestServer::start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    let (x64, x86) = (file(&server, "x64", b"sixty-four"), file(&server, "x86", b"thirty-two"));
    let artifacts = [format!("windows-x64:x64/mpam-fe.exe={x64}"), format!("windows-x86:x86/mpam-fe.exe={x86}")];
    server.cli(&["publish", "feed", "1.0", "--artifact", &artifacts[0], "--artifact", &artifacts[1]]).ok();
    let offer = server.get(Some("device-1"), "/v1/offers/feed?platform=windows-x64").expect(200).json();
    let targets: Vec<_> = offer["artifacts"].as_array().unwrap().iter().map(|artifact| &artifact["target"]).collect();
    assert_eq!(targets, ["x64/mpam-fe.exe"]);
    let all = server.offer("device-1", "feed").unwrap();
    assert_eq!(all["artifacts"].as_array().unwrap().len(), 2);
    assert_eq!(all["artifacts"][0]["size"], 10);
}

#[test]
fn an_offer_is_204_once_it_is_installed() {
    let server = TestServer::start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    server.cli(&["publish", "feed", "1.5", "--artifact", &format!("f={}", file(&server, "f", b"bytes"))]).ok();
    let offer = server.get(Some("device-1"), "/v1/offers/feed?current=1.4").expect(200);
    let etag = offer.header("etag").expect("an offer has a tag").to_owned();
    server.get(Some("device-1"), "/v1/offers/feed?current=1.5").expect(204);
    let headers = [("Ringfence-Device", "device-1"), ("If-None-Match", &*etag)];
    let same = crate::support::request(server.device, "GET", "/v1/offers/feed?current=1.4", &headers, b"");
    assert_eq!(same.status, 304);
}

#[test]
fn a_platform_release_waits_for_another_persons_approval() {
    let server = TestServer::start();
    let person = |name: &str, role: &str| {
        let token =
            server.json(&["token", "create", "--actor", name, "--role", role])["token"].as_str().unwrap().to_owned();
        move |server: &TestServer, words: &[&str]| {
            crate::support::Run::of(server.command(words).env("RINGFENCE_TOKEN", &token))
        }
    };
    let (alice, bo) = (person("alice@corp", "publisher"), person("bo@corp", "approver"));
    alice(&server, &["product", "add", "driver", "--class", "platform"]).ok();
    let artifact = format!("driver.bin={}", file(&server, "driver", &random_bytes(5, 100_000)));
    alice(&server, &["publish", "driver", "6.1.0.47", "--artifact", &artifact]).ok();
    assert_eq!(server.json(&["release", "show", "driver", "6.1.0.47"])["state"], "draft");
    server.get(Some("device-1"), "/v1/offers/driver").expect(204);
    alice(&server, &["release", "approve", "driver", "6.1.0.47"]).exits(5);
    bo(&server, &["publish", "driver", "6.1.0.48", "--artifact", &artifact]).exits(5);
    bo(&server, &["release", "approve", "driver", "6.1.0.47"]).ok();
    let shown = server.json(&["release", "show", "driver", "6.1.0.47"]);
    assert_eq!((&shown["state"], &shown["approved_by"]), (&json!("published"), &json!("bo@corp")));
    assert_eq!(server.offered_version("device-1", "driver").as_deref(), Some("6.1.0.47"));
}

#[test]
fn tokens_open_what_their_role_says_until_they_are_revoked() {
    let server = TestServer::start();
    let created = server.json(&["token", "create", "--actor", "eve@corp", "--role", "auditor"]);
    let (id, token) = (created["id"].to_string(), created["token"].as_str().unwrap().to_owned());
    assert!(token.starts_with("rf_"), "a token is recognised by its start");
    let eve = |words: &[&str]| crate::support::Run::of(server.command(words).env("RINGFENCE_TOKEN", &token));
    eve(&["product", "list"]).ok();
    eve(&["product", "add", "feed", "--class", "intelligence"]).exits(5);
    eve(&["token", "create", "--actor", "mallory", "--role", "admin"]).exits(5);
    let listed = server.cli(&["token", "list", "--json"]).ok().stdout;
    assert!(!listed.contains(&token), "a secret is shown once");
    server.cli(&["token", "revoke", &id]).ok();
    eve(&["product", "list"]).exits(5);
    crate::support::Run::of(server.command(&["product", "list"]).env("RINGFENCE_TOKEN", "rf_wrong")).exits(5);
    let stored = std::fs::read_to_string(server.data().join("journal/00000001.jsonl")).unwrap();
    assert!(!stored.contains(&token), "the journal keeps no secret");
}

#[test]
fn an_upload_resumes_where_it_broke() {
    let server = TestServer::start();
    let admin = server.as_admin();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    let body = random_bytes(9, 1_000_000);
    let upload = admin.open_upload(body.len());
    // A connection that breaks in the middle: the head promises all, 400,000 bytes come.
    let head = format!(
        "PATCH /v1/uploads/{upload} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nUpload-Offset: 0\r\nContent-Length: {}\r\n\r\n",
        admin.token,
        body.len()
    );
    let mut stream = std::net::TcpStream::connect(server.admin).unwrap();
    std::io::Write::write_all(&mut stream, &[head.as_bytes(), &body[..400_000]].concat()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    drop(stream);
    let kept = wait_until("what arrived", || Some(admin.upload_offset(&upload)).filter(|offset| *offset > 0));
    let offset = usize::try_from(kept).unwrap();
    assert_eq!(offset, 400_000, "what arrived is kept");
    let artifact = json!({ "target": "feed.bin", "upload": upload });
    let early = admin.release("feed", "1.0", std::slice::from_ref(&artifact));
    assert!((400..500).contains(&early.status), "an upload cut short is not published: {}", early.text());
    let wrong = admin.patch(&upload, 0, &body).expect(409);
    assert_eq!(wrong.header("upload-offset"), Some("400000"));
    admin.patch(&upload, offset, &body[offset..]).expect(204);
    admin.release("feed", "1.0", &[artifact]).expect(201);
    let offer = server.offer("device-1", "feed").unwrap();
    assert_eq!(offer["artifacts"][0]["sha256"], sha256_hex(&body));
}
