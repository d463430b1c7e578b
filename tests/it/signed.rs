//! Signed answers from outside: minisign agrees with them, `ringfence fetch` believes what it should, and nothing else.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::tools::need;
use crate::support::{Answer, Run, Setup, TestServer, random_bytes, request};

/// Longer than any test takes: an overlap ends when a test says so.
const OVERLAP: &str = "key_overlap = \"1h\"";

/// A server with version 1.0 of `feed`, and a token for `pc-1`.
fn start() -> TestServer {
    let server = Setup::new().config(&format!("[signing]\n{OVERLAP}\n")).start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    publish(&server, "1.0");
    let token = server.root().join("pc-1.token").display().to_string();
    server.cli(&["token", "create", "--device", "pc-1", "--out", &token]).ok();
    server
}

fn publish(server: &TestServer, version: &str) {
    let body = random_bytes(version.len() as u64 + u64::from(version.as_bytes()[0]), 50_000);
    server.as_admin().try_publish("feed", version, &body).unwrap().expect(201);
}

fn pin(server: &TestServer, name: &str) -> String {
    let path = server.root().join(name);
    std::fs::write(&path, server.cli(&["key", "show"]).ok().stdout).unwrap();
    path.display().to_string()
}

/// `ringfence fetch feed` as `pc-1`, into `to` below the server's directory.
fn fetch(server: &TestServer, from: SocketAddr, to: &str, more: &[&str]) -> Run {
    let (from, token) = (format!("http://{from}"), server.root().join("pc-1.token").display().to_string());
    let to = server.root().join(to).display().to_string();
    let words = ["fetch", "feed", "--to", &to, "--from", &from, "--token-file", &token];
    server.cli(&[&words, more].concat())
}

/// The next start finds that an overlap is a second, and that one is over.
fn end_the_overlap(server: &TestServer) {
    let path = server.root().join("ringfence.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(OVERLAP), "{text}");
    std::fs::write(&path, text.replace(OVERLAP, "key_overlap = \"1s\"")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
}

/// Every file below a directory, with its bytes; but for the lock, which holds the number of a process.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(tree(&path));
        } else if path.is_file() && !path.ends_with(".ringfence/lock") {
            files.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    files
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn minisign_agrees_with_manifests_and_statements() {
    need!("minisign_agrees_with_manifests_and_statements", "minisign", "curl");
    let server = start();
    let root = server.root();
    let public = root.join("origin.pub").display().to_string();
    let offer = server.offer("pc-1", "feed").unwrap();
    let paths = [offer["manifest_url"].as_str().unwrap().to_owned(), "/v1/freshness?platform=linux-x64".to_owned()];
    let verify = |name: &str| {
        let (text, signature) = (root.join(name), root.join(format!("{name}.minisig")));
        Run::of(Command::new("minisign").arg("-Vm").arg(text).arg("-x").arg(signature).args(["-p", &public]))
    };
    for (path, field) in paths.iter().zip(["manifest", "statement"]) {
        let url = format!("http://{}{path}", server.device);
        let answer = Run::of(Command::new("curl").args(["-sSf", "-H", "Ringfence-Device: pc-1", &url])).ok().json();
        let text = answer[field].as_str().unwrap();
        std::fs::write(root.join(field), text).unwrap();
        std::fs::write(root.join(format!("{field}.minisig")), answer["signature"].as_str().unwrap()).unwrap();
        let verified = verify(field).ok();
        assert!(verified.stdout.contains("Trusted comment: "), "{}", verified.stdout);
        std::fs::write(root.join(field), text.replacen('1', "2", 1)).unwrap();
        assert_ne!(verify(field).code, 0, "a changed {field} is refused");
    }
    // The admin's listener says where the journal stands.
    let answer = server.api("GET", "/v1/freshness", None).expect(200).json();
    std::fs::write(root.join("journal"), answer["statement"].as_str().unwrap()).unwrap();
    std::fs::write(root.join("journal.minisig"), answer["signature"].as_str().unwrap()).unwrap();
    verify("journal").ok();
    let line = format!("\nsequence {}\n", server.journal_seq());
    assert!(answer["statement"].as_str().unwrap().contains(&line), "{answer}");
    // The public key is the one that init wrote and that the server tells.
    assert_eq!(server.cli(&["key", "show"]).ok().stdout, std::fs::read_to_string(&public).unwrap());
}

#[test]
fn the_key_is_kept_and_never_told() {
    let mut server = start();
    let key = server.root().join("origin.key");
    assert_eq!(mode(&key), 0o600);
    let secret = |name: &str| {
        let text = std::fs::read_to_string(server.root().join(name)).unwrap();
        text.lines().nth(1).unwrap().to_owned()
    };
    let mut secrets = vec![secret("origin.key")];
    let shown = server.json(&["key", "list"]);
    let rotated = server.json(&["key", "rotate", "--yes"]);
    assert_ne!(shown["signing"], rotated["signing"]);
    assert_eq!(rotated["origin"][1]["introduced_by"], shown["signing"]);
    secrets.push(secret("origin.key"));
    assert_eq!(secret("origin.key.previous"), secrets[0]);
    assert_eq!((mode(&key), mode(&server.root().join("origin.key.previous"))), (0o600, 0o600));
    server.stop();
    server.start_again();
    assert_eq!(server.json(&["key", "list"])["signing"], rotated["signing"], "a restart keeps the key");
    assert_eq!(server.json(&["key", "list"])["origin"].as_array().unwrap().len(), 2, "and adds none");
    // Of a server that has ended: a running one puts files in place of others while they are read.
    server.stop();
    let mut told = server.log().into_bytes();
    tree(&server.data()).values().for_each(|bytes| told.extend_from_slice(bytes));
    server.start_again();
    for secret in &secrets {
        assert!(!told.windows(secret.len()).any(|window| window == secret.as_bytes()), "a secret is in data or log");
    }
    let present = rotated["signing"].as_str().unwrap();
    server.cli(&["key", "retire", present, "--reason", "r", "--yes"]).complains(7, &["rotate"]);
    server.cli(&["key", "retire", "0000000000000000", "--reason", "r", "--yes"]).complains(6, &["key list"]);
    server.cli(&["key", "rotate"]).exits(2);
    // Who has no role for it changes nothing.
    let token = server.json(&["token", "create", "--actor", "o@corp", "--role", "operator"]);
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    for path in ["/v1/keys/rotate", "/v1/keys/0000000000000000/retire"] {
        request(server.admin, "POST", path, &[("Authorization", &bearer)], b"").expect(403);
    }
    // A key that others may read is told of.
    server.stop();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    server.start_again();
    assert!(server.log().contains("can be read by others"), "{}", server.log());
}

#[test]
fn a_fetch_follows_releases_rotations_and_restarts() {
    let mut server = start();
    let pinned = pin(&server, "pinned.pub");
    let go = |server: &TestServer, more: &[&str]| fetch(server, server.device, "dir", more);
    let plain = go(&server, &[]).ok();
    assert!(plain.stderr.contains("--key"), "{}", plain.stderr);
    let verified = |server: &TestServer| {
        let run = go(server, &["--key", &pinned, "--device", "pc-1", "--json"]).ok();
        assert_eq!(run.stderr, "");
        run.json()
    };
    let first = verified(&server);
    assert_eq!((&first["version"], &first["changed"]), (&json!("1.0"), &json!(false)), "{first}");
    assert!(server.root().join("dir/.ringfence/trust.json").exists());
    publish(&server, "2.0");
    let second = verified(&server);
    assert_eq!((&second["version"], &second["changed"]), (&json!("2.0"), &json!(true)), "{second}");
    assert_eq!(tree(&server.root().join("dir"))[&server.root().join("dir/file.bin")].len(), 50_000);
    assert!(second["verified"]["sequence"].as_u64() > first["verified"]["sequence"].as_u64());
    // A file that was changed or removed is fetched again.
    std::fs::write(server.root().join("dir/file.bin"), b"other").unwrap();
    assert_eq!(verified(&server)["files_fetched"], 1);
    // Over a rotation and a restart the pinned key leads to the new one.
    let rotated = server.json(&["key", "rotate", "--yes"])["signing"].take();
    server.stop();
    server.start_again();
    let third = verified(&server);
    assert_eq!((&third["verified"]["key"], third["changed"].as_bool()), (&rotated, Some(false)), "{third}");
    // Who comes for the first time after the overlap needs the new key; who was there before does not.
    server.stop();
    end_the_overlap(&server);
    server.start_again();
    verified(&server);
    fetch(&server, server.device, "late", &["--key", &pinned]).complains(10, &["retired", "key show"]);
    assert!(!server.root().join("late").exists());
    let pinned = pin(&server, "new.pub");
    fetch(&server, server.device, "late", &["--key", &pinned]).ok();
    // For another device, and with a key of nobody's.
    fetch(&server, server.device, "other", &["--key", &pinned, "--device", "pc-2"]).complains(10, &["another device"]);
    let stranger = Setup::new();
    let stranger = stranger.root().join("origin.pub").display().to_string();
    fetch(&server, server.device, "other", &["--key", &stranger]).complains(10, &["does not vouch"]);
    fetch(&server, server.device, "other", &["--key", "no-such-file"]).complains(3, &["no-such-file"]);
    assert!(!server.root().join("other").exists());
    // A memory that cannot be read is not taken for none.
    std::fs::write(server.root().join("late/.ringfence/trust.json"), "{").unwrap();
    fetch(&server, server.device, "late", &["--key", &pinned]).complains(3, &["trust.json"]);
}

type Lie = Box<dyn Fn(&str, Answer) -> Answer + Send>;

/// Stands between a client and the server, and changes answers.
struct Liar {
    address: SocketAddr,
    lie: Arc<Mutex<Lie>>,
}

impl Liar {
    fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let lie: Arc<Mutex<Lie>> = Arc::new(Mutex::new(Box::new(|_, answer| answer)));
        let told = lie.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                answer(client, server, &told);
            }
        });
        Self { address, lie }
    }

    fn tell(&self, lie: impl Fn(&str, Answer) -> Answer + Send + 'static) {
        *self.lie.lock().unwrap() = Box::new(lie);
    }
}

fn answer(mut client: TcpStream, server: SocketAddr, lie: &Mutex<Lie>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let Some(path) = head.split(' ').nth(1) else { return };
    let value = |line: &str| line.strip_prefix("authorization: ").map(str::to_owned);
    let token = head.lines().find_map(value).unwrap_or_default();
    let answer = request(server, "GET", path, &[("Authorization", &token)], b"");
    let Answer { status, body, .. } = lie.lock().unwrap()(path, answer);
    let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = client.write_all(head.as_bytes()).and_then(|()| client.write_all(&body));
}

fn with_json(mut answer: Answer, change: impl FnOnce(&mut Value)) -> Answer {
    let mut json = answer.json();
    change(&mut json);
    answer.body = json.to_string().into_bytes();
    answer
}

#[test]
fn lies_are_refused_and_change_nothing() {
    let server = start();
    let pinned = pin(&server, "pinned.pub");
    let liar = Liar::before(server.device);
    let go = || fetch(&server, liar.address, "dir", &["--key", &pinned]);
    let dir = server.root().join("dir");
    // What is recorded of 1.0 is replayed later.
    let recorded: Arc<Mutex<BTreeMap<String, Answer>>> = Arc::default();
    let record = recorded.clone();
    liar.tell(move |path, answer| {
        record.lock().unwrap().insert(path.split('?').next().unwrap().to_owned(), answer.clone());
        answer
    });
    go().ok();
    publish(&server, "2.0");
    liar.tell(|_, answer| answer);
    go().ok();
    publish(&server, "3.0");
    let before = tree(&dir);
    let refused = |what: &str, code: i32, words: &[&str]| {
        go().complains(code, words);
        assert!(tree(&dir) == before, "{what} changed something");
    };
    let old = recorded.clone();
    liar.tell(move |path, answer| old.lock().unwrap().get(path.split('?').next().unwrap()).cloned().unwrap_or(answer));
    refused("a replay of everything", 10, &["set back"]);
    let old = recorded.clone();
    liar.tell(
        move |path, answer| {
            if path.starts_with("/v1/offers/") { old.lock().unwrap()["/v1/offers/feed"].clone() } else { answer }
        },
    );
    refused("an old offer beside a new statement", 10, &["1.0 is not the one"]);
    liar.tell(|path, mut answer| {
        if path.starts_with("/v1/offers/") {
            (answer.status, answer.body) = (204, Vec::new());
        }
        answer
    });
    refused("an offer that is kept back", 10, &["nothing is offered", "3.0"]);
    for gone in ["/v1/freshness", "/v1/manifests/", "/v1/keys"] {
        liar.tell(move |path, mut answer| {
            if path.starts_with(gone) {
                answer.status = 404;
            }
            answer
        });
        // Without the other keys the pinned one is enough.
        match gone {
            "/v1/keys" => {}
            _ => refused(gone, 10, &["no signed"]),
        }
    }
    liar.tell(|path, answer| match path {
        path if path.starts_with("/v1/freshness") => with_json(answer, |json| {
            let text = json["statement"].as_str().unwrap().replace("expires 2", "expires 3");
            json["statement"] = text.into();
        }),
        _ => answer,
    });
    refused("a changed statement", 10, &["does not fit"]);
    liar.tell(|path, answer| match path {
        path if path.starts_with("/v1/offers/") => with_json(answer, |json| {
            json["artifacts"][0]["target"] = "evil.bin".into();
        }),
        _ => answer,
    });
    refused("a changed offer", 10, &["files of the offer"]);
    liar.tell(|path, mut answer| {
        if path.starts_with("/v1/blobs/") {
            answer.body[7] ^= 1;
        }
        answer
    });
    refused("a changed byte", 8, &["other bytes"]);
    liar.tell(|path, mut answer| {
        if path.starts_with("/v1/blobs/") {
            answer.body.push(0);
        }
        answer
    });
    refused("one byte more", 8, &["other bytes"]);
    liar.tell(|_, answer| answer);
    go().ok();
    assert!(tree(&dir) != before, "the truth is written");
}
