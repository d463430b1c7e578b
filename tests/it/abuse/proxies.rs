//! The same requests through nginx and haproxy, which keep their connections to the server: the answer that a marker
//! gets is always the marker's own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

use super::feed;
use super::smuggling::{SMUGGLED, corpus};
use crate::support::{TestServer, have, request, skip};

/// A proxy in front of the server. Dropping it ends it.
struct Front {
    child: Child,
    address: SocketAddr,
    _port: TcpSocket,
    _dir: tempfile::TempDir,
}

/// A port that only a proxy of ours can listen on: it is kept bound, which who binds it with SO_REUSEPORT, too, is not
/// hindered by. A port that is let go of first may be another test's a moment later.
fn free_port() -> (TcpSocket, SocketAddr) {
    let port = TcpSocket::new_v4().unwrap();
    port.set_reuseport(true).unwrap();
    port.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = port.local_addr().unwrap();
    (port, address)
}

impl Front {
    fn start(mut command: Command, (port, address): (TcpSocket, SocketAddr), dir: tempfile::TempDir) -> Self {
        let log = std::fs::File::create(dir.path().join("out")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let front = Self { child, address, _port: port, _dir: dir };
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(address).is_err() {
            let log = std::fs::read_to_string(front._dir.path().join("out")).unwrap_or_default();
            assert!(Instant::now() < until, "the proxy does not listen\n{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
        front
    }

    fn nginx(server: &TestServer) -> Self {
        let (dir, (port, address)) = (tempfile::tempdir().unwrap(), free_port());
        let place = dir.path().display();
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let config = format!(
            "{user} daemon off; worker_processes 1; pid {place}/pid; error_log {place}/log;\n\
             events {{ worker_connections 256; }}\n\
             http {{ access_log off; client_body_temp_path {place}/t1; proxy_temp_path {place}/t2;\n\
             fastcgi_temp_path {place}/t3; uwsgi_temp_path {place}/t4; scgi_temp_path {place}/t5;\n\
             upstream ringfence {{ server {}; keepalive 1; }}\n\
             server {{ listen {address} reuseport; location / {{ proxy_pass http://ringfence; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_request_buffering off; }} }} }}\n",
            server.device
        );
        let file = write(dir.path(), &config);
        let mut command = Command::new("nginx");
        command.arg("-c").arg(file).arg("-p").arg(dir.path());
        Self::start(command, (port, address), dir)
    }

    fn haproxy(server: &TestServer) -> Self {
        let (dir, (port, address)) = (tempfile::tempdir().unwrap(), free_port());
        let config = format!(
            "global\n  maxconn 256\n  nbthread 1\n\
             defaults\n  mode http\n  timeout client 5s\n  timeout server 20s\n  timeout connect 20s\n  timeout http-request 2s\n\
             \x20 http-reuse always\n\
             frontend front\n  bind {address}\n  default_backend back\n\
             backend back\n  server one {} pool-max-conn 1\n",
            server.device
        );
        let file = write(dir.path(), &config);
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(file);
        Self::start(command, (port, address), dir)
    }
}

fn write(dir: &Path, config: &str) -> std::path::PathBuf {
    let file = dir.join("conf");
    std::fs::write(&file, config).unwrap();
    file
}

impl Drop for Front {
    fn drop(&mut self) {
        // A master ends its workers on SIGTERM; a kill would leave them behind.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

/// Sends bytes and takes what comes within a short time: how a hostile client would leave the proxy.
fn attack(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(60))).unwrap();
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut chunk = [0; 8192];
    while let Ok(length @ 1..) = stream.read(&mut chunk) {
        answer.extend_from_slice(&chunk[..length]);
    }
    answer
}

fn no_desync(server: &TestServer, front: &Front, name: &str) {
    let marker = |case: &str| {
        let answer = request(front.address, "GET", "/healthz", &[], b"");
        assert!(
            answer.status == 200 && answer.body == b"ok\n",
            "{name}, after {case}: {}\n{}",
            answer.head,
            answer.text()
        );
    };
    marker("nothing");
    // A request that swallows the start of whatever comes next on the same connection to the server.
    let swallow = "GET /smuggled HTTP/1.1\r\nHost: x\r\nX: ";
    let mut passed = 0;
    for case in corpus() {
        for behind in ["", SMUGGLED, swallow] {
            let answers = attack(front.address, &[&case.bytes, behind.as_bytes()].concat());
            passed += usize::from(!answers.starts_with(b"HTTP/1.1 400"));
            for _ in 0..2 {
                marker(case.name);
            }
        }
    }
    eprintln!("{name}: {passed} of {} requests were not refused by it or by us", corpus().len() * 3);
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[test]
fn behind_nginx_each_answer_belongs_to_its_request() {
    if !have("nginx") {
        return skip("abuse::proxies::behind_nginx_each_answer_belongs_to_its_request", "nginx is not installed");
    }
    let (server, _) = feed("", 100);
    no_desync(&server, &Front::nginx(&server), "nginx");
}

#[test]
fn behind_haproxy_each_answer_belongs_to_its_request() {
    if !have("haproxy") {
        return skip("abuse::proxies::behind_haproxy_each_answer_belongs_to_its_request", "haproxy is not installed");
    }
    let (server, _) = feed("", 100);
    no_desync(&server, &Front::haproxy(&server), "haproxy");
}
