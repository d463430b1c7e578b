//! A CA in a temporary directory.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, RevokedCertParams,
    SanType, SerialNumber, date_time_ymd,
};

use super::super::{ClientTrust, Expired, MinimumVersion, TlsOptions};

pub(super) struct Pki {
    dir: tempfile::TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
    written: Cell<u64>,
}

impl Pki {
    /// A CA, and a server's certificate of it for localhost and 127.0.0.1: `ca.pem`, `server.pem`, `server.key`.
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = CertifiedIssuer::self_signed(params, key()).unwrap();
        let pki = Self { dir, ca, written: Cell::new(0) };
        pki.write("ca.pem", pki.ca.pem());
        pki.server("server", |_| {});
        pki
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, dated a second after the one before: the kernel's own dates are the same for some milliseconds, and
    /// a file of the same length and date counts as unchanged.
    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        self.written.set(self.written.get() + 1);
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + self.written.get())).unwrap();
        path
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Writes `name.pem` and `name.key`: a server's certificate.
    pub(super) fn server(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        self.issue(name, &params)
    }

    /// Writes `name.pem` and `name.key`: a device's certificate, which names it `name` in a URI.
    pub(super) fn device(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let uri = format!("urn:ringfence:device:{name}");
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        self.issue(name, &params)
    }

    fn issue(&self, name: &str, params: &CertificateParams) -> Certificate {
        let key = key();
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        self.write(&format!("{name}.pem"), certificate.pem());
        self.write(&format!("{name}.key"), key.serialize_pem());
        certificate
    }

    /// Writes a list that revokes these serial numbers.
    pub(super) fn crl(&self, name: &str, revoked: &[u64], next_year: i32) -> PathBuf {
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2023, 1, 1),
            next_update: date_time_ymd(next_year, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        self.write(name, params.signed_by(&self.ca).unwrap().pem().unwrap())
    }

    /// The server's certificate, and no clients'.
    pub(super) fn options(&self) -> TlsOptions {
        TlsOptions {
            certificate: self.path("server.pem"),
            key: self.path("server.key"),
            clients: None,
            minimum_version: MinimumVersion::Tls12,
            expired: Expired::Serve,
        }
    }

    /// The same, with clients' certificates of this CA.
    pub(super) fn with_clients(&self, is_required: bool, crls: Vec<PathBuf>) -> TlsOptions {
        let clients = Some(ClientTrust { ca: self.path("ca.pem"), crls, is_required });
        TlsOptions { clients, ..self.options() }
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}
