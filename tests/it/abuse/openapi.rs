//! schemathesis makes requests from the server's own OpenAPI, sensible and senseless ones: none is answered 5xx, but
//! for what an admin may rightly be told to ask for later.

use std::process::Command;
use std::time::{Duration, Instant};

use super::feed;
use crate::support::tools::python;
use crate::support::{Run, TestServer, is_full_tier, seed, skip};

/// Lets schemathesis loose on a schema for a while.
fn fuzz(server: &TestServer, schema: &str, more: &[&str]) {
    let Some(python) = python("schemathesis") else {
        return skip("abuse::openapi", "scripts/venv has no schemathesis");
    };
    let seconds = if is_full_tier() { 1200 } else { 25 };
    let seed = seed("openapi").to_string();
    let mut command = Command::new(python.with_file_name("schemathesis"));
    command.current_dir(server.root()).env("SCHEMATHESIS_HOOKS", "schemathesis_hooks");
    command.env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/abuse"));
    command.args(["run", schema]);
    command.args(["--phases", "examples,coverage,fuzzing", "--mode", "all", "--no-color", "--seed", &seed]);
    // Who asks for the journal's next lines may have the server wait for them, up to 30 s.
    command.args(["--request-timeout", "60", "--max-failures", "20", "--max-examples"]);
    command.arg(if is_full_tier() { "2000" } else { "15" });
    command.args(["--max-time", &seconds.to_string()]).args(more);
    let begun = Instant::now();
    let run = Run::of(&mut command);
    eprintln!(
        "{}",
        run.stdout.lines().rev().take(25).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    );
    assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    assert!(begun.elapsed() < Duration::from_secs(seconds * 3 + 150), "{:?}", begun.elapsed());
    server.api("GET", "/healthz", None).expect(200);
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[test]
fn no_request_of_an_admin_breaks_the_server() {
    // No upload that could be opened is too large for the disk: that would be a 507, rightly.
    let (server, _) = feed("[limits]\nupload_max_bytes = \"1 MiB\"\n", 100);
    let schema = format!("http://{}/v1/openapi.json", server.admin);
    let token = format!("Authorization: Bearer {}", server.token());
    fuzz(&server, &schema, &["--checks", "not_broken", "--header", &token]);
}

#[test]
fn no_request_of_a_device_breaks_the_server() {
    let (server, _) = feed("", 100);
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/abuse/device_openapi.json");
    let url = format!("http://{}", server.device);
    let device = "Ringfence-Device: device-1";
    fuzz(&server, schema, &["--checks", "not_a_server_error", "--url", &url, "--header", device]);
}
