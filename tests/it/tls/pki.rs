//! A CA made with the `openssl` command, as an administrator would make one.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Run;

const CONFIGURATION: &str = "
[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
serial = serial
crlnumber = crlnumber
default_md = sha256
default_days = 365
default_crl_days = 30
policy = any
unique_subject = no
certificate = ca.pem
private_key = ca.key
[any]
commonName = supplied
[req]
distinguished_name = dn
[dn]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost,IP:127.0.0.1
crlDistributionPoints = URI:http://127.0.0.1:1/ca.crl
authorityKeyIdentifier = keyid
[client]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
subjectAltName = URI:urn:ringfence:device:$ENV::NAME
authorityKeyIdentifier = keyid
";

/// A CA in a directory: `ca.pem`, `ca.key`, and what it issues as `NAME.pem` and `NAME.key`.
pub(super) struct Ca {
    dir: PathBuf,
}

impl Ca {
    pub(super) fn new(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let ca = Self { dir: dir.to_owned() };
        std::fs::write(ca.path("ca.cnf"), CONFIGURATION).unwrap();
        std::fs::write(ca.path("index.txt"), "").unwrap();
        std::fs::write(ca.path("serial"), "1000\n").unwrap();
        std::fs::write(ca.path("crlnumber"), "01\n").unwrap();
        ca.key("ca", "ec");
        let subject = format!("/CN=Ringfence test CA {}", dir.display().to_string().replace('/', "-"));
        ca.openssl(
            "ca",
            &[
                "req",
                "-x509",
                "-new",
                "-config",
                "ca.cnf",
                "-extensions",
                "authority",
                "-key",
                "ca.key",
                "-subj",
                &subject,
                "-days",
                "365",
                "-out",
                "ca.pem",
            ],
        );
        ca
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A file's path as an argument.
    pub(super) fn arg(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A server's certificate for localhost, with an `ec` or `rsa` key.
    pub(super) fn server(&self, name: &str, key: &str) {
        self.key(name, key);
        self.issue(name, "server", &[]);
    }

    /// A device's certificate.
    pub(super) fn device(&self, name: &str) {
        self.device_as(name, "client", &[]);
    }

    /// One with other extensions, or dates.
    pub(super) fn device_as(&self, name: &str, extensions: &str, more: &[&str]) {
        self.key(name, "ec");
        self.issue(name, extensions, more);
    }

    /// Writes `ca.crl`, with these certificates revoked since now.
    pub(super) fn crl(&self, revoked: &[&str]) {
        for name in revoked {
            self.openssl(name, &["ca", "-batch", "-config", "ca.cnf", "-revoke", &format!("{name}.pem")]);
        }
        self.openssl("crl", &["ca", "-batch", "-config", "ca.cnf", "-gencrl", "-out", "ca.crl"]);
    }

    fn key(&self, name: &str, kind: &str) {
        let out = format!("{name}.key");
        let how: &[&str] = match kind {
            "ec" => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            _ => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        };
        self.openssl(name, &[&["genpkey", "-out", &out][..], how].concat());
    }

    /// Issues again with the same key, or for the first time.
    pub(super) fn issue(&self, name: &str, extensions: &str, more: &[&str]) {
        let [key, request, out] = ["key", "csr", "pem"].map(|end| format!("{name}.{end}"));
        let subject = format!("/CN={name}");
        self.openssl(name, &["req", "-new", "-config", "ca.cnf", "-key", &key, "-subj", &subject, "-out", &request]);
        let issue =
            ["ca", "-batch", "-notext", "-config", "ca.cnf", "-extensions", extensions, "-in", &request, "-out", &out];
        self.openssl(name, &[&issue[..], more].concat());
    }

    /// Runs openssl in the CA's directory.
    pub(super) fn openssl(&self, name: &str, words: &[&str]) -> Run {
        Run::of(Command::new("openssl").args(words).current_dir(&self.dir).env("NAME", name)).ok()
    }
}
