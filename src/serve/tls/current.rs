//! The TLS configuration in force, and how it is replaced.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use tokio_rustls::rustls::ServerConfig;

use super::super::metrics::ListenerName;
use super::error::TlsError;
use super::load::Loaded;
use super::metrics::{ListenerTlsMetrics, TlsMetrics};
use super::options::TlsOptions;

/// How often an operator is reminded of what is wrong with a certificate.
const REMIND_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// Files that were read and found in order.
#[derive(Debug)]
pub struct LoadedTls {
    options: TlsOptions,
    loaded: Loaded,
    stamps: Stamps,
}

impl LoadedTls {
    /// Reads the files and checks them.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn read(options: &TlsOptions, now: Timestamp) -> Result<Self, TlsError> {
        let stamps = Stamps::of(options);
        Ok(Self { options: options.clone(), loaded: Loaded::read(options, now, None)?, stamps })
    }

    /// What is not wrong enough to refuse, one sentence each.
    pub fn warnings(&self, now: Timestamp) -> Vec<String> {
        self.loaded.warnings(now)
    }

    /// When the listener's certificate expires.
    pub fn expires_at(&self) -> Timestamp {
        self.loaded.validity.until
    }
}

/// The TLS of one listener. New handshakes use what was loaded last; connections keep what they began with.
pub struct Tls {
    name: ListenerName,
    current: ArcSwap<Loaded>,
    /// Held while files are read, so that reloads come one after the other.
    watch: Mutex<Watch>,
    pub(super) metrics: ListenerTlsMetrics,
}

#[derive(Debug)]
struct Watch {
    options: TlsOptions,
    /// The files as they were when they were last read, and when they were last looked at.
    read: Stamps,
    seen: Stamps,
    reminded_at: Timestamp,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tls {
    /// Puts files into force that were read before, and warns of what is odd about them.
    pub fn new(name: ListenerName, files: LoadedTls, metrics: &TlsMetrics, now: Timestamp) -> Arc<Self> {
        let LoadedTls { options, loaded, stamps } = files;
        let watch = Watch { options, read: stamps.clone(), seen: stamps, reminded_at: now };
        let metrics = metrics.of(name);
        let tls = Self { name, current: ArcSwap::from_pointee(loaded), watch: Mutex::new(watch), metrics };
        tls.announce(now);
        Arc::new(tls)
    }

    /// What new handshakes use.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.current.load().config.clone()
    }

    /// Reads the files again; with `options`, from where these say. What is in force stays if anything is wrong.
    pub fn reload(&self, options: Option<TlsOptions>, now: Timestamp) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let options = options.unwrap_or_else(|| watch.options.clone());
        self.take_over(&mut watch, options, now);
    }

    /// Looks whether the files have changed, and reads them again once they have stood still from one look to the
    /// next: a certificate and its key are written one after the other. Reminds of certificates that are about to end.
    pub fn look(&self, now: Timestamp) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = Stamps::of(&watch.options);
        let stands_still = stamps == watch.seen;
        if stands_still && stamps != watch.read {
            let options = watch.options.clone();
            self.take_over(&mut watch, options, now);
        }
        watch.seen = stamps;
        if now.duration_since(watch.reminded_at) >= REMIND_EVERY {
            watch.reminded_at = now;
            self.warn(now);
        }
    }

    fn take_over(&self, watch: &mut Watch, options: TlsOptions, now: Timestamp) {
        let before = self.current.load_full();
        watch.read = Stamps::of(&options);
        match Loaded::read(&options, now, Some(&before)) {
            // Touched, or written again with the same content.
            Ok(loaded) if loaded.files == before.files => {}
            Ok(loaded) => {
                tracing::info!(listener = self.name.as_str(), expires = %loaded.validity.until, "new TLS files in force");
                self.current.store(Arc::new(loaded));
                self.metrics.loaded.inc();
                watch.options = options;
                watch.reminded_at = now;
                self.announce(now);
            }
            Err(error) => {
                self.metrics.refused.inc();
                let listener = self.name.as_str();
                tracing::error!(listener, %error, "the changed TLS files are not taken; what was in force stays");
            }
        }
    }

    fn announce(&self, now: Timestamp) {
        self.metrics.expiry.set(self.current.load().validity.until.as_second());
        self.warn(now);
    }

    fn warn(&self, now: Timestamp) {
        for warning in self.current.load().warnings(now) {
            tracing::warn!(listener = self.name.as_str(), "{warning}");
        }
    }
}

/// What tells that a file has changed without reading it. A file that is not there has none.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamps(Vec<Option<(u64, u64, i64, i64)>>);

impl Stamps {
    fn of(options: &TlsOptions) -> Self {
        let stamp = |path: &Path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
        };
        let clients = options.clients.iter();
        let clients = clients.flat_map(|clients| std::iter::once(&clients.ca).chain(&clients.crls));
        Self([&options.certificate, &options.key].into_iter().chain(clients).map(|path| stamp(path)).collect())
    }
}
