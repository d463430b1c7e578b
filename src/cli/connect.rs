//! Which server a command talks to, and as whom.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::CliError;
use super::output;
use crate::client::{
    Client, ClientError, ClientOptions, Download, Endpoint, Question, SentPiece, Tagged, TlsTrust, TrustedServers,
    Uploaded,
};
use crate::config::{self, Settings};
use crate::signing::{Answers, Offer};

/// The configuration that is used when nothing else is said.
const DEFAULT_CONFIG: &str = "ringfence.toml";
/// Calls that read the whole store may take this long.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// The arguments of every command that asks a server.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Server and output")]
pub(super) struct ServerArgs {
    /// The server's admin listener: http://host:port, https://host:port or unix:/path/to/admin.sock
    #[arg(long, value_name = "ADDRESS", env = "RINGFENCE_SERVER", hide_env_values = true)]
    pub(super) server: Option<String>,
    /// The server's configuration, which names the admin listener and the token file [default: ./ringfence.toml]
    #[arg(long, value_name = "FILE", env = "RINGFENCE_CONFIG", hide_env_values = true)]
    pub(super) config: Option<PathBuf>,
    /// The file that holds the token [default: $RINGFENCE_TOKEN, then the configuration's admin.token_file]
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// The CAs that an https:// server's certificate may be from, PEM [default: the configuration's own certificate]
    #[arg(long, value_name = "FILE", env = "RINGFENCE_CA", hide_env_values = true)]
    pub(super) ca: Option<PathBuf>,
    /// The client's certificate for an https:// server, PEM, with its chain; needs a key
    #[arg(long = "certificate", value_name = "FILE", env = "RINGFENCE_CERTIFICATE", hide_env_values = true)]
    pub(super) client_certificate: Option<PathBuf>,
    /// The key of that certificate, PEM
    #[arg(long = "key", value_name = "FILE", env = "RINGFENCE_KEY", hide_env_values = true)]
    pub(super) client_key: Option<PathBuf>,
    /// Print the server's answer as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl ServerArgs {
    /// The settings that `--config` (or the file in the working directory) names, if there is one.
    pub(super) fn settings(&self) -> Result<Option<Settings>, CliError> {
        match &self.config {
            Some(path) => Ok(Some(config::load(path)?)),
            None if Path::new(DEFAULT_CONFIG).exists() => Ok(Some(config::load(Path::new(DEFAULT_CONFIG))?)),
            None => Ok(None),
        }
    }

    fn explicit_token(&self) -> Result<Option<String>, CliError> {
        if let Some(path) = &self.token_file {
            return read_token(path).map(Some);
        }
        Ok(std::env::var("RINGFENCE_TOKEN").ok().map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()))
    }

    /// Finds the server and the token. The configuration's token is shown only to the configuration's server, or where
    /// `--config` is given beside `--server`: never to an address that merely happens to be in the environment.
    pub(super) fn session(&self) -> Result<Session, CliError> {
        let explicit = self.explicit_token()?;
        if let Some(server) = &self.server {
            let endpoint: Endpoint = server.parse().map_err(ClientError::from)?;
            let token = match (explicit, &self.config) {
                (None, Some(path)) => readable_token(&config::load(path)?.admin.token_file)?,
                (token, _) => token,
            };
            // A server that is named beside the configuration may be another one: only its CA is known then.
            let own = match &self.config {
                Some(path) if self.ca.is_none() => config::load(path)?.admin.tls.map(|tls| tls.options.certificate),
                _ => None,
            };
            return Session::new(endpoint, token, self.trust(own)?, self.json);
        }
        let Some(settings) = self.settings()? else {
            return Err(CliError::Usage(format!(
                "no server is named: give --server or --config, set RINGFENCE_SERVER or RINGFENCE_CONFIG, or run this \
                 where {DEFAULT_CONFIG} is"
            )));
        };
        let (endpoint, token) = from_settings(&settings, explicit)?;
        let own = settings.admin.tls.map(|tls| tls.options.certificate);
        Session::new(endpoint, token, self.trust(own)?, self.json)
    }

    /// Whom to trust: the CA that is named, or else the certificate that the configuration's own server shows.
    fn trust(&self, own: Option<PathBuf>) -> Result<Option<TlsTrust>, CliError> {
        let identity = match (&self.client_certificate, &self.client_key) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            _ => {
                let both = "a client's certificate needs its key: give both --certificate and --key";
                return Err(CliError::Usage(both.to_owned()));
            }
        };
        let servers = match (&self.ca, own) {
            (Some(ca), _) => TrustedServers::IssuedBy(ca.clone()),
            (None, Some(own)) => TrustedServers::Exactly(own),
            (None, None) => return Ok(None),
        };
        Ok(Some(TlsTrust { servers, identity }))
    }
}

/// The listener where a token is at hand, so that changes carry its name; the socket otherwise.
fn from_settings(settings: &Settings, explicit: Option<String>) -> Result<(Endpoint, Option<String>), CliError> {
    let token = match explicit {
        Some(token) => Some(token),
        None => readable_token(&settings.admin.token_file)?,
    };
    let socket = || Endpoint::Unix(settings.admin.socket.clone());
    match token {
        // Any free port was asked for: only the socket's place is known.
        token if settings.admin.listen.port() == 0 => Ok((socket(), token)),
        Some(token) => Ok((Endpoint::of_listener(settings.admin.listen, settings.admin.tls.is_some()), Some(token))),
        None => Ok((socket(), None)),
    }
}

/// The device listener of the configuration in the working directory, if there is one, and its own certificate.
pub(super) fn configured_device_listener() -> Result<Option<(Endpoint, Option<PathBuf>)>, CliError> {
    let settings = ServerArgs::default().settings()?;
    Ok(settings.map(|settings| {
        let endpoint = Endpoint::of_listener(settings.device.listen, settings.device.tls.is_some());
        (endpoint, settings.device.tls.map(|tls| tls.options.certificate))
    }))
}

/// A session with a device listener, as the device whose token is in the file or the environment.
pub(super) fn device_session(
    endpoint: Endpoint,
    token_file: Option<&Path>,
    trust: Option<TlsTrust>,
    json: bool,
) -> Result<Session, CliError> {
    // A variable of its own: an admin's token must not reach a device listener by mistake.
    let token = match token_file {
        Some(path) => Some(read_token(path)?),
        None => std::env::var("RINGFENCE_DEVICE_TOKEN").ok().map(|token| token.trim().to_owned()),
    };
    Session::new(endpoint, token.filter(|token| !token.is_empty()), trust, json)
}

fn read_token(path: &Path) -> Result<String, CliError> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| CliError::Input(format!("{}: the token cannot be read: {cause}", path.display())))?;
    match text.trim() {
        "" => Err(CliError::Input(format!("{}: the file holds no token", path.display()))),
        token => Ok(token.to_owned()),
    }
}

/// The token in a file that this user may not have, or that was never made: the socket may do instead.
fn readable_token(path: &Path) -> Result<Option<String>, CliError> {
    use std::io::ErrorKind::{NotFound, PermissionDenied};
    match std::fs::metadata(path).and_then(|_| std::fs::File::open(path)) {
        Ok(_) => read_token(path).map(Some),
        Err(cause) if matches!(cause.kind(), NotFound | PermissionDenied) => Ok(None),
        Err(_) => read_token(path).map(Some),
    }
}

/// A server to ask, for commands that ask one thing after the other.
pub(super) struct Session {
    runtime: Arc<tokio::runtime::Runtime>,
    client: Client,
    json: bool,
}

impl Session {
    fn new(endpoint: Endpoint, token: Option<String>, tls: Option<TlsTrust>, json: bool) -> Result<Self, CliError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|cause| CliError::Failed(format!("the command cannot start: {cause}")))?;
        let client = Client::new(endpoint, token.as_deref(), ClientOptions { tls, ..ClientOptions::default() })?;
        Ok(Self { runtime: Arc::new(runtime), client, json })
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, CliError> {
        Ok(self.runtime.block_on(self.client.get(path))?)
    }

    pub(super) fn get_text(&self, path: &str) -> Result<String, CliError> {
        Ok(self.runtime.block_on(self.client.get_text(path))?)
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        Ok(self.runtime.block_on(self.client.post(path, body))?)
    }

    /// A call that reads the whole store.
    pub(super) fn post_patiently(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        Ok(self.runtime.block_on(self.client.patient(PATIENCE).post(path, body))?)
    }

    pub(super) fn post_policy(&self, path: &str, text: &str, if_match: Option<u64>) -> Result<Value, CliError> {
        Ok(self.runtime.block_on(self.client.post_policy(path, text, if_match))?)
    }

    pub(super) fn upload(&self, file: &Path, progress: &(dyn Fn(u64) + Sync)) -> Result<Uploaded, CliError> {
        Ok(self.runtime.block_on(self.client.upload(file, progress))?)
    }

    /// `None` where the answer is still the one with this tag.
    pub(super) fn get_if_changed(&self, path: &str, etag: Option<&str>) -> Result<Option<Tagged>, CliError> {
        Ok(self.runtime.block_on(self.client.get_if_changed(path, etag))?)
    }

    pub(super) fn put(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        Ok(self.runtime.block_on(self.client.put(path, body))?)
    }

    pub(super) fn delete(&self, path: &str) -> Result<Value, CliError> {
        Ok(self.runtime.block_on(self.client.delete(path))?)
    }

    /// Bytes of a file, from a place on.
    pub(super) fn put_piece(
        &self,
        path: &str,
        file: std::fs::File,
        (offset, size): (u64, u64),
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<SentPiece, CliError> {
        Ok(self.runtime.block_on(self.client.put_piece(path, file, (offset, size), progress))?)
    }

    /// A body, read as it comes on this session's [`Session::runtime`].
    pub(super) fn download(&self, path: &str) -> Result<Download, CliError> {
        Ok(self.runtime.block_on(self.client.download(path))?)
    }

    /// As [`Session::download`], from a byte on.
    pub(super) fn download_from(&self, path: &str, from: u64) -> Result<Download, CliError> {
        Ok(self.runtime.block_on(self.client.download_from(path, from))?)
    }

    /// What a device listener offers.
    pub(super) fn offer(&self, question: &Question<'_>) -> Result<Option<Offer>, CliError> {
        Ok(self.runtime.block_on(self.client.offer(question))?)
    }

    /// What a device listener offers, with its proof.
    pub(super) fn answers(&self, question: &Question<'_>) -> Result<Answers, CliError> {
        Ok(self.runtime.block_on(self.client.answers(question))?)
    }

    /// What the session waits on.
    pub(super) fn runtime(&self) -> Arc<tokio::runtime::Runtime> {
        Arc::clone(&self.runtime)
    }

    /// Whether the answer is to be printed as JSON.
    pub(super) fn json(&self) -> bool {
        self.json
    }

    /// Prints an answer: as JSON where that is wanted, in words otherwise.
    pub(super) fn show<T: serde::de::DeserializeOwned>(
        &self,
        answer: Value,
        words: impl FnOnce(T) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        if self.json { output::say_json(&answer) } else { words(self.read(answer)?) }
    }

    /// Reads an answer's bytes.
    pub(super) fn read_bytes<T: serde::de::DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, CliError> {
        let server = self.client.endpoint().to_string();
        serde_json::from_slice(bytes)
            .map_err(|cause| ClientError::NotUnderstood { server, what: cause.to_string() }.into())
    }

    /// Reads an answer.
    pub(super) fn read<T: serde::de::DeserializeOwned>(&self, answer: Value) -> Result<T, CliError> {
        let server = || self.client.endpoint().to_string();
        serde_json::from_value(answer)
            .map_err(|cause| ClientError::NotUnderstood { server: server(), what: cause.to_string() }.into())
    }
}
