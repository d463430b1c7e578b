//! Bundles, from an origin to a medium and into a site: how fast, and in how much memory.
//!
//! `cargo bench --bench bundle_speed` does both; with `-- speed` or `-- memory` behind it only the one. Needs 16 GiB of
//! free disk. Exit code 1 where a process took more memory than it may.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod at_once;
mod memory;
mod places;
mod speed;
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

/// The most memory of each process, whatever the bodies' lengths.
const MEMORY_MAX_MIB: f64 = 128.0;

fn main() -> ExitCode {
    if support::is_only_a_test() {
        return ExitCode::SUCCESS;
    }
    let is_asked = |part: &str| std::env::args().any(|argument| argument == part);
    let is_all = !is_asked("speed") && !is_asked("memory");
    let mut most_mib: f64 = 0.0;
    if is_all || is_asked("speed") {
        most_mib = most_mib.max(speed::run());
    }
    if is_all || is_asked("memory") {
        most_mib = most_mib.max(memory::run());
    }
    if most_mib <= MEMORY_MAX_MIB { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
