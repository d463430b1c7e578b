//! An import whose volumes all come at the same time, each over a connection of its own.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};

use super::support::process::{Memory, MemoryWatch};
use super::support::server::Server;

/// Imports a bundle. How many volumes it has, and the most memory of the server meanwhile.
pub(crate) fn import_at_once(site: &Server, medium: &Path) -> (u64, Memory) {
    let read = |name: &str| std::fs::read_to_string(medium.join(name)).unwrap();
    let begin = json!({ "manifest": read("BUNDLE.json"), "signature": read("BUNDLE.sig") }).to_string();
    let watch = MemoryWatch::start(site.pid());
    // What the state tells is asked for alone.
    let mut answer = ask(site, "POST", "/v1/site/imports", begin.as_bytes(), None);
    let route = format!("/v1/site/imports/{}", answer["bundle"].as_str().unwrap());
    let mut volumes = 0;
    for list in ["first", "needed"] {
        let spans = answer[list].as_array().cloned().unwrap_or_default();
        std::thread::scope(|scope| {
            for span in &spans {
                let route = &route;
                scope.spawn(move || send(site, medium, route, span));
            }
        });
        volumes = spans.len() as u64;
        answer = ask(site, "POST", "/v1/site/imports", begin.as_bytes(), None);
    }
    let answer = ask(site, "POST", &format!("{route}/finish"), b"", None);
    assert_eq!(answer["state"], "applied", "{answer}");
    (volumes, watch.most())
}

fn send(site: &Server, medium: &Path, route: &str, span: &Value) {
    let [volume, offset, size] = ["volume", "offset", "size"].map(|name| span[name].as_u64().unwrap());
    let mut file = File::open(medium.join(format!("vol-{volume:04}.tar"))).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(offset)).unwrap();
    let path = format!("{route}/volumes/{volume}?offset={offset}");
    let taken = ask(site, "PUT", &path, b"", Some((file, size)));
    assert_eq!(taken["damaged"], json!([]), "{taken}");
}

/// One request; the answer must be a good one.
fn ask(site: &Server, method: &str, path: &str, body: &[u8], file: Option<(File, u64)>) -> Value {
    let (address, token) = site.admin();
    let mut stream = TcpStream::connect(&address).unwrap();
    let length = file.as_ref().map_or(body.len() as u64, |(_, size)| *size);
    let kind = if file.is_some() { "application/octet-stream" } else { "application/json" };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: {kind}\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    if let Some((file, size)) = file {
        std::io::copy(&mut file.take(size), &mut stream).unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{method} {path}: {answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}
