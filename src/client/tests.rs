use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};

use super::*;

#[test]
fn endpoints() {
    let parse = |text: &str| text.parse::<Endpoint>();
    assert_eq!(parse("http://127.0.0.1:8481").unwrap().to_string(), "http://127.0.0.1:8481");
    assert_eq!(parse("http://[::1]:8481/").unwrap(), Endpoint::Tcp { host: "::1".into(), port: 8481 });
    assert_eq!(parse("http://admin.corp").unwrap().to_string(), "http://admin.corp:80");
    assert_eq!(parse("unix:/run/a.sock").unwrap(), Endpoint::Unix("/run/a.sock".into()));
    assert_eq!(parse("unix:///run/a.sock").unwrap(), Endpoint::Unix("/run/a.sock".into()));
    for bad in ["", "unix:", "127.0.0.1:8481", "http://", "http://a b", "http://u@h:1", "http://h:1/path", "ftp://h"] {
        assert!(matches!(parse(bad), Err(EndpointError::Form(_))), "{bad}");
    }
    assert_eq!(parse("https://[::1]:1/").unwrap().to_string(), "https://[::1]:1");
    assert_eq!(parse("https://h").unwrap(), Endpoint::Tls { host: "h".into(), port: 443 });
    let everywhere: SocketAddr = "0.0.0.0:1".parse().unwrap();
    assert_eq!(Endpoint::of_listener(everywhere, false).to_string(), "http://127.0.0.1:1");
    assert_eq!(Endpoint::of_listener(everywhere, true).to_string(), "https://127.0.0.1:1");
}

/// What one request to the test server was.
#[derive(Debug, Clone)]
struct Seen {
    head: String,
    body: Vec<u8>,
}

/// How the test server treats the next PATCH.
#[derive(Debug, Clone, Copy)]
enum Treat {
    Take,
    /// Reads this much of the body, keeps it, and cuts the connection without an answer.
    CutAfter(usize),
    /// Keeps nothing and answers with this status.
    Refuse(&'static str),
}

#[derive(Default)]
struct Server {
    stored: Vec<u8>,
    length: usize,
    plan: Vec<Treat>,
    seen: Vec<Seen>,
}

/// A server of raw sockets, so that it can break a connection at an exact byte.
async fn start(plan: Vec<Treat>) -> (SocketAddr, Arc<Mutex<Server>>) {
    let server = Arc::new(Mutex::new(Server { plan, ..Server::default() }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shared = Arc::clone(&server);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            answer(stream, &shared).await;
        }
    });
    (address, server)
}

async fn answer(mut stream: tokio::net::TcpStream, shared: &Mutex<Server>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read_exact(&mut byte).await.is_err() {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let number =
        |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse::<usize>().ok());
    let announced = number("content-length").unwrap_or(0);
    let treat = match head.starts_with("PATCH") {
        true => shared.lock().unwrap().plan.pop().unwrap_or(Treat::Take),
        false => Treat::Take,
    };
    let wanted = if let Treat::CutAfter(count) = treat { count.min(announced) } else { announced };
    let mut body = vec![0; wanted];
    if stream.read_exact(&mut body).await.is_err() {
        return;
    }
    let reply = {
        let mut server = shared.lock().unwrap();
        server.seen.push(Seen { head: head.clone(), body: body.clone() });
        reply(&mut server, &head, treat, body, number("upload-length"))
    };
    if let Some(reply) = reply {
        stream.write_all(reply.as_bytes()).await.ok();
        stream.shutdown().await.ok();
    }
}

fn reply(server: &mut Server, head: &str, treat: Treat, body: Vec<u8>, length: Option<usize>) -> Option<String> {
    let json = |status: &str, text: &str| {
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{text}", text.len())
    };
    if head.starts_with("POST /v1/uploads ") {
        server.length = length.unwrap();
        return Some(json("201 Created", r#"{"id":"u1","offset":0,"length":0}"#));
    }
    if head.starts_with("PATCH /v1/uploads/u1 ") {
        if let Treat::Refuse(status) = treat {
            let text = r#"{"type":"about:blank","title":"no","detail":"the disk is full"}"#;
            return Some(json(status, text));
        }
        server.stored.extend(body);
        if let Treat::CutAfter(_) = treat {
            return None;
        }
        return Some(format!("HTTP/1.1 204 No Content\r\nupload-offset: {}\r\n\r\n", server.stored.len()));
    }
    if head.starts_with("HEAD /v1/uploads/u1 ") {
        let (offset, length) = (server.stored.len(), server.length);
        return Some(format!("HTTP/1.1 200 OK\r\nupload-offset: {offset}\r\nupload-length: {length}\r\n\r\n"));
    }
    match head.split_whitespace().nth(1) {
        Some("/v1/status") => Some(json("200 OK", r#"{"devices":3}"#)),
        Some("/html") => Some(json("502 Bad Gateway", "<html>")),
        Some("/cut") => None,
        _ => Some(json(
            "404 Not Found",
            r#"{"type":"x","title":"There is no such thing","status":404,"detail":"no release 9.9"}"#,
        )),
    }
}

fn client(address: SocketAddr) -> Client {
    let upload = UploadOptions {
        attempts_without_progress_max: 3,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(5),
        stall_timeout: Duration::from_secs(60),
    };
    let options = ClientOptions { answer_timeout: Duration::from_secs(60), upload, ..ClientOptions::default() };
    Client::new(Endpoint::of_listener(address, false), Some("rf_secret"), options).unwrap()
}

fn sample(length: usize) -> (tempfile::NamedTempFile, Vec<u8>) {
    let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&bytes).unwrap();
    (file, bytes)
}

#[tokio::test]
async fn an_upload_goes_on_where_the_connection_broke() {
    // Taken from the end: cut after 300,000 bytes, then after none, then after 1, then the rest is taken.
    let plan = vec![Treat::Take, Treat::CutAfter(1), Treat::CutAfter(0), Treat::CutAfter(300_000)];
    let (address, server) = start(plan).await;
    let (file, bytes) = sample(1_000_000);
    let highest = Mutex::new(0);
    let progress = |position: u64| {
        let mut highest = highest.lock().unwrap();
        *highest = position.max(*highest);
    };
    let uploaded = client(address).upload(file.path(), &progress).await.unwrap();
    assert_eq!(uploaded.id, "u1");
    assert_eq!(uploaded.size, 1_000_000);
    assert_eq!(uploaded.resumed, 3);
    assert_eq!(uploaded.blake3, Some(crate::model::Blake3Digest::of(&bytes)));
    assert_eq!(*highest.lock().unwrap(), 1_000_000);
    let server = server.lock().unwrap();
    assert!(server.stored == bytes);
    let offsets: Vec<&str> = server
        .seen
        .iter()
        .filter(|seen| seen.head.starts_with("PATCH"))
        .filter_map(|seen| seen.head.lines().find_map(|line| line.strip_prefix("upload-offset: ")))
        .collect();
    assert_eq!(offsets, ["0", "300000", "300000", "300001"]);
    assert_eq!(server.seen.iter().filter(|seen| seen.head.starts_with("HEAD")).count(), 3);
}

#[tokio::test]
async fn an_upload_that_never_moves_is_given_up() {
    let (address, server) = start(vec![Treat::CutAfter(0); 20]).await;
    let (file, _) = sample(10_000);
    let error = client(address).upload(file.path(), &|_| {}).await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }), "{error}");
    let patches = server.lock().unwrap().seen.iter().filter(|seen| seen.head.starts_with("PATCH")).count();
    assert_eq!(patches, 4);
}

#[tokio::test]
async fn a_refusal_that_will_not_change_is_not_tried_again() {
    let (address, server) = start(vec![Treat::Refuse("507 Insufficient Storage")]).await;
    let (file, _) = sample(10_000);
    let error = client(address).upload(file.path(), &|_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "the disk is full");
    assert_eq!(server.lock().unwrap().seen.len(), 2);
}

#[tokio::test]
async fn a_busy_server_is_tried_again() {
    let (address, server) = start(vec![Treat::Take, Treat::Refuse("503 Service Unavailable")]).await;
    let (file, bytes) = sample(10_000);
    client(address).upload(file.path(), &|_| {}).await.unwrap();
    assert!(server.lock().unwrap().stored == bytes);
}

#[tokio::test]
async fn an_empty_file_needs_no_part() {
    let (address, server) = start(Vec::new()).await;
    let (file, _) = sample(0);
    let uploaded = client(address).upload(file.path(), &|_| {}).await.unwrap();
    assert_eq!(uploaded.blake3, Some(crate::model::Blake3Digest::of(b"")));
    assert_eq!(server.lock().unwrap().seen.len(), 1);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named() {
    let (address, _) = start(Vec::new()).await;
    let error = client(address).upload(std::path::Path::new("/nowhere/x.bin"), &|_| {}).await.unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/x.bin: "), "{error}");
    let error = client(address).upload(std::path::Path::new("/"), &|_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "/: it is not a file");
}

#[tokio::test]
async fn answers_and_refusals() {
    let (address, server) = start(Vec::new()).await;
    let client = client(address);
    assert_eq!(client.get("/v1/status").await.unwrap()["devices"], 3);
    let head = server.lock().unwrap().seen[0].head.clone();
    assert!(head.contains("authorization: Bearer rf_secret\r\n"), "{head}");
    let error = client.get("/v1/x").await.unwrap_err();
    assert_eq!(error.to_string(), "no release 9.9");
    assert!(matches!(&error, ClientError::Refused(problem) if problem.refusal() == Refusal::NotFound));
    assert_eq!(client.get("/html").await.unwrap_err().to_string(), "the server answered 502 Bad Gateway");
    assert!(matches!(client.get("/cut").await.unwrap_err(), ClientError::Broken { .. }));
    client.post("/v1/status", &serde_json::json!({"a": 1})).await.unwrap();
    assert_eq!(server.lock().unwrap().seen.last().unwrap().body, br#"{"a":1}"#);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    // Bound, so that nobody else gets its port meanwhile, and not listening.
    let bound = TcpSocket::new_v4().unwrap();
    bound.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = bound.local_addr().unwrap();
    let error = client(address).get("/v1/status").await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("http://{address} cannot be reached: ")), "{error}");
    let socket = Client::new("unix:/nowhere/a.sock".parse().unwrap(), None, ClientOptions::default()).unwrap();
    let error = socket.get("/v1/status").await.unwrap_err();
    assert!(error.to_string().starts_with("unix:/nowhere/a.sock cannot be reached: "), "{error}");
}

#[test]
fn problems_sort_into_refusals() {
    let kinds = [(401, Refusal::NotAllowed), (403, Refusal::NotAllowed), (404, Refusal::NotFound)];
    let more = [(409, Refusal::Conflict), (412, Refusal::Conflict), (500, Refusal::Other), (422, Refusal::Other)];
    for (status, refusal) in kinds.into_iter().chain(more) {
        assert_eq!(Problem::read(status, b"").refusal(), refusal, "{status}");
    }
    let damage = Problem::read(500, br#"{"type":"/problems/damaged","title":"t"}"#);
    assert_eq!((damage.refusal(), damage.to_string().as_str()), (Refusal::Damage, "t"));
}

#[test]
fn a_token_with_a_line_end_inside_is_refused() {
    let endpoint: Endpoint = "http://h:1".parse().unwrap();
    assert!(matches!(Client::new(endpoint, Some("a\nb"), ClientOptions::default()), Err(ClientError::TokenUnfit)));
}
