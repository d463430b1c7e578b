//! A share on its way to directories: by the command line once, watched, and by the server itself.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use crate::support::{Setup, TestServer, wait_until};

const ADD: [&str; 9] = ["share", "add", "pcs", "--group", "everyone", "--layout", "plain", "--product", "feed"];

/// A server that shows version 1.0 of `feed` in share `pcs`.
fn sharing(setup: Setup) -> TestServer {
    let server = setup.start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    publish(&server, "1.0");
    server.cli(&[&ADD[..], &["--yes"]].concat()).ok();
    wait_for_version(&server, "1.0");
    server
}

fn publish(server: &TestServer, version: &str) {
    server.as_admin().try_publish("feed", version, body(version).as_bytes()).unwrap().expect(201);
}

fn body(version: &str) -> String {
    format!("the bytes of {version}")
}

/// Waits until the share's newest switch is to this version; the tree then.
fn wait_for_version(server: &TestServer, version: &str) -> Value {
    wait_until(&format!("a switch to {version}"), || {
        let answer = server.api("GET", "/v1/shares/pcs/tree", None);
        let tree = (answer.status == 200).then(|| answer.json())?;
        let is_shown = tree["releases"][0]["version"] == version && tree["files"].as_array()?.len() == 1;
        is_shown.then_some(tree)
    })
}

/// Where the one file of the tree is.
fn file_in(dir: &Path, tree: &Value) -> PathBuf {
    dir.join(tree["files"][0]["path"].as_str().expect("a path"))
}

fn stage(server: &TestServer, dir: &Path, more: &[&str]) -> Value {
    let dir = dir.display().to_string();
    server.json(&[&["share", "stage", "pcs", "--to", &dir], more].concat())
}

#[test]
fn a_share_is_staged_verified_repaired_and_goes_back() {
    let server = sharing(Setup::new());
    let dir = server.root().join("target");
    let text = dir.display().to_string();
    let tree = wait_for_version(&server, "1.0");
    let plan = stage(&server, &dir, &["--plan"]);
    assert_eq!((plan["files_to_write"].as_u64(), plan["changes"][0]["change"].as_str()), (Some(1), Some("add")));
    assert!(!dir.exists(), "a plan writes nothing");

    let first = stage(&server, &dir, &[]);
    assert_eq!((first["written_files"].as_u64(), first["switch"].as_u64()), (Some(1), tree["switch"].as_u64()));
    let file = file_in(&dir, &tree);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), body("1.0"));
    assert_eq!(stage(&server, &dir, &[])["written_files"], 0, "nothing differs");
    server.cli(&["share", "verify", &text]).ok();

    std::fs::write(&file, "by hand").unwrap();
    let damaged = server.cli(&["share", "verify", &text]).exits(8);
    let path = tree["files"][0]["path"].as_str().unwrap();
    assert!(damaged.stdout.contains(&format!("changed: {path}")), "{}", damaged.stdout);
    let mended = server.cli(&["share", "stage", "pcs", "--to", &text]).ok().stdout;
    assert!(mended.contains(&format!("repaired: {path}: ")), "{mended}");
    server.cli(&["share", "verify", &text]).ok();

    publish(&server, "1.1");
    wait_for_version(&server, "1.1");
    stage(&server, &dir, &["--keep-previous"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), body("1.1"));
    server.cli(&["hold", "add", "feed", "1.1", "--everyone", "--reason", "a bad batch", "--yes"]).ok();
    wait_for_version(&server, "1.0");
    let back = stage(&server, &dir, &["--keep-previous"]);
    assert_eq!(back["written_bytes"], 0, "going back copies nothing: {back}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), body("1.0"));

    let share = server.json(&["share", "show", "pcs"]);
    assert_eq!((&share["targets"][0]["state"], &share["targets"][0]["lag_s"]), (&"published".into(), &0.into()));
}

#[test]
fn an_unchanged_tree_is_not_sent_again_and_bodies_come_over_http() {
    let server = sharing(Setup::new());
    let admin = server.as_admin();
    let path = "/v1/shares/pcs/tree";
    let tree = admin.send("GET", path, &[], b"").expect(200);
    let etag = tree.header("etag").expect("a tag").to_owned();
    let again = admin.send("GET", path, &[("If-None-Match", &etag)], b"").expect(304);
    assert_eq!((again.body.len(), again.header("etag")), (0, Some(&*etag)));
    let blake3 = tree.json()["files"][0]["blake3"].as_str().unwrap().to_owned();
    let blob = admin.send("GET", &format!("/v1/shares/pcs/blobs/{blake3}"), &[], b"").expect(200);
    assert_eq!((blob.text(), blob.content_length()), (body("1.0"), Some(body("1.0").len() as u64)));
    // No configuration is named, so nothing but the listener has the bytes.
    let dir = server.root().join("far");
    let tree = tree.json();
    stage(&server, &dir, &[]);
    assert_eq!(std::fs::read_to_string(file_in(&dir, &tree)).unwrap(), body("1.0"));
    publish(&server, "1.1");
    wait_for_version(&server, "1.1");
    admin.send("GET", path, &[("If-None-Match", &etag)], b"").expect(200);
    server.cli(&["hold", "add", "feed", "1.0", "--everyone", "--reason", "a bad batch", "--yes"]).ok();
    admin.send("GET", &format!("/v1/shares/pcs/blobs/{blake3}"), &[], b"").expect(404);
}

#[test]
fn a_watched_directory_follows_and_ends_on_sigterm() {
    let server = sharing(Setup::new());
    let dir = server.root().join("target");
    let file = file_in(&dir, &wait_for_version(&server, "1.0"));
    let words = ["share", "stage", "pcs", "--watch", "--to"];
    let mut child = server.command(&words).arg(&dir).stdout(std::process::Stdio::null()).spawn().unwrap();
    let shows = |version: &str| {
        wait_until(&format!("{version} in the directory"), || {
            (std::fs::read_to_string(&file).ok()? == body(version)).then_some(())
        });
    };
    shows("1.0");
    publish(&server, "1.1");
    let begun = Instant::now();
    shows("1.1");
    eprintln!("published and staged within {:?}", begun.elapsed());
    server.cli(&["release", "withdraw", "feed", "1.1", "--reason", "a bad batch", "--yes"]).ok();
    shows("1.0");
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = wait_until("the end", || child.try_wait().unwrap());
    assert!(status.success(), "{status}");
}

#[test]
fn the_server_keeps_its_configured_targets() {
    let target = "[[target]]\nshare = \"pcs\"\nto = \"target\"\nkeep_previous = true\n";
    let server = sharing(Setup::new().config(target));
    let dir = server.root().join("target");
    let file = file_in(&dir, &wait_for_version(&server, "1.0"));
    for version in ["1.0", "1.1"] {
        if version != "1.0" {
            publish(&server, version);
        }
        wait_until(&format!("{version} in the directory"), || {
            (std::fs::read_to_string(&file).ok()? == body(version)).then_some(())
        });
    }
    wait_until("the report", || {
        let share = server.json(&["share", "show", "pcs"]);
        let target = &share["targets"][0];
        let is_published =
            target["state"] == "published" && target["lag_s"] == 0 && target["switch"] == share["switch"];
        is_published.then_some(())
    });
    let metrics = server.as_admin().send("GET", "/metrics", &[], b"").expect(200).text();
    assert!(metrics.contains("ringfence_share_target_lag_seconds{share=\"pcs\"} 0\n"), "{metrics}");
    server.cli(&["share", "verify", &dir.display().to_string()]).ok();
}
