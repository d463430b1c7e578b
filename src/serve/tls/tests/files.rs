use rcgen::date_time_ymd;

use super::pki::Pki;
use super::*;

fn refused(pki: &Pki, options: &TlsOptions) -> String {
    let error = LoadedTls::read(options, now()).unwrap_err().to_string();
    error.replace(&format!("{}/", pki.dir().display()), "")
}

#[test]
fn what_is_wrong_with_a_certificate_or_key_is_said_with_its_file() {
    let pki = Pki::new();
    let good = pki.options();
    let (certificate, key) = (pki.read("server.pem"), pki.read("server.key"));
    pki.server("other", |_| {});
    let with_certificate = |path| TlsOptions { certificate: path, ..good.clone() };
    let with_key = |path| TlsOptions { key: path, ..good.clone() };
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIB\n-----END RSA PRIVATE KEY-----\n";
    let der = rustls_pem::der(&certificate);
    let cases = [
        (with_certificate(pki.path("none.pem")), "none.pem: the file cannot be read: No such file"),
        (
            with_certificate(pki.write("a", der)),
            "a: the file is not PEM (it has no BEGIN line): convert it with `openssl x509 -inform der",
        ),
        (with_certificate(pki.write("b", "")), "b: the file is not PEM"),
        (with_certificate(pki.write("c", &key)), "c: the file holds no certificate: name the one that does"),
        (with_certificate(pki.write("d", [&certificate[..200], b"\n"].concat())), "d: the file is not PEM"),
        (
            with_certificate(pki.write("e", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
            "e: a certificate in the file cannot be used (",
        ),
        (
            with_certificate(pki.path("other.pem")),
            "server.key: the key is not that of the first certificate in other.pem: ",
        ),
        (with_key(pki.path("none.key")), "none.key: the file cannot be read: "),
        (with_key(pki.write("f", encrypted)), "f: the key is encrypted, and nobody is there to decrypt it: "),
        (with_key(pki.write("g", old)), "g: the key is encrypted"),
        (
            with_key(pki.write("h", [&key[..], &pki.read("other.key")[..]].concat())),
            "h: the file holds 2 private keys: ",
        ),
        (with_key(pki.write("i", &certificate)), "i: the file holds no private key: "),
        (
            with_key(pki.write("j", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")),
            "j: the key cannot be used (",
        ),
        (with_key(pki.dir().to_owned()), ": the file cannot be read: Is a directory"),
    ];
    for (options, expected) in cases {
        let message = refused(&pki, &options);
        assert!(message.contains(expected), "{message}\n{expected}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

/// The bytes of the first section.
mod rustls_pem {
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;

    pub(super) fn der(pem: &[u8]) -> Vec<u8> {
        CertificateDer::from_pem_slice(pem).unwrap().to_vec()
    }
}

#[test]
fn what_is_wrong_with_client_cas_and_lists_is_said_with_its_file() {
    let pki = Pki::new();
    let good = pki.crl("good.crl", &[], 2100);
    let broken = pki.write("broken.crl", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
    let message = refused(&pki, &pki.with_clients(true, vec![good.clone(), broken]));
    assert!(message.starts_with("broken.crl: the revocation list cannot be used ("), "{message}");
    let message = refused(&pki, &pki.with_clients(true, vec![pki.path("ca.pem")]));
    assert_eq!(message, "ca.pem: the file holds no revocation list: name the one that does");
    let mut options = pki.with_clients(false, Vec::new());
    if let Some(clients) = &mut options.clients {
        clients.ca = pki.path("server.key");
    }
    assert_eq!(refused(&pki, &options), "server.key: the file holds no certificate: name the one that does");
    let many = pki.read("ca.pem").repeat(1025);
    if let Some(clients) = &mut options.clients {
        clients.ca = pki.write("many.pem", many);
    }
    assert!(refused(&pki, &options).starts_with("many.pem: the file holds more than 1024 of a certificate"));
}

#[test]
fn an_expired_certificate_is_served_with_a_warning_or_refused() {
    let pki = Pki::new();
    pki.server("old", |params| params.not_after = date_time_ymd(2024, 2, 1));
    pki.server("young", |params| params.not_before = date_time_ymd(2090, 2, 1));
    for (name, warning, refusal) in [
        (
            "old",
            "the certificate expired on 2024-02-01T00:00:00Z and is served",
            "the certificate expired on 2024-02-01",
        ),
        ("young", "the certificate is valid only from 2090-02-01T00:00:00Z", "the certificate is valid only from 2090"),
    ] {
        let (certificate, key) = (pki.path(&format!("{name}.pem")), pki.path(&format!("{name}.key")));
        let options = TlsOptions { certificate, key, ..pki.options() };
        let warnings = LoadedTls::read(&options, now()).unwrap().warnings(now());
        assert!(warnings.len() == 1 && warnings[0].contains(warning), "{warnings:?}");
        let message = refused(&pki, &TlsOptions { expired: Expired::Refuse, ..options });
        assert!(message.contains(refusal), "{message}");
    }
}

#[test]
fn what_will_go_wrong_is_warned_of() {
    let pki = Pki::new();
    let loaded = LoadedTls::read(&pki.options(), now()).unwrap();
    assert!(loaded.warnings(now()).is_empty());
    let near = loaded.warnings(loaded.expires_at() - days(3));
    assert!(near.len() == 1 && near[0].contains("in 3 days: renew it"), "{near:?}");

    let overdue = pki.crl("overdue.crl", &[], 2024);
    let stranger = Pki::new();
    pki.write("both.pem", [pki.read("ca.pem"), stranger.read("ca.pem")].concat());
    let loaded = LoadedTls::read(&pki.with_clients(true, vec![overdue]), now()).unwrap();
    let warnings = loaded.warnings(now());
    assert!(
        warnings.len() == 1 && warnings[0].contains("the next revocation list was due on 2024-01-01"),
        "{warnings:?}"
    );
}
