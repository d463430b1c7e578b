//! What makes a server a mirror, from its settings: whom it follows, its local token, and what runs beside serving.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::alerts::Alerts;
use super::core::{Core, TOKEN_KEY};
use super::error::AppError;
use crate::catalog::Catalog;
use crate::config::{MirrorSettings, Settings};
use crate::control::{KeyPlace, OriginKeyRefusal, OriginKeys, Secret, SigningRules};
use crate::mirror::{Mirror, MirrorOptions, Upstream, UpstreamTrust};
use crate::signing::SecretKey;
use crate::sys::durable;
use crate::sys::random::random_bytes;

/// The token's name as a systemd credential.
const CREDENTIAL: &str = "upstream.token";

/// Lines that are held in memory before it is certain that the origin has signed them. A journal has some 600 bytes for
/// each event.
const HELD_MAX_BYTES: usize = 32 << 20;

/// The mirror that the settings ask for, if they do.
pub(super) fn open(core: &Core, settings: &Settings) -> Result<Option<Arc<Mirror>>, AppError> {
    let Some(mirror) = &settings.mirror else { return Ok(None) };
    let token = token(mirror, std::env::var_os("CREDENTIALS_DIRECTORY").as_deref())?;
    let trust = mirror.ca_file.clone().map(|ca| UpstreamTrust { ca, identity: mirror.identity.clone() });
    let upstream = Upstream::connect(&mirror.upstream, token.as_deref(), trust)
        .map_err(|error| AppError::Upstream(Box::new(error)))?;
    let dir = core.data.join("mirror");
    let (key, path) = (core.token_key.clone(), core.data.join(TOKEN_KEY));
    let options = MirrorOptions {
        name: mirror.name.clone(),
        origin_keys: mirror.origin_keys.clone(),
        stale_after: SignedDuration::try_from(mirror.stale_after).unwrap_or(SignedDuration::MAX),
        poll_wait: mirror.poll_wait,
        dir: dir.clone(),
        journal_dir: core.journal_dir(),
        held_max_bytes: HELD_MAX_BYTES,
        take_token_key: Box::new(move |bytes| {
            if key.expose() != bytes {
                durable::write_atomically(&path, &bytes, 0o600)?;
                key.replace(bytes);
                tracing::info!("the tokens of the origin's journal are known here from now on");
            }
            Ok(())
        }),
    };
    let trust_file = dir.join("trust.json");
    let opened = Mirror::open(options, core.catalog.clone(), upstream);
    opened.map(|mirror| Some(Arc::new(mirror))).map_err(AppError::io("use", &trust_file))
}

/// The token that is shown to the upstream: a systemd credential, or the configured file.
fn token(settings: &MirrorSettings, credentials: Option<&OsStr>) -> Result<Option<String>, AppError> {
    let credential = credentials.map(|directory| Path::new(directory).join(CREDENTIAL));
    let path = credential.filter(|path| path.exists()).or_else(|| settings.token_file.clone());
    let Some(path) = path else { return Ok(None) };
    let text = fs::read_to_string(&path).map_err(AppError::io("read", &path))?;
    Ok(Some(text.trim().to_owned()))
}

/// The token in the mirror's own file. The origin's journal does not know it: it counts here only. Made where it is
/// missing.
pub(super) fn own_token(path: &Path) -> Result<Secret, AppError> {
    match fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map_err(|_| AppError::BadTokenFile(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = Secret::random()?;
            if let Err(error) = durable::write_atomically(path, format!("{}\n", secret.expose()).as_bytes(), 0o600) {
                tracing::warn!(%error, path = %path.display(), "this mirror's own token cannot be written, so only the unix socket and the origin's tokens are taken");
            }
            Ok(secret)
        }
        Err(error) => Err(AppError::io("read", path)(error)),
    }
}

/// A key that nobody knows and nothing is signed with: what is signed comes from the origin.
pub(super) fn no_key(data: &Path) -> Result<Arc<OriginKeys>, AppError> {
    struct Nowhere;
    impl KeyPlace for Nowhere {
        fn stage(&self, _: &SecretKey) -> Result<(), OriginKeyRefusal> {
            Err(OriginKeyRefusal::Credential)
        }

        fn take_over(&self, _: &SecretKey) -> Result<(), OriginKeyRefusal> {
            Err(OriginKeyRefusal::Credential)
        }
    }
    let random = || Ok((random_bytes()?, random_bytes()?));
    let (seed, id) = random().map_err(AppError::io("read randomness for", data))?;
    let nothing = SignedDuration::ZERO;
    let rules = SigningRules { statement_valid_for: nothing, key_overlap: nothing };
    Ok(Arc::new(OriginKeys::new(SecretKey::from_random(seed, id), Box::new(Nowhere), rules)))
}

/// Where what mirrors told is kept.
pub(super) fn elsewhere_dir(data: &Path) -> PathBuf {
    data.join("reports").join("elsewhere")
}

/// Starts following, telling, and the alarms of it.
pub(super) fn spawn(
    core: &Core,
    mirror: &Arc<Mirror>,
    alerts: &Arc<Alerts>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    tasks.spawn(mirror.clone().follow(stop.clone()));
    tasks.spawn(mirror.clone().push_tallies(stop.clone()));
    tasks.spawn(mirror.clone().fetch_manifests(stop.clone()));
    tasks.spawn(mirror.clone().keep_statements(stop.clone()));
    tasks.spawn(watch(core.catalog.clone(), mirror.clone(), alerts.clone(), stop.clone()));
}

async fn watch(catalog: Arc<Catalog>, mirror: Arc<Mirror>, alerts: Arc<Alerts>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => alerts.look_at_mirror(&mirror, catalog.clock_now()),
        }
    }
}
