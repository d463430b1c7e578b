//! curl, wget and aria2 against shares: names that stay while the bytes change, forward and back.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::client;
use crate::support::shares::{PROMPT, ShareOf};
use crate::support::tools::need;
use crate::support::{Relay, Run, ShareServer, random_bytes, sha256_hex};

const FILE: &str = "feed.bin";

/// The share `tree` with one file, and a folder to download it into.
struct Tree {
    shares: ShareServer,
    scratch: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        Self { shares: ShareServer::prompt("tree", "plain"), scratch: tempfile::tempdir().unwrap() }
    }

    /// Publishes a version: its bytes.
    fn show(&self, version: u64) -> Vec<u8> {
        let body = random_bytes(version, 200_000 + version as usize);
        self.shares.show("tree", &version.to_string(), FILE, &body);
        body
    }

    fn url(&self) -> String {
        self.shares.url(&format!("tree/{FILE}"))
    }

    fn file(&self) -> PathBuf {
        self.scratch.path().join(FILE)
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.file()).unwrap()
    }

    /// curl into the file: the status.
    fn curl(&self, words: &[&str]) -> String {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "60", "--write-out", "%{http_code}"]);
        curl.args(words).arg("--output").arg(self.file()).arg(self.url()).current_dir(self.scratch.path());
        client(&mut curl).stdout
    }

    /// wget into the file.
    fn wget(&self, words: &[&str]) -> Run {
        let mut wget = Command::new("wget");
        wget.args(["--tries=1", "--timeout=60", "--no-verbose"]).args(words).arg(self.url());
        client(wget.current_dir(self.scratch.path()))
    }
}

fn cut(file: &Path, body: &[u8], length: usize) {
    std::fs::write(file, &body[..length]).unwrap();
}

#[test]
fn curl_by_date_goes_back_with_the_share() {
    need!("real::shares_http::curl_by_date_goes_back_with_the_share", "curl");
    // With the server's date on the file (-R), and with that of the download.
    for words in [&["--remote-time", "--time-cond", FILE] as &[&str], &["--time-cond", FILE]] {
        let tree = Tree::new();
        let first = tree.show(1);
        assert_eq!(tree.curl(&words[..words.len() - 2]), "200");
        assert!(tree.bytes() == first);
        let second = tree.show(2);
        assert_eq!(tree.curl(words), "200");
        assert!(tree.bytes() == second);
        tree.shares.hold("tree", "2");
        tree.shares.wait_for("tree/feed.bin", &first);
        assert_eq!(tree.curl(words), "200");
        assert!(tree.bytes() == first, "{words:?}: it kept what was taken back");
        if words.contains(&"--remote-time") {
            assert_eq!(tree.curl(words), "304");
        }
    }
}

#[test]
fn curl_by_date_notices_a_switch_during_a_slow_download() {
    need!("real::shares_http::curl_by_date_notices_a_switch_during_a_slow_download", "curl");
    let tree = Tree::new();
    tree.show(1);
    assert_eq!(tree.curl(&[]), "200");
    let second = tree.show(2);
    // As if the download of the first had ended a minute after the switch to the second.
    let file = std::fs::File::options().append(true).open(tree.file()).unwrap();
    let downloaded = file.metadata().unwrap().modified().unwrap();
    file.set_modified(downloaded + Duration::from_secs(60)).unwrap();
    assert_eq!(tree.curl(&["--time-cond", FILE]), "200");
    assert!(tree.bytes() == second);
}

#[test]
fn curl_by_entity_tag_follows_the_bytes() {
    need!("real::shares_http::curl_by_entity_tag_follows_the_bytes", "curl");
    let tree = Tree::new();
    let words = ["--etag-compare", "tag", "--etag-save", "tag"];
    let first = tree.show(1);
    assert_eq!(tree.curl(&["--etag-save", "tag"]), "200");
    assert_eq!(tree.curl(&words), "304");
    let second = tree.show(2);
    assert_eq!(tree.curl(&words), "200");
    assert!(tree.bytes() == second);
    tree.shares.hold("tree", "2");
    tree.shares.wait_for("tree/feed.bin", &first);
    assert_eq!(tree.curl(&words), "200");
    assert!(tree.bytes() == first);
    assert_eq!(tree.curl(&words), "304");
}

#[test]
fn curl_resumes_and_knows_when_it_is_done() {
    need!("real::shares_http::curl_resumes_and_knows_when_it_is_done", "curl");
    let tree = Tree::new();
    let body = tree.show(1);
    cut(&tree.file(), &body, 100_001);
    assert_eq!(tree.curl(&["--continue-at", "-"]), "206");
    assert!(tree.bytes() == body);
    assert_eq!(tree.curl(&["--continue-at", "-"]), "416", "there is nothing left, and curl is content");
    assert!(tree.bytes() == body);
}

#[test]
fn curl_takes_a_token_as_a_password() {
    need!("real::shares_http::curl_takes_a_token_as_a_password", "curl");
    let share = ShareOf { open_to: "devices", ..ShareOf::open("tree", "plain") };
    // Otherwise every request from this machine is believed to be the device that it names.
    let shares = ShareServer::start(&[share], PROMPT);
    shares.server.cli(&["token", "create", "--device", "pc-1", "--out", &path(&shares, "pc-1.token")]).ok();
    let token = std::fs::read_to_string(path(&shares, "pc-1.token")).unwrap().trim().to_owned();
    shares.show("tree", "1", FILE, b"bytes");
    let curl = |words: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "60", "--write-out", " %{http_code}"]);
        client(curl.args(words).arg(shares.url("tree/feed.bin"))).stdout
    };
    assert_eq!(curl(&["-u", &format!(":{token}")]), "bytes 200");
    assert_eq!(curl(&["-u", &format!("anyone:{token}")]), "bytes 200");
    let nothing = curl(&[]);
    assert!(nothing.ends_with(" 404"), "{nothing}");
    assert_eq!(curl(&["-u", ":wrong"]), nothing);
    assert_eq!(curl(&["-u", &format!("{token}:")]), nothing);
}

fn path(shares: &ShareServer, name: &str) -> String {
    shares.server.root().join(name).display().to_string()
}

#[test]
fn wget_by_date_goes_back_with_the_share() {
    need!("real::shares_http::wget_by_date_goes_back_with_the_share", "wget");
    let tree = Tree::new();
    let relay = Relay::to(tree.shares.server.device);
    let url = format!("http://{}/shares/tree/{FILE}", relay.address);
    let get = || {
        let mut wget = Command::new("wget");
        wget.args(["--quiet", "--tries=1", "--timeout=60", "--timestamping", &url]);
        client(wget.current_dir(tree.scratch.path()));
        (tree.bytes(), relay.take_lines())
    };
    let lines = |status: u16| vec![format!("GET /shares/tree/{FILE} {status}")];
    let first = tree.show(1);
    assert!(get() == (first.clone(), lines(200)));
    assert!(get() == (first.clone(), lines(304)));
    let second = tree.show(2);
    assert!(get() == (second, lines(200)));
    tree.shares.hold("tree", "2");
    tree.shares.wait_for("tree/feed.bin", &first);
    assert!(get() == (first.clone(), lines(200)), "it kept what was taken back");
    assert!(get() == (first, lines(304)));
}

#[test]
fn wget_continues_a_cut_download() {
    need!("real::shares_http::wget_continues_a_cut_download", "wget");
    let tree = Tree::new();
    let body = tree.show(1);
    cut(&tree.file(), &body, 100_001);
    tree.wget(&["--continue"]);
    assert!(tree.bytes() == body);
    tree.wget(&["--continue"]);
    assert!(tree.bytes() == body, "a whole file stays as it is");
}

#[test]
fn nobody_saves_an_error_as_content() {
    need!("real::shares_http::nobody_saves_an_error_as_content", "curl", "wget");
    let tree = Tree::new();
    tree.show(1);
    tree.shares.hold("tree", "1");
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--fail", "--max-time", "60", "--output"]).arg(tree.file()).arg(tree.url());
    Run::of(&mut curl).exits(22);
    assert!(!tree.file().exists());
    let mut wget = Command::new("wget");
    wget.args(["--quiet", "--tries=1", "--timeout=60"]).arg(tree.url()).current_dir(tree.scratch.path());
    Run::of(&mut wget).exits(8);
    assert!(!tree.file().exists());
}

#[test]
fn aria2_fetches_fifty_megabytes_in_sixteen_pieces() {
    need!("real::shares_http::aria2_fetches_fifty_megabytes_in_sixteen_pieces", "aria2c");
    let tree = Tree::new();
    let body = random_bytes(7, 50 << 20);
    let source = tree.scratch.path().join("source");
    std::fs::write(&source, &body).unwrap();
    let artifact = format!("{FILE}={}", source.display());
    tree.shares.server.cli(&["publish", "tree", "1", "--artifact", &artifact]).ok();
    tree.shares.wait_for("tree/feed.bin", &body);
    let mut aria2 = Command::new("aria2c");
    aria2.args(["--no-conf", "--quiet", "--max-tries=3", "--retry-wait=1", "-x16", "-s16", "--min-split-size=1M"]);
    aria2.args(["--check-integrity=true", &format!("--checksum=sha-256={}", sha256_hex(&body))]);
    client(aria2.arg("--dir").arg(tree.scratch.path()).arg(tree.url()));
    assert!(tree.bytes() == body);
}
