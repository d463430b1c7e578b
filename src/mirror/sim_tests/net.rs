//! What stands between a mirror and its upstream.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::bundle::sim_tests::random::Dice;
use crate::journal::RawReader;
use crate::mirror::{FORMAT, Hello};
use crate::signing::{KeysDocument, Signed};

/// What an upstream says when it is asked.
#[derive(Clone)]
pub(super) struct Says {
    pub(super) hops: u32,
    pub(super) keys: KeysDocument,
    /// None where the upstream has not followed anything itself yet.
    pub(super) statement: Option<Signed>,
    /// Its journal.
    pub(super) journal_dir: PathBuf,
    /// The last event that it gives out.
    pub(super) upto: u64,
}

/// What a link does to what passes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Clear,
    /// Nobody answers.
    Down,
    /// Answers end in their middle.
    Cut,
    /// A bit of each answer is turned over.
    Bent,
    /// Whoever answers does so as on an earlier day.
    Old,
    /// The lines are the newest, the word is that of an earlier day.
    OldWord,
    /// Somebody answers whose journal left the origin's at an earlier event, and who has the origin's key.
    Twin,
}

/// What one link leads to now.
pub(super) struct Link {
    pub(super) weather: Weather,
    /// In how many of a hundred requests the weather counts; the others pass.
    pub(super) percent: u64,
    pub(super) now: Says,
    pub(super) old: Says,
    pub(super) twin: Option<Says>,
    pub(super) dice: Dice,
}

/// A link, and the thread that answers on it.
pub(super) struct Wire {
    pub(super) link: Arc<Mutex<Link>>,
    pub(super) url: String,
    address: std::net::SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Wire {
    pub(super) fn new(link: Link) -> Self {
        let link = Arc::new(Mutex::new(link));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (shared, is_over) = (link.clone(), Arc::new(AtomicBool::new(false)));
        let over = is_over.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::Acquire) {
                    return;
                }
                answer(stream, &shared);
            }
        });
        Self { link, url: format!("http://{address}"), address, is_over, thread: Some(thread) }
    }

    pub(super) fn set(&self, change: impl FnOnce(&mut Link)) {
        change(&mut self.link.lock().unwrap());
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        // Wakes the thread.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers one request, and closes.
fn answer(mut stream: TcpStream, link: &Mutex<Link>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).is_err() {
        return;
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    while !line.trim_end().is_empty() {
        line.clear();
        if reader.read_line(&mut line).is_err() {
            return;
        }
    }
    let mut link = link.lock().unwrap();
    let percent = link.percent;
    let weather = if link.dice.chance(percent) { link.weather } else { Weather::Clear };
    if weather == Weather::Down {
        return;
    }
    let Some(mut body) = link.body(weather, &path) else {
        let _ = stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    if weather == Weather::Bent && !body.is_empty() {
        let at = link.dice.below(body.len() as u64) as usize;
        body[at] ^= 1 << link.dice.below(8);
    }
    if weather == Weather::Cut && !body.is_empty() {
        body.truncate(link.dice.below(body.len() as u64) as usize);
    }
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
    let _ = stream.shutdown(Shutdown::Write);
}

impl Link {
    fn body(&mut self, weather: Weather, path: &str) -> Option<Vec<u8>> {
        let is_word = path == "/v1/follow/statement";
        let from = match weather {
            Weather::Old => &self.old,
            Weather::OldWord if is_word => &self.old,
            Weather::Twin => self.twin.as_ref()?,
            _ => &self.now,
        };
        let statement = from.statement.as_ref()?;
        match path.split('?').next() {
            Some("/v1/follow/hello") => Some(hello(from)),
            Some("/v1/follow/statement") => serde_json::to_vec(statement).ok(),
            _ => {
                let after = path.split("after=").nth(1)?.split('&').next()?.parse().ok()?;
                let most = 1 << (9 + self.dice.below(8));
                RawReader::new(from.journal_dir.clone()).read(after, from.upto, most).ok()
            }
        }
    }
}

fn hello(says: &Says) -> Vec<u8> {
    let hello = Hello {
        format: FORMAT,
        version: "1".into(),
        hops: says.hops,
        token_key: STANDARD.encode([9; 32]),
        keys: says.keys.clone(),
        site: None,
    };
    serde_json::to_vec(&hello).unwrap()
}
