//! Raw-socket tests of listeners and connections, on loopback with port 0 and shortened limits.

mod drain;
mod framing;
mod slow;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use prometheus_client::registry::Registry;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::telemetry::Metrics;

/// Answers `/N` with N bytes, `/wait` after half a second, and any other path with the length of the request's body.
#[derive(Clone, Default)]
struct Toy {
    /// How many requests have come.
    asked: Arc<AtomicUsize>,
}

impl Handler for Toy {
    type Body = Full<Bytes>;

    async fn handle(&self, request: Request<RequestBody>) -> Response<Full<Bytes>> {
        assert!(request.extensions().get::<Peer>().is_some());
        self.asked.fetch_add(1, Ordering::Relaxed);
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
    asked: Arc<AtomicUsize>,
}

/// Limits that a machine which stands still for some seconds does not reach.
fn relaxed() -> Limits {
    Limits { idle_timeout: Duration::from_secs(5), drain_timeout: Duration::from_secs(60), ..Limits::default() }
}

fn start(limits: Limits) -> Server {
    let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_address().unwrap();
    let mut registry = Registry::default();
    let metrics = ConnectionMetrics::register(&mut registry);
    let stop = CancellationToken::new();
    let options = ServeOptions { name: ListenerName::Device, limits, metrics, tls: None };
    let toy = Toy::default();
    let asked = toy.asked.clone();
    let task = tokio::spawn(serve(listener, toy, options, stop.clone()));
    Server { address, stop, task, metrics: Metrics::new(registry), asked }
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

    /// Waits until so many requests have come.
    async fn is_asked(&self, count: usize) {
        eventually(|| self.asked.load(Ordering::Relaxed) >= count).await;
    }
}

fn has_line(metrics: &Metrics, line: &str) -> bool {
    metrics.render().unwrap().lines().any(|found| found == line)
}

fn assert_counts(metrics: &Metrics, line: &str) {
    assert!(has_line(metrics, line), "no line {line}\n{}", metrics.render().unwrap());
}

/// Waits for what happens at once, unless the machine is busy.
async fn eventually(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came to that");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn read_to_end(socket: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(60), socket.read_to_end(&mut answer)).await;
    ended.expect("the server closes in time").expect("the server closes without a reset");
    String::from_utf8(answer).unwrap()
}
