//! Starting, stopping and setting up.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::http::raw;
use crate::support::server::ringfence;
use crate::support::{Run, Setup, TestServer, wait_until};

#[test]
fn init_writes_what_serve_needs_and_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("new");
    Run::of(ringfence().arg("init").arg(&root)).ok();
    for file in ["ringfence.toml", "policy.toml", "admin.token"] {
        assert!(root.join(file).is_file(), "{file}");
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&root.join("admin.token").metadata().unwrap().permissions());
    assert_eq!(mode & 0o077, 0, "nobody else reads the token");
    Run::of(ringfence().args(["check-config", "--config"]).arg(root.join("ringfence.toml"))).ok();
    Run::of(ringfence().args(["policy", "check"]).arg(root.join("policy.toml"))).ok();
    let token = std::fs::read(root.join("admin.token")).unwrap();
    let again = Run::of(ringfence().arg("init").arg(&root));
    assert_ne!(again.code, 0);
    assert_eq!(std::fs::read(root.join("admin.token")).unwrap(), token);
}

#[test]
fn a_second_server_is_told_who_holds_the_data() {
    let server = TestServer::start();
    let mut second = ringfence();
    second.args(["serve", "--config"]).arg(server.root().join("ringfence.toml"));
    let pid = server.pid().to_string();
    Run::of(&mut second).complains(7, &[&pid]);
    server.api("GET", "/v1/status", None).expect(200);
}

#[test]
fn sigterm_drains_what_runs_and_takes_nothing_new() {
    let mut server = TestServer::start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    let bytes = crate::support::random_bytes(1, 8 << 20);
    server.as_admin().try_publish("feed", "1.0", &bytes).unwrap().expect(201);
    let path = format!("/v1/blobs/sha256:{}", crate::support::sha256_hex(&bytes));
    let mut slow = TcpStream::connect(server.device).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nRingfence-Device: d\r\n\r\n");
    slow.write_all(head.as_bytes()).unwrap();
    // It runs once its answer begins, and does not end before the rest is read.
    let mut answer = vec![0; 12];
    slow.read_exact(&mut answer).unwrap();
    server.signal(rustix::process::Signal::TERM);
    // While the download runs, its port is nobody else's.
    wait_until("nothing new is taken", || TcpStream::connect(server.device).is_err().then_some(()));
    slow.read_to_end(&mut answer).unwrap();
    let answer = crate::support::http::parse(&answer).unwrap();
    assert!(answer.body == bytes, "the running download was finished: {} of {}", answer.body.len(), bytes.len());
    assert!(server.wait().success());
}

#[test]
fn sighup_is_survived_and_logged() {
    let server = TestServer::start();
    server.signal(rustix::process::Signal::HUP);
    wait_until("a reload says that it happened", || server.log().contains("configuration read again").then_some(()));
    server.api("GET", "/v1/status", None).expect(200);
}

#[test]
fn everything_is_there_after_a_restart() {
    let mut server = TestServer::start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    server.as_admin().try_publish("feed", "1.0", b"bytes").unwrap().expect(201);
    let before = server.api("GET", "/v1/products/feed/releases", None).expect(200).body;
    assert!(server.stop().success());
    server.start_again();
    assert_eq!(server.api("GET", "/v1/products/feed/releases", None).expect(200).body, before);
    assert_eq!(server.offered_version("device-1", "feed").as_deref(), Some("1.0"));
}

#[test]
fn readiness_metrics_and_openapi_are_on_the_admin_listener_only() {
    let server = TestServer::start();
    for path in ["/healthz", "/readyz", "/metrics"] {
        crate::support::request(server.admin, "GET", path, &[], b"").expect(200);
    }
    // A load balancer asks the listener that it sends devices to; the rest is no business of theirs.
    server.get(None, "/healthz").expect(200);
    for path in ["/readyz", "/metrics", "/v1/openapi.json", "/v1/status"] {
        assert_eq!(server.get(None, path).status, 404, "{path}");
    }
    let metrics = crate::support::request(server.admin, "GET", "/metrics", &[], b"").text();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("ringfence_"), "{line}");
    }
    let openapi = server.api("GET", "/v1/openapi.json", None).expect(200).json();
    assert!(openapi["paths"].as_object().is_some_and(|paths| paths.len() > 20), "every route is described");
}

#[test]
fn the_socket_needs_no_token_and_the_listener_does() {
    let server = TestServer::start();
    let bare = crate::support::request(server.admin, "GET", "/v1/status", &[], b"").expect(401);
    assert_eq!(bare.header("content-type"), Some("application/problem+json"));
    let mut over_socket = ringfence();
    over_socket.args(["status", "--server", &format!("unix:{}/admin.sock", server.data().display())]);
    Run::of(&mut over_socket).ok();
    let answer = raw(server.admin, b"GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 401"));
}

#[test]
fn a_server_that_is_not_there_is_exit_code_4() {
    Run::of(ringfence().args(["status", "--server", "http://127.0.0.1:9"]).env("RINGFENCE_TOKEN", "rf_x")).exits(4);
    Run::of(ringfence().args(["no-such-command"])).exits(2);
}

#[test]
fn a_log_line_is_json_when_asked_for() {
    let mut server = Setup::new().config("[log]\nformat = \"json\"\n").start();
    server.api("GET", "/v1/status", None).expect(200);
    // Of a server that runs the last line may be half written.
    assert!(server.stop().success());
    let log = server.log();
    assert!(!log.is_empty());
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}
