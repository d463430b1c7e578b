//! Bytes over loopback, for the record: a 1 GiB blob whole, and ranges of 64 KiB of it, over HTTP/1.1; beside nginx with
//! sendfile where it is installed. Every answer of ours is an authorised one. `cargo bench --bench bulk`.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::net::SocketAddr;
use std::time::Instant;

use support::nginx::Nginx;
use support::process::cpu_seconds;
use support::server::{OPEN_POLICY, Server, init, scratch};
use support::stats::Runs;
use support::{abba, files, is_only_a_test, load, repeats};

const BYTES: u64 = 1 << 30;
const RANGE_BYTES: u64 = 64 << 10;
const RANGES: usize = 50_000;
const CONNECTIONS: usize = 4;

struct Side {
    name: &'static str,
    address: SocketAddr,
    pid: u32,
    path: String,
    /// GB/s and CPU seconds a GB.
    whole: [Runs; 2],
    /// Requests per second and CPU seconds per 100,000.
    ranges: [Runs; 2],
}

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
    files::write_random(&file, BYTES, 3);
    let path = server.publish("feed", "1", &file);
    let mut ours = side("ringfence", server.device, server.pid(), path);
    let nginx = Nginx::start(dir.path(), "");
    let mut other = nginx.as_ref().map(|nginx| side("nginx", nginx.address, nginx.pid(), "/body.bin".into()));
    for is_ours in abba(repeats(5)) {
        if is_ours {
            ours.run();
        } else if let Some(other) = &mut other {
            other.run();
        }
    }
    for side in [Some(&ours), other.as_ref()].into_iter().flatten() {
        let ([speed, cpu], [rate, range_cpu]) = (&side.whole, &side.ranges);
        println!("{}, 1 GiB over each of {CONNECTIONS} connections: {speed} GB/s, {cpu} CPU-s/GB", side.name);
        println!("{}, ranges of 64 KiB: {rate} a second, {range_cpu} CPU-s per 100,000", side.name);
    }
    match &other {
        Some(other) => {
            let ratio = |ours: &Runs, other: &Runs| ours.median() / other.median();
            println!(
                "ours / nginx: whole {:.2} of the speed, {:.2} of the CPU; ranges {:.2} of the rate, {:.2} of the CPU",
                ratio(&ours.whole[0], &other.whole[0]),
                ratio(&ours.whole[1], &other.whole[1]),
                ratio(&ours.ranges[0], &other.ranges[0]),
                ratio(&ours.ranges[1], &other.ranges[1]),
            );
        }
        None => println!("nginx is not installed: nothing to compare with"),
    }
}

fn side(name: &'static str, address: SocketAddr, pid: u32, path: String) -> Side {
    let runs = || [Runs::new(), Runs::new()];
    Side { name, address, pid, path, whole: runs(), ranges: runs() }
}

impl Side {
    fn run(&mut self) {
        let whole = [load::get(&self.path, "pc-1", "")];
        let (bytes, wall, cpu) = self.measure(&whole, CONNECTIONS, 200);
        self.whole[0].add(bytes as f64 / 1e9 / wall);
        self.whole[1].add(cpu / (bytes as f64 / 1e9));
        // A stride that visits every range of the file in a scattered order.
        let range = |n: u64| {
            let first = n * 7_919 % (BYTES / RANGE_BYTES) * RANGE_BYTES;
            load::get(&self.path, "pc-1", &format!("Range: bytes={first}-{}\r\n", first + RANGE_BYTES - 1))
        };
        let ranges: Vec<_> = (0..RANGES as u64).map(range).collect();
        let (_, wall, cpu) = self.measure(&ranges, RANGES, 206);
        self.ranges[0].add(RANGES as f64 / wall);
        self.ranges[1].add(cpu * 100_000.0 / RANGES as f64);
    }

    fn measure(&self, requests: &[Vec<u8>], count: usize, status: u16) -> (u64, f64, f64) {
        let (before, begun) = (cpu_seconds(self.pid), Instant::now());
        let bytes = load::run(self.address, CONNECTIONS, requests, count, status);
        (bytes, begun.elapsed().as_secs_f64(), cpu_seconds(self.pid) - before)
    }
}
