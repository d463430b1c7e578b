//! Mutated input for everything that reads what others wrote: ranges, names, policies, configurations, archives,
//! signatures, events, bundles. It must never panic, hang, or break a promise that its documentation makes.
//!
//! Inputs are mutated from `tests/corpus/TARGET/` and from what the run has found to be new. `RINGFENCE_FUZZ_SECONDS`
//! says for how long each target runs (5 by default, 60 in the full tier; `bundles` runs 1,000 inputs, and 100,000 in the
//! full tier: `RINGFENCE_TIER=full cargo test --test fuzz -- bundles`), `RINGFENCE_SEED` repeats a run. An input that
//! fails is written to `target/fuzz/`; put it into the corpus, where every run begins with it.

// What fails says where; what was done is printed.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod bundle;
mod bundles;
mod memory;
mod mutate;
mod runner;
mod sent;
mod site;
mod targets;
mod twist;

// As the library's own modules name them: `bundle::testing` is one of those.
use ringfence::{model, signing};
use runner::{Counts, fuzz, fuzz_counted};

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

#[test]
fn bundles() {
    let carried = bundles::Carried::new();
    let counts = Counts { smoke: 1_000, full: 100_000 };
    let attempt = |input: &[u8]| carried.attempt(input);
    fuzz_counted("bundles", &carried.inputs(), counts, attempt, || carried.has_applied_each());
    carried.end();
}
