//! Under a service manager: handed sockets, the watchdog, and the units. A test is the service manager here: it listens,
//! hands its sockets over as systemd does, and hears what the server says.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::http::{parse, request, try_raw};
use crate::support::server::ringfence;
use crate::support::tools::need;
use crate::support::{Run, Setup, TestServer, is_full_tier, skip, wait_until};

/// Puts three sockets where systemd puts them, and becomes the server. The process stays the same.
const HAND_OVER: &str = "exec 3<&0 4<&1 5<&2 </dev/null >/dev/null 2>>\"$LOG\"; export LISTEN_PID=$$; exec \"$@\"";

/// Three listening sockets, which outlive every server.
struct Sockets {
    setup: Setup,
    device: TcpListener,
    admin: TcpListener,
    socket: UnixListener,
}

impl Sockets {
    fn listen() -> Self {
        let setup = Setup::new();
        let path = setup.root().join("handed.sock");
        let socket = UnixListener::bind(&path).unwrap();
        let admin = format!("[admin]\nlisten = \"127.0.0.1:0\"\nsocket = \"{}\"\n", path.display());
        let setup = setup.config(&admin);
        setup.write_files();
        let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
        Self { setup, device: bind(), admin: bind(), socket }
    }

    fn path(&self) -> PathBuf {
        self.setup.root().join("handed.sock")
    }

    fn device(&self) -> SocketAddr {
        self.device.local_addr().unwrap()
    }

    fn admin(&self) -> SocketAddr {
        self.admin.local_addr().unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.setup.root().join("server.log")).unwrap_or_default()
    }

    /// The three in the order of their names `device:admin:admin`.
    fn start(&self, wrapper: &[&str]) -> Service {
        let sockets = [self.device.try_clone().unwrap().into(), self.admin.try_clone().unwrap().into()];
        let [device, admin]: [OwnedFd; 2] = sockets;
        let mut command = self.command(wrapper, "3", "device:admin:admin");
        command.stdin(device).stdout(admin).stderr(OwnedFd::from(self.socket.try_clone().unwrap()));
        Service { child: command.spawn().expect("sh runs") }
    }

    fn command(&self, wrapper: &[&str], count: &str, names: &str) -> Command {
        let server = ringfence();
        let mut command = Command::new("sh");
        command.args(["-c", HAND_OVER, "sh"]).args(wrapper).arg(server.get_program());
        command.args(["serve", "--config"]).arg(self.setup.root().join("ringfence.toml"));
        for (name, value) in server.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("LOG", self.setup.root().join("server.log"));
        command.env("LISTEN_FDS", count).env("LISTEN_FDNAMES", names);
        command
    }

    /// Starts a server that must not start: it ends with exit code 3 and these words.
    fn refused(&self, sockets: [OwnedFd; 3], count: &str, names: &str, words: &[&str]) {
        let before = self.log().len();
        let [first, second, third] = sockets;
        let mut command = self.command(&[], count, names);
        let mut child = command.stdin(first).stdout(second).stderr(third).spawn().expect("sh runs");
        let code = wait(&mut child).code();
        let said = self.log().split_off(before);
        assert_eq!(code, Some(3), "{names}: {said}");
        for word in words {
            assert!(said.contains(word), "{names}: {word:?} is not in {said}");
        }
    }
}

/// A server on handed sockets.
struct Service {
    child: Child,
}

impl Service {
    fn stop(mut self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = wait(&mut self.child);
        assert!(status.success(), "{status}");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait(child: &mut Child) -> std::process::ExitStatus {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > until {
            let _ = child.kill();
            panic!("the server did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn status_over(path: &Path) -> serde_json::Value {
    let mut command = ringfence();
    command.args(["status", "--json", "--server", &format!("unix:{}", path.display())]);
    Run::of(&mut command).ok().json()
}

#[test]
fn a_server_answers_on_the_sockets_that_it_was_handed() {
    let sockets = Sockets::listen();
    let service = sockets.start(&[]);
    // Nobody waits for the start: the connection does.
    request(sockets.device(), "GET", "/healthz", &[], b"").expect(200);
    request(sockets.admin(), "GET", "/v1/status", &[], b"").expect(401);
    // No token: the kernel says who is at the other end of a handed socket, too.
    let status = status_over(&sockets.path());
    for (name, address) in [
        ("device", format!("http://{}", sockets.device())),
        ("admin", format!("http://{}", sockets.admin())),
        ("socket", sockets.path().display().to_string()),
    ] {
        assert_eq!(status["listeners"][name][0], address.as_str(), "{status}");
    }
    assert!(!sockets.setup.root().join("data/admin.sock").exists(), "it binds nothing of its own");
    service.stop();
    assert!(sockets.path().exists(), "the socket belongs to who made it");
}

#[test]
fn other_users_are_refused_on_a_handed_admin_socket() {
    need!("service::other_users_are_refused_on_a_handed_admin_socket", "setpriv", "curl");
    if !rustix::process::geteuid().is_root() {
        return skip("service::other_users_are_refused_on_a_handed_admin_socket", "only root becomes somebody else");
    }
    let sockets = Sockets::listen();
    let _service = sockets.start(&[]);
    status_over(&sockets.path());
    // Even where the socket's mode lets everybody connect.
    use std::os::unix::fs::PermissionsExt as _;
    for path in [sockets.setup.root().parent().unwrap(), sockets.setup.root(), &sockets.path()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-s", "-i", "--unix-socket"]);
    nobody.arg(sockets.path()).arg("http://localhost/v1/status");
    let said = Run::of(&mut nobody).ok().stdout;
    assert!(said.starts_with("HTTP/1.1 401") || said.starts_with("HTTP/1.1 403"), "{said}");
}

#[test]
fn a_restart_refuses_no_connection() {
    let sockets = Sockets::listen();
    let restarts = if is_full_tier() { 30 } else { 3 };
    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let ask = |address| {
        while !done.load(Ordering::Relaxed) {
            // Refused, closed unanswered, or half an answer: all are errors.
            let bytes = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            let answer =
                try_raw(address, bytes).unwrap_or_else(|error| panic!("not answered: {error}\n{}", sockets.log()));
            let answer = parse(&answer).unwrap_or_else(|| panic!("closed unanswered\n{}", sockets.log()));
            assert_eq!(answer.status, 200);
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    let mut service = sockets.start(&[]);
    request(sockets.device(), "GET", "/healthz", &[], b"").expect(200);
    // Kept until the last client has its answer.
    let _last = std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| ask(sockets.device()));
        }
        for _ in 0..restarts {
            std::thread::sleep(Duration::from_millis(200));
            let before = answered.load(Ordering::Relaxed);
            wait_until("answers", || (answered.load(Ordering::Relaxed) > before + 8).then_some(()));
            service.stop();
            // Connected while no server is there, answered by the next one.
            let waiting = TcpStream::connect(sockets.device()).unwrap();
            std::thread::sleep(Duration::from_millis(100));
            service = sockets.start(&[]);
            answer_on(waiting);
        }
        done.store(true, Ordering::Relaxed);
        service
    });
    let answered = answered.into_inner();
    eprintln!("{restarts} restarts: {answered} requests, all answered");
    assert!(answered > restarts * 8, "{answered}");
}

fn answer_on(mut stream: TcpStream) {
    use std::io::{Read as _, Write as _};
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(parse(&answer).expect("an answer").status, 200);
}

#[test]
fn sockets_that_do_not_fit_are_refused_with_what_to_do() {
    let sockets = Sockets::listen();
    let tcp = || OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
    let unix = || OwnedFd::from(sockets.socket.try_clone().unwrap());
    let null = || OwnedFd::from(File::open("/dev/null").unwrap());
    let connected = || OwnedFd::from(TcpStream::connect(sockets.device()).unwrap());
    let refused = |fds, count, names, words: &[&str]| sockets.refused(fds, count, names, words);
    refused([tcp(), null(), null()], "1", "device", &["none for admin"]);
    refused([tcp(), unix(), null()], "2", "admin:admin", &["none for device"]);
    refused([tcp(), tcp(), tcp()], "3", "device:admin:device", &["two sockets for device"]);
    refused([tcp(), tcp(), null()], "2", "device:metrics", &["\"metrics\"", "FileDescriptorName="]);
    refused([tcp(), tcp(), null()], "2", "", &["FileDescriptorName="]);
    refused([unix(), tcp(), null()], "2", "device:admin", &["must be a TCP socket"]);
    refused([tcp(), tcp(), tcp()], "3", "device:admin:admin-socket", &["must be a unix socket"]);
    refused([null(), tcp(), null()], "2", "device:admin", &["not a socket"]);
    refused([connected(), tcp(), null()], "2", "device:admin", &["does not listen"]);
    refused([tcp(), tcp(), null()], "4000", "device:admin", &["4000 sockets"]);
}

/// What a service manager hears.
struct Heard {
    socket: UnixDatagram,
}

impl Heard {
    /// Listens at a path.
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket }
    }

    /// Everything that was said since the last call, in words of a line each.
    fn so_far(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            words.extend(String::from_utf8_lossy(&buffer[..length]).lines().map(str::to_owned));
        }
        words
    }

    /// Waits until so many of these words were said: everything that was said until then.
    fn until(&self, word: &str, count: usize) -> Vec<String> {
        let mut words = Vec::new();
        wait_until(word, || {
            words.extend(self.so_far());
            (words.iter().filter(|said| *said == word).count() >= count).then_some(())
        });
        words
    }
}

const READY: &str = "READY=1";
const WATCHDOG: &str = "WATCHDOG=1";
const STOPPING: &str = "STOPPING=1";

#[test]
fn the_watchdog_is_petted_only_while_the_server_answers() {
    let mut server = TestServer::start();
    assert!(server.stop().success());
    let path = server.root().join("notify.sock");
    let heard = Heard::at(&path);
    server.set_env("NOTIFY_SOCKET", path.to_str().unwrap());
    server.start_again();
    assert_eq!(heard.until(READY, 1), [READY]);
    std::thread::sleep(Duration::from_millis(800));
    assert_eq!(heard.so_far(), [""; 0], "nobody asked for a watchdog");
    // What it said at its end is there once it has ended.
    assert!(server.stop().success());
    assert_eq!(heard.so_far(), [STOPPING]);

    // Every 200 ms, and not at once where some were late.
    server.set_env("WATCHDOG_USEC", "600000");
    let begun = Instant::now();
    server.start_again();
    let words = heard.until(WATCHDOG, 8);
    let petted = words.iter().filter(|word| *word == WATCHDOG).count();
    assert!(words.iter().any(|word| word == READY), "{words:?}");
    let most = begun.elapsed().as_millis() / 200 + 2;
    assert!(petted as u128 <= most, "{petted} times, at most {most} are wanted: {words:?}");

    // The admin socket cannot be reached any more: the server runs, and does not work.
    let (socket, away) = (server.data().join("admin.sock"), server.data().join("away.sock"));
    let is_failing = || {
        let log = server.log();
        log.rfind("the server does not work") > log.rfind("the server answers again")
    };
    fs::rename(&socket, &away).unwrap();
    wait_until("a look that fails", || is_failing().then_some(()));
    // One that had begun before, on a machine so busy that another had failed, is over by then.
    std::thread::sleep(Duration::from_millis(400));
    heard.so_far();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(heard.so_far(), [""; 0]);
    server.get(None, "/healthz").expect(200);
    fs::rename(&away, &socket).unwrap();
    heard.until(WATCHDOG, 3);

    assert!(server.stop().success());
    let words = heard.so_far();
    let end = words.iter().position(|word| word == STOPPING).expect("the end is announced");
    assert_eq!(words.len(), end + 1, "nothing after it: {words:?}");
}

#[test]
fn a_server_without_a_network_serves_devices_and_pets_its_watchdog() {
    need!("service::a_server_without_a_network_serves_devices_and_pets_its_watchdog", "unshare");
    let name = "service::a_server_without_a_network_serves_devices_and_pets_its_watchdog";
    if !Command::new("unshare").args(["-n", "true"]).status().is_ok_and(|status| status.success()) {
        return skip(name, "no network namespaces here");
    }
    let sockets = Sockets::listen();
    let path = sockets.setup.root().join("notify.sock");
    let heard = Heard::at(&path);
    // As PrivateNetwork=yes does.
    let notify = format!("NOTIFY_SOCKET={}", path.display());
    let service = sockets.start(&["unshare", "-n", "env", &notify, "WATCHDOG_USEC=600000"]);
    request(sockets.device(), "GET", "/healthz", &[], b"").expect(200);
    heard.until(WATCHDOG, 3);
    service.stop();
}

/// The units with the binary of this build, in a directory of their own.
fn units() -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for entry in fs::read_dir("systemd").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "service" || kind == "socket") {
            let text = fs::read_to_string(&path).unwrap();
            let copy = dir.path().join(path.file_name().unwrap());
            fs::write(&copy, text.replace("/usr/bin/ringfence", env!("CARGO_BIN_EXE_ringfence"))).unwrap();
            paths.push(copy);
        }
    }
    assert_eq!(paths.len(), 5, "{paths:?}");
    (dir, paths)
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    need!("service::systemd_finds_nothing_wrong_with_the_units", "systemd-analyze");
    let (_dir, paths) = units();
    let verified = Run::of(Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&paths)).ok();
    assert_eq!(verified.stderr.trim(), "");
}

#[test]
fn every_unit_is_sandboxed() {
    need!("service::every_unit_is_sandboxed", "systemd-analyze");
    let (dir, _) = units();
    // Exposure in tenths: 0.5 for the server, 1.5 for what calls out.
    for (unit, most) in [("ringfence", 5), ("ringfence-stager", 15), ("ringfence-mirror", 15)] {
        let analyze = |threshold: u32| {
            let mut command = Command::new("systemd-analyze");
            command.args(["security", "--offline=true", "--no-pager", &format!("--threshold={threshold}")]);
            Run::of(command.arg(dir.path().join(format!("{unit}.service"))).stdin(Stdio::null()))
        };
        let exposure = analyze(most).ok();
        eprintln!("{unit}: {}", exposure.stdout.lines().last().unwrap_or_default());
        assert_ne!(analyze(0).code, 0, "the threshold is looked at");
    }
}
