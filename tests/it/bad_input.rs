//! Bad input: one clear sentence, a documented exit code or problem, and everything as it was.

use serde_json::json;

use crate::support::server::{POLICY, ringfence};
use crate::support::{Answer, Run, Setup, TestServer, random_bytes};

fn check_config(text: &str) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ringfence.toml");
    std::fs::write(&path, text).unwrap();
    Run::of(ringfence().args(["check-config", "--config"]).arg(&path))
}

#[test]
fn configurations() {
    check_config("").ok();
    for (text, words) in [
        ("data = \"d\"\ncolour = 1\n", &["ringfence.toml:2", "colour"][..]),
        ("[device]\nlisten = \"127.0.0.1:80\"\nlissten = 1\n", &["ringfence.toml:3", "lissten", "listen"]),
        ("[device]\nlisten = \"127.0.0.1:9000\"\n[admin]\nlisten = \"127.0.0.1:9000\"\n", &["127.0.0.1:9000"]),
        ("[device]\nlisten = \"0.0.0.0:9000\"\n[admin]\nlisten = \"127.0.0.1:9000\"\n", &["9000"]),
        ("[device]\nlisten = \"here\"\n", &["ringfence.toml:2"]),
        ("[store]\ninline_max_bytes = \"1 GiB\"\n", &["ringfence.toml:2", "128 KiB"]),
        ("[store]\nscrub_every = \"soon\"\n", &["ringfence.toml:2"]),
        ("[limits]\nconnections_max = 0\n", &["ringfence.toml:2"]),
        ("[device]\nheader_trusted_from = [\"10.0.0.0/33\"]\n", &["ringfence.toml:2"]),
        ("[log]\nlevel = \"loud\"\n", &["ringfence.toml:2"]),
        ("data = \n", &["ringfence.toml:1"]),
    ] {
        check_config(text).complains(3, words);
    }
    Run::of(ringfence().args(["check-config", "--config", "/no/such/file"])).complains(3, &["/no/such/file"]);
}

#[test]
fn a_server_does_not_start_on_a_wrong_policy() {
    let wrong = POLICY.replace("name = \"broad\"", "name = \"wide\"");
    let run = Setup::new().policy(&wrong).start_and_fail();
    run.complains(3, &["policy.toml", "broad"]);
}

#[test]
fn a_server_does_not_start_on_data_it_cannot_write() {
    let Some(mount) = Tmpfs::mount("size=16m") else {
        crate::support::skip("bad_input::a_server_does_not_start_on_data_it_cannot_write", "a tmpfs cannot be mounted");
        return;
    };
    let setup = Setup::below(mount.path());
    setup.write_files();
    mount.remount("ro");
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .args(["serve", "--config"])
        .arg(setup.root().join("ringfence.toml"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&child.stderr);
    assert_eq!(child.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("data") && stderr.to_lowercase().contains("read-only"), "{stderr}");
}

/// A small file system of its own, unmounted when it is dropped.
pub(crate) struct Tmpfs {
    dir: tempfile::TempDir,
}

impl Tmpfs {
    pub(crate) fn mount(options: &str) -> Option<Self> {
        let dir = tempfile::tempdir().ok()?;
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir.path());
        mount.output().ok().filter(|output| output.status.success())?;
        Some(Self { dir })
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub(crate) fn remount(&self, option: &str) {
        let mut mount = std::process::Command::new("mount");
        Run::of(mount.args(["-o", &format!("remount,{option}")]).arg(self.dir.path())).ok();
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(self.dir.path()).output();
    }
}

struct Refusals {
    server: TestServer,
    seq: u64,
}

fn refusals() -> Refusals {
    let server = TestServer::start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    let seq = server.journal_seq();
    Refusals { server, seq }
}

impl Refusals {
    /// A problem document with a sentence that holds the word, and nothing in the journal.
    #[track_caller]
    fn refused(&self, answer: &Answer, status: std::ops::Range<u16>, word: &str) {
        assert!(status.contains(&answer.status), "{}\n{}", answer.head, answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.text());
        let problem = answer.json();
        assert_eq!(problem["status"], answer.status);
        let detail = problem["detail"].as_str().or(problem["title"].as_str()).expect("a sentence");
        assert!(detail.contains(word), "{word:?} is not in {detail:?}");
        // What the gates turned down is remembered as that, and nothing else leaves a trace.
        if self.server.journal_seq() != self.seq {
            let shown = self.server.json(&["journal", "show"]);
            let new = shown["events"]
                .as_array()
                .expect("events")
                .iter()
                .filter(|event| event["seq"].as_u64().expect("a sequence") > self.seq);
            for event in new {
                assert!(event.to_string().contains("release_refused"), "what was refused left a trace: {event}");
            }
        }
    }
}

#[test]
fn versions() {
    let all = refusals();
    let admin = all.server.as_admin();
    let artifact = json!({ "target": "f", "upload": admin.upload(b"bytes") });
    for version in ["", "1.0-rc1", "v1", "1..2", "1.2.3.4.5.6.7.8.9", "18446744073709551616", "../1"] {
        let answer = admin.release("feed", version, std::slice::from_ref(&artifact));
        all.refused(&answer, 400..423, "version");
    }
    let file = all.server.root().join("f");
    std::fs::write(&file, b"bytes").unwrap();
    let word = format!("f={}", file.display());
    all.server.cli(&["publish", "feed", "1.0-rc1", "--artifact", &word]).complains(2, &["1.0-rc1"]);
    // The upload outlived the refusals.
    admin.release("feed", "1.0", &[artifact]).expect(201);
}

#[test]
fn target_names() {
    let all = refusals();
    let admin = all.server.as_admin();
    for target in ["../f", "/etc/passwd", "a//b", "nul", "x64/COM1.exe", "a\\b", "PROGRA~1", "a b", "a.", "", "."] {
        let artifact = json!({ "target": target, "upload": admin.upload(b"bytes") });
        all.refused(&admin.release("feed", "1.0", &[artifact]), 400..423, "");
    }
    let pair = |one: &str, two: &str| {
        let artifact = |target: &str| json!({ "target": target, "upload": admin.upload(target.as_bytes()) });
        admin.release("feed", "1.0", &[artifact(one), artifact(two)])
    };
    for (one, two) in [("f.bin", "f.bin"), ("f.bin", "F.BIN"), ("a", "a/b"), ("A/x", "a")] {
        all.refused(&pair(one, two), 400..423, "");
    }
    all.refused(&admin.release("feed", "1.0", &[]), 400..423, "artifact");
}

#[test]
fn uploads() {
    let all = refusals();
    let admin = all.server.as_admin();
    let body = random_bytes(4, 50_000);
    let longer = admin.open_upload(40_000);
    all.refused(&admin.patch(&longer, 0, &body), 413..414, "");
    let short = admin.open_upload(60_000);
    admin.patch(&short, 0, &body).expect(204);
    let artifact = json!({ "target": "f", "upload": short });
    all.refused(&admin.release("feed", "1.0", &[artifact]), 400..423, "");
    let unknown = json!({ "target": "f", "upload": "no-such-upload" });
    all.refused(&admin.release("feed", "1.0", &[unknown]), 400..423, "");
    let wrong = [
        json!({ "target": "f", "upload": admin.upload(&body), "sha256": "0".repeat(64) }),
        json!({ "target": "f", "upload": admin.upload(&body), "blake3": "0".repeat(64) }),
        json!({ "target": "f", "upload": admin.upload(&body), "size": 49_999 }),
    ];
    for artifact in wrong {
        all.refused(&admin.release("feed", "1.0", &[artifact]), 400..423, "");
    }
    let malformed = json!({ "target": "f", "upload": admin.upload(&body), "sha256": "A".repeat(64) });
    all.refused(&admin.release("feed", "1.0", &[malformed]), 400..423, "");
    let huge = admin.send("POST", "/v1/uploads", &[("Upload-Length", "99999999999999999")], b"");
    all.refused(&huge, 400..423, "");
    for length in ["-1", "x", "", "99999999999999999999999"] {
        all.refused(&admin.send("POST", "/v1/uploads", &[("Upload-Length", length)], b""), 400..423, "upload-length");
    }
}

#[test]
fn bodies_and_names() {
    let all = refusals();
    let admin = all.server.as_admin();
    for (path, body) in [
        ("/v1/products", "{"),
        ("/v1/products", "{\"name\":\"x\"}"),
        ("/v1/products", "{\"name\":\"x\",\"class\":\"both\"}"),
        ("/v1/products", "{\"name\":\"X\",\"class\":\"platform\"}"),
        ("/v1/products", "{\"name\":\"x\",\"class\":\"platform\",\"colour\":1}"),
        ("/v1/holds", "{\"product\":\"feed\",\"reason\":\"\"}"),
        ("/v1/tokens", "{\"actor\":\"a b\",\"role\":\"admin\"}"),
        ("/v1/devices/import", "{\"devices\":[{\"id\":\"a b\"}]}"),
    ] {
        let answer = admin.send("POST", path, &[("Content-Type", "application/json")], body.as_bytes());
        all.refused(&answer, 400..423, "");
    }
    let nowhere = admin.send("GET", "/v1/no-such-thing", &[], b"");
    all.refused(&nowhere, 404..405, "");
    all.server.cli(&["product", "add", "Bad Name", "--class", "platform"]).exits(2);
    all.server.cli(&["release", "show", "feed", "9.9"]).exits(6);
    all.server.cli(&["hold", "lift", "999", "--reason", "x"]).exits(6);
    all.server.cli(&["publish", "feed", "1.0", "--artifact", "f=/no/such/file"]).complains(1, &["/no/such/file"]);
    assert_eq!(all.server.journal_seq(), all.seq);
}
