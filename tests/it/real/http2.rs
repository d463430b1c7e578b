//! HTTP/2 without TLS: curl with prior knowledge, and h2load with many streams on few connections.

use std::process::Command;

use super::{DEVICE, assert_same, client, published};
use crate::support::tools::need;

fn curl() -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--max-time", "120", "--http2-prior-knowledge"]);
    command.args(["--header", DEVICE]);
    command
}

#[test]
fn curl_downloads_every_version() {
    need!("real::http2::curl_downloads_every_version", "curl");
    let all = published("real::http2");
    for body in &all.bodies {
        let file = all.target("h2");
        let run = client(curl().args(["--write-out", "%{http_version}", "--output"]).arg(&file).arg(all.url(body)));
        assert_eq!(run.stdout, "2");
        assert_same(&file, body);
    }
    let (body, file) = (all.largest(), all.target("h2-resumed"));
    std::fs::write(&file, &body.bytes()[..100_001]).unwrap();
    client(curl().args(["--continue-at", "-", "--output"]).arg(&file).arg(all.url(body)));
    assert_same(&file, body);
}

#[test]
fn h2load_gets_every_stream_answered() {
    need!("real::http2::h2load_gets_every_stream_answered", "h2load");
    let all = published("real::http2");
    let requests = if crate::support::is_full_tier() { 100_000 } else { 2_000 };
    let offers = format!("http://{}/v1/offers/{}", all.server.device, all.bodies[0].product);
    let smallest = all.bodies.iter().min_by_key(|body| body.bytes().len()).expect("a body");
    for (url, count) in [(offers, requests), (all.url(smallest), requests / 20)] {
        let mut h2load = Command::new("h2load");
        h2load.args(["--clients=4", "--max-concurrent-streams=32", "--header", DEVICE]);
        let run = client(h2load.arg(format!("--requests={count}")).arg(&url));
        let wanted = format!("{count} total, {count} started, {count} done, {count} succeeded, 0 failed, 0 errored");
        assert!(run.stdout.contains(&wanted), "{url}\n{}", run.stdout);
        assert!(run.stdout.contains(&format!("status codes: {count} 2xx")), "{url}\n{}", run.stdout);
    }
}
