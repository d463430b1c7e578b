//! Client certificates: who passes the handshake, and who does not.

use std::process::Command;

use super::pki::Ca;
use super::{handshakes, with_device_tls};
use crate::support::tools::need;
use crate::support::{Run, TestServer, wait_until};

/// Asks with a client certificate, or without.
fn ask(server: &TestServer, ca: &Ca, identity: Option<(&Ca, &str)>, version: &str) -> Run {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "30", "--write-out", "%{http_code}", "--tls-max", version]);
    if let Some((owner, name)) = identity {
        command.args(["--cert", &owner.arg(&format!("{name}.pem")), "--key", &owner.arg(&format!("{name}.key"))]);
    }
    command.args(["--cacert", &ca.arg("ca.pem")]).arg(format!("https://{}/v1/offers/none", server.device));
    Run::of(&mut command)
}

const CLIENTS: &str = "client_ca = \"tls/ca.pem\"\nclient_crl = [\"tls/ca.crl\"]\nclient_certificates = ";

fn devices(ca: &Ca) {
    ca.device("good");
    ca.device("revoked");
    ca.device_as("expired", "client", &["-startdate", "20230101000000Z", "-enddate", "20240101000000Z"]);
    ca.device_as("early", "client", &["-startdate", "20900101000000Z", "-enddate", "20910101000000Z"]);
    ca.device_as("wrong-eku", "server", &[]);
    ca.crl(&["revoked"]);
}

#[test]
fn expired_revoked_misused_and_foreign_certificates_do_not_pass() {
    need!("tls::certificates::expired_revoked_misused_and_foreign_certificates_do_not_pass", "curl", "openssl");
    for rule in ["\"required\"", "\"optional\""] {
        let (server, ca) = with_device_tls(&format!("{CLIENTS}{rule}"), devices);
        let stranger = Ca::new(&server.root().join("stranger"));
        stranger.device("foreign");
        for version in ["1.2", "1.3"] {
            ask(&server, &ca, Some((&ca, "good")), version).ok();
            for name in ["revoked", "expired", "early", "wrong-eku"] {
                let run = ask(&server, &ca, Some((&ca, name)), version);
                assert!(run.code != 0 && run.stdout == "000", "{rule} {version} {name}: {}", run.stdout);
            }
            let run = ask(&server, &ca, Some((&stranger, "foreign")), version);
            assert!(run.code != 0 && run.stdout == "000", "{rule} {version} foreign: {}", run.stdout);
            let without = ask(&server, &ca, None, version);
            assert_eq!(without.code == 0, rule == "\"optional\"", "{rule} {version}: {}", without.stderr);
        }
        // A client is told before it is counted.
        wait_until("every refusal is counted", || (handshakes(&server, "bad_certificate") >= 10).then_some(()));
        assert_eq!(handshakes(&server, "bad_certificate"), 10);
        let missing = if rule == "\"required\"" { 2 } else { 0 };
        wait_until("every refusal is counted", || (handshakes(&server, "no_certificate") >= missing).then_some(()));
        assert_eq!(handshakes(&server, "no_certificate"), missing);
    }
}

#[test]
fn what_is_revoked_while_the_server_runs_passes_no_more() {
    need!("tls::certificates::what_is_revoked_while_the_server_runs_passes_no_more", "curl", "openssl");
    let (server, ca) = with_device_tls(&format!("{CLIENTS}\"required\""), devices);
    ask(&server, &ca, Some((&ca, "good")), "1.3").ok();
    ca.crl(&["good"]);
    server.signal(rustix::process::Signal::HUP);
    wait_until("nobody is let in", || (ask(&server, &ca, Some((&ca, "good")), "1.3").code != 0).then_some(()));
}
