//! System calls that fail or kill, injected into the running server by strace: what could not be made durable is never
//! acknowledged, and a failed fsync ends the process at once.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{TestServer, have, is_full_tier, random_bytes, sha256_hex, skip, wait_until};

/// How long the server may take to end after a failure that must end it: less than the 30 s for which it lets answers
/// finish when it is asked to end.
const PROMPT: Duration = Duration::from_secs(25);
/// How long strace may take to let go of a server.
const LET_GO: Duration = Duration::from_secs(5);

/// strace on a running server; detached when dropped. What it says of every new thread must find an open pipe: a strace
/// that is ended by SIGPIPE injects nothing more.
pub(crate) struct Injection(Child, #[expect(dead_code, reason = "only kept open")] BufReader<ChildStderr>);

impl Injection {
    /// `rule` as strace's `inject=` takes it. `None` where strace is missing or may not trace: said loudly.
    fn attach(test: &str, server: &TestServer, rule: &str) -> Option<Self> {
        Self::attach_to(test, server, rule, None)
    }

    /// The same, for the calls that touch one file alone where one is named.
    pub(crate) fn attach_to(test: &str, server: &TestServer, rule: &str, file: Option<&Path>) -> Option<Self> {
        if !have("strace") {
            skip(test, "strace is not installed");
            return None;
        }
        let calls = rule.split(':').next().unwrap_or(rule);
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &format!("inject={rule}")]);
        if let Some(file) = file {
            command.arg("-P").arg(file);
        }
        command.args(["-p", &server.pid().to_string()]).stderr(Stdio::piped()).stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut said = String::new();
        // It says "attached" once all threads are traced.
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let read = stderr.read_line(&mut said);
        if read.is_err() || !said.contains("attached") {
            skip(test, &format!("strace may not trace: {}", said.trim()));
            let _ = child.wait();
            return None;
        }
        // A thread asleep in a call is woken to be traced from its next one on: strace has it once it is no longer
        // stopped, and that may take its time on a busy machine.
        std::thread::sleep(Duration::from_secs(1));
        wait_until("strace has every thread", || has_every_thread(child.id(), server.pid()).then_some(()));
        Some(Self(child, stderr))
    }
}

/// Whether this process traces all threads of that one, and none is stopped. So are those of a process that has died.
fn has_every_thread(tracer: u32, pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
    let mut statuses = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("status")).ok());
    statuses.all(|status| {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        let is_dead = field("State:").starts_with(['Z', 'X']);
        is_dead || field("TracerPid:") == tracer.to_string() && !field("State:").starts_with('t')
    })
}

impl Drop for Injection {
    fn drop(&mut self) {
        // SIGTERM, so that it detaches; after SIGKILL the kernel does it, too, but may stop threads in between.
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        // If the server dies while its threads are let go of, one after the other, strace waits for it and it for strace.
        let until = Instant::now() + LET_GO;
        while matches!(self.0.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _ = self.0.kill();
                let _ = self.0.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A server with one release, `1.0` of `feed`.
fn server() -> TestServer {
    let server = TestServer::start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    server.as_admin().try_publish("feed", "1.0", &random_bytes(1, 50_000)).unwrap().expect(201);
    server
}

/// Publishes a release while strace interferes: whether it was acknowledged. `None` where strace cannot.
fn publish_under(test: &str, server: &TestServer, rule: &str, version: &str, body: &[u8]) -> Option<bool> {
    let injection = Injection::attach(test, server, rule)?;
    let answer = server.as_admin().try_publish("feed", version, body);
    // A server that must end by itself now does so without being held by strace.
    std::thread::sleep(Duration::from_millis(20));
    drop(injection);
    Some(answer.is_some_and(|answer| matches!(answer.status, 200 | 201)))
}

/// The release may be missing only if it was not acknowledged; it is never there in part; publishing it again succeeds.
fn assert_whole(server: &TestServer, what: &str, version: &str, body: &[u8], was_acknowledged: bool) {
    let offered = server.offered_version("device-1", "feed");
    assert!(offered.as_deref() == Some(version) || !was_acknowledged, "{what}: acknowledged, then lost ({offered:?})");
    let again = server.as_admin().try_publish("feed", version, body).expect("the server lives");
    assert!(matches!(again.status, 200 | 201), "{what}: again: {}\n{}", again.text(), server.log());
    let path = format!("/v1/blobs/sha256:{}", sha256_hex(body));
    assert!(server.get(Some("device-1"), &path).expect(200).body == body, "{what}");
}

fn assert_verified(server: &TestServer) {
    server.cli(&["store", "verify"]).ok();
    server.cli(&["journal", "verify"]).ok();
}

/// Whether the server ends by itself after it refused a release. On a busy machine that takes its time: that it does not
/// is sure only once it takes the release after all.
fn ends_after_refusal(server: &mut TestServer, version: &str, body: &[u8]) -> bool {
    wait_until("the server ends, or takes the release after all", || {
        if server.ends_within(Duration::from_millis(500)) {
            return Some(true);
        }
        let again = server.as_admin().try_publish("feed", version, body);
        again.is_some_and(|answer| matches!(answer.status, 200 | 201)).then_some(false)
    })
}

/// Waits until the server has ended by itself; its exit code.
fn ends_promptly(server: &mut TestServer, what: &str) -> Option<i32> {
    assert!(server.ends_within(PROMPT), "{what}: the server did not end within {PROMPT:?}\n{}", server.log());
    server.wait().code()
}

#[test]
fn a_failed_fsync_is_never_acknowledged_and_ends_the_server() {
    const TEST: &str = "faults::inject::a_failed_fsync_is_never_acknowledged_and_ends_the_server";
    // fdatasync: the journal's lines. fsync: blobs and directories.
    for (call, said) in [("fdatasync", "journal"), ("fsync", "could not be made durable")] {
        let mut server = server();
        let body = random_bytes(2, 50_000);
        let rule = format!("{call}:error=EIO");
        let Some(was_acknowledged) = publish_under(TEST, &server, &rule, "2.0", &body) else { return };
        assert!(!was_acknowledged, "{rule}");
        assert_eq!(ends_promptly(&mut server, call), Some(1), "{}", server.log());
        assert!(server.log().contains(said), "{call}: {}", server.log());
        server.start_again();
        assert_whole(&server, call, "2.0", &body, false);
        assert_verified(&server);
    }
}

#[test]
fn a_report_that_cannot_be_fsynced_is_not_acknowledged() {
    const TEST: &str = "faults::inject::a_report_that_cannot_be_fsynced_is_not_acknowledged";
    let mut server = server();
    let Some(injection) = Injection::attach(TEST, &server, "fdatasync:error=EIO") else { return };
    let report = serde_json::json!({ "id": "r-1", "product": "feed", "version": "1.0", "event": "installed" });
    let headers = [("Ringfence-Device", "device-1"), ("Content-Type", "application/json")];
    let mut request = String::from("POST /v1/reports HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = report.to_string();
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    let answer = crate::support::http::try_raw(server.device, request.as_bytes()).unwrap_or_default();
    let answer = crate::support::http::parse(&answer);
    assert!(answer.as_ref().is_none_or(|answer| answer.status >= 500), "{answer:?}");
    assert_eq!(ends_promptly(&mut server, "reports"), Some(1), "{}", server.log());
    drop(injection);
    server.start_again();
    let answer = crate::support::request(server.device, "POST", "/v1/reports", &headers, body.as_bytes());
    assert!((200..300).contains(&answer.status), "{}", answer.text());
}

/// The system calls of a publish that change the disk, in turn, with the errors of a full and of a failing disk. The
/// server lives, or ends with exit code 1; it is never killed.
#[test]
fn an_error_of_any_call_leaves_all_or_nothing() {
    const TEST: &str = "faults::inject::an_error_of_any_call_leaves_all_or_nothing";
    let mut server = server();
    let calls = ["fallocate", "pwrite64", "fchmod", "mkdir", "linkat", "fsync", "fdatasync"];
    let errors = [("ENOSPC", "1"), ("ENOSPC", "2"), ("EIO", "1+")];
    let rules = calls.iter().flat_map(|call| errors.map(|(error, when)| format!("{call}:error={error}:when={when}")));
    for (number, rule) in (1..).zip(rules) {
        let (version, body) = (format!("1.{number}"), random_bytes(number, 50_000));
        let Some(was_acknowledged) = publish_under(TEST, &server, &rule, &version, &body) else { return };
        if !was_acknowledged && ends_after_refusal(&mut server, &version, &body) {
            assert_eq!(server.wait().code(), Some(1), "{rule}: {}", server.log());
            server.start_again();
        }
        assert_whole(&server, &rule, &version, &body, was_acknowledged);
    }
    assert_verified(&server);
}

/// A kill at the system calls of a publish: at the n-th of each kind in any thread.
#[test]
fn a_kill_at_any_call_leaves_all_or_nothing() {
    const TEST: &str = "faults::inject::a_kill_at_any_call_leaves_all_or_nothing";
    let mut server = server();
    let calls = ["openat", "fallocate", "pwrite64", "fchmod", "mkdir", "linkat", "fsync", "fdatasync", "write"];
    let rounds = if is_full_tier() { 12 } else { 2 };
    let rules = calls.iter().flat_map(|call| (1..=rounds).map(move |when| format!("{call}:signal=KILL:when={when}")));
    let mut killed = 0;
    for (number, rule) in (1..).zip(rules) {
        let (version, body) = (format!("1.{number}"), random_bytes(number, 50_000));
        let Some(was_acknowledged) = publish_under(TEST, &server, &rule, &version, &body) else { return };
        // Who got no answer had it from a server that is being killed: that is over only when all its threads are gone.
        let was_killed = if was_acknowledged { server.is_dead() } else { server.ends_within(PROMPT) };
        killed += u32::from(was_killed);
        server.kill();
        server.try_start_again().unwrap_or_else(|failure| panic!("{rule}: {failure}"));
        assert_whole(&server, &rule, &version, &body, was_acknowledged);
    }
    eprintln!("{TEST}: {killed} kills");
    assert!(killed >= 8, "only {killed} injections killed the server");
    assert_verified(&server);
}
