//! TLS from outside: real clients, certificates that must not pass, and files that change under running downloads.

mod admin;
mod certificates;
mod clients;
mod files;
mod identity;
mod pki;
mod rotation;
mod scanners;

use serde_json::json;

use crate::support::{Setup, TestServer};
use pki::Ca;

/// A server whose device listener speaks TLS with a certificate of `ca`, and whose admin listener does not.
fn with_device_tls(more: &str, files: impl FnOnce(&Ca)) -> (TestServer, Ca) {
    let setup = Setup::new();
    let ca = Ca::new(&setup.root().join("tls"));
    ca.server("server", "ec");
    files(&ca);
    let table = format!("[device.tls]\ncertificate = \"tls/server.pem\"\nkey = \"tls/server.key\"\n{more}\n");
    (setup.config(&table).start(), ca)
}

/// Publishes a body: the path of its blob.
fn published(server: &TestServer, body: &[u8]) -> String {
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    let admin = server.as_admin();
    let artifact = json!({ "target": "file.bin", "upload": admin.upload(body) });
    let release = admin.release("feed", "1.0", &[artifact]).expect(201).json();
    format!("/v1/blobs/{}", release["artifacts"][0]["blake3"].as_str().expect("a digest"))
}

/// A figure of the server's metrics; zero where it is not there.
fn figure(server: &TestServer, line: &str) -> u64 {
    let text = server.api("GET", "/metrics", None).expect(200).text();
    let found = text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or(0)
}

fn handshakes(server: &TestServer, result: &str) -> u64 {
    figure(server, &format!("ringfence_serve_handshakes_total{{listener=\"device\",result=\"{result}\"}}"))
}

fn reloads(server: &TestServer, result: &str) -> u64 {
    figure(server, &format!("ringfence_serve_certificate_reloads_total{{listener=\"device\",result=\"{result}\"}}"))
}
