//! What a full TLS 1.3 handshake costs the server: ECDSA P-256, X25519, no resumption; beside nginx with the same
//! certificate where it is installed. Then the same with the hybrid post-quantum group that clients of today ask for.
//! `cargo bench --bench handshake`.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedCipherSuite};
use support::nginx::Nginx;
use support::process::{cpu_seconds, part_from};
use support::server::{OPEN_POLICY, Server, init, scratch};
use support::stats::{Runs, goal};
use support::{abba, is_only_a_test, repeats};

const HANDSHAKES: usize = 8_000;
const CLIENTS: usize = 2;
/// Of nginx's CPU in the same run.
const GOAL: f64 = 0.55;

fn main() {
    if is_only_a_test() {
        return;
    }
    let dir = scratch();
    let root = dir.path().join("server");
    init(&root, OPEN_POLICY);
    let roots = certify(dir.path());
    let config = root.join("ringfence.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let tls = format!("[device.tls]\ncertificate = \"{0}/tls.crt\"\nkey = \"{0}/tls.key\"\n", dir.path().display());
    std::fs::write(&config, text + &tls).unwrap();
    let server = Server::start(&root);
    let all = aws_lc_rs::ALL_CIPHER_SUITES;
    let classic = client(&roots, &[aws_lc_rs::kx_group::X25519], all);
    let hybrid = client(&roots, &[aws_lc_rs::kx_group::X25519MLKEM768], all);
    // Which cipher is taken where a client offers all is each server's own choice; so also with the same one for both.
    let same = client(&roots, &[aws_lc_rs::kx_group::X25519], &[aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256]);
    let lines = format!(
        "ssl_certificate {0}/tls.crt; ssl_certificate_key {0}/tls.key; ssl_protocols TLSv1.3;",
        dir.path().display()
    );
    let nginx = Nginx::start(dir.path(), &lines);
    let servers: Vec<u32> = nginx.iter().map(Nginx::pid).chain([server.pid()]).collect();
    if !part_from(&servers) {
        println!("there are not two CPUs and taskset: servers and clients share what there is, and the figures spread");
    }
    let [mut ours, mut theirs, mut ours_hybrid] = [Runs::new(), Runs::new(), Runs::new()];
    let [mut ours_same, mut theirs_same] = [Runs::new(), Runs::new()];
    for is_ours in abba(repeats(5)) {
        match (&nginx, is_ours) {
            (_, true) => {
                ours.add(cost_us(server.device, server.pid(), &classic));
                ours_same.add(cost_us(server.device, server.pid(), &same));
                ours_hybrid.add(cost_us(server.device, server.pid(), &hybrid));
            }
            (Some(nginx), false) => {
                theirs.add(cost_us(nginx.address, nginx.pid(), &classic));
                theirs_same.add(cost_us(nginx.address, nginx.pid(), &same));
            }
            (None, false) => {}
        }
    }
    println!("ringfence, X25519: {ours} us of CPU each");
    println!("ringfence, X25519MLKEM768: {ours_hybrid} us of CPU each");
    if nginx.is_some() {
        println!("nginx, X25519: {theirs} us of CPU each");
        goal("ours / nginx", ours.median() / theirs.median(), GOAL);
        println!("both with AES-128-GCM: ringfence {ours_same}, nginx {theirs_same} us of CPU each");
        goal("ours / nginx, the same cipher", ours_same.median() / theirs_same.median(), GOAL);
    } else {
        println!("nginx is not installed: nothing to compare with");
    }
}

/// A certificate for `localhost` by an authority of its own, in `tls.crt` and `tls.key`; returns what trusts it.
fn certify(dir: &Path) -> RootCertStore {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    std::fs::write(dir.join("tls.crt"), leaf.pem()).unwrap();
    std::fs::write(dir.join("tls.key"), key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority_certificate.der().clone()).unwrap();
    roots
}

fn client(
    roots: &RootCertStore,
    groups: &[&'static dyn SupportedKxGroup],
    suites: &[SupportedCipherSuite],
) -> Arc<ClientConfig> {
    let provider =
        CryptoProvider { kx_groups: groups.to_vec(), cipher_suites: suites.to_vec(), ..aws_lc_rs::default_provider() };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let mut config = builder.with_root_certificates(roots.clone()).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// Microseconds of the server's CPU for each of many handshakes.
fn cost_us(address: SocketAddr, pid: u32, config: &Arc<ClientConfig>) -> f64 {
    let before = cpu_seconds(pid);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| (0..HANDSHAKES / CLIENTS).for_each(|_| shake_hands(address, config)));
        }
    });
    (cpu_seconds(pid) - before) * 1e6 / HANDSHAKES as f64
}

/// One full handshake, ended in order: the server has done all of its work when it closes.
fn shake_hands(address: SocketAddr, config: &Arc<ClientConfig>) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(config.clone(), name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).unwrap();
    }
    connection.send_close_notify();
    while connection.wants_write() {
        connection.write_tls(&mut socket).unwrap();
    }
    socket.flush().unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = [0; 4096];
    while socket.read(&mut rest).unwrap_or(0) > 0 {}
}
