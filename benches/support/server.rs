//! The release binary as a server on free ports, in a directory of its own under `target/`.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Every device sees the newest release at once, and no approval is needed.
pub const OPEN_POLICY: &str = "[approve]\nintelligence = \"auto\"\nplatform = \"auto\"\n\n\
    [[ring]]\nname = \"all\"\n\n[[group]]\nname = \"everyone\"\nmatch = \"any\"\nring = \"all\"\n";

/// A directory that is removed at the end.
pub fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("bench-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A running server.
pub struct Server {
    root: PathBuf,
    child: Child,
    pub device: SocketAddr,
    /// From the start of the process until it listened.
    pub started_in: Duration,
}

/// Runs `ringfence init` in `root`, then puts free ports and this policy in.
pub fn init(root: &Path, policy: &str) {
    assert!(ringfence().arg("init").arg(root).stdout(Stdio::null()).status().unwrap().success());
    // A bench asks as one device what a fleet would: the caps on requests count, but are never reached.
    let config = "data = \"data\"\n[device]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
        [limits]\nrequests_per_second_per_address = 1000000000\nrequests_per_second_per_device = 1000000000\n\
        requests_burst_per_device = 1000000000\nrequests_per_device_max = 1000000\n";
    fs::write(root.join("ringfence.toml"), config).unwrap();
    fs::write(root.join("policy.toml"), policy).unwrap();
}

fn ringfence() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    for name in ["RINGFENCE_SERVER", "RINGFENCE_TOKEN", "RINGFENCE_CONFIG", "RINGFENCE_LOG"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

impl Server {
    /// Starts the server of an initialised directory and waits until it listens.
    pub fn start(root: &Path) -> Self {
        let log = File::options().create(true).append(true).open(root.join("server.log")).unwrap();
        let note = root.join("data/server.json");
        let begun = Instant::now();
        let mut child = ringfence()
            .args(["serve", "--config"])
            .arg(root.join("ringfence.toml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        loop {
            if let Ok(text) = fs::read(&note)
                && let Ok(json) = serde_json::from_slice::<Value>(&text)
            {
                let device = json["device"].as_str().unwrap().parse().unwrap();
                return Self { root: root.to_owned(), child, device, started_in: begun.elapsed() };
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{status}\n{}", fs::read_to_string(root.join("server.log")).unwrap());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The address of the admin listener, and the admin's token.
    pub fn admin(&self) -> (String, String) {
        let note: Value = serde_json::from_slice(&fs::read(self.root.join("data/server.json")).unwrap()).unwrap();
        let token = fs::read_to_string(self.root.join("admin.token")).unwrap();
        (note["admin"].as_str().unwrap().to_owned(), token.trim().to_owned())
    }

    /// A command against this server, as its admin.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = ringfence();
        let (address, token) = self.admin();
        command.env("RINGFENCE_SERVER", format!("http://{address}")).env("RINGFENCE_TOKEN", token);
        command.args(words).stderr(Stdio::null());
        command
    }

    /// Runs it and returns what it prints with `--json`.
    pub fn json(&self, words: &[&str]) -> Value {
        let output = self.command(words).arg("--json").stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "{words:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Publishes a file, and returns the path of its blob.
    pub fn publish(&self, product: &str, version: &str, file: &Path) -> String {
        let artifact = format!("body.bin={}", file.display());
        let release = self.json(&["publish", product, version, "--artifact", &artifact]);
        format!("/v1/blobs/{}", release["artifacts"][0]["blake3"].as_str().unwrap())
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(mut self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
