use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cli::output::{note, say, say_json};
use crate::cli::{CliError, answer, time};
use crate::client::{Client, ClientError, ClientOptions, Endpoint, TlsTrust, TrustedServers};
use crate::sys::durable;

/// On a device: make a code its own token, or a key and a certificate
///
/// With --token the token is written to a new file. With --key and --certificate a key is made here and never leaves
/// this machine; the server signs a certificate for it. Without any of them the token is printed. All files are new and
/// readable by you alone. The code can be used once.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ClaimArgs {
    /// The code, or - to read it from standard input, where no list of processes shows it
    code: String,
    /// The server's device listener, http://host:port or https://host:port
    #[arg(long, value_name = "ADDRESS")]
    from: Endpoint,
    /// Write the token to this new file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "certificate"])]
    token: Option<PathBuf>,
    /// Write the private key that is made to this new file
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Write the certificate, and those of its issuers, to this new file
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The CAs that an https:// server's certificate may be from, PEM
    #[arg(long, value_name = "FILE", env = "RINGFENCE_CA", hide_env_values = true)]
    ca: Option<PathBuf>,
    /// Print the answer as JSON, without what was written to a file
    #[arg(long)]
    json: bool,
}

impl ClaimArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let code = self.read_code()?;
        match (&self.token, &self.key, &self.certificate) {
            (_, Some(key), Some(certificate)) => self.certificate(&code, key, certificate),
            (Some(token), ..) => self.token(&code, token),
            _ => self.print_token(&code),
        }
    }

    fn read_code(&self) -> Result<String, CliError> {
        if self.code != "-" {
            return Ok(self.code.clone());
        }
        let mut text = String::new();
        let read = std::io::stdin().lock().take(1024).read_to_string(&mut text);
        read.map_err(|cause| CliError::Input(format!("the code cannot be read: {cause}")))?;
        Ok(text.trim().to_owned())
    }

    fn options(&self) -> ClientOptions {
        let servers = self.ca.clone().map(TrustedServers::IssuedBy);
        let tls = servers.map(|servers| TlsTrust { servers, identity: None });
        ClientOptions { tls, ..ClientOptions::default() }
    }

    fn ask(&self, body: &Value) -> Result<Value, CliError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| CliError::Failed(format!("the command cannot start: {cause}")))?;
        let client = Client::new(self.from.clone(), None, self.options())?;
        let answer = runtime.block_on(client.post("/v1/enrol", body)).inspect_err(|error| {
            if matches!(error, ClientError::Broken { .. } | ClientError::NotUnderstood { .. }) {
                note("The code may be used up all the same: if it is refused now, ask for another.");
            }
        });
        Ok(answer?)
    }

    fn understand<T: DeserializeOwned>(&self, answer: &Value) -> Result<T, CliError> {
        let (server, answer) = (self.from.to_string(), answer.clone());
        serde_json::from_value(answer)
            .map_err(|cause| ClientError::NotUnderstood { server, what: cause.to_string() }.into())
    }

    fn print_token(&self, code: &str) -> Result<(), CliError> {
        let answer = self.ask(&json!({ "code": code }))?;
        if self.json {
            return say_json(&answer);
        }
        let enrolled: answer::EnrolledToken = self.understand(&answer)?;
        note(format_args!("This is {}; its token, shown this once:", enrolled.device));
        say(enrolled.token)
    }

    fn token(&self, code: &str, path: &Path) -> Result<(), CliError> {
        // The file first: a code is not to be used up for a token that cannot be kept.
        let file = NewFile::create(path)?;
        let answer = self.ask(&json!({ "code": code }))?;
        let enrolled: answer::EnrolledToken = self.understand(&answer)?;
        file.keep(&format!("{}\n", enrolled.token))?;
        self.tell(answer, "token", &format!("This is {}; its token is in {}.", enrolled.device, path.display()))
    }

    fn certificate(&self, code: &str, key_path: &Path, path: &Path) -> Result<(), CliError> {
        let (key_file, file) = (NewFile::create(key_path)?, NewFile::create(path)?);
        let failed = |error: rcgen::Error| CliError::Failed(format!("a key cannot be made: {error}"));
        let key = KeyPair::generate().map_err(failed)?;
        // The server takes the name from the code alone, so the request has none.
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key).and_then(|request| request.pem()).map_err(failed)?;
        let answer = self.ask(&json!({ "code": code, "csr": request }))?;
        let enrolled: answer::EnrolledCertificate = self.understand(&answer)?;
        key_file.keep(&key.serialize_pem())?;
        file.keep(&enrolled.certificate)?;
        let until = time::shown(enrolled.not_after);
        let told = format!(
            "This is {}; its key is in {}, its certificate, good until {until}, in {}.",
            enrolled.device,
            key_path.display(),
            path.display()
        );
        self.tell(answer, "certificate", &told)
    }

    fn tell(&self, mut answer: Value, written: &str, told: &str) -> Result<(), CliError> {
        if !self.json {
            return say(told);
        }
        if let Some(object) = answer.as_object_mut() {
            object.remove(written);
        }
        say_json(&answer)
    }
}

/// A file that did not exist, readable by its owner alone; gone again unless it is kept.
struct NewFile<'p> {
    file: File,
    path: &'p Path,
    is_kept: bool,
}

impl<'p> NewFile<'p> {
    fn create(path: &'p Path) -> Result<Self, CliError> {
        let file = File::options().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|cause| CliError::Input(format!("{}: {cause}", path.display())))?;
        Ok(Self { file, path, is_kept: false })
    }

    /// Returns after fsync. What is in it is worth more than its absence, so from here on it stays, whatever happens.
    fn keep(mut self, text: &str) -> Result<(), CliError> {
        self.is_kept = true;
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let written = written.and_then(|()| durable::sync_dir(parent.unwrap_or(Path::new("."))));
        written.map_err(|cause| {
            CliError::Failed(format!("{}: {cause}; the code is used up: ask for another", self.path.display()))
        })
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            // It is empty; that it stays is no more than a nuisance.
            let _ = durable::remove_file(self.path);
        }
    }
}
