//! A relay that stands between a real client and the server, and writes down what each of them said.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::http::{Answer, parse};

/// One request, and what was answered to it.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// Method and target.
    pub(crate) asked: String,
    /// The request's head without the empty line.
    pub(crate) head: String,
    /// The answer, as far as it was sent.
    pub(crate) answer: Answer,
}

impl Exchange {
    /// The value of a header of the request.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

#[derive(Debug, Default)]
struct Wire {
    asked: Vec<u8>,
    answered: Vec<u8>,
}

/// Listens on a port of its own for as long as the test's process lives.
pub(crate) struct Relay {
    /// Where clients connect to.
    pub(crate) address: SocketAddr,
    wires: Arc<Mutex<Vec<Arc<Mutex<Wire>>>>>,
}

impl Relay {
    /// A relay to this address.
    pub(crate) fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let wires: Arc<Mutex<Vec<Arc<Mutex<Wire>>>>> = Arc::default();
        let known = wires.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let wire = Arc::<Mutex<Wire>>::default();
                known.lock().unwrap().push(wire.clone());
                let Ok(server) = TcpStream::connect(upstream) else { continue };
                pump(client.try_clone().unwrap(), server.try_clone().unwrap(), wire.clone(), |wire| &mut wire.asked);
                pump(server, client, wire, |wire| &mut wire.answered);
            }
        });
        Self { address, wires }
    }

    /// What was said since the last call, connection by connection. Every client must have ended.
    pub(crate) fn take(&self) -> Vec<Exchange> {
        let wires = std::mem::take(&mut *self.wires.lock().unwrap());
        wires.iter().flat_map(|wire| exchanges(&wire.lock().unwrap())).collect()
    }

    /// The same, each as `GET /path 200`.
    pub(crate) fn take_lines(&self) -> Vec<String> {
        self.take().iter().map(|exchange| format!("{} {}", exchange.asked, exchange.answer.status)).collect()
    }
}

/// Copies one direction. What the client gets was written down before it gets it.
fn pump(mut from: TcpStream, mut to: TcpStream, wire: Arc<Mutex<Wire>>, side: fn(&mut Wire) -> &mut Vec<u8>) {
    std::thread::spawn(move || {
        let mut chunk = [0; 1 << 16];
        while let Ok(length @ 1..) = from.read(&mut chunk) {
            side(&mut wire.lock().unwrap()).extend_from_slice(&chunk[..length]);
            if to.write_all(&chunk[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
        let _ = from.shutdown(Shutdown::Read);
    });
}

/// Takes a connection apart: requests without bodies, answers of declared lengths.
fn exchanges(wire: &Wire) -> Vec<Exchange> {
    let asked = String::from_utf8_lossy(&wire.asked).replace("\r\n", "\n");
    let mut rest = wire.answered.as_slice();
    let mut found = Vec::new();
    for head in asked.split("\n\n").filter(|head| !head.is_empty()) {
        let line = head.lines().next().unwrap_or_default();
        let asked = line.rsplit_once(' ').map_or(line, |(asked, _)| asked).to_owned();
        let Some(mut answer) = parse(rest) else { break };
        let has_body = !asked.starts_with("HEAD ") && !matches!(answer.status, 204 | 304);
        let declared = || answer.content_length().expect("every answer with a body declares its length") as usize;
        let length = if has_body { declared().min(answer.body.len()) } else { 0 };
        rest = &rest[rest.len() - answer.body.len() + length..];
        answer.body.truncate(length);
        found.push(Exchange { asked, head: head.to_owned(), answer });
    }
    found
}
