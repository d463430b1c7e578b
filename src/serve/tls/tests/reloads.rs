use std::sync::Arc;

use super::clients::{Server, TLS13, client, relaxed};
use super::pki::Pki;
use super::*;

const RELOADS: &str = "ringfence_serve_certificate_reloads_total";

fn reloads(metrics: &Metrics, result: &str, count: u64) -> bool {
    counts(metrics, &format!(r#"{RELOADS}{{listener="device",result="{result}"}} {count}"#))
}

#[test]
fn changed_files_are_taken_over_once_they_stand_still_and_broken_ones_never() {
    let pki = Pki::new();
    let (tls, metrics) = in_force(&pki.options());
    let first = tls.config();
    tls.look(now());
    assert!(Arc::ptr_eq(&first, &tls.config()), "nothing has changed");

    pki.server("server", |_| {});
    tls.look(now());
    assert!(Arc::ptr_eq(&first, &tls.config()), "they may still be written");
    tls.look(now());
    let second = tls.config();
    assert!(!Arc::ptr_eq(&first, &second));
    assert!(reloads(&metrics, "loaded", 1));

    let key = pki.read("server.key");
    pki.write("server.key", "nonsense");
    tls.look(now());
    tls.look(now());
    // Told once, not at every look.
    tls.look(now());
    assert!(Arc::ptr_eq(&second, &tls.config()));
    assert!(reloads(&metrics, "refused", 1));

    pki.write("server.key", key);
    tls.look(now());
    tls.look(now());
    assert!(Arc::ptr_eq(&second, &tls.config()), "the same bytes again");
    assert!(reloads(&metrics, "loaded", 1));
}

#[test]
fn a_reload_on_request_comes_at_once_and_may_name_other_files() {
    let pki = Pki::new();
    let (tls, metrics) = in_force(&pki.options());
    let first = tls.config();
    tls.reload(None, now());
    assert!(Arc::ptr_eq(&first, &tls.config()));
    pki.server("other", |params| params.not_after = rcgen::date_time_ymd(2070, 1, 1));
    let other = TlsOptions { certificate: pki.path("other.pem"), key: pki.path("other.key"), ..pki.options() };
    tls.reload(Some(other), now());
    assert!(!Arc::ptr_eq(&first, &tls.config()));
    let expiry = r#"ringfence_serve_certificate_expiry_seconds{listener="device"} 3155760000"#;
    assert!(counts(&metrics, expiry));
    tls.reload(Some(TlsOptions { key: pki.path("none"), ..pki.options() }), now());
    assert!(reloads(&metrics, "refused", 1) && counts(&metrics, expiry));
}

#[test]
fn tickets_outlive_a_reload_unless_what_they_rest_on_has_changed() {
    let pki = Pki::new();
    let options = pki.with_clients(true, vec![pki.crl("ca.crl", &[], 2100)]);
    let (tls, _) = in_force(&options);
    let before = tls.config();
    tls.reload(Some(TlsOptions { minimum_version: MinimumVersion::Tls13, ..options.clone() }), now());
    assert!(!Arc::ptr_eq(&before, &tls.config()));
    assert!(Arc::ptr_eq(&before.ticketer, &tls.config().ticketer));
    pki.crl("ca.crl", &[5], 2100);
    tls.reload(None, now());
    assert!(!Arc::ptr_eq(&before.ticketer, &tls.config().ticketer), "a revoked client must not resume");
}

#[tokio::test]
async fn a_revoked_client_does_not_resume_and_running_connections_stay() {
    let pki = Pki::new();
    pki.device("pc-1", |params| params.serial_number = Some(rcgen::SerialNumber::from(9)));
    let options = pki.with_clients(true, vec![pki.crl("ca.crl", &[], 2100)]);
    let server = Server::start(&options, relaxed());
    let config = client(&pki, Some((&pki, "pc-1")), TLS13);
    server.ask(&config, "/1").await.unwrap();
    server.ask(&config, "/1").await.unwrap();
    assert!(server.counts("resumed", 1));
    let (mut reading, mut writing) = tokio::io::split(server.connect(&config).await.unwrap());
    pki.crl("ca.crl", &[9], 2100);
    server.tls.reload(None, now());
    assert!(server.ask(&config, "/1").await.is_err());
    assert!(server.counts("bad_certificate", 1));
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    writing.write_all(b"GET /5 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    reading.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("xxxxx"), "{answer}");
}

#[test]
fn a_reload_that_would_serve_an_expired_certificate_is_refused_where_that_is_wanted() {
    let pki = Pki::new();
    let (tls, metrics) = in_force(&TlsOptions { expired: Expired::Refuse, ..pki.options() });
    let first = tls.config();
    pki.server("server", |params| params.not_after = rcgen::date_time_ymd(2024, 1, 1));
    tls.reload(None, now());
    assert!(Arc::ptr_eq(&first, &tls.config()) && reloads(&metrics, "refused", 1));
}
