//! Unmodified clients: against real packages, where what they download is what was published, however they download
//! it; and against shares, where it follows what is published and withheld.
//! A test whose client is not installed is skipped by name.

mod apt;
mod apt_repository;
mod aria2;
mod bits;
mod curl;
mod freshclam;
mod http2;
mod samba;
mod share_sets;
mod shares_http;
mod suricata;
mod wget;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::bodies::{Body, corpus};
use crate::support::{Run, Setup, TestServer, sha256_hex};

/// A server with every version of the corpus published, and a folder to download into.
struct Published {
    server: TestServer,
    scratch: tempfile::TempDir,
    bodies: Vec<Body>,
}

/// Keeps versions from being superseded for the device `collector`: every version stays downloadable to it while the
/// test runs, because each was offered to it within the grace time.
fn published(test: &str) -> Published {
    published_with(test, "")
}

fn published_with(test: &str, config: &str) -> Published {
    let scratch = tempfile::tempdir().unwrap();
    let mut bodies = corpus(test, scratch.path());
    if !crate::support::is_full_tier() {
        bodies.retain(|body| std::fs::metadata(&body.file).unwrap().len() < 16 << 20);
    }
    let server = Setup::new().config(config).start();
    let mut products: Vec<&str> = bodies.iter().map(|body| body.product.as_str()).collect();
    products.dedup();
    for product in products {
        server.cli(&["product", "add", product, "--class", "intelligence"]).ok();
    }
    for body in &bodies {
        let artifact = format!("full/{}.bin={}", body.product, body.file.display());
        server.cli(&["publish", &body.product, &body.version, "--artifact", &artifact]).ok();
        assert_eq!(server.offered_version("collector", &body.product).as_deref(), Some(&*body.version));
    }
    Published { server, scratch, bodies }
}

impl Published {
    /// The URL of a body's blob.
    fn url(&self, body: &Body) -> String {
        format!("http://{}/v1/blobs/sha256:{}", self.server.device, sha256_hex(&body.bytes()))
    }

    /// A path to download to.
    fn target(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The largest body.
    fn largest(&self) -> &Body {
        self.bodies.iter().max_by_key(|body| std::fs::metadata(&body.file).unwrap().len()).expect("a body")
    }
}

/// The header with which a device names itself.
const DEVICE: &str = "Ringfence-Device: collector";

#[track_caller]
fn assert_same(downloaded: &Path, body: &Body) {
    let bytes = std::fs::read(downloaded).unwrap_or_else(|error| panic!("{}: {error}", downloaded.display()));
    assert_eq!(sha256_hex(&bytes), sha256_hex(&body.bytes()), "{} {}", body.product, body.version);
}

/// Runs a client that must succeed.
#[track_caller]
fn client(command: &mut Command) -> Run {
    Run::of(command).ok()
}
