//! A Samba server of the test's own on a free port, and smbclient in the three ways in which it is driven here.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long smbd may take to answer, or to end.
const PATIENCE: Duration = Duration::from_secs(90);
/// What a session's script has echoed when it is done.
const END: &str = "--end--\n";

/// A running smbd, with all that it writes in a directory of its own. Ended with its processes when dropped.
pub(super) struct Smbd {
    dir: tempfile::TempDir,
    child: Child,
    port: u16,
}

impl Smbd {
    /// Serves directories as shares that anybody may read, as the user `nobody`; or write, as root.
    pub(super) fn start(shares: &[(&str, &Path)], is_writable: bool) -> Self {
        let dir = tempfile::Builder::new().prefix("ringfence-smbd-").tempdir().unwrap();
        let port = free_port();
        std::fs::write(dir.path().join("smb.conf"), configuration(dir.path(), shares, is_writable)).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new("smbd");
        command.args(["--foreground", "--no-process-group", "--debug-stdout", "--port", &port.to_string()]);
        command.arg("--configfile").arg(dir.path().join("smb.conf"));
        // Every connection is a process: a group of their own is what ends them all.
        command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut smbd = Self { dir, child: command.spawn().unwrap(), port };
        let until = Instant::now() + PATIENCE;
        while !smbd.client(shares[0].0).args(["-c", "ls"]).output().unwrap().status.success() {
            let ended = smbd.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < until, "smbd does not answer ({ended:?}):\n{}", smbd.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        smbd
    }

    /// The port that it listens on.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What it has said.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// smbclient on one of the shares; what it says about itself goes to standard error.
    pub(super) fn client(&self, share: &str) -> Command {
        let mut command = Command::new("smbclient");
        command.arg(format!("//127.0.0.1/{share}")).args(["--no-pass", "--port", &self.port.to_string()]);
        command.arg("--configfile").arg(self.dir.path().join("smb.conf")).stdin(Stdio::null());
        command
    }

    /// How many files its processes have open below `dir`, removed ones included.
    pub(super) fn open_files(&self, dir: &Path) -> usize {
        let group = self.child.id().to_string();
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
        let ours = processes.filter(|process| {
            // pid (name) state parent group: smbd's name has no space.
            let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
            stat.split(' ').nth(4) == Some(&group)
        });
        let open = ours.filter_map(|process| std::fs::read_dir(process.join("fd")).ok()).flatten();
        let open = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        open.filter(|path| path.starts_with(dir) && !path.is_dir() && path != dir).count()
    }
}

impl Drop for Smbd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of smbd\n{}", self.log());
        }
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// A port below those that the kernel gives away: until smbd listens on it, no other test's server or client gets it.
fn free_port() -> u16 {
    let first = (std::process::id() % 10_000) as u16;
    let mut ports = (0..10_000).map(|next| 20_000 + (first + next) % 10_000);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

fn configuration(dir: &Path, shares: &[(&str, &Path)], is_writable: bool) -> String {
    let own = |name: &str| {
        let path = dir.join(name);
        std::fs::create_dir(&path).unwrap();
        path.display().to_string()
    };
    let mut text = format!(
        "[global]\nserver role = standalone server\nworkgroup = TEST\nnetbios name = RINGFENCE\n\
         disable netbios = yes\ninterfaces = lo\nbind interfaces only = yes\nmap to guest = Bad User\n\
         guest account = {}\nload printers = no\nprinting = bsd\nprintcap name = /dev/null\ndisable spoolss = yes\n\
         private dir = {}\nlock directory = {}\nstate directory = {}\ncache directory = {}\npid directory = {}\n\
         ncalrpc dir = {}\n",
        if is_writable { "root" } else { "nobody" },
        own("private"),
        own("lock"),
        own("state"),
        own("cache"),
        own("pid"),
        own("ncalrpc"),
    );
    for (name, path) in shares {
        let read_only = if is_writable { "no" } else { "yes" };
        text += &format!("[{name}]\npath = {}\nread only = {read_only}\nguest ok = yes\n", path.display());
    }
    text
}

/// Reads files through SMB, in the order given.
pub(super) trait Reader: Send {
    /// Each file's bytes, or what smbclient said instead.
    fn read(&mut self, paths: &[&str]) -> Vec<Result<Vec<u8>, String>>;
}

/// One connection for everything.
pub(super) struct Session {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    scratch: tempfile::TempDir,
}

impl Session {
    pub(super) fn open(smbd: &Smbd, share: &str) -> Self {
        // Its own words must come before those of the commands after them.
        let client = smbd.client(share);
        let mut command = Command::new("stdbuf");
        command.arg("--output=L").arg(client.get_program()).args(client.get_args());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (commands, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, commands, answers, scratch: tempfile::tempdir().unwrap() }
    }
}

impl Session {
    /// What smbclient says until the end of a script, or until it ends itself. It takes no line from a pipe before it
    /// has waited for more than is in its buffer: an empty line now and then is what it gets.
    fn answers_to_the_end(&mut self) -> String {
        let (commands, is_done) = (&mut self.commands, AtomicBool::new(false));
        let mut said = String::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_done.load(Ordering::Acquire) {
                    std::thread::sleep(Duration::from_millis(3));
                    let _ = commands.write_all(b"\n");
                }
            });
            while !said.ends_with(END) && self.answers.read_line(&mut said).is_ok_and(|length| length > 0) {}
            is_done.store(true, Ordering::Release);
        });
        said
    }
}

impl Reader for Session {
    fn read(&mut self, paths: &[&str]) -> Vec<Result<Vec<u8>, String>> {
        let mut script = gets(paths, self.scratch.path(), "\n");
        script += &format!("\n!echo {END}");
        self.commands.write_all(script.as_bytes()).unwrap();
        let said = self.answers_to_the_end();
        assert!(said.ends_with(END), "smbclient ended: {said}");
        taken(paths.len(), self.scratch.path(), &said)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection for each reading.
pub(super) struct Fresh<'a> {
    pub(super) smbd: &'a Smbd,
    pub(super) share: &'a str,
}

impl Reader for Fresh<'_> {
    fn read(&mut self, paths: &[&str]) -> Vec<Result<Vec<u8>, String>> {
        let scratch = tempfile::tempdir().unwrap();
        let script = gets(paths, scratch.path(), "; ");
        let run = crate::support::Run::of(self.smbd.client(self.share).args(["-c", &script]));
        taken(paths.len(), scratch.path(), &format!("{}{}", run.stdout, run.stderr))
    }
}

fn local(scratch: &Path, number: usize) -> PathBuf {
    scratch.join(number.to_string())
}

fn gets(paths: &[&str], scratch: &Path, between: &str) -> String {
    let get = |(number, path): (usize, &&str)| format!("get {path} {}", local(scratch, number).display());
    paths.iter().enumerate().map(get).collect::<Vec<_>>().join(between)
}

fn taken(count: usize, scratch: &Path, said: &str) -> Vec<Result<Vec<u8>, String>> {
    let take = |number| {
        let file = local(scratch, number);
        let bytes = std::fs::read(&file).map_err(|_| said.trim().to_owned());
        let _ = std::fs::remove_file(file);
        bytes
    };
    (0..count).map(take).collect()
}

/// A file that smbclient has open on the server and goes on reading only when its output is taken.
pub(super) struct Held {
    child: Child,
    output: ChildStdout,
    begun: [u8; 1],
}

impl Held {
    /// Returns once the server has begun to send the file, which must be longer than a pipe holds.
    pub(super) fn open(smbd: &Smbd, share: &str, path: &str) -> Self {
        let mut command = smbd.client(share);
        command.args(["-c", &format!("get {path} -")]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        let mut begun = [0];
        output.read_exact(&mut begun).unwrap();
        Self { child, output, begun }
    }

    /// Reads the file to its end.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let mut bytes = self.begun.to_vec();
        self.output.read_to_end(&mut bytes).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "smbclient ended with {status} after {} bytes", bytes.len());
        bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
