//! A TLS listener whose handler says who the client is, and clients of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsConnector, rustls};
use tokio_util::sync::CancellationToken;

use super::super::super::{
    ClientCertificate, ConnectionMetrics, Handler, Limits, Listener, RequestBody, ServeOptions, serve,
};
use super::pki::Pki;
use super::*;

/// Answers `/N` with N bytes, and anything else with the client's names.
#[derive(Clone)]
struct Names;

impl Handler for Names {
    type Body = Full<Bytes>;

    async fn handle(&self, request: Request<RequestBody>) -> Response<Full<Bytes>> {
        if let Ok(size) = request.uri().path()[1..].parse() {
            return Response::new(Bytes::from(vec![b'x'; size]).into());
        }
        let certificate = request.extensions().get::<ClientCertificate>();
        let names = certificate.map(|ClientCertificate(names)| (names.uris.clone(), names.common_name.clone()));
        Response::new(Bytes::from(format!("{names:?}")).into())
    }
}

/// Limits that a machine which stands still for some seconds does not reach.
pub(super) fn relaxed() -> Limits {
    Limits { handshake_timeout: Duration::from_secs(60), header_timeout: Duration::from_secs(60), ..Limits::default() }
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) tls: Arc<Tls>,
    pub(super) metrics: Metrics,
    /// What connections came to.
    pub(super) connections: Metrics,
    stop: CancellationToken,
}

impl Server {
    pub(super) fn start(options: &TlsOptions, limits: Limits) -> Self {
        let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_address().unwrap();
        let (tls, metrics) = in_force(options);
        let mut registry = Registry::default();
        let counted = ConnectionMetrics::register(&mut registry);
        let connections = Metrics::new(registry);
        let options = ServeOptions { name: ListenerName::Device, limits, metrics: counted, tls: Some(tls.clone()) };
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, Names, options, stop.clone()));
        Self { address, tls, metrics, connections, stop }
    }

    pub(super) fn counts(&self, result: &str, count: u64) -> bool {
        counts(
            &self.metrics,
            &format!(r#"ringfence_serve_handshakes_total{{listener="device",result="{result}"}} {count}"#),
        )
    }

    pub(super) async fn connect(&self, config: &Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
        let socket = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(config.clone()).connect(name, socket).await
    }

    /// One request on a connection of its own: the answer's body, or what went wrong.
    pub(super) async fn ask(&self, config: &Arc<ClientConfig>, path: &str) -> Result<String, String> {
        let mut stream = self.connect(config).await.map_err(|cause| cause.to_string())?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.map_err(|cause| cause.to_string())?;
        let mut answer = Vec::new();
        // Fails where the server ends without saying so in TLS.
        stream.read_to_end(&mut answer).await.map_err(|cause| cause.to_string())?;
        let answer = String::from_utf8(answer).unwrap();
        Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(super) static TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];
pub(super) static TLS12: &[&SupportedProtocolVersion] = &[&version::TLS12];

/// A client that trusts this CA, and shows the certificate `name` of `owner`.
pub(super) fn client(
    pki: &Pki,
    identity: Option<(&Pki, &str)>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pki.read("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(CryptoProvider {
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519],
        ..aws_lc_rs::default_provider()
    });
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((owner, name)) => {
            let chain = vec![CertificateDer::from_pem_slice(&owner.read(&format!("{name}.pem"))).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(&owner.read(&format!("{name}.key"))).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    Arc::new(config)
}
