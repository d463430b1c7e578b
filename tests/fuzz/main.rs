//! Mutated input for everything that reads what others wrote: ranges, names, policies, configurations, archives,
//! signatures, events. It must never panic, hang, or break a promise that its documentation makes.
//!
//! Inputs are mutated from `tests/corpus/TARGET/` and from what the run has found to be new. `RINGFENCE_FUZZ_SECONDS`
//! says for how long each target runs (5 by default, 60 in the full tier), `RINGFENCE_SEED` repeats a run. An input that
//! fails is written to `target/fuzz/`; put it into the corpus, where every run begins with it.

// What fails says where; what was done is printed.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod mutate;
mod runner;
mod targets;

use runner::fuzz;

#[test]
fn ranges() {
    fuzz("ranges", &[], targets::ranges);
}

#[test]
fn names() {
    fuzz("names", &[], targets::names);
}

#[test]
fn policy() {
    let shipped = ["config/policy.toml", "config/demo-policy.toml"];
    fuzz("policy", &shipped.map(targets::read), targets::policy);
}

#[test]
fn config() {
    fuzz("config", &[targets::read("config/ringfence.toml")], targets::config);
}

#[test]
fn archives() {
    fuzz("archives", &targets::small_archives(), targets::archives);
}

#[test]
fn signatures() {
    fuzz("signatures", &targets::signed(), targets::signatures);
}

#[test]
fn events() {
    fuzz("events", &[], targets::events);
}
