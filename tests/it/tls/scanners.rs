//! What scanners of TLS find at the device listener: nothing, but for what the self-made test CA and its localhost bring.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::pki::Ca;
use super::with_device_tls;
use crate::support::tools::need;
use crate::support::{Run, TestServer, is_full_tier, skip};

/// Severities that are no finding. LOW are remarks: no CAA record (localhost has no DNS), no HSTS (no browser's site).
const HARMLESS: [&str; 3] = ["OK", "INFO", "LOW"];
/// Findings that are none of the server's: the test's CA is in no store, and this openssl has no GOST engine.
const OF_THE_TEST: [&str; 3] = ["cert_chain_of_trust", "cert_trust", "engine_problem"];

/// What testssl finds, and the names of all that it looked at. What it finds once and not again is that this machine
/// was busy: what does not answer in time may be a finding, too.
fn testssl(server: &TestServer, ca: &Ca, words: &[&str]) -> (Vec<String>, Vec<String>) {
    let (findings, looked_at) = scan(server, ca, words);
    if findings.is_empty() {
        return (findings, looked_at);
    }
    eprintln!("testssl is run again after {findings:#?}");
    scan(server, ca, words)
}

/// One run of testssl.
fn scan(server: &TestServer, ca: &Ca, words: &[&str]) -> (Vec<String>, Vec<String>) {
    let report = server.root().join("testssl.json");
    // It writes over no report.
    let _ = std::fs::remove_file(&report);
    let mut command = Command::new("testssl");
    command.args(["--openssl", "/usr/bin/openssl", "--warnings", "batch", "--color", "0", "--quiet", "--ip", "one"]);
    command.args(["--add-ca", &ca.arg("ca.pem"), "--jsonfile"]).arg(&report).args(words);
    let run = Run::of(command.arg(format!("https://localhost:{}/", server.device.port())));
    let text = std::fs::read_to_string(&report).unwrap_or_default();
    let found: Vec<Value> =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}\n{}\n{}", run.stdout, run.stderr));
    let word = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let of_the_server = |finding: &&Value| {
        !HARMLESS.contains(&&*word(finding, "severity")) && !OF_THE_TEST.contains(&&*word(finding, "id"))
    };
    let findings = found.iter().filter(of_the_server).map(Value::to_string).collect();
    (findings, found.iter().map(|finding| word(finding, "id")).collect())
}

#[test]
fn testssl_finds_nothing() {
    need!("tls::scanners::testssl_finds_nothing", "testssl", "openssl");
    let (server, ca) = with_device_tls("", |_| {});
    // All of it takes minutes.
    let words: &[&str] = if is_full_tier() { &[] } else { &["-p", "-s", "-P", "--fast"] };
    let (findings, looked_at) = testssl(&server, &ca, words);
    assert!(findings.is_empty(), "{findings:#?}");
    for must in ["TLS1", "TLS1_3", "cipherlist_NULL", "cipher_order"] {
        assert!(looked_at.iter().any(|id| id == must), "testssl did not look at {must}: {looked_at:?}");
    }
}

#[test]
fn testssl_finds_no_vulnerability_with_an_rsa_key() {
    need!("tls::scanners::testssl_finds_no_vulnerability_with_an_rsa_key", "testssl", "openssl");
    let (server, ca) = with_device_tls("", |ca| ca.server("server", "rsa"));
    let words: &[&str] = if is_full_tier() { &[] } else { &["-H", "-R", "-O", "-BB"] };
    let (findings, looked_at) = testssl(&server, &ca, words);
    assert!(findings.is_empty(), "{findings:#?}");
    for must in ["heartbleed", "secure_client_renego", "POODLE_SSL", "ROBOT"] {
        assert!(looked_at.iter().any(|id| id == must), "testssl did not look at {must}: {looked_at:?}");
    }
}

/// Where `./tests/run` installs it.
fn sslyze() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sslyze/bin/sslyze");
    path.is_file().then_some(path)
}

/// The report's moduli of RSA keys are numbers that no JSON reader of Rust takes.
fn without_moduli(text: &str) -> String {
    text.split_inclusive(|c: char| !c.is_ascii_digit()).map(short).collect()
}

/// A run of digits and what ends it; of one longer than any other number the last digit is kept.
fn short(run: &str) -> &str {
    if run.len() > 100 && run.is_ascii() { &run[run.len() - 2..] } else { run }
}

#[test]
fn sslyze_finds_nothing() {
    need!("tls::scanners::sslyze_finds_nothing", "openssl");
    let Some(sslyze) = sslyze() else {
        skip("tls::scanners::sslyze_finds_nothing", "sslyze is not in target/sslyze: ./tests/run fetches it from PyPI");
        return;
    };
    for key in ["ec", "rsa"] {
        let (server, ca) = with_device_tls("", |ca| ca.server("server", key));
        let report = server.root().join("sslyze.json");
        let mut command = Command::new(&sslyze);
        command.arg(format!("--json_out={}", report.display())).args(["--certinfo_ca_file", &ca.arg("ca.pem")]);
        let run = Run::of(command.arg(format!("localhost:{}", server.device.port())));
        let text = std::fs::read_to_string(&report).unwrap_or_else(|_| panic!("{}\n{}", run.stdout, run.stderr));
        let found: Value = serde_json::from_str(&without_moduli(&text)).unwrap();
        let result = |scan: &str| found["server_scan_results"][0]["scan_result"][scan]["result"].clone();
        for old in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"] {
            let accepted = result(&format!("{old}_cipher_suites"))["accepted_cipher_suites"].clone();
            assert_eq!(accepted.as_array().map(Vec::len), Some(0), "{old}: {accepted}");
        }
        for new in ["tls_1_2", "tls_1_3"] {
            let accepted = result(&format!("{new}_cipher_suites"))["accepted_cipher_suites"].clone();
            assert_eq!(accepted.as_array().map(Vec::len), Some(3), "{new}: {accepted}");
        }
        assert_eq!(result("heartbleed")["is_vulnerable_to_heartbleed"], false, "{key}");
        assert_eq!(result("openssl_ccs_injection")["is_vulnerable_to_ccs_injection"], false, "{key}");
        assert_eq!(result("tls_compression")["supports_compression"], false, "{key}");
        assert_eq!(result("session_renegotiation")["is_vulnerable_to_client_renegotiation_dos"], false, "{key}");
        assert_eq!(result("tls_fallback_scsv")["supports_fallback_scsv"], true, "{key}");
        assert_eq!(result("tls_extended_master_secret")["supports_ems_extension"], true, "{key}");
        // Against Mozilla's "intermediate" configuration nothing is left but that the test's CA is in no store.
        let complaints: Vec<&str> = run
            .stdout
            .lines()
            .filter_map(|line| line.trim().strip_prefix("* "))
            .filter(|line| line.contains("_"))
            .collect();
        let of_the_server: Vec<_> =
            complaints.iter().filter(|line| !line.starts_with("certificate_path_validation:")).collect();
        assert!(run.stdout.contains("COMPLIANCE AGAINST TLS CONFIGURATION"), "{}", run.stdout);
        assert!(of_the_server.is_empty(), "{key}: {of_the_server:#?}");
    }
}
