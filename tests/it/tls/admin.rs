//! The command line over TLS.

use crate::support::server::ringfence;
use crate::support::tools::need;
use crate::support::{Run, Setup, TestServer, random_bytes};

use super::pki::Ca;

fn start(more: &str) -> (TestServer, Ca) {
    let setup = Setup::new();
    let ca = Ca::new(&setup.root().join("tls"));
    ca.server("server", "ec");
    ca.device("person");
    let table = format!("[admin.tls]\ncertificate = \"tls/server.pem\"\nkey = \"tls/server.key\"\n{more}\n");
    (setup.config(&table).start(), ca)
}

/// A command against the admin listener, as its admin.
fn cli(server: &TestServer, scheme: &str, words: &[&str]) -> Run {
    let mut command = ringfence();
    for name in ["RINGFENCE_CA", "RINGFENCE_CERTIFICATE", "RINGFENCE_KEY"] {
        command.env_remove(name);
    }
    command.env("RINGFENCE_SERVER", format!("{scheme}://{}", server.admin)).env("RINGFENCE_TOKEN", server.token());
    Run::of(command.args(words))
}

#[test]
fn the_server_is_trusted_by_its_ca_or_by_its_configuration() {
    need!("tls::admin::the_server_is_trusted_by_its_ca_or_by_its_configuration", "openssl");
    let (server, ca) = start("");
    let stranger = Ca::new(&server.root().join("stranger"));
    let (known, unknown) = (ca.arg("ca.pem"), stranger.arg("ca.pem"));
    cli(&server, "https", &["status"]).complains(2, &["--ca", "RINGFENCE_CA"]);
    cli(&server, "https", &["status", "--ca", &unknown]).complains(4, &["is not trusted", "UnknownIssuer"]);
    cli(&server, "https", &["status", "--ca", "/no/such"]).complains(3, &["/no/such: it cannot be read"]);
    cli(&server, "http", &["status"]).complains(1, &["https://"]);
    let status = cli(&server, "https", &["status", "--ca", &known, "--json"]).ok().json();
    assert_eq!(status["listeners"]["admin"][0], format!("https://{}", server.admin));
    // The configuration's own certificate, whatever the name: here one that is for another host.
    let config = server.root().join("ringfence.toml").display().to_string();
    cli(&server, "https", &["status", "--config", &config]).ok();

    cli(&server, "https", &["product", "add", "feed", "--class", "intelligence", "--ca", &known]).ok();
    let file = server.root().join("body");
    std::fs::write(&file, random_bytes(5, 30_000_000)).unwrap();
    let artifact = format!("file.bin={}", file.display());
    cli(&server, "https", &["publish", "feed", "1.0", "--artifact", &artifact, "--ca", &known]).ok();
    let list = cli(&server, "https", &["release", "list", "feed", "--ca", &known]).ok();
    assert!(list.stdout.contains("1.0"), "{}", list.stdout);
}

#[test]
fn a_wrong_name_is_not_trusted_and_a_self_made_certificate_is_its_own_ca() {
    need!("tls::admin::a_wrong_name_is_not_trusted_and_a_self_made_certificate_is_its_own_ca", "openssl");
    let setup = Setup::new();
    let ca = Ca::new(&setup.root().join("tls"));
    for (name, host) in [("mine", "IP:127.0.0.1"), ("other", "DNS:elsewhere.example")] {
        let (out, key, names) = (format!("{name}.pem"), format!("{name}.key"), format!("subjectAltName={host}"));
        let words =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x"];
        ca.openssl("", &[&words[..], &["-days", "9", "-addext", &names, "-keyout", &key, "-out", &out]].concat());
    }
    let table = |name: &str| format!("[admin.tls]\ncertificate = \"tls/{name}.pem\"\nkey = \"tls/{name}.key\"\n");
    let mut server = setup.config(&table("mine")).start();
    cli(&server, "https", &["status", "--ca", &ca.arg("mine.pem")]).ok();
    server.stop();
    for end in ["pem", "key"] {
        std::fs::copy(ca.path(&format!("other.{end}")), ca.path(&format!("mine.{end}"))).unwrap();
    }
    server.start_again();
    cli(&server, "https", &["status", "--ca", &ca.arg("other.pem")]).complains(4, &["is not trusted", "127.0.0.1"]);
    // Of the file that the server itself reads no name is asked.
    let config = server.root().join("ringfence.toml").display().to_string();
    cli(&server, "https", &["status", "--config", &config]).ok();
}

#[test]
fn a_required_certificate_is_shown_or_missed_in_words() {
    need!("tls::admin::a_required_certificate_is_shown_or_missed_in_words", "openssl");
    let (server, ca) = start("client_ca = \"tls/ca.pem\"\nclient_certificates = \"required\"");
    let (known, pem, key) = (ca.arg("ca.pem"), ca.arg("person.pem"), ca.arg("person.key"));
    cli(&server, "https", &["status", "--ca", &known]).complains(5, &["--certificate and --key"]);
    cli(&server, "https", &["status", "--ca", &known, "--certificate", &pem]).complains(2, &["needs its key"]);
    let mixed = ["status", "--ca", &known, "--certificate", &pem, "--key", &ca.arg("server.key")];
    cli(&server, "https", &mixed).complains(3, &["server.key: the key is not that of the first certificate in"]);
    cli(&server, "https", &["status", "--ca", &known, "--certificate", &pem, "--key", &key]).ok();
}
