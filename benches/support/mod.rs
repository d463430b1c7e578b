//! What the side-by-side benchmarks share: the release binary as a server, its figures from `/proc`, a loader over plain
//! sockets, and medians. Nothing but loopback and a directory under `target/` is used.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::print_stdout, unreachable_pub)]

pub mod files;
pub mod load;
pub mod nginx;
pub mod process;
pub mod server;
pub mod stats;

/// Repeats of each side: `RINGFENCE_BENCH_REPEATS`, otherwise `default`.
pub fn repeats(default: usize) -> usize {
    std::env::var("RINGFENCE_BENCH_REPEATS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Whether cargo only asks that the benchmark builds and starts, as `cargo test --benches` does.
pub fn is_only_a_test() -> bool {
    !std::env::args().any(|argument| argument == "--bench")
}

/// The order A B B A A B B A …: drift over the time of a run meets both sides alike.
pub fn abba(repeats: usize) -> impl Iterator<Item = bool> {
    (0..repeats).flat_map(|round| if round % 2 == 0 { [true, false] } else { [false, true] })
}
