//! TLS of the client: whom it trusts, what it shows of itself, and what failures mean.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, ClientConfig, Error, InvalidMessage, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsConnector, rustls};

use super::ClientError;
use super::verifier::Verifier;

/// Bundles of all public CAs are a quarter of a megabyte.
const FILE_MAX_BYTES: u64 = 4 << 20;

/// How an `https://` server is trusted, and what it is shown. The files are read for every connection, so that one that
/// runs for long follows their renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsTrust {
    /// Which certificates of servers are taken.
    pub servers: TrustedServers,
    /// The client's own certificate (PEM, with its chain) and key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Which certificates of servers are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedServers {
    /// Those that the CAs in this PEM file issued for the server's name. A certificate that is itself in the file is
    /// taken, too, if it has the name.
    IssuedBy(PathBuf),
    /// The one that stands first in this PEM file, whatever its names and dates: it is the file that the server on this
    /// machine reads.
    Exactly(PathBuf),
}

impl TlsTrust {
    /// Reads the files, to tell early what is wrong with them.
    pub(super) fn check(&self) -> Result<(), ClientError> {
        self.connector().map(|_| ())
    }

    /// Connects with a handshake.
    pub(super) async fn connect(
        &self,
        socket: TcpStream,
        host: &str,
        server: &str,
    ) -> Result<TlsStream<TcpStream>, ClientError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| ClientError::Untrusted {
            server: server.to_owned(),
            cause: format!("{host:?} is no name that a certificate can have"),
        })?;
        let connecting = self.connector()?.connect(name, socket).await;
        connecting.map_err(|cause| {
            explain(server, &cause)
                .unwrap_or_else(|| ClientError::Unreachable { server: server.to_owned(), cause: cause.to_string() })
        })
    }

    fn connector(&self) -> Result<TlsConnector, ClientError> {
        let provider = provider();
        let verifier = self.verifier(&provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|cause| ClientError::File { path: "TLS".to_owned(), cause: cause.to_string() })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let secret = PrivateKeyDer::from_pem_slice(&read(key)?)
                    .map_err(|cause| bad_file(key, format!("there is no private key to be read: {cause}")))?;
                builder.with_client_auth_cert(chain, secret).map_err(|cause| match cause {
                    Error::InconsistentKeys(_) => bad_file(
                        key,
                        format!("the key is not that of the first certificate in {}", certificate.display()),
                    ),
                    other => bad_file(key, other.to_string()),
                })?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Verifier, ClientError> {
        let (path, is_exact) = match &self.servers {
            TrustedServers::IssuedBy(path) => (path, false),
            TrustedServers::Exactly(path) => (path, true),
        };
        let known = certificates(path)?;
        let mut roots = RootCertStore::empty();
        // Of a server's own chain the rest may be its CAs.
        for certificate in &known[usize::from(is_exact)..] {
            roots.add(certificate.clone()).map_err(|cause| bad_file(path, cause.to_string()))?;
        }
        let by_issuer = match roots.is_empty() {
            true => None,
            false => {
                let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
                Some(builder.build().map_err(|cause| bad_file(path, cause.to_string()))?)
            }
        };
        let known = if is_exact { known.into_iter().take(1).collect() } else { known };
        Ok(Verifier { by_issuer, known, is_exact, algorithms: provider.signature_verification_algorithms })
    }
}

/// The hybrid with ML-KEM comes first, as it does in the server.
fn provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    Arc::new(CryptoProvider {
        kx_groups: vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1],
        ..aws_lc_rs::default_provider()
    })
}

fn bad_file(path: &Path, cause: String) -> ClientError {
    ClientError::TlsFile { path: path.display().to_string(), cause }
}

fn read(path: &Path) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_MAX_BYTES).read_to_end(&mut bytes));
    read.map_err(|cause| bad_file(path, format!("it cannot be read: {cause}")))?;
    Ok(bytes)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match found {
        Ok(found) if found.is_empty() => Err(bad_file(path, "it holds no certificate in PEM".to_owned())),
        Ok(found) => Ok(found),
        Err(cause) => Err(bad_file(path, format!("it is not PEM: {cause}"))),
    }
}

/// What a failure of TLS means for the person at the command line; `None` where it is not one of TLS.
pub(super) fn explain(server: &str, error: &(dyn std::error::Error + 'static)) -> Option<ClientError> {
    let server = server.to_owned();
    match tls_error(error)? {
        Error::InvalidCertificate(cause) => Some(ClientError::Untrusted { server, cause: cause.to_string() }),
        Error::AlertReceived(alert) if is_about_certificate(*alert) => {
            Some(ClientError::CertificateRefused { server, alert: format!("{alert:?}") })
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => Some(ClientError::NotTls { server }),
        _ => None,
    }
}

fn is_about_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
    )
}

/// The TLS library's error below others. An I/O error keeps it inside, not as its source.
fn tls_error<'e>(mut error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Error> {
    loop {
        if let Some(found) = error.downcast_ref::<Error>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        error = match inner {
            Some(inner) => inner,
            None => error.source()?,
        };
    }
}
