//! From files to a configuration of the TLS library.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ProducesTickets, WebPkiClientVerifier};
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use tokio_rustls::rustls;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use super::error::TlsError;
use super::files::Text;
use super::names::{Validity, timestamp, validity};
use super::options::{ClientTrust, Expired, MinimumVersion, TlsOptions};

/// Days before its end from which on a certificate is warned of.
pub(super) const NEAR_END_DAYS: i64 = 14;

/// A configuration, and what is known of the files that it came from.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    /// Of every byte of the files.
    pub(super) files: blake3::Hash,
    /// Of the certificates and lists only: a ticket is good only for those that it was given under.
    pub(super) trust: blake3::Hash,
    pub(super) certificate: PathBuf,
    pub(super) validity: Validity,
    crls: Vec<(PathBuf, Option<Timestamp>)>,
    /// What is odd whatever the time.
    notes: Vec<String>,
}

impl Loaded {
    /// Reads all files and checks them. Tickets of `before` stay good if nothing that they rest on has changed.
    pub(super) fn read(options: &TlsOptions, now: Timestamp, before: Option<&Self>) -> Result<Self, TlsError> {
        let certificate = Text::read(&options.certificate)?;
        let key = Text::read(&options.key)?;
        let mut trust = Fingerprint::default();
        trust.add(&certificate.bytes);
        let chain = certificate.certificates()?;
        let validity = leaf_validity(options, &chain, now)?;
        let mut notes = Vec::new();
        let clients = match &options.clients {
            Some(clients) => Some(Clients::read(clients, &mut trust, &mut notes)?),
            None => None,
        };
        let mut files = trust.clone();
        files.add(&key.bytes);
        files.add(format!("{options:?}").as_bytes());
        let trust = trust.0.finalize();
        let mut crls = Vec::new();
        let verifier = match clients {
            Some(clients) => {
                crls = clients.crls;
                clients.verifier
            }
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions(options.minimum_version))
            .map_err(|cause| TlsError::KeyUnfit { path: options.key.clone(), cause: cause.to_string() })?;
        let mut config = builder
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key.key()?)
            .map_err(|cause| key_error(options, &cause))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Our order of ciphers, not the client's: what is strong and fast here comes first.
        config.ignore_client_order = true;
        config.send_tls13_tickets = 1;
        config.max_early_data_size = 0;
        config.ticketer = match before {
            Some(before) if before.trust == trust => before.config.ticketer.clone(),
            _ => tickets()?,
        };
        Ok(Self {
            config: Arc::new(config),
            files: files.0.finalize(),
            trust,
            certificate: options.certificate.clone(),
            validity,
            crls,
            notes,
        })
    }

    /// What an operator should know now, one sentence each.
    pub(super) fn warnings(&self, now: Timestamp) -> Vec<String> {
        let mut warnings = self.notes.clone();
        let Validity { from, until } = self.validity;
        let file = self.certificate.display();
        let days_left = (until.as_second() - now.as_second()).div_euclid(24 * 3600);
        if until < now {
            warnings.push(format!("{file}: the certificate expired on {until} and is served all the same: renew it"));
        } else if from > now {
            warnings.push(format!("{file}: the certificate is valid only from {from} on: is the clock right?"));
        } else if days_left < NEAR_END_DAYS {
            warnings.push(format!("{file}: the certificate expires on {until}, in {days_left} days: renew it"));
        }
        for (path, until) in &self.crls {
            if let Some(until) = until.filter(|until| *until < now) {
                let path = path.display();
                warnings.push(format!(
                    "{path}: the next revocation list was due on {until}: fetch it; until then what is revoked since is not known"
                ));
            }
        }
        warnings
    }
}

#[derive(Clone, Default)]
struct Fingerprint(blake3::Hasher);

impl Fingerprint {
    fn add(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

struct Clients {
    verifier: Arc<dyn ClientCertVerifier>,
    crls: Vec<(PathBuf, Option<Timestamp>)>,
}

impl Clients {
    fn read(trust: &ClientTrust, fingerprint: &mut Fingerprint, notes: &mut Vec<String>) -> Result<Self, TlsError> {
        let ca = Text::read(&trust.ca)?;
        fingerprint.add(&ca.bytes);
        let bad = |cause: String| TlsError::BadCertificate { path: trust.ca.clone(), cause };
        let certificates = ca.certificates()?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|cause| bad(cause.to_string()))?;
        }
        let roots = Arc::new(roots);
        let (mut lists, mut crls, mut issuers) = (Vec::new(), Vec::new(), Vec::new());
        for path in &trust.crls {
            let text = Text::read_crl(path)?;
            fingerprint.add(&text.bytes);
            for list in text.crls()? {
                let (issuer, until) = check_crl(path, &roots, &list)?;
                issuers.push(issuer);
                crls.push((path.clone(), until));
                lists.push(list);
            }
        }
        if !lists.is_empty() {
            notes.extend(without_list(&trust.ca, &certificates, &issuers).map_err(bad)?);
        }
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider()).with_crls(lists);
        let builder = if trust.is_required { builder } else { builder.allow_unauthenticated() };
        let verifier = builder.build().map_err(|cause| bad(cause.to_string()))?;
        Ok(Self { verifier, crls })
    }
}

/// Who issued a list, and when the next one is due; each list is tried alone, so that a bad one can be named.
fn check_crl(
    path: &Path,
    roots: &Arc<RootCertStore>,
    list: &CertificateRevocationListDer<'static>,
) -> Result<(Vec<u8>, Option<Timestamp>), TlsError> {
    let bad = |cause: String| TlsError::BadCrl { path: path.to_owned(), cause };
    let (_, parsed) = CertificateRevocationList::from_der(list).map_err(|cause| bad(cause.to_string()))?;
    let due = parsed.next_update().map(|time| timestamp(&time));
    let issuer = parsed.issuer().as_raw().to_vec();
    let builder = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider());
    builder.with_crls([list.clone()]).build().map_err(|cause| bad(cause.to_string()))?;
    Ok((issuer, due))
}

/// The CAs whose own certificates would all be refused, since no list says which of them are revoked.
fn without_list(path: &Path, cas: &[CertificateDer<'_>], issuers: &[Vec<u8>]) -> Result<Vec<String>, String> {
    let mut notes = Vec::new();
    for ca in cas {
        let (_, ca) = X509Certificate::from_der(ca).map_err(|cause| cause.to_string())?;
        if !issuers.iter().any(|issuer| issuer == ca.subject().as_raw()) {
            notes.push(format!(
                "{}: client_crl has no list of {}: client certificates that it issued are refused",
                path.display(),
                ca.subject()
            ));
        }
    }
    Ok(notes)
}

fn leaf_validity(options: &TlsOptions, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<Validity, TlsError> {
    let path = || options.certificate.clone();
    let Some(leaf) = chain.first() else { return Err(TlsError::Without { path: path(), what: "certificate" }) };
    let validity = validity(leaf).map_err(|cause| TlsError::BadCertificate { path: path(), cause })?;
    match options.expired {
        Expired::Refuse if validity.until < now => Err(TlsError::Expired { path: path(), at: validity.until }),
        Expired::Refuse if validity.from > now => Err(TlsError::NotYetValid { path: path(), at: validity.from }),
        Expired::Refuse | Expired::Serve => Ok(validity),
    }
}

fn key_error(options: &TlsOptions, cause: &Error) -> TlsError {
    match cause {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::KeyMismatch { key: options.key.clone(), certificate: options.certificate.clone() }
        }
        Error::InvalidCertificate(cause) => {
            TlsError::BadCertificate { path: options.certificate.clone(), cause: cause.to_string() }
        }
        other => TlsError::KeyUnfit { path: options.key.clone(), cause: other.to_string() },
    }
}

/// The hybrid with ML-KEM comes first, so that what is recorded today stays secret. Of the ciphers AES-128 comes first: it is
/// strong enough for as long as anybody can say, and its key schedule rests on SHA-256, which processors compute in
/// hardware, while that of AES-256 rests on SHA-384, which was an eighth of a handshake's CPU. A client that wants AES-256
/// offers nothing else.
fn provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::cipher_suite as suite;
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            suite::TLS13_AES_128_GCM_SHA256,
            suite::TLS13_AES_256_GCM_SHA384,
            suite::TLS13_CHACHA20_POLY1305_SHA256,
            suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1],
        ..aws_lc_rs::default_provider()
    })
}

fn versions(minimum: MinimumVersion) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
    match minimum {
        MinimumVersion::Tls12 => &BOTH,
        MinimumVersion::Tls13 => &BOTH[..1],
    }
}

/// Tickets whose keys change by themselves every few hours.
fn tickets() -> Result<Arc<dyn ProducesTickets>, TlsError> {
    aws_lc_rs::Ticketer::new().map_err(|cause| TlsError::Tickets(cause.to_string()))
}
