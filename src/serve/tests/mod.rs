//! Raw-socket tests of listeners and connections, on loopback with port 0 and shortened limits.

mod drain;
mod framing;
mod slow;

use std::net::SocketAddr;
use std::time::Duration;

use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::telemetry::Metrics;

/// Answers `/N` with N bytes, `/wait` after half a second, and any other path with the length of the request's body.
#[derive(Clone)]
struct Toy;

impl Handler for Toy {
    type Body = Full<Bytes>;

    async fn handle(&self, request: Request<RequestBody>) -> Response<Full<Bytes>> {
        assert!(request.extensions().get::<Peer>().is_some());
        let path = request.uri().path().to_owned();
        if let Some(size) = path.strip_prefix('/').and_then(|text| text.parse().ok()) {
            let answer = Response::builder().header("content-length", size);
            return answer.body(Bytes::from(vec![b'x'; size]).into()).unwrap();
        }
        if path == "/wait" {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        match request.into_body().collect().await {
            Ok(body) => Response::new(Bytes::from(format!("{path} {}", body.to_bytes().len())).into()),
            Err(error) => {
                let mut answer = Response::new(Bytes::from(error.to_string()).into());
                *answer.status_mut() = StatusCode::REQUEST_TIMEOUT;
                answer
            }
        }
    }
}

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<Drained>,
    metrics: Metrics,
}

/// Limits short enough for a test.
fn short() -> Limits {
    Limits {
        header_timeout: Duration::from_millis(400),
        idle_timeout: Duration::from_millis(800),
        pace: PaceLimit { min_bytes_per_second: 64 * 1024, window: Duration::from_millis(500) },
        unsent_max_bytes: 16 * 1024,
        drain_timeout: Duration::from_secs(2),
        ..Limits::default()
    }
}

fn start(limits: Limits) -> Server {
    let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_address().unwrap();
    let mut registry = Registry::default();
    let metrics = ConnectionMetrics::register(&mut registry);
    let stop = CancellationToken::new();
    let options = ServeOptions { name: ListenerName::Device, limits, metrics, tls: None };
    let task = tokio::spawn(serve(listener, Toy, options, stop.clone()));
    Server { address, stop, task, metrics: Metrics::new(registry) }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `bytes`, and reads until the server closes.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut socket = self.connect().await;
        socket.write_all(bytes).await.unwrap();
        read_to_end(&mut socket).await
    }

    fn counts(&self, line: &str) -> bool {
        let text = self.metrics.render().unwrap();
        text.lines().any(|found| found == line) || {
            eprintln!("{text}");
            false
        }
    }
}

async fn read_to_end(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut answer)).await;
    ended.expect("the server closes in time").expect("the server closes without a reset");
    String::from_utf8(answer).unwrap()
}
