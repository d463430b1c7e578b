//! Who a client certificate proves: a device that enrolled for it, and a person whom the configuration knows.

use std::process::Command;

use serde_json::json;

use super::pki::Ca;
use crate::support::server::ringfence;
use crate::support::tools::need;
use crate::support::{Run, Setup, TestServer};

/// Only tills see anything.
const POLICY: &str = "[approve]\nintelligence = \"auto\"\nplatform = \"auto\"\n\n[[ring]]\nname = \"all\"\n\n\
    [[group]]\nname = \"tills\"\nmatch = { id = \"pos-*\" }\nring = \"all\"\n";

/// Status and body of a request with curl; `identity` names the files of a certificate and its key.
fn curl(ca: &Ca, identity: Option<(&str, &str)>, words: &[&str], url: &str) -> (u16, String) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "30", "--write-out", "\n%{http_code}"]);
    command.args(["--cacert", &ca.arg("ca.pem")]).args(words);
    if let Some((certificate, key)) = identity {
        command.args(["--cert", certificate, "--key", key]);
    }
    let output = Run::of(command.arg(url)).ok().stdout;
    let (body, status) = output.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

fn start_with(tables: &str, files: impl FnOnce(&Ca)) -> (TestServer, Ca) {
    let setup = Setup::new();
    let ca = Ca::new(&setup.root().join("tls"));
    ca.server("server", "ec");
    files(&ca);
    (setup.config(tables).policy(POLICY).start(), ca)
}

#[test]
fn a_device_enrols_over_tls_and_its_certificate_is_its_identity() {
    need!("tls::identity::a_device_enrols_over_tls_and_its_certificate_is_its_identity", "curl", "openssl");
    let tables = "[device.tls]\ncertificate = \"tls/server.pem\"\nkey = \"tls/server.key\"\n\
        client_ca = \"tls/ca.pem\"\nclient_certificates = \"optional\"\n\
        [enrol]\nca_certificate = \"tls/ca.pem\"\nca_key = \"tls/ca.key\"\n";
    let (server, ca) = start_with(tables, |_| {});
    let blob = super::published(&server, b"a feed");
    let (base, authority) = (format!("https://{}", server.device), ca.arg("ca.pem"));
    let (offer, blob) = (format!("{base}/v1/offers/feed"), base.clone() + &blob);
    assert_eq!(curl(&ca, None, &[], &offer).0, 404, "nobody in particular sees nothing");

    let code = server.json(&["device", "enrol", "pos-1"])["code"].as_str().unwrap().to_owned();
    let claim =
        ["device", "claim", &code, "--from", &base, "--ca", &authority, "--key", "d.key", "--certificate", "d.pem"];
    Run::of(ringfence().args(claim).current_dir(server.root())).ok();
    let file = |name: &str| server.root().join(name).display().to_string();
    let (certificate, key) = (file("d.pem"), file("d.key"));
    let device = Some((certificate.as_str(), key.as_str()));
    assert_eq!(curl(&ca, device, &[], &offer).0, 200);
    // The address is one whose header would be believed; the certificate comes first.
    let other = ["--header", "Ringfence-Device: desk-1"];
    assert_eq!(curl(&ca, device, &other, &offer).0, 200);
    assert_eq!(curl(&ca, device, &["--http2"], &blob), (200, "a feed".into()));

    let origin = file("origin.pub");
    let fetch = ["fetch", "feed", "--to", "fetched", "--from", &base, "--ca", &authority, "--key", &origin];
    let identity = ["--certificate", &certificate, "--certificate-key", &key, "--device", "pos-1", "--json"];
    let fetched = Run::of(ringfence().args(fetch).args(identity).current_dir(server.root())).ok().json();
    assert_eq!((&fetched["version"], &fetched["changed"]), (&json!("1.0"), &json!(true)));
    assert!(fetched["verified"].is_object(), "{fetched}");
    assert_eq!(std::fs::read(server.root().join("fetched/file.bin")).unwrap(), b"a feed");

    server.cli(&["device", "deny", "pos-1", "--reason", "stolen"]).ok();
    assert_eq!(curl(&ca, device, &[], &offer).0, 401);
    assert_eq!(curl(&ca, device, &[], &blob).0, 404);
    server.cli(&["device", "allow", "pos-1", "--reason", "found again"]).ok();
    assert_eq!(curl(&ca, device, &[], &offer).0, 200);
}

#[test]
fn a_certificate_of_the_ca_that_names_no_device_proves_nobody() {
    need!("tls::identity::a_certificate_of_the_ca_that_names_no_device_proves_nobody", "curl", "openssl");
    let tables = "[device.tls]\ncertificate = \"tls/server.pem\"\nkey = \"tls/server.key\"\nclient_ca = \"tls/ca.pem\"\n\
        identity = [\"san-dns *.devices.corp\"]\n";
    let (server, ca) = start_with(tables, |ca| ca.device("pos-1"));
    super::published(&server, b"a feed");
    let offer = format!("https://{}/v1/offers/feed", server.device);
    let (certificate, key) = (ca.arg("pos-1.pem"), ca.arg("pos-1.key"));
    // It is not taken for no credential, and the header does not help it.
    let header = ["--header", "Ringfence-Device: pos-1"];
    assert_eq!(curl(&ca, Some((&certificate, &key)), &header, &offer).0, 401);
    assert_eq!(curl(&ca, None, &header, &offer).0, 200);
}

#[test]
fn a_persons_certificate_gives_their_role_and_no_more() {
    need!("tls::identity::a_persons_certificate_gives_their_role_and_no_more", "curl", "openssl");
    let tables = "[admin.tls]\ncertificate = \"tls/server.pem\"\nkey = \"tls/server.key\"\nclient_ca = \"tls/ca.pem\"\n\
        identity = [\"common-name *\"]\n\
        [[person]]\nname = \"ada\"\nrole = \"publisher\"\nproducts = [\"intel-*\"]\n";
    let (server, ca) = start_with(tables, |ca| ["ada", "eve"].into_iter().for_each(|name| ca.device(name)));
    let base = format!("https://{}/v1", server.admin);
    let files = |name: &str| (ca.arg(&format!("{name}.pem")), ca.arg(&format!("{name}.key")));
    let (ada, eve) = (files("ada"), files("eve"));
    let (ada, eve) = (Some((ada.0.as_str(), ada.1.as_str())), Some((eve.0.as_str(), eve.1.as_str())));
    let add = |name: &str| vec!["--json".to_owned(), json!({"name": name, "class": "intelligence"}).to_string()];
    let post = |who, name: &str| {
        let words = add(name);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        curl(&ca, who, &words, &format!("{base}/products"))
    };
    assert_eq!(curl(&ca, ada, &[], &format!("{base}/status")).0, 200);
    assert_eq!(post(ada, "intel-1").0, 201);
    let (status, why) = post(ada, "drivers");
    assert!(status == 403 && why.contains("does not reach product drivers"), "{status} {why}");
    let (status, why) = curl(&ca, ada, &["--request", "POST"], &format!("{base}/store/sweep"));
    assert!(status == 403 && why.contains("the role publisher does not allow this"), "{status} {why}");
    assert_eq!(curl(&ca, eve, &[], &format!("{base}/status")).0, 401, "the CA knows her, the configuration does not");
    assert_eq!(curl(&ca, None, &[], &format!("{base}/status")).0, 401);
    let config = server.root().join("ringfence.toml").display().to_string();
    let journal = Run::of(ringfence().args(["journal", "show", "--json", "--config", &config])).ok().stdout;
    assert!(journal.contains("\"ada\""), "{journal}");
}
