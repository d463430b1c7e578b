//! PEM files: read within bounds, and taken apart.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustls::pki_types::pem::{PemObject as _, SectionKind};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use tokio_rustls::rustls;

use super::error::TlsError;

/// Certificates and keys are kilobytes; a bundle of all public CAs is a quarter of a megabyte.
const CERTIFICATES_MAX_BYTES: u64 = 4 << 20;
/// Lists of large CAs are tens of megabytes.
const CRL_MAX_BYTES: u64 = 64 << 20;
/// No client takes a longer chain; no bundle of CAs is larger.
const CERTIFICATES_MAX: usize = 1024;

/// A file's bytes.
pub(super) struct Text<'p> {
    path: &'p Path,
    pub(super) bytes: Vec<u8>,
}

impl<'p> Text<'p> {
    /// Reads a file of certificates or keys.
    pub(super) fn read(path: &'p Path) -> Result<Self, TlsError> {
        Self::read_up_to(path, CERTIFICATES_MAX_BYTES)
    }

    /// Reads a revocation list.
    pub(super) fn read_crl(path: &'p Path) -> Result<Self, TlsError> {
        Self::read_up_to(path, CRL_MAX_BYTES)
    }

    fn read_up_to(path: &'p Path, limit_bytes: u64) -> Result<Self, TlsError> {
        let failed = |cause: std::io::Error| TlsError::Unreadable { path: path.to_owned(), cause: cause.to_string() };
        let mut bytes = Vec::new();
        File::open(path).map_err(failed)?.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > limit_bytes {
            return Err(TlsError::TooLarge { path: path.to_owned(), limit_bytes });
        }
        Ok(Self { path, bytes })
    }

    /// The certificates in it, in order; at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found = self.sections("x509")?.into_iter().filter(|(kind, _)| *kind == SectionKind::Certificate);
        let found: Vec<_> = found.map(|(_, der)| CertificateDer::from(der)).collect();
        match found.len() {
            0 => Err(self.without("certificate")),
            1..=CERTIFICATES_MAX => Ok(found),
            _ => Err(TlsError::TooMany { path: self.path.to_owned(), what: "certificate", limit: CERTIFICATES_MAX }),
        }
    }

    /// The revocation lists in it; at least one.
    pub(super) fn crls(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
        let found = self.sections("crl")?.into_iter().filter(|(kind, _)| *kind == SectionKind::Crl);
        let found: Vec<_> = found.map(|(_, der)| CertificateRevocationListDer::from(der)).collect();
        if found.is_empty() { Err(self.without("revocation list")) } else { Ok(found) }
    }

    /// The one private key in it.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        if contains(&self.bytes, b"-----BEGIN ENCRYPTED PRIVATE KEY")
            || contains(&self.bytes, b"Proc-Type: 4,ENCRYPTED")
        {
            return Err(TlsError::EncryptedKey { path: self.path.to_owned() });
        }
        let sections = self.sections("pkey")?.into_iter();
        let mut keys: Vec<_> = sections.filter_map(|(kind, der)| PrivateKeyDer::from_pem(kind, der)).collect();
        match (keys.pop(), keys.len()) {
            (Some(key), 0) => Ok(key),
            (None, _) => Err(self.without("private key")),
            (Some(_), others) => Err(TlsError::SeveralKeys { path: self.path.to_owned(), count: others + 1 }),
        }
    }

    fn sections(&self, tool: &'static str) -> Result<Vec<(SectionKind, Vec<u8>)>, TlsError> {
        let not_pem = |cause: String| TlsError::NotPem { path: self.path.to_owned(), cause, tool };
        if !contains(&self.bytes, b"-----BEGIN ") {
            return Err(not_pem("it has no BEGIN line".to_owned()));
        }
        let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(&self.bytes);
        sections.collect::<Result<_, _>>().map_err(|cause| not_pem(cause.to_string()))
    }

    fn without(&self, what: &'static str) -> TlsError {
        TlsError::Without { path: self.path.to_owned(), what }
    }
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}
