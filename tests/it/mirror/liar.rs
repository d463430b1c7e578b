//! An upstream in between: passes requests on to a real server, and changes what comes back.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::http::{parse, try_raw};

/// What becomes of an answer: the path, and the body, which may be changed.
pub(super) type Lie = Arc<dyn Fn(&str, &mut Vec<u8>) + Send + Sync>;

/// A server that answers for another one.
pub(super) struct Liar {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    target: SocketAddr,
    lie: Option<Lie>,
}

impl Liar {
    /// Passes everything on as it is.
    pub(super) fn honest(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { target, lie: None }));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), state) = (stream, shared.clone()) else { return };
                std::thread::spawn(move || answer(stream, &state));
            }
        });
        Self { address, state }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn lie(&self, lie: impl Fn(&str, &mut Vec<u8>) + Send + Sync + 'static) {
        self.state.lock().unwrap().lie = Some(Arc::new(lie));
    }

    pub(super) fn tell_the_truth(&self) {
        self.state.lock().unwrap().lie = None;
    }

    pub(super) fn speak_for(&self, target: SocketAddr) {
        self.state.lock().unwrap().target = target;
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) {
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let Some(request) = read_request(&mut stream) else { return };
    let head = String::from_utf8_lossy(&request).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let target = state.lock().unwrap().target;
    let Some(mut answer) = try_raw(target, &request).ok().as_deref().and_then(parse) else { return };
    // Asked for before, and answered only now: it is a lie all the same.
    let lie = state.lock().unwrap().lie.clone();
    if let Some(lie) = lie {
        lie(&path, &mut answer.body);
    }
    let length = answer.body.len();
    let mut lines: Vec<String> = answer
        .head
        .lines()
        .filter(|line| {
            let line = line.to_ascii_lowercase();
            !line.starts_with("content-length") && !line.starts_with("transfer-encoding")
        })
        .map(str::to_owned)
        .collect();
    lines.push(format!("Content-Length: {length}"));
    let mut bytes = format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes();
    bytes.extend_from_slice(&answer.body);
    let _ = stream.write_all(&bytes);
}

fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut chunk = [0; 1 << 14];
    loop {
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if request.len() >= end + 4 + length.unwrap_or(0) {
                return Some(request);
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(read) => request.extend_from_slice(&chunk[..read]),
        }
    }
}
