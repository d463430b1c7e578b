//! Real clients over TLS: curl, `openssl s_client`, Python.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::pki::Ca;
use super::{handshakes, published, with_device_tls};
use crate::support::tools::need;
use crate::support::{Run, TestServer, random_bytes, request, sha256_hex, skip};

fn curl(server: &TestServer, ca: &Ca, path: &str) -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--max-time", "120", "--header", "Ringfence-Device: pc-1"]);
    command.args(["--cacert", &ca.arg("ca.pem")]).arg(format!("https://{}{path}", server.device));
    command
}

#[test]
fn curl_downloads_over_both_versions_and_both_protocols() {
    need!("tls::clients::curl_downloads_over_both_versions_and_both_protocols", "curl", "openssl");
    let body = random_bytes(1, 20_000_000);
    for key in ["ec", "rsa"] {
        let (server, ca) = with_device_tls("", |ca| ca.server("server", key));
        let path = published(&server, &body);
        for version in [&["--tlsv1.2", "--tls-max", "1.2"][..], &["--tlsv1.3"]] {
            for (protocol, spoken) in [("--http1.1", "1.1"), ("--http2", "2")] {
                let file = server.root().join("got");
                let mut command = curl(&server, &ca, &path);
                command.args(version).args([
                    protocol,
                    "--write-out",
                    "%{http_version} %{ssl_verify_result}",
                    "--output",
                ]);
                let run = Run::of(command.arg(&file)).ok();
                assert_eq!(run.stdout, format!("{spoken} 0"), "{key} {version:?}");
                assert!(std::fs::read(&file).unwrap() == body, "{key} {version:?} {protocol}");
            }
        }
        let range = Run::of(curl(&server, &ca, &path).args([
            "--range",
            "5-9",
            "--write-out",
            "%{http_code}",
            "--output",
            "/dev/null",
        ]));
        assert_eq!(range.ok().stdout, "206");
        let old = Run::of(curl(&server, &ca, &path).args([
            "--tlsv1.0",
            "--tls-max",
            "1.1",
            "--ciphers",
            "DEFAULT@SECLEVEL=0",
        ]));
        assert_eq!(old.code, 35, "{}", old.stderr);
    }
}

#[test]
fn plain_http_to_the_tls_port_is_told_so_and_the_status_says_https() {
    need!("tls::clients::plain_http_to_the_tls_port_is_told_so_and_the_status_says_https", "openssl");
    let (server, _) = with_device_tls("", |_| {});
    let answer = request(server.device, "GET", "/v1/offers/feed", &[], b"").expect(400);
    assert!(answer.text().contains("TLS"), "{}", answer.text());
    assert_eq!(handshakes(&server, "plain_http"), 1);
    let status = server.json(&["status"]);
    assert_eq!(status["listeners"]["device"][0], format!("https://{}", server.device));
    assert_eq!(status["listeners"]["admin"][0], format!("http://{}", server.admin));
}

/// Runs `openssl s_client` with these words; it sends a request and reads until the server closes.
fn s_client(server: &TestServer, ca: &Ca, words: &[&str]) -> Run {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-ign_eof", "-CAfile", &ca.arg("ca.pem"), "-verify_return_error", "-connect"]);
    command.arg(server.device.to_string()).args(words);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"GET /v1/offers/none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let output = child.wait_with_output().unwrap();
    drop(input);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut run = Run::of(&mut Command::new("true"));
    (run.stdout, run.stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(run.stdout.contains("HTTP/1.1 404"), "{}\n{}", run.stdout, run.stderr);
    run
}

#[test]
fn openssl_gets_one_ticket_and_resumes_with_it() {
    need!("tls::clients::openssl_gets_one_ticket_and_resumes_with_it", "openssl");
    let (server, ca) = with_device_tls("", |_| {});
    for version in ["-tls1_3", "-tls1_2"] {
        let session = ca.arg(&format!("session{version}"));
        let first = s_client(&server, &ca, &[version, "-sess_out", &session]);
        assert!(first.stdout.contains("New, TLSv1."), "{}", first.stdout);
        if version == "-tls1_3" {
            assert_eq!(
                first.stdout.matches("Post-Handshake New Session Ticket arrived").count(),
                1,
                "{}",
                first.stdout
            );
            assert!(first.stdout.contains("Max Early Data: 0"), "{}", first.stdout);
        }
        let again = s_client(&server, &ca, &[version, "-sess_in", &session]);
        assert!(again.stdout.contains("Reused, TLSv1."), "{}", again.stdout);
    }
    assert_eq!((handshakes(&server, "full"), handshakes(&server, "resumed")), (2, 2));
}

#[test]
fn openssl_chooses_the_hybrid_group() {
    const NAME: &str = "tls::clients::openssl_chooses_the_hybrid_group";
    need!("tls::clients::openssl_chooses_the_hybrid_group", "openssl");
    let version = Run::of(Command::new("openssl").arg("version")).ok().stdout;
    let numbers: Vec<u32> = version.split([' ', '.']).skip(1).map_while(|part| part.parse().ok()).collect();
    if numbers < vec![3, 5] {
        skip(NAME, &format!("{} knows no ML-KEM; 3.5 does", version.trim()));
        return;
    }
    let (server, ca) = with_device_tls("", |_| {});
    let run = s_client(&server, &ca, &["-tls1_3", "-groups", "X25519MLKEM768:X25519"]);
    assert!(run.stdout.contains("X25519MLKEM768"), "{}", run.stdout);
}

const PYTHON: &str = "
import hashlib, http.client, ssl, sys
host, port, path, ca = sys.argv[1:5]
for least, most in [('TLSv1_2', 'TLSv1_2'), ('TLSv1_3', 'TLSv1_3')]:
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion[least]
    context.maximum_version = ssl.TLSVersion[most]
    context.set_alpn_protocols(['http/1.1'])
    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=60)
    for _ in range(2):
        connection.request('GET', path, headers={'Ringfence-Device': 'pc-1'})
        answer = connection.getresponse()
        digest = hashlib.sha256(answer.read()).hexdigest()
        print(answer.status, connection.sock.version(), connection.sock.selected_alpn_protocol(), digest)
";

#[test]
fn python_downloads_twice_over_one_connection() {
    need!("tls::clients::python_downloads_twice_over_one_connection", "openssl", "python3");
    let (server, ca) = with_device_tls("", |_| {});
    let body = random_bytes(2, 3_000_000);
    let path = published(&server, &body);
    let (host, port) = (server.device.ip().to_string(), server.device.port().to_string());
    let run = Run::of(Command::new("python3").args(["-c", PYTHON, &host, &port, &path, &ca.arg("ca.pem")])).ok();
    let line = |version: &str| format!("200 {version} http/1.1 {}\n", sha256_hex(&body));
    assert_eq!(run.stdout, line("TLSv1.2").repeat(2) + &line("TLSv1.3").repeat(2));
}
