//! Bytes to publish: seeded noise, and real packages if `scripts/corpus` has fetched them.

use std::path::{Path, PathBuf};

use sha2::Digest as _;

/// A small, fast, seeded generator (SplitMix64): the same seed gives the same bytes on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Incompressible bytes, the same for the same seed.
pub(crate) fn random_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One version of something real, on disk.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    /// The product.
    pub(crate) product: String,
    /// The version.
    pub(crate) version: String,
    /// The file.
    pub(crate) file: PathBuf,
}

impl Body {
    /// Its bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.file).unwrap()
    }
}

/// Consecutive versions of real packages, or of generated ones where none were fetched (said loudly).
pub(crate) fn corpus(test: &str, scratch: &Path) -> Vec<Body> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = std::fs::read_to_string(root.join("scripts/corpus.list")).expect("the list of the corpus");
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let bodies = lines.filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[_, _, _, product, version, _] = &words[..] else { return None };
        let file = root.join("target/corpus").join(format!("{product}-{version}"));
        file.is_file().then(|| Body { product: product.into(), version: version.into(), file })
    });
    let bodies: Vec<Body> = bodies.collect();
    if !bodies.is_empty() {
        return bodies;
    }
    super::skip(test, "on real packages (scripts/corpus has fetched none): generated ones are used");
    let mut bodies = Vec::new();
    for (product, length) in [("small-feed", 362_000), ("large-feed", 3_600_000)] {
        for patch in 1..=3 {
            let version = format!("1.0.{patch}");
            let file = scratch.join(format!("{product}-{version}"));
            std::fs::write(&file, random_bytes(patch, length)).unwrap();
            bodies.push(Body { product: product.into(), version, file });
        }
    }
    bodies
}
