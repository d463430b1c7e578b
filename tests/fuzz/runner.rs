//! Runs one target for its time, keeps what is new, and writes down what fails.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::mutate::{Random, mutate};

/// What a target says of an input: the same number for inputs that were treated the same way.
pub(crate) type Outcome = u64;
/// An input of at most 64 KiB must be done with by then, even unoptimised and on a busy machine.
const SLOW: Duration = Duration::from_secs(30);
/// Most inputs that are remembered for having been new.
const KEPT_MAX: usize = 4096;

/// Names a way in which an input was treated.
pub(crate) fn outcome(what: &impl std::fmt::Debug) -> Outcome {
    let mut hasher = DefaultHasher::new();
    // Numbers and quoted parts of the input would make every input a new one.
    let text = format!("{what:?}");
    let words = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() > 2).take(24);
    words.for_each(|word| word.hash(&mut hasher));
    hasher.finish()
}

/// Runs every input of the corpus, then mutations of them until the time is over.
pub(crate) fn fuzz(name: &str, seeds: &[Vec<u8>], target: impl Fn(&[u8]) -> Outcome) {
    let begun = Instant::now();
    // One at least, however long the corpus took.
    run(name, seeds, target, |count| count == 0 || begun.elapsed() < duration());
}

/// As [`fuzz`], with so many mutations in each tier, however long that takes; with more where a seed has not brought
/// enough to pass.
pub(crate) fn fuzz_counted(
    name: &str,
    seeds: &[Vec<u8>],
    counts: Counts,
    target: impl Fn(&[u8]) -> Outcome,
    is_enough: impl Fn() -> bool,
) {
    let wanted = if is_full() { counts.full } else { counts.smoke };
    run(name, seeds, target, |count| count < wanted || (count < 20 * wanted && !is_enough()));
}

/// How many mutations a tier runs.
pub(crate) struct Counts {
    pub(crate) smoke: u64,
    pub(crate) full: u64,
}

fn run(name: &str, seeds: &[Vec<u8>], target: impl Fn(&[u8]) -> Outcome, goes_on: impl Fn(u64) -> bool) {
    let mut inputs: Vec<Vec<u8>> = seeds.to_vec();
    let corpus = root().join("tests/corpus").join(name);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&corpus)
        .map_or(Vec::new(), |entries| entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect());
    files.sort();
    inputs.extend(files.iter().map(|file| std::fs::read(file).unwrap()));
    assert!(!inputs.is_empty(), "{name} has no corpus");
    let mut seen = HashSet::new();
    for input in &inputs {
        seen.insert(attempt(name, input, &target));
    }
    let seed = seed();
    let mut random = Random(seed);
    let (mut count, corpus_size) = (0_u64, inputs.len());
    while goes_on(count) {
        let input = mutate(&mut random, &inputs[random_index(seed, count, inputs.len())], pick(&inputs, count));
        count += 1;
        if seen.insert(attempt(name, &input, &target)) && inputs.len() < KEPT_MAX {
            inputs.push(input);
        }
    }
    eprintln!(
        "{name}: {count} inputs from {corpus_size}, {} ways of treating them; repeat with RINGFENCE_SEED={seed}",
        seen.len()
    );
    assert!(count > 0);
}

fn random_index(seed: u64, count: u64, len: usize) -> usize {
    Random(seed ^ count.rotate_left(32)).below(len)
}

fn pick(inputs: &[Vec<u8>], count: u64) -> &[u8] {
    &inputs[Random(count).below(inputs.len())]
}

/// One input; a failure names the file that it was written to.
fn attempt(name: &str, input: &[u8], target: &impl Fn(&[u8]) -> Outcome) -> Outcome {
    let begun = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| target(input)));
    let took = begun.elapsed();
    if let (Ok(outcome), true) = (&result, took < SLOW) {
        return *outcome;
    }
    let dir = root().join("target/fuzz");
    std::fs::create_dir_all(&dir).unwrap();
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let file = dir.join(format!("{name}-{:016x}", hasher.finish()));
    std::fs::write(&file, input).unwrap();
    let shown = String::from_utf8_lossy(&input[..input.len().min(400)]).into_owned();
    panic!("{name} failed after {took:?} on {}:\n{shown:?}", file.display());
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn duration() -> Duration {
    let given = std::env::var("RINGFENCE_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(given.unwrap_or(if is_full() { 60 } else { 5 }))
}

fn is_full() -> bool {
    std::env::var("RINGFENCE_TIER").is_ok_and(|tier| tier == "full")
}

fn seed() -> u64 {
    let given = std::env::var("RINGFENCE_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64)
}
