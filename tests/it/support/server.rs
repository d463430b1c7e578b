//! A server of the built binary on free ports, in a directory of its own.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::http::{Answer, request};
use super::publishing::Admin;
use super::run::Run;

/// How long a server may take to answer after it was started, or to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(60);

/// Limits that no test reaches by being quick.
pub(crate) const GENEROUS: &str = "[limits]\nrequests_per_second_per_address = 1000000\n\
    requests_per_second_per_device = 1000000\nrequests_burst_per_device = 1000000\n\
    requests_per_device_max = 10000\nreports_per_minute_per_device = 1000000\n";

/// Two rings, three groups, both classes published without approval: what most tests need.
pub(crate) const POLICY: &str = r#"
[[ring]]
name = "canary"
[[ring]]
name = "broad"

[[group]]
name  = "canaries"
match = { id = "canary-*" }
ring  = "canary"

[[group]]
name  = "kept-back"
match = { tag = "slow" }
ring  = "broad"
keep  = { intelligence = "N-1" }

[[group]]
name  = "everyone"
match = "any"
ring  = "broad"

[approve]
intelligence = "auto"
platform     = "other"
"#;

/// A directory to serve from, before the server runs.
pub(crate) struct Setup {
    dir: Option<tempfile::TempDir>,
    root: PathBuf,
    tables: String,
    policy: String,
    environment: Vec<(String, String)>,
    within: Vec<String>,
}

impl Setup {
    /// A fresh directory, initialised by `ringfence init`.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("ringfence-test-").tempdir().expect("a temporary directory");
        let root = dir.path().to_owned();
        Self::at(Some(dir), root)
    }

    /// Below a directory that the caller keeps.
    pub(crate) fn below(parent: &Path) -> Self {
        Self::at(None, parent.to_owned())
    }

    fn at(dir: Option<tempfile::TempDir>, parent: PathBuf) -> Self {
        let root = parent.join("rf");
        let run = Run::of(ringfence().arg("init").arg(&root));
        run.ok();
        let environment = vec![("RINGFENCE_LOG".to_owned(), "info".to_owned())];
        Self { dir, root, tables: String::new(), policy: POLICY.into(), environment, within: Vec::new() }
    }

    /// Where the configuration and the data are.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Adds tables to the configuration, as TOML.
    pub(crate) fn config(mut self, tables: &str) -> Self {
        self.tables.push_str(tables);
        self
    }

    /// The policy that the server starts with, instead of [`POLICY`].
    pub(crate) fn policy(mut self, text: &str) -> Self {
        self.policy = text.into();
        self
    }

    /// Has the server started by this command, which becomes it.
    pub(crate) fn within(mut self, command: &[&str]) -> Self {
        self.within = command.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Every start gets this variable, too.
    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.into(), value.into()));
    }

    /// Writes the files that the server reads.
    pub(crate) fn write_files(&self) {
        // A test asks more often as one device than a device would; those of the caps set their own.
        let limits = if self.tables.contains("[limits]") { "" } else { GENEROUS };
        // A test that wants a table for a listener of its own writes the address, too.
        let listener = |name: &str| match self.tables.contains(&format!("[{name}]")) {
            true => String::new(),
            false => format!("[{name}]\nlisten = \"127.0.0.1:0\"\n"),
        };
        let (device, admin) = (listener("device"), listener("admin"));
        let config = format!("data = \"data\"\n{device}{admin}{limits}{}", self.tables);
        fs::write(self.root.join("ringfence.toml"), config).unwrap();
        fs::write(self.root.join("policy.toml"), &self.policy).unwrap();
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn start(self) -> TestServer {
        self.write_files();
        match self.launch() {
            Ok((child, device, admin)) => TestServer { setup: self, child: Some(child), device, admin },
            Err(failure) => panic!("{failure}"),
        }
    }

    fn launch(&self) -> Result<(Child, SocketAddr, SocketAddr), String> {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let address_file = self.root.join("data/server.json");
        // Only the file of the new process counts; an old one stays behind after a kill.
        let _ = fs::remove_file(&address_file);
        let mut child = self.command().stdout(Stdio::null()).stderr(log).spawn().expect("the binary runs");
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return Err(format!("the server ended at its start with {status}\n{}", self.log()));
            }
            if let Some((device, admin)) = read_addresses(&address_file) {
                return Ok((child, device, admin));
            }
            if Instant::now() > until {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("the server did not start within {PATIENCE:?}\n{}", self.log()));
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    fn log_path(&self) -> PathBuf {
        self.root.join("server.log")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Starts the server and expects it to end by itself: its exit code and what it wrote.
    pub(crate) fn start_and_fail(self) -> Run {
        self.write_files();
        let child = self.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        Run::finish(child, PATIENCE)
    }

    fn command(&self) -> Command {
        let mut command = match self.within.split_first() {
            Some((program, words)) => {
                let mut command = Command::new(program);
                command.args(words).arg(env!("CARGO_BIN_EXE_ringfence"));
                command
            }
            None => ringfence(),
        };
        command.args(["serve", "--config"]).arg(self.root.join("ringfence.toml"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        command
    }
}

/// The binary, with nothing of the caller's environment that would point it at another server, or paint what it says.
pub(crate) fn ringfence() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    for name in ["RINGFENCE_SERVER", "RINGFENCE_TOKEN", "RINGFENCE_CONFIG", "RINGFENCE_LOG", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// A running server. Dropping it kills it; its log is printed if the test failed.
pub(crate) struct TestServer {
    setup: Setup,
    child: Option<Child>,
    /// The device listener.
    pub(crate) device: SocketAddr,
    /// The admin listener.
    pub(crate) admin: SocketAddr,
}

impl TestServer {
    /// A server with [`POLICY`] and the default configuration.
    pub(crate) fn start() -> Self {
        Setup::new().start()
    }

    /// Where the configuration is; the data is in `data` below it.
    pub(crate) fn root(&self) -> &Path {
        &self.setup.root
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.setup.root.join("data")
    }

    /// Everything the server logged, over all its starts.
    pub(crate) fn log(&self) -> String {
        self.setup.log()
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// The admin token that `init` wrote.
    pub(crate) fn token(&self) -> String {
        fs::read_to_string(self.setup.root.join("admin.token")).unwrap().trim().to_owned()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Whether the process has ended by itself.
    pub(crate) fn is_dead(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some())
    }

    /// Whether the process ends by itself within this time.
    pub(crate) fn ends_within(&mut self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while !self.is_dead() {
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// The next starts get this variable, too.
    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        self.setup.set_env(name, value);
    }

    /// The next starts do not get this variable any more.
    pub(crate) fn forget_env(&mut self, name: &str) {
        self.setup.environment.retain(|(known, _)| known != name);
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// SIGTERM, and the exit status.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    /// Waits for the server to end by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the server runs");
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > until {
                let _ = child.kill();
                panic!("the server did not end within {PATIENCE:?}\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts the server again in the same directory.
    pub(crate) fn start_again(&mut self) {
        self.try_start_again().unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// Starts the server again, or says why it did not start.
    pub(crate) fn try_start_again(&mut self) -> Result<(), String> {
        assert!(self.child.is_none(), "the server still runs");
        let (child, device, admin) = self.setup.launch()?;
        (self.child, self.device, self.admin) = (Some(child), device, admin);
        Ok(())
    }

    /// A command of the CLI against this server, as its admin.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = ringfence();
        command.env("RINGFENCE_SERVER", format!("http://{}", self.admin));
        command.env("RINGFENCE_TOKEN", self.token());
        command.args(words);
        command
    }

    /// Runs it.
    pub(crate) fn cli(&self, words: &[&str]) -> Run {
        Run::of(&mut self.command(words))
    }

    /// Runs it with `--json`, expects success, and parses what it prints.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let mut all = words.to_vec();
        all.push("--json");
        self.cli(&all).ok().json()
    }

    /// A request to the device listener, as a device if one is named.
    pub(crate) fn get(&self, device: Option<&str>, path: &str) -> Answer {
        let headers: Vec<(&str, &str)> = device.iter().map(|id| ("Ringfence-Device", *id)).collect();
        request(self.device, "GET", path, &headers, b"")
    }

    /// A JSON request to the admin listener, as its admin.
    pub(crate) fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let authorization = format!("Bearer {}", self.token());
        let mut headers = vec![("Authorization", authorization.as_str())];
        let text = body.map(Value::to_string).unwrap_or_default();
        if body.is_some() {
            headers.push(("Content-Type", "application/json"));
        }
        request(self.admin, method, path, &headers, text.as_bytes())
    }

    /// Its admin, for other threads and for single steps.
    pub(crate) fn as_admin(&self) -> Admin {
        Admin { address: self.admin, token: self.token() }
    }

    /// The sequence of the last event: unchanged by whatever was refused.
    pub(crate) fn journal_seq(&self) -> u64 {
        self.api("GET", "/v1/journal/head", None).expect(200).json()["seq"].as_u64().expect("a sequence")
    }

    /// What the device is offered: the offer's JSON, or nothing.
    pub(crate) fn offer(&self, device: &str, product: &str) -> Option<Value> {
        let answer = self.get(Some(device), &format!("/v1/offers/{product}"));
        match answer.status {
            200 => Some(serde_json::from_slice(&answer.body).expect("an offer is JSON")),
            204 => None,
            status => panic!("offer of {product} to {device}: {status} {}", answer.text()),
        }
    }

    /// The version that the device is offered.
    pub(crate) fn offered_version(&self, device: &str, product: &str) -> Option<String> {
        self.offer(device, product).map(|offer| offer["version"].as_str().expect("a version").to_owned())
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() && self.setup.root.exists() {
            eprintln!("--- log of the server in {}\n{}", self.setup.root.display(), self.log());
            if std::env::var_os("RINGFENCE_KEEP").is_some()
                && let Some(dir) = self.setup.dir.take()
            {
                eprintln!("kept: {}", dir.keep().display());
            }
        }
    }
}

fn read_addresses(file: &Path) -> Option<(SocketAddr, SocketAddr)> {
    let text = fs::read_to_string(file).ok()?;
    let json: Value = serde_json::from_str(&text).ok()?;
    let address = |name: &str| json[name].as_str()?.parse().ok();
    Some((address("device")?, address("admin")?))
}
