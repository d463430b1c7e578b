//! Memory of the server while 4 GiB are published to it, and while it serves them four times at once. Counted is what no
//! file backs (`RssAnon`). `cargo bench --bench memory`; needs 9 GiB of free disk.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use support::process::{MemoryWatch, anonymous_mib};
use support::server::{OPEN_POLICY, Server, init, scratch};
use support::stats::goal;
use support::{files, is_only_a_test, load};

const BYTES: u64 = 4 << 30;
const STREAMS: usize = 4;

fn main() {
    if is_only_a_test() {
        return;
    }
    let dir = scratch();
    let root = dir.path().join("server");
    init(&root, OPEN_POLICY);
    let server = Server::start(&root);
    server.json(&["product", "add", "feed", "--class", "intelligence"]);
    let file = dir.path().join("body.bin");
    files::write_random(&file, BYTES, 2);
    sleep(Duration::from_secs(1));
    let idle = anonymous_mib(server.pid());

    let watch = MemoryWatch::start(server.pid());
    let artifact = format!("body.bin={}", file.display());
    let mut publish = server.command(&["publish", "feed", "1", "--artifact", &artifact]);
    let mut client = publish.stdout(Stdio::null()).spawn().unwrap();
    let client_watch = MemoryWatch::start(client.id());
    assert!(client.wait().unwrap().success());
    let (publishing, client_most) = (watch.most_mib(), client_watch.most_mib());
    let release = server.json(&["release", "show", "feed", "1"]);
    let blob = format!("/v1/blobs/{}", release["artifacts"][0]["blake3"].as_str().unwrap());

    let watch = MemoryWatch::start(server.pid());
    let received = load::run(server.device, STREAMS, &[load::get(&blob, "pc-1", "")], STREAMS, 200);
    let serving = watch.most_mib();
    assert_eq!(received, BYTES * STREAMS as u64);

    println!("idle                             {idle:.1} MiB");
    println!(
        "publishing 4 GiB, at most        {publishing:.1} MiB; the command line's own process {client_most:.1} MiB"
    );
    println!("serving 4 GiB to four, at most   {serving:.1} MiB");
    goal("publishing 4 GiB, MiB above idle", publishing - idle, 64.0);
    goal("serving 4 GiB, MiB above idle", serving - idle, 64.0);
}
