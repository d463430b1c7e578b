//! What is read from a certificate: the names in a client's, and the dates of any.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::time::ASN1Time;

use super::super::certificate::CertificateNames;

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

/// The names in a certificate, and when it is valid; or why it cannot be understood.
pub(super) fn names(der: &[u8]) -> Result<(CertificateNames, Validity), String> {
    let certificate = parse(der)?;
    let mut names = CertificateNames { sha256: Sha256::digest(der).into(), ..CertificateNames::default() };
    let alternatives = certificate.subject_alternative_name().map_err(|cause| cause.to_string())?;
    for name in alternatives.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
            GeneralName::DNSName(dns) => names.dns.push((*dns).to_owned()),
            _ => {}
        }
    }
    let mut common_names = certificate.subject().iter_common_name();
    if let (Some(only), None) = (common_names.next(), common_names.next()) {
        names.common_name = only.as_str().ok().map(str::to_owned);
    }
    Ok((names, validity_of(&certificate)))
}

/// When a certificate is valid, or why it cannot be understood.
pub(super) fn validity(der: &[u8]) -> Result<Validity, String> {
    Ok(validity_of(&parse(der)?))
}

/// A date as a timestamp; one beyond what a timestamp can hold is its end.
pub(super) fn timestamp(time: &ASN1Time) -> Timestamp {
    let end = if time.timestamp() < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(time.timestamp()).unwrap_or(end)
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("bytes follow the certificate".to_owned()),
        Err(cause) => Err(cause.to_string()),
    }
}

fn validity_of(certificate: &X509Certificate<'_>) -> Validity {
    let validity = certificate.validity();
    Validity { from: timestamp(&validity.not_before), until: timestamp(&validity.not_after) }
}
