//! Publishing 1 GiB through the command line and the server, against what one does by hand: `sha256sum` of the file,
//! then a copy and its fsync. `cargo bench --bench publish`; needs 16 GiB of free disk.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use support::process::cpu_seconds;
use support::server::{OPEN_POLICY, Server, init, scratch};
use support::stats::{Runs, goal};
use support::{abba, files, is_only_a_test, repeats};

const BYTES: u64 = 1 << 30;

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
    files::write_random(&file, BYTES, 1);
    let (mut by_hand, mut published, mut server_cpu) = (Runs::new(), Runs::new(), Runs::new());
    for (number, is_ours) in (1..).zip(abba(repeats(5))) {
        files::vary(&file, number);
        let begun = Instant::now();
        if is_ours {
            let before = cpu_seconds(server.pid());
            server.publish("feed", &number.to_string(), &file);
            published.add(begun.elapsed().as_secs_f64());
            server_cpu.add(cpu_seconds(server.pid()) - before);
        } else {
            hash_and_copy(&file, &dir.path().join("copy.bin"));
            by_hand.add(begun.elapsed().as_secs_f64());
            std::fs::remove_file(dir.path().join("copy.bin")).unwrap();
        }
    }
    println!("1 GiB, sha256sum + cp + sync of the copy   {by_hand} s");
    println!("1 GiB, ringfence publish                   {published} s, server CPU {server_cpu} s");
    goal("publish against sha256sum + cp with fsync, wall", published.median() / by_hand.median(), 1.3);
}

fn hash_and_copy(file: &Path, copy: &Path) {
    for command in [
        Command::new("sha256sum").arg(file),
        Command::new("cp").arg("--reflink=never").arg(file).arg(copy),
        Command::new("sync").arg(copy),
    ] {
        assert!(command.stdout(Stdio::null()).status().unwrap().success());
    }
}
