//! What devices get when they enrol, and the CA that signs their certificates.
//!
//! A certificate says what the enrolment says and nothing that the device asked for: of its request only the key is
//! taken. It names the device in a SAN URI and as common name, is for TLS clients only, and ends no later than its CA.

use std::fs;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _, SanType, SerialNumber, SubjectPublicKeyInfo, date_time_ymd,
};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

use super::error::AppError;
use crate::config::{EnrolCaFiles, EnrolSettings};
use crate::model::{DeviceId, Sha256Digest};
use crate::serve::{CertificateNames, IdentityRule};
use crate::sys::random::random_bytes;

/// Where a certificate names its device if no rule looks at SAN URIs.
const URI_PREFIX: &str = "urn:ringfence:device:";
/// The longest common name (RFC 5280, appendix A.1); a device with a longer one has it in the SAN only.
const COMMON_NAME_MAX_BYTES: usize = 64;
/// A device whose clock is somewhat behind can use its certificate at once.
const CLOCK_GRACE: SignedDuration = SignedDuration::from_mins(5);

/// What devices get when they enrol.
pub(super) struct Enrolment {
    /// How long a token is taken; until revoked where absent.
    pub(super) token_valid_for: Option<SignedDuration>,
    certificate_valid_for: SignedDuration,
    uri_rule: Option<IdentityRule>,
    ca: Option<Ca>,
}

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    /// It and its issuers, as PEM.
    chain: String,
    not_after: Timestamp,
}

/// A signed certificate.
#[derive(Debug)]
pub(super) struct Signed {
    /// It and its issuers, as PEM.
    pub(super) chain: String,
    /// SHA-256 of it, in hexadecimal.
    pub(super) sha256: String,
    /// Until when it is good.
    pub(super) not_after: Timestamp,
}

/// Why no certificate was signed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignError {
    /// There is nobody to sign it.
    #[error(
        "this server signs no certificates: send the code without a csr for a token, or have enrol.ca_certificate set"
    )]
    NoCa,
    /// The request is not taken.
    #[error("the csr is not taken: {0}")]
    Request(&'static str),
    /// The CA's own certificate is not good any more.
    #[error("the certificate of the enrolment CA has expired: replace enrol.ca_certificate and start again")]
    Expired,
    /// The server failed.
    #[error("a certificate cannot be signed: {0}")]
    Failed(String),
}

impl Enrolment {
    /// Reads the CA, if there is one. `rules` are those by which certificates are read.
    pub(super) fn new(settings: &EnrolSettings, rules: &[IdentityRule], now: Timestamp) -> Result<Self, AppError> {
        let signed = |length| SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
        let enrolment = Self {
            token_valid_for: settings.token_valid_for.map(signed),
            certificate_valid_for: signed(settings.certificate_valid_for),
            uri_rule: rules.iter().find(|rule| rule.san_uri("x").is_some()).cloned(),
            ca: settings.ca.as_ref().map(Ca::read).transpose()?,
        };
        if let Some(ca) = &enrolment.ca {
            enrolment.warn(ca, rules, now);
        }
        Ok(enrolment)
    }

    /// Says what would let devices enrol in vain.
    fn warn(&self, ca: &Ca, rules: &[IdentityRule], now: Timestamp) {
        if ca.not_after <= now {
            tracing::error!(not_after = %ca.not_after, "the certificate of the enrolment CA has expired: no device gets a certificate");
        }
        let name = "device-1";
        let uris = vec![self.uri(name)];
        let names = CertificateNames { uris, common_name: Some(name.into()), ..CertificateNames::default() };
        if !rules.is_empty() && IdentityRule::first(rules, &names) != Some(name) {
            tracing::warn!(
                "the certificates that devices enrol for name them as {} and as common name, which no identity rule of the device listener reads",
                self.uri("NAME")
            );
        }
    }

    fn uri(&self, name: &str) -> String {
        let by_rule = self.uri_rule.as_ref().and_then(|rule| rule.san_uri(name));
        by_rule.unwrap_or_else(|| format!("{URI_PREFIX}{name}"))
    }

    /// Signs a certificate for `device` with the key of this request, which is PEM.
    pub(super) fn sign(&self, csr: &str, device: &DeviceId, now: Timestamp) -> Result<Signed, SignError> {
        let ca = self.ca.as_ref().ok_or(SignError::NoCa)?;
        let key = requested_key(csr).map_err(SignError::Request)?;
        if ca.not_after <= now {
            return Err(SignError::Expired);
        }
        let failed = |error: &dyn std::fmt::Display| SignError::Failed(error.to_string());
        let not_after = now.checked_add(self.certificate_valid_for).map_or(ca.not_after, |end| end.min(ca.not_after));
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(1970, 1, 1) + since_epoch(now.checked_sub(CLOCK_GRACE).unwrap_or(now));
        params.not_after = date_time_ymd(1970, 1, 1) + since_epoch(not_after);
        params.serial_number = Some(serial_number().map_err(|error| failed(&error))?);
        params.distinguished_name = DistinguishedName::new();
        if device.as_str().len() <= COMMON_NAME_MAX_BYTES {
            params.distinguished_name.push(DnType::CommonName, device.as_str());
        }
        let uri = Ia5String::try_from(self.uri(device.as_str())).map_err(|error| failed(&error))?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &ca.issuer).map_err(|error| failed(&error))?;
        let sha256 = Sha256Digest::of(certificate.der()).to_hex();
        let not_after = Timestamp::from_second(not_after.as_second()).unwrap_or(not_after);
        Ok(Signed { chain: certificate.pem() + &ca.chain, sha256, not_after })
    }
}

fn since_epoch(at: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0))
}

/// 16 bytes, of which 126 bits are random; neither zero nor negative, and always equally long.
fn serial_number() -> std::io::Result<SerialNumber> {
    let mut bytes = random_bytes::<16>()?;
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

/// The key of a request whose sender has proven to hold it. Its subject, names and extensions are not looked at.
fn requested_key(csr: &str) -> Result<SubjectPublicKeyInfo, &'static str> {
    let der = CertificateSigningRequestDer::from_pem_slice(csr.as_bytes())
        .map_err(|_| "it is not a CERTIFICATE REQUEST in PEM")?;
    let (rest, request) = X509CertificationRequest::from_der(&der).map_err(|_| "it cannot be read")?;
    if !rest.is_empty() {
        return Err("bytes follow after its end");
    }
    let info = &request.certification_request_info.subject_pki;
    let key = SubjectPublicKeyInfo::from_der(info.raw).map_err(|_| BAD_KEY)?;
    let algorithm = key.algorithm();
    let is_rsa = algorithm == &rcgen::PKCS_RSA_SHA256;
    let is_good = [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519];
    if !is_rsa && !is_good.contains(&algorithm) {
        return Err(BAD_KEY);
    }
    if is_rsa && !info.parsed().is_ok_and(|key| (2048..=8192).contains(&key.key_size())) {
        return Err(BAD_KEY);
    }
    if SHA1_WITH_RSA.contains(&request.signature_algorithm.algorithm.to_id_string().as_str()) {
        return Err("it is signed with SHA-1");
    }
    request.verify_signature().map_err(|_| "its signature is not by its own key")?;
    Ok(key)
}

const BAD_KEY: &str = "its key must be ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits";
/// RFC 8017 appendix C, and the older name from OIW.
const SHA1_WITH_RSA: [&str; 2] = ["1.2.840.113549.1.1.5", "1.3.14.3.2.29"];

impl Ca {
    fn read(EnrolCaFiles { certificate, key }: &EnrolCaFiles) -> Result<Self, AppError> {
        let bad = |why: &str| AppError::EnrolmentCa { path: certificate.clone(), why: why.to_owned() };
        let text = fs::read(certificate).map_err(AppError::io("read", certificate))?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let chain = chain.map_err(|_| bad("it is not PEM"))?;
        let own = chain.first().ok_or_else(|| bad("there is no CERTIFICATE in it"))?;
        let (_, parsed) =
            x509_parser::parse_x509_certificate(own).map_err(|_| bad("its certificate cannot be read"))?;
        let may_sign = parsed.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
        if !parsed.is_ca() || !may_sign {
            return Err(bad("its first certificate is not that of a CA that may sign certificates"));
        }
        let pair = Self::read_key(key)?;
        if pair.subject_public_key_info() != parsed.public_key().raw {
            let why = format!("it is not the key of {}", certificate.display());
            return Err(AppError::EnrolmentCa { path: key.clone(), why });
        }
        let not_after = Timestamp::from_second(parsed.validity().not_after.timestamp())
            .map_err(|_| bad("its certificate ends at no possible time"))?;
        let issuer = Issuer::from_ca_cert_der(own, pair).map_err(|error| bad(&error.to_string()))?;
        let chain = chain.iter().map(|certificate| pem(certificate)).collect();
        Ok(Self { issuer, chain, not_after })
    }

    fn read_key(path: &std::path::Path) -> Result<KeyPair, AppError> {
        let text = fs::read_to_string(path).map_err(AppError::io("read", path))?;
        KeyPair::from_pem(&text).map_err(|_| {
            let why = "it is not a private key in PEM that can sign: ECDSA, Ed25519 or RSA, without a passphrase";
            AppError::EnrolmentCa { path: path.to_owned(), why: why.to_owned() }
        })
    }
}

/// RFC 7468: lines of 64 characters.
fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
