//! Mirrors from outside: real servers that follow each other, and upstreams that are away or lie.

mod follow;
mod liar;
mod lies;

use std::path::Path;

use serde_json::Value;

use crate::support::{Setup, TestServer, wait_until};

/// The public key that a server signs with.
fn key_of(server: &TestServer) -> String {
    let shown = server.cli(&["key", "show"]).ok().stdout;
    shown.lines().nth(1).unwrap().to_owned()
}

/// A mirror of `upstream`, an address, that believes the origin's key and shows a token of the origin's.
fn start_mirror(origin: &TestServer, upstream: &str, name: &str) -> TestServer {
    let setup = Setup::new();
    let token = setup.root().join("upstream.token");
    origin.cli(&["token", "create", "--actor", name, "--role", "mirror", "--out", &token.display().to_string()]).ok();
    let table = format!(
        "[mirror]\nupstream = \"{upstream}\"\nname = \"{name}\"\ntoken_file = \"upstream.token\"\n\
         origin_keys = [\"{}\"]\npoll_wait = \"2s\"\nstale_after = \"12s\"\n\
         [shares]\nstraggler_grace = \"0s\"\n",
        key_of(origin)
    );
    setup.config(&table).start()
}

/// A mirror of a server.
fn mirror_of(origin: &TestServer, upstream: &TestServer, name: &str) -> TestServer {
    start_mirror(origin, &format!("http://{}", upstream.admin), name)
}

/// Waits until the mirror has the origin's last event. The origin is asked each time: where it has journaled something by
/// itself meanwhile, the mirror may never be seen at the event before.
#[track_caller]
fn wait_for_head(origin: &TestServer, mirror: &TestServer) {
    let head = |server: &TestServer| server.api("GET", "/v1/journal/head", None).expect(200).json();
    wait_until("the mirror has the origin's head", || (head(mirror) == head(origin)).then_some(()));
}

/// How a mirror says that it stands.
fn standing(mirror: &TestServer) -> Value {
    mirror.api("GET", "/v1/mirror", None).expect(200).json()
}

/// Waits for an alarm: its reason.
#[track_caller]
fn wait_for_alarm(mirror: &TestServer, kind: &str) -> String {
    wait_until(kind, || {
        let standing = standing(mirror);
        let alarm = standing["alarms"].as_array()?.iter().find(|alarm| alarm["alarm"] == kind)?.clone();
        Some(alarm["reason"].as_str()?.to_owned())
    })
}

/// Waits until nothing is wrong.
#[track_caller]
fn wait_until_well(mirror: &TestServer) {
    wait_until("no alarm", || {
        let standing = standing(mirror);
        let is_well = standing["alarms"].as_array()?.is_empty() && standing["doing"] == "following";
        is_well.then_some(())
    });
}

/// Copies a tree.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else if path.is_file() {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
