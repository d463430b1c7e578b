//! Shares on the admin listener: who may do what, and how refusals look. What a share shows needs no part of this.

use serde_json::{Value, json};

use crate::support::{Admin, TestServer};

/// A server with a share that has nothing to show.
fn with_share() -> TestServer {
    let server = TestServer::start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    server.cli(&["share", "add", "pcs", "--group", "everyone", "--layout", "plain", "--product", "feed", "--yes"]).ok();
    server
}

/// An admin of this role.
fn person(server: &TestServer, role: &str) -> Admin {
    let token = server.json(&["token", "create", "--actor", &format!("{role}@corp"), "--role", role]);
    let secret = ["token", "secret"].iter().find_map(|name| token[*name].as_str()).expect("a secret");
    Admin { address: server.admin, token: secret.to_owned() }
}

fn report(target: &str) -> Value {
    json!({ "target": target, "switch": 3, "staged_at": "2026-11-21T14:30:00Z", "state": "pending",
        "why": "index.xml is open", "written_bytes": 5, "tree_files": 1, "tree_bytes": 5 })
}

fn put(admin: &Admin, path: &str, body: &Value) -> u16 {
    admin.send("PUT", path, &[("Content-Type", "application/json")], body.to_string().as_bytes()).status
}

#[test]
fn a_share_is_added_to_the_policy_in_force() {
    let server = with_share();
    let share = server.json(&["share", "show", "pcs"]);
    assert_eq!((&share["group"], &share["layout"]), (&json!("everyone"), &json!("plain")));
    assert_eq!(share["open_to"], json!(["group"]));
    let again = ["share", "add", "pcs", "--group", "everyone", "--layout", "plain", "--product", "feed", "--yes"];
    let refused = server.cli(&again).exits(7);
    assert!(refused.stderr.contains("there is a share pcs already"), "{}", refused.stderr);
    let text = server.cli(&["policy", "show"]).ok().stdout;
    assert!(
        text.ends_with("[[share]]\nname = \"pcs\"\ngroup = \"everyone\"\nlayout = \"plain\"\nproducts = [\"feed\"]\n")
    );
}

#[test]
fn what_is_sent_never_becomes_another_part_of_the_policy() {
    let server = with_share();
    let before = server.journal_seq();
    let admin = server.as_admin();
    let evil = "anyone\"]\n[[ring]]\nname = \"evil\"\n#";
    let share = |open_to: &str, group: &str| json!({ "name": "evil", "group": group, "layout": "plain", "products": ["feed"], "open_to": [open_to] });
    let refused = admin.post("/v1/shares", &share(evil, "everyone")).expect(422).json();
    assert!(refused["detail"].as_str().unwrap().contains("open_to"), "{refused}");
    admin.post("/v1/shares", &share("anyone", "nobody")).expect(422);
    let mut reasoned = share("anyone", "everyone");
    reasoned["reason"] = json!("for the terminals\n[[ring]]");
    admin.post("/v1/shares", &reasoned).expect(400);
    assert_eq!(server.journal_seq(), before, "nothing was changed");
    reasoned["reason"] = json!("for the \"terminals\" # [[ring]]");
    admin.post("/v1/shares", &reasoned).expect(201);
    let text = server.cli(&["policy", "show"]).ok().stdout;
    assert!(text.contains("\n# for the \"terminals\" # [[ring]]\n[[share]]\nname = \"evil\"\n"), "{text}");
}

#[test]
fn every_role_reads_and_only_those_who_operate_change() {
    let server = with_share();
    let added = json!({ "name": "more", "group": "everyone", "layout": "plain", "products": ["feed"] });
    for (role, may_change) in [("auditor", false), ("publisher", false), ("approver", false), ("operator", true)] {
        let admin = person(&server, role);
        let get = |path: &str| admin.send("GET", path, &[], b"").status;
        assert_eq!(get("/v1/shares"), 200, "{role}");
        assert_eq!(get("/v1/shares/pcs"), 200, "{role}");
        assert_eq!(get("/v1/shares/pcs/tree"), 409, "{role}");
        let expected = if may_change { [204, 201] } else { [403, 403] };
        let found = [put(&admin, "/v1/shares/pcs/targets", &report("a:/b")), admin.post("/v1/shares", &added).status];
        assert_eq!(found, expected, "{role}");
    }
    let nobody = Admin { address: server.admin, token: "rf_nobody".into() };
    assert_eq!(nobody.send("GET", "/v1/shares", &[], b"").status, 401);
    assert_eq!(nobody.send("GET", "/v1/shares/pcs/tree", &[], b"").status, 401);
}

#[test]
fn what_is_not_there_is_404_and_what_is_not_shown_yet_409() {
    let server = with_share();
    let admin = server.as_admin();
    let get = |path: &str| admin.send("GET", path, &[], b"");
    let digest = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    for path in [
        "/v1/shares/none".to_owned(),
        "/v1/shares/none/tree".to_owned(),
        "/v1/shares/No!/tree".to_owned(),
        format!("/v1/shares/none/blobs/{digest}"),
        format!("/v1/shares/pcs/blobs/{digest}"),
        "/v1/shares/pcs/blobs/abc".to_owned(),
    ] {
        get(&path).expect(404);
    }
    let refused = get("/v1/shares/pcs/tree").expect(409).json();
    assert!(refused["detail"].as_str().unwrap().starts_with("nothing is shown yet in share pcs: "), "{refused}");
    let dir = server.root().join("target");
    server.cli(&["share", "stage", "pcs", "--to", &dir.display().to_string()]).exits(7);
    assert!(!dir.exists(), "a refusal writes nothing");
    server.cli(&["share", "show", "none"]).exits(6);
}

#[test]
fn a_targets_report_is_shown_and_a_bad_one_refused() {
    let server = with_share();
    let admin = server.as_admin();
    let path = "/v1/shares/pcs/targets";
    assert_eq!(put(&admin, path, &report("files-1:/srv/share")), 204);
    let share = server.json(&["share", "show", "pcs"]);
    assert_eq!(share["targets"][0]["target"], "files-1:/srv/share");
    assert_eq!(share["targets"][0]["state"], "pending");
    let words = server.cli(&["share", "show", "pcs"]).ok().stdout;
    assert!(words.contains("target files-1:/srv/share: pending (switch 3 at "), "{words}");
    let metrics = admin.send("GET", "/metrics", &[], b"").expect(200).text();
    assert!(metrics.contains("ringfence_share_targets_pending{share=\"pcs\"} 1\n"), "{metrics}");
    assert!(metrics.contains("ringfence_share_files{share=\"pcs\"} 0\n"), "{metrics}");
    assert_eq!(put(&admin, "/v1/shares/none/targets", &report("a:/b")), 404);
    for bad in ["", "two\nlines", "\u{1b}[2J", &"x".repeat(1_025)] {
        assert_eq!(put(&admin, path, &report(bad)), 422, "{bad:?}");
    }
    let mut unknown = report("a:/b");
    unknown["surprise"] = json!(1);
    assert_eq!(put(&admin, path, &unknown), 400);
}
