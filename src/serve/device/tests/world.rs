//! A small world for the tests of the device listener: a snapshot made of events, a backend over it, a server.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::control::testing::origin;
use crate::model::{
    Actor, ApprovalRule, Artifact, Blake3Digest, Class, DeviceId, Event, EventRecord, HoldScope, Platform, Release,
    ReleaseManifest, Report, ReportError, RingName, Sha256Digest, ShareFile, Snapshot, TokenId, TokenScope,
};
use crate::serve::device::{
    Backend, DeviceApi, DeviceMetrics, DeviceOptions, EnrolError, Enrolled, EnrolledCredential, RecordReportsError,
    RecordedReports,
};
use crate::serve::{ConnectionMetrics, Limits, Listener, ListenerName, ServeOptions, serve};

pub(super) const POLICY: &str = r#"
[approve]
intelligence = "auto"
platform = "auto"

[[ring]]
name = "canary"
[[ring]]
name = "critical"

[[group]]
name = "canaries"
match = { id = "canary-*" }
ring = "canary"
[[group]]
name = "everyone"
match = "any"
ring = "critical"
"#;

pub(super) fn start_time() -> Timestamp {
    "2026-11-20T10:00:00Z".parse().unwrap()
}

/// What the clock shows at first, an hour after the start, or so many seconds later.
pub(super) fn share_time(second: i64) -> Timestamp {
    start_time() + SignedDuration::from_secs(3600 + second)
}

/// A file of a share, from a release of `product`.
pub(super) fn share_file(path: &str, bytes: &[u8], (product, sequence): (&str, u64), set: &str) -> ShareFile {
    ShareFile {
        path: path.parse().unwrap(),
        size: bytes.len() as u64,
        blake3: Blake3Digest::of(bytes),
        sha256: Sha256Digest::of(bytes),
        media_type: "application/x-msdownload".into(),
        product: product.parse().unwrap(),
        sequence,
        set: set.into(),
        last: false,
    }
}

/// A snapshot under construction.
#[derive(Default)]
pub(super) struct World {
    pub(super) snapshot: Snapshot,
    pub(super) bodies: HashMap<Blake3Digest, Bytes>,
}

impl World {
    pub(super) fn add(&mut self, event: Event) -> u64 {
        let seq = self.snapshot.seq() + 1;
        let time = start_time() + SignedDuration::from_secs(i64::try_from(seq).unwrap());
        let hash = Blake3Digest::of(&seq.to_be_bytes());
        let actor: Actor = "alice@corp".parse().unwrap();
        let record = EventRecord { seq, time, actor, event, prev: self.snapshot.head(), hash };
        self.snapshot.apply(&record).unwrap();
        seq
    }

    pub(super) fn product(&mut self, name: &str) {
        self.add(Event::ProductAdded { product: name.parse().unwrap(), class: Class::Intelligence });
    }

    pub(super) fn policy(&mut self, text: &str) {
        self.add(Event::PolicyApplied { digest: Blake3Digest::of(text.as_bytes()), text: text.into() });
    }

    /// Publishes a release of one artifact and returns the artifact.
    pub(super) fn release(&mut self, product: &str, version: &str, bytes: &[u8]) -> Artifact {
        let artifact = Artifact {
            target: "data.bin".parse().unwrap(),
            platform: Platform::any(),
            size: bytes.len() as u64,
            blake3: Blake3Digest::of(bytes),
            sha256: Sha256Digest::of(bytes),
            media_type: "application/octet-stream".into(),
        };
        self.bodies.insert(artifact.blake3, Bytes::copy_from_slice(bytes));
        let artifacts = vec![artifact.clone()];
        let product = product.parse().unwrap();
        let version = version.parse().unwrap();
        let manifest = ReleaseManifest { product, version, barrier: false, artifacts };
        let (product, release) = (manifest.product.clone(), manifest.id());
        let sequence = self.snapshot.product(&product).unwrap().releases().len() as u64 + 1;
        self.add(Event::ReleaseAdded { release, sequence, manifest, approval: ApprovalRule::Auto });
        self.add(Event::ReleaseApproved { product: product.clone(), release });
        self.add(Event::ReleasePublished { product, release });
        artifact
    }

    pub(super) fn hold(&mut self, product: &str, version: &str, group: &str) {
        self.add(Event::HoldAdded {
            product: product.parse().unwrap(),
            version: Some(version.parse().unwrap()),
            scope: HoldScope::Group(group.parse().unwrap()),
            reason: "bad on terminals".parse().unwrap(),
            expires_at: None,
        });
    }

    /// A token for a device; its secret is `rf_` and the device's id.
    pub(super) fn device_token(&mut self, device: &str) -> u64 {
        let hash = secret_hash(&format!("rf_{device}"));
        self.add(Event::TokenCreated { scope: TokenScope::Device(device.parse().unwrap()), hash, expires_at: None })
    }

    /// Switches a share `at` so many seconds after [`share_time`]. `removed` are the paths that are gone.
    pub(super) fn switch(&mut self, share: &str, at: i64, put: Vec<ShareFile>, removed: &[&str]) {
        self.add(Event::ShareSwitched {
            share: share.parse().unwrap(),
            at: share_time(at),
            layout: "plain".parse().unwrap(),
            shows: Vec::new(),
            put,
            removed: removed.iter().map(|path| path.parse().unwrap()).collect(),
            forgotten: Vec::new(),
        });
    }

    /// Serves the world until the value is dropped.
    pub(super) fn serve(self) -> Server {
        let present = Arc::new(Mutex::new((Arc::new(self.snapshot), share_time(0))));
        let backend = TestBackend {
            present: present.clone(),
            bodies: self.bodies,
            reports: Arc::default(),
            bodies_read: Arc::default(),
            offers: Arc::default(),
            codes: Arc::default(),
            token_uses: Arc::default(),
        };
        let (reports, bodies_read) = (backend.reports.clone(), backend.bodies_read.clone());
        let (offers, token_uses) = (backend.offers.clone(), backend.token_uses.clone());
        let mut registry = Registry::default();
        let options = DeviceOptions {
            header_trusted_from: vec!["127.0.0.1/32".parse().unwrap()],
            origin: Some(origin()),
            ..DeviceOptions::default()
        };
        let api = DeviceApi::new(backend, options, DeviceMetrics::register(&mut registry));
        let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_address().unwrap();
        let stop = CancellationToken::new();
        let metrics = ConnectionMetrics::register(&mut registry);
        let options = ServeOptions { name: ListenerName::Device, limits: Limits::default(), metrics, tls: None };
        tokio::spawn(serve(listener, api, options, stop.clone()));
        Server { address, reports, bodies_read, offers, token_uses, present, _stop: stop.drop_guard() }
    }
}

fn secret_hash(secret: &str) -> Blake3Digest {
    Blake3Digest::of(secret.as_bytes())
}

/// The state and what the clock shows.
type Present = Arc<Mutex<(Arc<Snapshot>, Timestamp)>>;

struct TestBackend {
    present: Present,
    bodies: HashMap<Blake3Digest, Bytes>,
    reports: Arc<Mutex<Vec<Report>>>,
    bodies_read: Arc<Mutex<usize>>,
    offers: Arc<Mutex<Vec<(String, String, String)>>>,
    codes: Arc<Mutex<Vec<String>>>,
    token_uses: Arc<Mutex<Vec<TokenId>>>,
}

impl Backend for TestBackend {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.present.lock().unwrap().0.clone()
    }

    fn now(&self, snapshot: &Snapshot) -> Timestamp {
        snapshot.present(self.present.lock().unwrap().1)
    }

    fn token_hash(&self, secret: &str) -> Option<Blake3Digest> {
        secret.starts_with("rf_").then(|| secret_hash(secret))
    }

    fn body(&self, blob: &Blake3Digest, _size: u64) -> Result<Option<Bytes>, String> {
        *self.bodies_read.lock().unwrap() += 1;
        Ok(self.bodies.get(blob).cloned())
    }

    fn note_offer(&self, _: &Snapshot, device: &DeviceId, release: &Release, ring: &RingName, _: Timestamp) {
        let offer = (device.to_string(), release.version().to_string(), ring.to_string());
        self.offers.lock().unwrap().push(offer);
    }

    fn note_token_use(&self, token: TokenId, _: Timestamp) {
        self.token_uses.lock().unwrap().push(token);
    }

    async fn record_reports(&self, reports: Vec<Report>) -> Result<RecordedReports, RecordReportsError> {
        if reports.iter().any(|report| report.version.as_str() == "9.9") {
            return Err(ReportError::UnknownRelease.into());
        }
        let recorded = reports.len();
        self.reports.lock().unwrap().extend(reports);
        Ok(RecordedReports { recorded, repeated: 0 })
    }

    /// `rfe_` and a name is that device's code, once; there is no CA.
    async fn enrol(&self, code: String, csr: Option<String>) -> Result<Enrolled, EnrolError> {
        let mut used = self.codes.lock().unwrap();
        let device = code.strip_prefix("rfe_").and_then(|name| name.parse().ok()).ok_or(EnrolError::BadCode)?;
        if used.contains(&code) {
            return Err(EnrolError::BadCode);
        }
        if csr.is_some() {
            return Err(EnrolError::BadRequest("no certificates here".into()));
        }
        used.push(code);
        let credential = EnrolledCredential::Token { token: format!("rf_{device}"), expires_at: None };
        Ok(Enrolled { device, credential })
    }
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) reports: Arc<Mutex<Vec<Report>>>,
    pub(super) bodies_read: Arc<Mutex<usize>>,
    /// Device, version and ring of each offer that was noted.
    pub(super) offers: Arc<Mutex<Vec<(String, String, String)>>>,
    /// The tokens that were taken, in order.
    pub(super) token_uses: Arc<Mutex<Vec<TokenId>>>,
    present: Present,
    _stop: tokio_util::sync::DropGuard,
}

/// An answer as it came over the wire, but for its Date.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Raw {
    pub(super) fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Server {
    /// Sets the clock to so many seconds after [`share_time`].
    pub(super) fn set_clock(&self, second: i64) {
        self.present.lock().unwrap().1 = share_time(second);
    }

    /// Lets something happen while the server runs.
    pub(super) fn change(&self, change: impl FnOnce(&mut World)) {
        let mut present = self.present.lock().unwrap();
        let mut world = World { snapshot: Snapshot::clone(&present.0), bodies: HashMap::new() };
        change(&mut world);
        present.0 = Arc::new(world.snapshot);
    }

    /// Sends one request with `Connection: close`. `headers` are whole lines without their end.
    pub(super) async fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Raw {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        if !body.is_empty() {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text.push_str(body);
        let mut socket = tokio::net::TcpStream::connect(self.address).await.unwrap();
        socket.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        let split = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..split].to_vec()).unwrap();
        let head = head.lines().filter(|line| !line.starts_with("date:")).collect::<Vec<_>>().join("\n");
        Raw { head, body: answer[split + 4..].to_vec() }
    }

    pub(super) async fn get(&self, path: &str, headers: &[&str]) -> Raw {
        self.ask("GET", path, headers, "").await
    }
}
