//! Who sees which version: rings, groups, holds, pins, N-1 and the past, over the command line and the listeners.

use serde_json::json;

use crate::support::TestServer;
use crate::support::server::POLICY;

/// Two releases of `feed`, and an inventory with one slow device.
fn staged() -> TestServer {
    let server = TestServer::start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    for version in ["1.0", "1.1"] {
        server.as_admin().try_publish("feed", version, version.as_bytes()).unwrap().expect(201);
    }
    let inventory = server.root().join("devices.json");
    let devices = json!([{ "id": "pos-1", "tags": ["slow"] }, { "id": "canary-1" }, { "id": "pc-1" }]);
    std::fs::write(&inventory, devices.to_string()).unwrap();
    server.cli(&["device", "import", &inventory.display().to_string()]).ok();
    server
}

fn apply(server: &TestServer, policy: &str, words: &[&str]) -> crate::support::Run {
    let file = server.root().join("next.toml");
    std::fs::write(&file, policy).unwrap();
    let file = file.display().to_string();
    server.cli(&[&["policy", words[0], &*file], &words[1..]].concat())
}

#[test]
fn groups_see_what_their_line_says() {
    let server = staged();
    assert_eq!(server.offered_version("canary-1", "feed").as_deref(), Some("1.1"));
    assert_eq!(server.offered_version("pc-1", "feed").as_deref(), Some("1.1"));
    assert_eq!(server.offered_version("pos-1", "feed").as_deref(), Some("1.0"), "kept at N-1");
}

#[test]
fn a_policy_is_planned_applied_and_taken_back() {
    let server = staged();
    let stricter = POLICY.replace("ring  = \"broad\"\n\n[approve]", "ring  = \"broad\"\nkeep  = \"N-1\"\n\n[approve]");
    assert_ne!(stricter, POLICY);
    let plan = apply(&server, &stricter, &["plan", "--json"]).ok().json();
    assert_eq!(plan["devices_changed"], 1, "{plan}");
    assert_eq!(server.offered_version("pc-1", "feed").as_deref(), Some("1.1"), "a plan changes nothing");
    apply(&server, &stricter, &["apply"]).exits(2);
    apply(&server, &stricter, &["apply", "--yes"]).ok();
    assert_eq!(server.offered_version("pc-1", "feed").as_deref(), Some("1.0"));
    let history = server.json(&["policy", "history"]);
    let policies = history["policies"].as_array().unwrap();
    assert_eq!(policies.len(), 2);
    let first = policies.iter().filter_map(|policy| policy["seq"].as_u64()).min().unwrap().to_string();
    let shown = server.cli(&["policy", "show", "--seq", &first]).ok().stdout;
    assert_eq!(shown.trim(), POLICY.trim(), "kept as it was written");
    apply(&server, &shown, &["apply", "--yes"]).ok();
    assert_eq!(server.offered_version("pc-1", "feed").as_deref(), Some("1.1"));
}

#[test]
fn a_wrong_policy_changes_nothing_and_names_every_line() {
    let server = staged();
    let seq = server.journal_seq();
    let wrong =
        POLICY.replace("ring  = \"canary\"", "ring  = \"canarry\"").replace("match = \"any\"", "match = \"all\"");
    let lines: Vec<String> = wrong
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains("canarry") || line.contains("\"all\""))
        .map(|(number, _)| format!("{}", number + 1))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    apply(&server, &wrong, &["check"]).complains(3, &lines);
    apply(&server, &wrong, &["apply", "--yes"]).complains(3, &lines);
    assert_eq!(server.journal_seq(), seq);
}

#[test]
fn explain_tells_the_rule_now_and_then() {
    let server = staged();
    let now = server.json(&["explain", "pos-1", "feed"]);
    assert_eq!(now["version"], "1.0", "{now}");
    assert!(!now["trace"].as_array().unwrap().is_empty());
    let released = server.json(&["release", "show", "feed", "1.1"])["published_at"].as_str().unwrap().to_owned();
    std::thread::sleep(std::time::Duration::from_millis(20));
    server.cli(&["release", "withdraw", "feed", "1.1", "--reason", "bad", "--yes"]).ok();
    assert_eq!(server.json(&["explain", "pc-1", "feed"])["version"], "1.0");
    assert_eq!(server.json(&["explain", "pc-1", "feed", "--at", &released])["version"], "1.1", "as it was then");
    let text = server.cli(&["explain", "pc-1", "feed"]).ok().stdout;
    assert!(text.contains("1.1") && text.contains("withdrawn"), "{text}");
}

#[test]
fn holds_and_pins_take_effect_at_once() {
    let server = staged();
    let hold = ["hold", "add", "feed", "1.1", "--reason", "crashes", "--yes", "--group", "everyone"];
    server.cli(&hold).ok();
    assert_eq!(server.offered_version("pc-1", "feed").as_deref(), Some("1.0"));
    assert_eq!(server.offered_version("canary-1", "feed").as_deref(), Some("1.1"));
    server.cli(&["pin", "canaries", "feed", "1.0", "--reason", "an audit"]).ok();
    assert_eq!(server.offered_version("canary-1", "feed").as_deref(), Some("1.0"));
    server.cli(&["unpin", "canaries", "feed", "--reason", "done"]).ok();
    assert_eq!(server.offered_version("canary-1", "feed").as_deref(), Some("1.1"));
    server.cli(&["hold", "add", "feed", "--everyone", "--reason", "all of it", "--yes"]).ok();
    for device in ["pc-1", "canary-1", "pos-1"] {
        let status = server.get(Some(device), "/v1/offers/feed").status;
        assert!(matches!(status, 204 | 404), "{device}: {status}");
    }
}

#[test]
fn nobody_is_offered_less_than_what_is_installed() {
    let server = staged();
    for (current, status) in [("1.0", 200), ("1.1", 204), ("2.0", 204)] {
        let path = format!("/v1/offers/feed?current={current}");
        assert_eq!(server.get(Some("pc-1"), &path).status, status, "{current}");
    }
    server.cli(&["release", "withdraw", "feed", "1.1", "--reason", "bad", "--yes"]).ok();
    server.get(Some("pc-1"), "/v1/offers/feed?current=1.1").expect(204);
}

#[test]
fn reports_are_taken_once() {
    let server = staged();
    let report = json!({ "id": "r-1", "product": "feed", "version": "1.1", "event": "installed" });
    let send = |device: &str, body: &serde_json::Value| {
        let headers = [("Ringfence-Device", device), ("Content-Type", "application/json")];
        crate::support::request(server.device, "POST", "/v1/reports", &headers, body.to_string().as_bytes())
    };
    let first = send("pc-1", &report);
    assert_eq!((first.status, first.json()), (200, json!({ "recorded": 1, "repeated": 0 })));
    let again = send("pc-1", &report);
    assert_eq!((again.status, again.json()), (200, json!({ "recorded": 0, "repeated": 1 })), "a success, kept once");
    let unknown = json!({ "id": "r-2", "product": "feed", "version": "9.9", "event": "installed" });
    let refused = send("pc-1", &unknown);
    assert_eq!(refused.status, 422, "{}", refused.text());
}
