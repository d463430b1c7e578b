//! One handshake: from the first byte to a stream that hyper can speak over, within a time and a number of turns.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use rustls::server::Acceptor;
use rustls::{Error, HandshakeKind};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::rustls;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use super::super::certificate::ClientCertificate;
use super::super::limits::Limits;
use super::super::peer::Peer;
use super::super::stream::WatchedStream;
use super::current::Tls;
use super::metrics::HandshakeResult;
use super::names::names;
use crate::sys::clock::{Clock as _, SystemClock};

/// The first byte of every TLS connection: a record that carries a handshake.
const HANDSHAKE_RECORD: u8 = 22;

const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 45\r\n\
    connection: close\r\n\
    \r\n\
    This port speaks HTTP over TLS: use https://\n";

/// A stream after its handshake, and the client's certificate if it showed one.
pub(in super::super) type Secured = (TlsStream<WatchedStream<TcpStream>>, Option<ClientCertificate>);

/// The handshakes of one listener.
#[derive(Debug)]
pub(in super::super) struct Handshakes {
    tls: Arc<Tls>,
    /// Taken once a client has said what it wants, so that silent ones take none.
    turns: Semaphore,
    timeout: Duration,
    buffer_max_bytes: usize,
}

impl Handshakes {
    pub(in super::super) fn new(tls: Arc<Tls>, limits: &Limits) -> Self {
        Self {
            tls,
            turns: Semaphore::new(limits.handshakes_max.clamp(1, Semaphore::MAX_PERMITS)),
            timeout: limits.handshake_timeout,
            buffer_max_bytes: limits.tls_buffer_max_bytes,
        }
    }

    /// Shakes hands, or counts why not; whoever fails has then been told what there is to tell.
    pub(in super::super) async fn shake(&self, stream: WatchedStream<TcpStream>, peer: Peer) -> Option<Secured> {
        let metrics = &self.tls.metrics;
        metrics.running.inc();
        let _running = RunningGauge(&metrics.running);
        let shaking = self.shake_untimed(stream);
        let outcome = tokio::time::timeout(self.timeout, shaking).await;
        let failure = match outcome {
            Ok(Ok((stream, certificate, result))) => {
                metrics.handshake(result).inc();
                return Some((stream, certificate));
            }
            Ok(Err(failure)) => failure,
            Err(_) => Failure { result: HandshakeResult::Timeout, cause: "not done in time".to_owned() },
        };
        metrics.handshake(failure.result).inc();
        let (result, cause) = (failure.result.as_str(), failure.cause);
        tracing::debug!(?peer, result, cause, "handshake failed");
        None
    }

    async fn shake_untimed(
        &self,
        mut stream: WatchedStream<TcpStream>,
    ) -> Result<(TlsStream<WatchedStream<TcpStream>>, Option<ClientCertificate>, HandshakeResult), Failure> {
        let mut first = [0];
        if stream.socket_ref()?.peek(&mut first).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if first[0] != HANDSHAKE_RECORD && first[0].is_ascii_uppercase() {
            stream.write_all(PLAIN_HTTP).await?;
            return Err(Failure { result: HandshakeResult::PlainHttp, cause: "plain HTTP".to_owned() });
        }
        let start: StartHandshake<_> = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let turn = self.turns.acquire().await;
        let buffer_max_bytes = self.buffer_max_bytes;
        let stream = start
            .into_stream_with(self.tls.config(), |session| session.set_buffer_limit(Some(buffer_max_bytes)))
            .await?;
        drop(turn);
        let session = stream.get_ref().1;
        let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        let certificate = match session.peer_certificates().and_then(<[_]>::first) {
            Some(leaf) => Some(certificate(leaf)?),
            None => None,
        };
        let result = if resumed { HandshakeResult::Resumed } else { HandshakeResult::Full };
        Ok((stream, certificate, result))
    }
}

/// The names of a verified certificate. A ticket may outlive the certificate that it was given for; its date is
/// therefore looked at again.
fn certificate(der: &[u8]) -> Result<ClientCertificate, Failure> {
    let bad = |cause| Failure { result: HandshakeResult::BadCertificate, cause };
    let (names, validity) = names(der).map_err(bad)?;
    if validity.until < SystemClock.now() {
        return Err(bad("the certificate has expired since the ticket was given".to_owned()));
    }
    Ok(ClientCertificate(Arc::new(names)))
}

struct RunningGauge<'g>(&'g Gauge);

impl Drop for RunningGauge<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

struct Failure {
    result: HandshakeResult,
    cause: String,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let result = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::NoCertificatesPresented) => HandshakeResult::NoCertificate,
            Some(Error::InvalidCertificate(_) | Error::InvalidCertRevocationList(_)) => HandshakeResult::BadCertificate,
            Some(Error::AlertReceived(_)) => HandshakeResult::RefusedByClient,
            Some(Error::PeerIncompatible(_) | Error::NoApplicationProtocol) => HandshakeResult::Incompatible,
            Some(_) => HandshakeResult::Other,
            None => HandshakeResult::Closed,
        };
        Self { result, cause: error.to_string() }
    }
}
