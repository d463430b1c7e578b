//! Whether a listener answers: one request for `/healthz`, as a client would send it.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, duplex};
use tokio::net::UnixStream;

use super::bodies::RequestBody;
use super::connection::Handler;
use super::limits::PaceLimit;
use super::peer::Peer;

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const EXPECTED: &[u8] = b"HTTP/1.1 200 ";
/// More than any answer to it.
const ANSWER_MAX_BYTES: u64 = 4096;

/// Asks a handler over a connection in memory. Says why it does not answer well.
pub async fn health_of<H: Handler>(handler: &H) -> Result<(), String> {
    let (client, server) = duplex(REQUEST.len());
    let service = service_fn(|request: Request<Incoming>| async move {
        let mut request = request.map(|body| RequestBody::new(body, PaceLimit::default()));
        request.extensions_mut().insert(Peer::Tcp(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        Ok::<_, Infallible>(handler.handle(request).await)
    });
    let served = http1::Builder::new().serve_connection(TokioIo::new(server), service);
    let (asked, served) = tokio::join!(ask(client), served);
    asked?;
    served.map_err(|error| error.to_string())
}

/// Asks the listener of a unix socket. Says why it does not answer well.
pub async fn health_of_socket(path: &Path) -> Result<(), String> {
    ask(UnixStream::connect(path).await.map_err(|error| error.to_string())?).await
}

async fn ask(mut socket: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), String> {
    let mut answer = Vec::new();
    let asked: io::Result<()> = async {
        socket.write_all(REQUEST).await?;
        socket.take(ANSWER_MAX_BYTES).read_to_end(&mut answer).await?;
        Ok(())
    }
    .await;
    asked.map_err(|error| error.to_string())?;
    if answer.starts_with(EXPECTED) {
        return Ok(());
    }
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    Err(format!("it answers {:?}", String::from_utf8_lossy(line)))
}
