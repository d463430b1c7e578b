//! Devices that come by a credential with a one-time code, and devices that are shut out.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::server::ringfence;
use crate::support::tools::need;
use crate::support::{Answer, Run, Setup, TestServer, request};

fn code_for(server: &TestServer, device: &str) -> String {
    server.json(&["device", "enrol", device])["code"].as_str().expect("a code").to_owned()
}

fn claim(server: &TestServer, body: &Value) -> Answer {
    request(server.device, "POST", "/v1/enrol", &[], body.to_string().as_bytes())
}

fn offer_with(server: &TestServer, token: &str) -> Answer {
    let authorization = format!("Bearer {token}");
    request(server.device, "GET", "/v1/offers/feed", &[("Authorization", &authorization)], b"")
}

fn publish(server: &TestServer) {
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    server.as_admin().try_publish("feed", "1.0", b"bytes").unwrap().expect(201);
}

fn openssl(dir: &Path, line: &str) {
    Run::of(Command::new("openssl").args(line.split_whitespace()).current_dir(dir)).ok();
}

/// A server that signs certificates with a CA of its own.
fn with_ca() -> TestServer {
    let setup = Setup::new();
    openssl(setup.root(), "ecparam -name prime256v1 -genkey -noout -out ca.key");
    openssl(
        setup.root(),
        "req -x509 -new -key ca.key -out ca.pem -days 3650 -subj /CN=enrol-ca -addext keyUsage=critical,keyCertSign",
    );
    setup.config("[enrol]\nca_certificate = \"ca.pem\"\nca_key = \"ca.key\"\ntoken_valid_for = \"30d\"\n").start()
}

#[test]
fn a_code_becomes_a_token_that_gets_offers() {
    need!("enrol::a_code_becomes_a_token_that_gets_offers", "curl");
    let server = TestServer::start();
    publish(&server);
    let code = code_for(&server, "pos-1");
    let url = format!("http://{}/v1/enrol", server.device);
    let body = json!({ "code": code }).to_string();
    let curl = || Run::of(Command::new("curl").args(["-s", "-S", "-X", "POST", "--data", &body, &url])).ok();
    let enrolled = curl().json();
    assert_eq!(enrolled["device"], "pos-1");
    let token = enrolled["token"].as_str().expect("a token");
    assert_eq!(offer_with(&server, token).expect(200).json()["version"], "1.0");
    assert_eq!(curl().json()["detail"], "the code is not valid", "a replay");

    let shown = server.json(&["device", "show", "pos-1"]);
    assert_eq!((&shown["in_inventory"], &shown["tokens"][0]["valid"]), (&json!(false), &json!(true)));
    assert_eq!(shown["tokens"][0]["created_by"], "device:pos-1");
    let said = server.cli(&["device", "show", "pos-1"]).ok().stdout;
    assert!(said.contains("pos-1 (not in the inventory)") && said.contains("good until revoked"), "{said}");
    // What can be used is nowhere but with the device.
    for entry in std::fs::read_dir(server.data().join("journal")).unwrap() {
        let journal = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(journal.contains("enrolment_used") && journal.contains("device:pos-1"));
        assert!(!journal.contains(&code[4..]) && !journal.contains(&token[3..]) && !journal.contains("rfe_"));
    }
    let listed = server.json(&["device", "enrolments"]).to_string() + &server.log();
    assert!(!listed.contains(&code[4..]) && !listed.contains(&token[3..]));
}

#[test]
fn codes_that_are_not_good_look_the_same() {
    let server = TestServer::start();
    let used = code_for(&server, "used");
    claim(&server, &json!({ "code": used })).expect(201);
    let denied = code_for(&server, "denied");
    server.cli(&["device", "deny", "denied", "--reason", "stolen"]).ok();
    let replaced = code_for(&server, "twice");
    let newer = code_for(&server, "twice");
    let expired = server.json(&["device", "enrol", "slow", "--valid-for", "1s"])["code"].as_str().unwrap().to_owned();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let unknown = format!("rfe_{}", "A".repeat(43));
    let reference = claim(&server, &json!({ "code": unknown })).expect(403);
    for code in [used.as_str(), &denied, &replaced, &expired, "", "rfe_", "nonsense"] {
        assert_eq!(claim(&server, &json!({ "code": code })).without_date(), reference.without_date(), "{code}");
    }
    claim(&server, &json!({ "code": newer })).expect(201);
    let open = server.json(&["device", "enrolments"]);
    assert_eq!(open["enrolments"].as_array().unwrap().len(), 1, "only that of the denied device is left: {open}");
}

#[test]
fn of_twenty_claims_at_once_one_wins() {
    let server = TestServer::start();
    let body = json!({ "code": code_for(&server, "pos-1") });
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..20).map(|_| scope.spawn(|| claim(&server, &body))).collect();
        asked.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert!(answers.iter().all(|answer| matches!(answer.status, 201 | 403 | 429)));
    let shown = server.json(&["device", "show", "pos-1"]);
    assert_eq!(shown["tokens"].as_array().unwrap().len(), 1, "{shown}");
}

#[test]
fn a_csr_becomes_a_certificate_that_names_the_enrolled_device() {
    need!("enrol::a_csr_becomes_a_certificate_that_names_the_enrolled_device", "openssl");
    let server = with_ca();
    let dir = server.root();
    // The request says that it is another device, and a CA at that.
    let wish = "-subj /CN=boss -addext subjectAltName=URI:urn:ringfence:device:boss -addext basicConstraints=CA:TRUE";
    openssl(dir, &format!("req -new -newkey rsa:2048 -nodes -keyout d.key -out d.csr {wish}"));
    let csr = std::fs::read_to_string(dir.join("d.csr")).unwrap();
    let code = code_for(&server, "pos-1");
    // A request that is not taken does not use the code up.
    claim(&server, &json!({ "code": code, "csr": "nonsense" })).expect(400);
    openssl(dir, "req -new -newkey rsa:1024 -nodes -keyout weak.key -out weak.csr -subj /CN=x");
    let weak = std::fs::read_to_string(dir.join("weak.csr")).unwrap();
    assert!(claim(&server, &json!({ "code": code, "csr": weak })).expect(400).text().contains("RSA of 2048"));
    let enrolled = claim(&server, &json!({ "code": code, "csr": csr })).expect(201).json();
    assert_eq!(enrolled["device"], "pos-1");
    std::fs::write(dir.join("d.pem"), enrolled["certificate"].as_str().unwrap()).unwrap();
    openssl(dir, "verify -CAfile ca.pem -purpose sslclient -x509_strict d.pem");
    let said = |line: &str| {
        Run::of(Command::new("openssl").args(line.split_whitespace()).current_dir(dir)).ok().stdout.replace(' ', "")
    };
    let text = said("x509 -in d.pem -noout -subject -ext subjectAltName,extendedKeyUsage,basicConstraints");
    assert!(text.contains("CN=pos-1") && text.contains("URI:urn:ringfence:device:pos-1"), "{text}");
    assert!(text.contains("CA:FALSE") && text.contains("TLSWebClientAuthentication"), "{text}");
    assert!(!text.contains("boss") && !text.contains("Server"), "{text}");
    assert_eq!(said("x509 -in d.pem -noout -pubkey"), said("req -in d.csr -noout -pubkey"));
    claim(&server, &json!({ "code": code, "csr": csr })).expect(403);
    let journal = server.json(&["journal", "show"]).to_string();
    let fingerprint = said("x509 -in d.pem -noout -fingerprint -sha256");
    let fingerprint = fingerprint.trim().rsplit('=').next().unwrap().replace(':', "").to_lowercase();
    assert!(journal.contains(&fingerprint), "{fingerprint}");
}

#[test]
fn without_a_ca_a_csr_is_refused_and_the_code_stays_good() {
    let server = TestServer::start();
    let code = code_for(&server, "pos-1");
    let refused = claim(&server, &json!({ "code": code, "csr": "x" })).expect(400);
    assert!(refused.text().contains("signs no certificates"), "{}", refused.text());
    claim(&server, &json!({ "code": code })).expect(201);
}

#[test]
fn a_ca_that_cannot_sign_stops_the_start_with_a_sentence() {
    let setup = Setup::new();
    std::fs::write(setup.root().join("ca.pem"), "nothing").unwrap();
    let setup = setup.config("[enrol]\nca_certificate = \"ca.pem\"\nca_key = \"missing.key\"\n");
    setup.start_and_fail().complains(3, &["ca.pem", "CERTIFICATE"]);
}

#[test]
fn the_command_claims_a_token_or_a_certificate() {
    need!("enrol::the_command_claims_a_token_or_a_certificate", "openssl");
    let server = with_ca();
    publish(&server);
    let dir = server.root();
    let from = format!("http://{}", server.device);
    let run = |words: &[&str]| {
        Run::of(ringfence().args(["device", "claim"]).args(words).args(["--from", &from]).current_dir(dir))
    };
    let mode =
        |name: &str| std::os::unix::fs::PermissionsExt::mode(&dir.join(name).metadata().unwrap().permissions()) & 0o777;
    // A refused code leaves no file behind; one that is there is not overwritten, and uses no code up.
    run(&["rfe_wrong", "--token", "t"]).complains(5, &["the code is not valid"]);
    assert!(!dir.join("t").exists());
    let code = code_for(&server, "pos-1");
    run(&[&code, "--token", "ca.pem"]).complains(3, &["ca.pem"]);
    let said = run(&[&code, "--token", "t"]).ok().stdout;
    assert!(said.contains("This is pos-1"), "{said}");
    assert_eq!(mode("t"), 0o600);
    let token = std::fs::read_to_string(dir.join("t")).unwrap();
    offer_with(&server, token.trim()).expect(200);
    assert!(server.json(&["device", "show", "pos-1"])["tokens"][0]["expires_at"].is_string(), "enrol.token_valid_for");

    let code = code_for(&server, "pos-2");
    let answer = run(&[&code, "--key", "k", "--certificate", "c", "--json"]).ok().json();
    assert_eq!((&answer["device"], answer.get("certificate")), (&json!("pos-2"), None));
    assert_eq!((mode("k"), mode("c")), (0o600, 0o600));
    openssl(dir, "verify -CAfile ca.pem -purpose sslclient c");
    let public =
        |line: &str| Run::of(Command::new("openssl").args(line.split_whitespace()).current_dir(dir)).ok().stdout;
    assert_eq!(public("x509 -in c -noout -pubkey"), public("pkey -in k -pubout"));
}

#[test]
fn a_denied_device_is_shut_out_by_every_credential_until_it_is_allowed() {
    let server = TestServer::start();
    publish(&server);
    let token = claim(&server, &json!({ "code": code_for(&server, "pos-1") })).expect(201).json()["token"].clone();
    let token = token.as_str().unwrap();
    let blob = offer_with(&server, token).expect(200).json()["artifacts"][0]["url"].as_str().unwrap().to_owned();
    let path = &blob[blob.find("/v1/blobs/").unwrap()..];
    server.get(Some("pos-1"), path).expect(200);
    server.cli(&["device", "deny", "pos-1", "--reason", "lost on a train"]).ok();
    offer_with(&server, token).expect(401);
    server.get(Some("pos-1"), "/v1/offers/feed").expect(401);
    let absent = server.get(Some("pos-2"), &format!("/v1/blobs/{}", "0".repeat(64))).expect(404);
    assert_eq!(server.get(Some("pos-1"), path).without_date(), absent.without_date());
    let report = br#"{"id":"r","product":"feed","version":"1.0","event":"failed"}"#;
    request(server.device, "POST", "/v1/reports", &[("Ringfence-Device", "pos-1")], report).expect(401);
    server.cli(&["device", "enrol", "pos-1"]).complains(7, &["device allow pos-1"]);

    let said = server.cli(&["device", "denied"]).ok().stdout;
    assert!(said.contains("pos-1") && said.contains("lost on a train"), "{said}");
    assert!(server.cli(&["device", "show", "pos-1"]).ok().stdout.contains("denied since"));
    let inventory = server.root().join("devices.json");
    std::fs::write(&inventory, r#"[{"id":"pos-1"},{"id":"pos-2"}]"#).unwrap();
    server.cli(&["device", "import", inventory.to_str().unwrap()]).ok();
    assert_eq!(server.json(&["device", "list"])["denied"], json!(["pos-1"]));
    let listed = server.cli(&["device", "list"]).ok().stdout;
    assert_eq!(listed.matches("denied").count(), 1, "{listed}");

    server.cli(&["device", "allow", "pos-1", "--reason", "found"]).ok();
    server.cli(&["device", "allow", "pos-1", "--reason", "found"]).complains(7, &["is not denied"]);
    offer_with(&server, token).expect(200);
}
