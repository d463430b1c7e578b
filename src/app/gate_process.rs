//! One command within limits: time, memory, open files, output; killed with everything that it started.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::gate_command::seconds;

/// Where programs are looked for if the server itself has no PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long the output of what a command left behind is waited for.
const LINGER: Duration = Duration::from_secs(1);
/// The most lines of output that are told.
const LINES_MAX: usize = 20;
/// Sets limits that hold for everything below, then becomes the command. The shell only reads numbers that are its own
/// arguments; the command's words are never parsed.
const LIMITER: &str = "ulimit -c 0; ulimit -v \"$1\" && ulimit -n \"$2\" && shift 2 && exec \"$@\"";

/// What a command may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommandLimits {
    pub(super) timeout: Duration,
    pub(super) memory_max_bytes: u64,
    pub(super) open_files_max: usize,
    pub(super) output_max_bytes: usize,
}

/// The end of what a command wrote, from both of its outputs as it came.
#[derive(Clone)]
struct Tail {
    bytes: Arc<Mutex<VecDeque<u8>>>,
    bytes_max: usize,
}

impl Tail {
    fn push(&self, more: &[u8]) {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.extend(&more[more.len().saturating_sub(self.bytes_max)..]);
        let excess = bytes.len().saturating_sub(self.bytes_max);
        bytes.drain(..excess);
    }

    /// The last lines, joined by line feeds, without control characters.
    fn lines(&self) -> String {
        let bytes: Vec<u8> = self.bytes.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(LINES_MAX)..].join("\n");
        last.chars().filter(|c| !c.is_control() || *c == '\n').collect()
    }

    async fn drain(self, mut from: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; 8192];
        while let Ok(count) = from.read(&mut buffer).await {
            if count == 0 {
                return;
            }
            self.push(&buffer[..count]);
        }
    }
}

/// Runs a command in `folder` with `input` on its standard input. An error says, after "the command", what it did.
pub(super) async fn run(
    command: &[String],
    folder: &Path,
    input: Vec<u8>,
    limits: CommandLimits,
) -> Result<(), String> {
    let mut child = spawn(command, folder, limits).map_err(|error| format!("cannot be run: {error}"))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    // Also when nobody waits for the answer any more.
    let group = Group(group);
    let tail = Tail { bytes: Arc::default(), bytes_max: limits.output_max_bytes };
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A command that does not read what it is told may still have done its work.
            let _ = stdin.write_all(&input).await;
            let _ = stdin.shutdown().await;
        }
    };
    let drain = async {
        let (out, err) = (tail.clone(), tail.clone());
        tokio::join!(
            async {
                if let Some(from) = stdout {
                    out.drain(from).await
                }
            },
            async {
                if let Some(from) = stderr {
                    err.drain(from).await
                }
            },
        )
    };
    let mut drain = Box::pin(drain);
    let ended = {
        // Whoever inherited its input and reads none of it must not be waited for.
        let fed = async {
            feed.await;
            std::future::pending().await
        };
        let wait = async {
            tokio::select! {
                status = child.wait() => status,
                status = fed => status,
            }
        };
        let waited = async {
            let mut wait = Box::pin(wait);
            tokio::select! {
                status = &mut wait => (status, false),
                _ = &mut drain => (wait.await, true),
            }
        };
        timeout(limits.timeout, waited).await
    };
    drop(group);
    let is_drained = matches!(&ended, Ok((_, true)));
    if !is_drained {
        let _ = timeout(LINGER, drain).await;
    }
    match ended {
        Ok((Ok(status), _)) if status.success() => Ok(()),
        Ok((Ok(status), _)) => Err(with_output(&ended_with(status), &tail)),
        Ok((Err(error), _)) => Err(format!("cannot be waited for: {error}")),
        Err(_) => Err(with_output(&format!("did not end within {} and was killed", seconds(limits.timeout)), &tail)),
    }
}

fn spawn(command: &[String], folder: &Path, limits: CommandLimits) -> io::Result<Child> {
    let kib = (limits.memory_max_bytes >> 10).to_string();
    Command::new("/bin/sh")
        .args(["-c", LIMITER, "gate", &kib, &limits.open_files_max.to_string()])
        .args(command)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| PATH.into()))
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

fn ended_with(status: ExitStatus) -> String {
    match status.code() {
        // As the shell tells it.
        Some(126 | 127) => "cannot be run".to_owned(),
        Some(code) => format!("turned it down (exit code {code})"),
        None => format!("did not end by itself ({status})"),
    }
}

fn with_output(what: &str, tail: &Tail) -> String {
    let lines = tail.lines();
    if lines.is_empty() { what.to_owned() } else { format!("{what}:\n{lines}") }
}

/// A process group that ends with this: everything that the command started and that stayed in it.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        // No such group: all of it has ended.
        let _ = self.0.map(|group| kill_process_group(group, Signal::KILL));
    }
}
