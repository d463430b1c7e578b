//! Certificates that change under running downloads: every one of them ends whole.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsConnector, rustls};

use super::pki::Ca;
use super::{published, reloads, with_device_tls};
use crate::support::tools::need;
use crate::support::{TestServer, is_full_tier, random_bytes, wait_until};

const BODY_BYTES: usize = 4 << 20;
/// Small pieces with pauses: a download takes at least this many pauses.
const PAUSES: usize = 40;
/// What is read between pauses of the second half while the certificates still change: it lasts for four minutes, and
/// is not slow enough to be cut off.
const TRICKLE_BYTES: usize = 2 << 10;

/// What downloads and rotations know of each other.
#[derive(Default)]
struct Progress {
    /// Downloads that run.
    begun: AtomicUsize,
    is_rotated: AtomicBool,
}

fn trusting(ca: &Ca) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca.path("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

async fn connect(server: SocketAddr, config: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let socket = TcpStream::connect(server).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(config.clone()).connect(name, socket).await.unwrap()
}

/// Reads the blob slowly, and panics unless it is the body. It is compared as it comes: a thousand bodies are much. It
/// does not end before the certificates have changed.
async fn download(
    server: SocketAddr,
    config: Arc<ClientConfig>,
    path: String,
    body: Arc<Vec<u8>>,
    progress: Arc<Progress>,
) {
    let mut stream = connect(server, &config).await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nRingfence-Device: pc-1\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&head));
    progress.begun.fetch_add(1, Ordering::Relaxed);
    let mut piece = vec![0; BODY_BYTES / PAUSES];
    let mut rest = &body[..];
    while !rest.is_empty() {
        let is_early = rest.len() <= BODY_BYTES / 2 && !progress.is_rotated.load(Ordering::Relaxed);
        let wanted = if is_early { TRICKLE_BYTES } else { piece.len() }.min(rest.len());
        let read = stream.read_exact(&mut piece[..wanted]).await;
        assert!(read.is_ok(), "{} bytes are missing: {read:?}", rest.len());
        assert!(piece[..wanted] == rest[..wanted], "other bytes, {} before the end", rest.len());
        rest = &rest[wanted..];
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert_eq!(stream.read(&mut piece).await.unwrap(), 0);
}

/// The certificate that a new connection is shown.
async fn shown(server: &TestServer, config: &Arc<ClientConfig>) -> Vec<u8> {
    let stream = connect(server.device, config).await;
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn running_downloads_survive_new_certificates() {
    need!("tls::rotation::running_downloads_survive_new_certificates", "openssl");
    let count: usize = if is_full_tier() { 1000 } else { 50 };
    let (server, ca) = with_device_tls("[limits]\nconnections_per_address_max = 2000\n", |_| {});
    let body = Arc::new(random_bytes(7, BODY_BYTES));
    let path = published(&server, &body);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = trusting(&ca);
    let before = runtime.block_on(shown(&server, &config));
    let begun = Instant::now();
    let progress = Arc::new(Progress::default());
    let start = || download(server.device, config.clone(), path.clone(), body.clone(), progress.clone());
    let downloads: Vec<_> = (0..count).map(|_| runtime.spawn(start())).collect();
    wait_until("all downloads run", || (progress.begun.load(Ordering::Relaxed) == count).then_some(()));
    // Once noticed by itself, once on SIGHUP, with another kind of key.
    ca.server("server", "rsa");
    wait(&server, 1);
    ca.server("server", "ec");
    server.signal(rustix::process::Signal::HUP);
    wait(&server, 2);
    let running = downloads.iter().filter(|download| !download.is_finished()).count();
    assert_eq!(running, count, "they all still ran: {:?}", begun.elapsed());
    let after = runtime.block_on(shown(&server, &trusting(&ca)));
    assert_ne!(before, after, "new connections get the new certificate");
    progress.is_rotated.store(true, Ordering::Relaxed);
    for download in downloads {
        runtime.block_on(download).unwrap();
    }
    eprintln!("{count} downloads over {:?} survived two rotations", begun.elapsed());
}

fn wait(server: &TestServer, loaded: u64) {
    wait_until("the files are taken over", || (reloads(server, "loaded") >= loaded).then_some(()));
}
