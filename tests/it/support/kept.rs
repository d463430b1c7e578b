//! A connection that is kept: many requests, one after the other, each answered before the next.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::http::{Answer, PATIENCE, parse};

/// A kept connection to a listener.
pub(crate) struct Kept {
    stream: TcpStream,
}

impl Kept {
    /// Connects.
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream }
    }

    /// Sends one GET and reads its answer: the answer, and the time from the first byte sent to the last one read.
    pub(crate) fn get(&mut self, path: &str, headers: &str) -> (Answer, Duration) {
        self.ask("GET", path, headers)
    }

    /// The same with another method. `headers` are whole lines.
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &str) -> (Answer, Duration) {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        let mut bytes = Vec::with_capacity(1024);
        let mut chunk = [0; 16 * 1024];
        let begun = Instant::now();
        self.stream.write_all(request.as_bytes()).expect("the connection is kept");
        loop {
            let length = self.stream.read(&mut chunk).expect("an answer");
            assert!(length > 0, "{method} {path}: the server closed the connection after {bytes:?}");
            bytes.extend_from_slice(&chunk[..length]);
            if let Some(answer) = parse(&bytes)
                && (method == "HEAD" || answer.body.len() as u64 == answer.content_length().unwrap_or(0))
            {
                return (answer, begun.elapsed());
            }
        }
    }
}
