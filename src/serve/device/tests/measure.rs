//! What an offer costs beside a static answer of the same server, and a file of a share beside the same blob. No tests:
//! `cargo test --release -- --ignored measure_ --nocapture` prints the figures.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::world::{World, share_file};
use crate::model::{Blake3Digest, Device, Event};

const REQUESTS: usize = 20_000;

/// 100,000 devices, 500 groups, 1,000 releases of 10 products.
fn large() -> World {
    large_with("")
}

/// The same with more of a policy.
fn large_with(more: &str) -> World {
    let mut world = World::default();
    let mut policy = String::from("[[ring]]\nname = \"broad\"\n");
    for group in 0..499 {
        policy += &format!("[[group]]\nname = \"g{group}\"\nmatch = {{ id = \"site{group}-*\" }}\nring = \"broad\"\n");
    }
    policy += "[[group]]\nname = \"rest\"\nmatch = \"any\"\nring = \"broad\"\n";
    world.policy(&(policy + more));
    for product in 0..10 {
        world.product(&format!("p{product}"));
        for version in 0..100 {
            world.release(&format!("p{product}"), &format!("1.{version}"), format!("{product} {version}").as_bytes());
        }
    }
    for chunk in 0..100 {
        let device = |n: usize| Device {
            id: format!("site{}-{chunk}-{n}", n % 700).parse().unwrap(),
            platform: Some("windows-x64".parse().unwrap()),
            tags: Default::default(),
            attributes: Default::default(),
        };
        world.add(Event::DevicesImported { devices: (0..1000).map(device).collect() });
    }
    for n in 0..1000 {
        world.device_token(&format!("site{}-7-{n}", n % 700));
    }
    world
}

#[test]
#[ignore = "prints figures, proves nothing"]
fn measure_offer() {
    measure(large, &["/none".to_owned(), "/healthz".to_owned(), "/v1/offers/p3?current=1.0".to_owned()]);
}

/// A statement over 10 products beside an offer of one of them.
#[test]
#[ignore = "prints figures, proves nothing"]
fn measure_freshness() {
    measure(large, &["/healthz".to_owned(), "/v1/offers/p3".to_owned(), "/v1/freshness".to_owned()]);
}

/// Of 1,000 shares the last one in the policy's text, for the last one of 500 groups; a file alone and one of a set.
#[test]
#[ignore = "prints figures, proves nothing"]
fn measure_share() {
    let body = b"3 99";
    let world = || {
        let share = |n| {
            format!(
                "[[share]]\nname = \"s{n}\"\ngroup = \"rest\"\nlayout = \"plain\"\nproducts = [\"p3\"]\nopen_to = \"devices\"\n"
            )
        };
        let mut world = large_with(&(0..1000).map(share).collect::<String>());
        for (name, at) in [("s0", -1000), ("s999", -900)] {
            let file = |path, set| share_file(path, body, ("p3", 100), set);
            world.switch(name, at, vec![file("x64/alone.exe", ""), file("x64/set.exe", "set")], &[]);
        }
        world
    };
    let blob = format!("/v1/blobs/{}", Blake3Digest::of(body));
    let shares = ["s0/x64/alone.exe", "s999/x64/alone.exe", "s999/x64/set.exe", "s999/x64/%61lone.exe"];
    let mut paths = vec!["/none".to_owned(), blob];
    paths.extend(shares.map(|path| format!("/shares/{path}")));
    measure(world, &paths);
}

fn measure(world: impl FnOnce() -> World, paths: &[String]) {
    let paths = paths.to_vec();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(async { world().serve() });
    let address = server.address;
    let thread = std::fs::read_link("/proc/thread-self").unwrap();
    let client = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut rows = Vec::new();
        for _ in 0..3 {
            for path in &paths {
                let before = cpu_of(&thread);
                runtime.block_on(ask(address, path));
                rows.push((path.clone(), cpu_of(&thread) - before));
            }
        }
        rows
    });
    let _guard = runtime.enter();
    while !client.is_finished() {
        runtime.block_on(tokio::time::sleep(Duration::from_millis(100)));
    }
    for (path, cpu) in client.join().unwrap() {
        println!("{path:30} {:6.2} µs of server CPU a request", cpu.as_secs_f64() * 1e6 / REQUESTS as f64);
    }
}

/// What the server's thread has spent on a processor.
fn cpu_of(thread: &Path) -> Duration {
    let text = std::fs::read_to_string(Path::new("/proc").join(thread).join("schedstat")).unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

async fn ask(address: std::net::SocketAddr, path: &str) {
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut buffer = vec![0; 64 * 1024];
    for n in 0..REQUESTS {
        let device = format!("site{}-7-{}", n % 1000 % 700, n % 1000);
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer rf_{device}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut got = socket.read(&mut buffer).await.unwrap();
        while !is_whole(&buffer[..got]) {
            got += socket.read(&mut buffer[got..]).await.unwrap();
        }
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(split) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = std::str::from_utf8(&answer[..split]).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.unwrap().parse().unwrap();
    answer.len() == split + 4 + length
}
