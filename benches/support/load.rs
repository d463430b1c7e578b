//! A loader over plain sockets: as little of the two cores as possible is the client's.

use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;

const BUFFER_BYTES: usize = 512 << 10;

/// One request after the other over one connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: vec![0; BUFFER_BYTES], filled: 0 }
    }

    /// Sends a request and reads its answer to the end; returns status and length of the body.
    pub fn exchange(&mut self, request: &[u8]) -> (u16, u64) {
        self.stream.write_all(request).unwrap();
        let (head, status, length) = loop {
            self.fill();
            if let Some(end) = self.buffer[..self.filled].windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let (status, length) = read_head(&self.buffer[..end]);
                break (end + 4, status, length);
            }
        };
        let mut left = length - (self.filled - head) as u64;
        while left > 0 {
            let count = self.stream.read(&mut self.buffer).unwrap();
            assert!(count > 0, "the body was cut short");
            left -= count as u64;
        }
        self.filled = 0;
        (status, length)
    }

    fn fill(&mut self) {
        let count = self.stream.read(&mut self.buffer[self.filled..]).unwrap();
        assert!(count > 0, "the connection was closed");
        self.filled += count;
    }
}

fn read_head(head: &[u8]) -> (u16, u64) {
    let head = std::str::from_utf8(head).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse().unwrap())
    });
    (status, length.unwrap_or(0))
}

/// The head of a GET; `device` names who asks.
pub fn get(path: &str, device: &str, more: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: bench\r\nRingfence-Device: {device}\r\n{more}\r\n").into_bytes()
}

/// Sends `requests` in turn, `count` in all, over this many connections; each must be answered with `status`. Returns
/// the bytes of the bodies.
pub fn run(address: SocketAddr, connections: usize, requests: &[Vec<u8>], count: usize, status: u16) -> u64 {
    thread::scope(|scope| {
        let workers: Vec<_> = (0..connections)
            .map(|worker| {
                scope.spawn(move || {
                    let mut connection = Connection::open(address);
                    let mut bytes = 0;
                    for number in (worker..count).step_by(connections) {
                        let (found, length) = connection.exchange(&requests[number % requests.len()]);
                        assert_eq!(found, status);
                        bytes += length;
                    }
                    bytes
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    })
}
