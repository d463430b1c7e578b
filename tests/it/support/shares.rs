//! A server with shares: publishing into them, withholding from them, and waiting until they have switched.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::http::{Answer, request};
use super::server::{POLICY, Setup, TestServer};

/// How long a share may take to show what was published. It takes 0.4 to 1.4 s, and other tests run beside this one.
const PATIENCE: Duration = Duration::from_secs(60);

/// A share of one product, both of the same name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShareOf<'a> {
    /// The name.
    pub(crate) name: &'a str,
    /// The layout.
    pub(crate) layout: &'a str,
    /// Who may read it, as in the policy.
    pub(crate) open_to: &'a str,
}

impl<'a> ShareOf<'a> {
    /// A share that everyone may read.
    pub(crate) fn open(name: &'a str, layout: &'a str) -> Self {
        Self { name, layout, open_to: "anyone" }
    }
}

/// A server whose shares show a release as soon as it is published.
pub(crate) struct ShareServer {
    /// The server.
    pub(crate) server: TestServer,
    readers: AtomicU64,
}

impl ShareServer {
    /// These shares, each with its product. `config` is what the table `[shares]` of the configuration holds.
    pub(crate) fn start(shares: &[ShareOf<'_>], config: &str) -> Self {
        let tables = shares.iter().map(|share| {
            let ShareOf { name, layout, open_to } = share;
            format!(
                "\n[[share]]\nname = \"{name}\"\ngroup = \"everyone\"\nlayout = \"{layout}\"\n\
                 products = [\"{name}\"]\nopen_to = \"{open_to}\"\n"
            )
        });
        let policy = format!("{POLICY}{}", tables.collect::<String>());
        let server = Setup::new().policy(&policy).config(&format!("[shares]\n{config}\n")).start();
        for share in shares {
            server.cli(&["product", "add", share.name, "--class", "intelligence"]).ok();
        }
        Self { server, readers: AtomicU64::new(0) }
    }

    /// One open share whose readers get a new version at once.
    pub(crate) fn prompt(name: &str, layout: &str) -> Self {
        Self::start(&[ShareOf::open(name, layout)], PROMPT)
    }

    /// Publishes files for every platform; does not wait for the share.
    pub(crate) fn publish(&self, product: &str, version: &str, files: &[(&str, &[u8])]) {
        self.publish_for("any", product, version, files);
    }

    /// The same for one platform.
    pub(crate) fn publish_for(&self, platform: &str, product: &str, version: &str, files: &[(&str, &[u8])]) {
        let admin = self.server.as_admin();
        let artifacts = files
            .iter()
            .map(|(target, body)| json!({ "target": target, "platform": platform, "upload": admin.upload(body) }));
        let artifacts: Vec<_> = artifacts.collect();
        admin.release(product, version, &artifacts).expect(201);
    }

    /// Publishes one file and waits until the share shows it at its own name.
    pub(crate) fn show(&self, share: &str, version: &str, file: &str, body: &[u8]) -> Answer {
        self.publish(share, version, &[(file, body)]);
        self.wait_for(&format!("{share}/{file}"), body)
    }

    /// Withholds a version from everyone.
    pub(crate) fn hold(&self, product: &str, version: &str) {
        self.server.cli(&["hold", "add", product, version, "--everyone", "--reason", "a bad batch", "--yes"]).ok();
    }

    /// The URL of a path of a share.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/shares/{path}", self.server.device)
    }

    /// A request as whoever is at 127.0.0.1.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        request(self.server.device, method, &format!("/shares/{path}"), headers, b"")
    }

    /// The id of a device that has never read anything.
    pub(crate) fn new_reader(&self) -> String {
        format!("reader-{}", self.readers.fetch_add(1, Ordering::Relaxed))
    }

    /// What a device reads.
    pub(crate) fn read_as(&self, reader: &str, path: &str) -> Answer {
        self.ask("GET", path, &[("Ringfence-Device", reader)])
    }

    /// What whoever comes for the first time reads.
    pub(crate) fn look(&self, path: &str) -> Answer {
        self.read_as(&self.new_reader(), path)
    }

    /// Waits until the path has this body: the answer. Nobody's reading is disturbed by it.
    pub(crate) fn wait_for(&self, path: &str, body: &[u8]) -> Answer {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.look(path);
            if answer.status == 200 && answer.body == body {
                return answer;
            }
            assert!(Instant::now() < until, "{path} still is {}\n\n{}", answer.head, answer.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Readers get a new version at once, even in the midst of a set. By default one that has read from a set in the
/// last quarter of an hour gets the version before for 15 s after a switch.
pub(crate) const PROMPT: &str = "straggler_grace = \"0s\"";
