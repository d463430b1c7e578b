//! The demo: a whole server with a week of history in a directory of its own, and a tour of what to try.

mod clock;
mod content;
mod seed;
mod tour;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::core::Core;
use super::error::AppError;
use super::run::{Bound, run, runtime, stop_signal};
use crate::config;
use crate::control::Secret;
use crate::sys::durable;
use crate::sys::random::random_bytes;
use crate::telemetry::{LogFormat, LogOptions, install_log};
use clock::DemoClock;
pub use tour::Style;
use tour::{Place, tour};

/// The policy of the demo.
const POLICY: &str = include_str!("../../../config/demo-policy.toml");

/// What the demo was asked for.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// The directory to keep everything in; a temporary one where absent.
    pub data: Option<PathBuf>,
    /// The device listener's port; the admin listener has the next one. Taken ports are replaced by free ones.
    pub port_base: u16,
    /// How the program can be called, for the commands of the tour.
    pub program: String,
    /// How the tour looks.
    pub style: Style,
}

/// Runs the demo until SIGINT or SIGTERM; `print` gets the tour once everything answers.
pub fn demo(options: &DemoOptions, print: impl FnOnce(&str)) -> Result<(), AppError> {
    install_log(&LogOptions { format: LogFormat::Text, filter: "warn".to_owned() })?;
    let home = match &options.data {
        Some(dir) => Home { dir: dir.clone(), is_temporary: false },
        None => Home::temporary()?,
    };
    durable::create_dir_durably(&home.dir).map_err(AppError::io("create the directory", &home.dir))?;
    let config = write_config(&home.dir, options.port_base)?;
    let settings = config::load(&config).map_err(AppError::demo)?;
    let clock = Arc::new(DemoClock::default());
    let core = Arc::new(Core::open(&settings, clock.clone())?);
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let stop = stop_signal()?;
        if !seed::is_seeded(&core) {
            seed::seed(&core, &clock, POLICY).await?;
        }
        // Nothing reads its settings again.
        let (_, reread) = tokio::sync::mpsc::channel(1);
        run(core, &settings, None, stop, reread, |bound: Bound| {
            let (config, program) = (config.as_path(), options.program.as_str());
            let place = Place { device: bound.device, config, program, is_temporary: home.is_temporary };
            print(&tour(&place, options.style));
            std::future::ready(())
        })
        .await
    });
    runtime.shutdown_background();
    ended
}

/// The demo's directory; a temporary one is removed at the end.
struct Home {
    dir: PathBuf,
    is_temporary: bool,
}

impl Home {
    fn temporary() -> Result<Self, AppError> {
        let base = std::env::temp_dir();
        let number = random_bytes::<4>().map_err(AppError::io("read randomness for", &base))?;
        let dir = base.join(format!("ringfence-demo-{:08x}", u32::from_le_bytes(number)));
        Ok(Self { dir, is_temporary: true })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.is_temporary
            && let Err(error) = durable::remove_dir_all(&self.dir)
        {
            tracing::warn!(%error, dir = %self.dir.display(), "the demo's directory stays");
        }
    }
}

/// Writes the demo's configuration and admin token; a kept one gets its ports anew.
fn write_config(dir: &Path, port_base: u16) -> Result<PathBuf, AppError> {
    let (device, admin) = (free_port(port_base), free_port(port_base.saturating_add(1)));
    let text = format!(
        "# The configuration of `ringfence demo`, written at each start.\n\
         data = \"data\"\n\n[device]\nlisten = \"127.0.0.1:{device}\"\n\n\
         [admin]\nlisten = \"127.0.0.1:{admin}\"\n"
    );
    let config = dir.join("ringfence.toml");
    durable::write_atomically(&config, text.as_bytes(), 0o644).map_err(AppError::io("write", &config))?;
    let token = dir.join("admin.token");
    if !token.exists() {
        let secret = Secret::random()?.expose();
        durable::write_atomically(&token, secret.as_bytes(), 0o600).map_err(AppError::io("write", &token))?;
    }
    Ok(config)
}

/// `wanted` if it is free now, otherwise a port the kernel picks.
fn free_port(wanted: u16) -> u16 {
    let bind = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let port = |listener: TcpListener| listener.local_addr().map(|address| address.port());
    bind(wanted).or_else(|_| bind(0)).and_then(port).unwrap_or(wanted)
}
