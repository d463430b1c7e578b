//! Files that are wrong: at the start, at a check, and while the server runs.

use std::time::Duration;

use super::pki::Ca;
use super::{figure, reloads, with_device_tls};
use crate::support::server::ringfence;
use crate::support::tools::need;
use crate::support::{Run, Setup, wait_until};

fn setup(table: &str, files: impl FnOnce(&Ca)) -> Setup {
    let setup = Setup::new();
    let ca = Ca::new(&setup.root().join("tls"));
    ca.server("server", "ec");
    files(&ca);
    setup.config(&format!("[device.tls]\n{table}\n"))
}

const PAIR: &str = "certificate = \"tls/server.pem\"\nkey = \"tls/server.key\"\n";

/// A table, what is done to the files, and the words of the complaint.
type Case<'c> = (&'c str, &'c dyn Fn(&Ca), &'c [&'c str]);

#[test]
fn wrong_files_are_refused_by_the_check_and_by_the_start() {
    need!("tls::files::wrong_files_are_refused_by_the_check_and_by_the_start", "openssl");
    let encrypt = |ca: &Ca| {
        ca.openssl("", &["pkey", "-in", "server.key", "-aes256", "-passout", "pass:secret", "-out", "locked.key"]);
    };
    let der = |ca: &Ca| {
        ca.openssl("", &["x509", "-in", "server.pem", "-outform", "der", "-out", "server.der"]);
    };
    let none = |_: &Ca| {};
    let with_crl = format!("{PAIR}client_ca = \"tls/ca.pem\"\nclient_crl = [\"tls/ca.key\"]\n");
    let cases: [Case<'_>; 5] = [
        (
            "certificate = \"tls/none.pem\"\nkey = \"tls/server.key\"\n",
            &none,
            &["device.tls: ", "tls/none.pem: the file cannot be read"],
        ),
        (
            "certificate = \"tls/server.pem\"\nkey = \"tls/ca.key\"\n",
            &none,
            &["tls/ca.key: the key is not that of the first certificate in "],
        ),
        (&PAIR.replace("server.key", "locked.key"), &encrypt, &["tls/locked.key: the key is encrypted"]),
        (
            &PAIR.replace("server.pem", "server.der"),
            &der,
            &["tls/server.der: the file is not PEM", "openssl x509 -inform der"],
        ),
        (&with_crl, &none, &["tls/ca.key: the file holds no revocation list"]),
    ];
    for (table, files, words) in cases {
        let setup = setup(table, files);
        setup.write_files();
        let config = setup.root().join("ringfence.toml");
        Run::of(ringfence().args(["check-config", "--config"]).arg(config)).complains(3, words);
        setup.start_and_fail().complains(3, words);
    }
}

#[test]
fn an_expired_certificate_is_served_loudly_or_refused() {
    need!("tls::files::an_expired_certificate_is_served_loudly_or_refused", "openssl");
    let expired =
        |ca: &Ca| ca.issue("server", "server", &["-startdate", "20230101000000Z", "-enddate", "20240101000000Z"]);
    let refusing = setup(&format!("{PAIR}expired = \"refuse\"\n"), expired);
    refusing.start_and_fail().complains(3, &["server.pem: the certificate expired on 2024-01-01T00:00:00Z"]);
    let serving = setup(PAIR, expired).start();
    let ends = figure(&serving, "ringfence_serve_certificate_expiry_seconds{listener=\"device\"}");
    assert_eq!(ends, 1_704_067_200);
    let warning = "the certificate expired on 2024-01-01T00:00:00Z and is served";
    assert!(serving.log().contains(warning), "{}", serving.log());
}

#[test]
fn broken_files_leave_what_is_in_force() {
    need!("tls::files::broken_files_leave_what_is_in_force", "openssl");
    let (server, ca) = with_device_tls("", |_| {});
    let shown = |server: &crate::support::TestServer| {
        let mut command = std::process::Command::new("openssl");
        command.args(["s_client", "-showcerts", "-connect"]).arg(server.device.to_string());
        let text = Run::of(command.stdin(std::process::Stdio::null())).stdout;
        text.lines()
            .skip_while(|line| !line.contains("BEGIN"))
            .take_while(|line| !line.contains("END"))
            .collect::<String>()
    };
    let before = shown(&server);
    assert!(before.contains("BEGIN CERTIFICATE"), "{before}");
    let key = std::fs::read(ca.path("server.key")).unwrap();
    std::fs::write(ca.path("server.key"), "nonsense").unwrap();
    wait(&server, "refused");
    assert_eq!(shown(&server), before);
    // The file stays as it is: it is not told again and again.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(server.log().matches("the changed TLS files are not taken").count(), 1, "{}", server.log());
    std::fs::write(ca.path("server.key"), key).unwrap();
    ca.issue("server", "server", &[]);
    wait(&server, "loaded");
    assert_ne!(shown(&server), before);
}

/// Waits until a reload is counted.
fn wait(server: &crate::support::TestServer, result: &str) {
    wait_until(&format!("a reload that is {result}"), || (reloads(server, result) > 0).then_some(()));
}
