//! An origin, the site that it makes bundles for, and what their processes take.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::support::process::{Memory, MemoryWatch};
use crate::support::server::{OPEN_POLICY, Server, init};

/// A server that makes bundles.
pub(crate) fn origin(root: &Path) -> Server {
    init(root, OPEN_POLICY);
    Server::start(root)
}

/// The origin's public key, as `key show` prints it.
pub(crate) fn key_of(origin: &Server) -> String {
    let shown = origin.command(&["key", "show"]).output().unwrap().stdout;
    String::from_utf8(shown).unwrap().lines().nth(1).unwrap().to_owned()
}

/// An empty site that trusts the origin.
pub(crate) fn site(root: &Path, origin: &Server) -> Server {
    init(root, OPEN_POLICY);
    let path = root.join("ringfence.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let key = key_of(origin);
    std::fs::write(&path, format!("{config}[site]\nname = \"plant\"\norigin_keys = [\"{key}\"]\n")).unwrap();
    Server::start(root)
}

/// How long a command ran, and the most memory that it and the server it speaks with had meanwhile.
pub(crate) struct Took {
    pub(crate) wall_s: f64,
    pub(crate) command: Memory,
    pub(crate) server: Memory,
}

/// Runs a command to its end; `server` is watched meanwhile.
pub(crate) fn run(mut command: Command, server: Option<&Server>) -> Took {
    let watch = server.map(|server| MemoryWatch::start(server.pid()));
    let begun = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
    let own = MemoryWatch::start(child.id());
    let status = child.wait().unwrap();
    let wall_s = begun.elapsed().as_secs_f64();
    assert!(status.success(), "{command:?}: {status}");
    Took { wall_s, command: own.most(), server: watch.map(MemoryWatch::most).unwrap_or_default() }
}
