//! The bytes of one new version in a bundle, on the real feeds of `scripts/corpus`: as a whole, and as a patch over the
//! version before it; with the time to pack and to unpack, and the goal of the patch sizes that `zstd --patch-from` had.
//!
//! `scripts/corpus --all && cargo bench --bench bundle_bytes`. What is not there is named and left out.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::convert::Infallible;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use ringfence::bundle::{EncodeOptions, Object, PackedBody, decode, encode};
use ringfence::model::{Blake3Digest, ObjectRef, Sha256Digest};

/// A feed's version, the one before it, and what `zstd -3 --patch-from` made of it, in bytes.
const FEEDS: &[(&str, &str, &str, Option<u64>)] = &[
    ("caniuse-lite", "1.0.30001822", "1.0.30001823", Some(24_000)),
    ("caniuse-lite", "1.0.30001823", "1.0.30001826", None),
    ("geoip-country", "5.0.202609190133", "5.0.202609230144", Some(79_000)),
    ("geoip-country", "5.0.202609230144", "5.0.202609260156", None),
    ("browser-compat-data", "8.1.5", "8.1.6", Some(13_400)),
    ("browser-compat-data", "8.1.6", "8.1.7", None),
    ("workerd", "1.20261103.1", "1.20261104.1", Some(19_100_000)),
    ("linux-image", "6.1.0.55", "6.1.0.56", None),
];

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let spool = tempfile::tempdir_in("target").unwrap();
    println!(
        "{:22} {:>11} {:>11} {:>7} {:>6} {:>6} {:>11} {:>7} {:>6} {:>6} {:>9}",
        "feed", "bytes", "whole", "as", "s", "back", "increment", "as", "s", "back", "of goal"
    );
    for (feed, from, to, goal) in FEEDS {
        let (Some(base), Some(body)) = (read(feed, from), read(feed, to)) else {
            println!("{feed:22} is not there: scripts/corpus --all");
            continue;
        };
        let whole = Measured::of(&body, &[], spool.path());
        let increment = Measured::of(&body, &[(of(&base), base.clone())], spool.path());
        let of_goal = goal.map_or(String::new(), |goal| {
            format!(
                "{:.2} {}",
                increment.bytes as f64 / goal as f64,
                if increment.bytes * 10 <= goal * 11 { "ok" } else { "MISSED" }
            )
        });
        println!("{feed:22} {:>11} {whole} {increment} {of_goal:>9}", body.len());
    }
}

/// What packing one body gave.
struct Measured {
    bytes: u64,
    encoding: &'static str,
    pack_s: f64,
    unpack_s: f64,
}

impl Measured {
    fn of(body: &Bytes, bases: &[(ObjectRef, Bytes)], spool: &Path) -> Self {
        let begun = Instant::now();
        let packed = encode(body, bases, &EncodeOptions { spool }).unwrap();
        let pack_s = begun.elapsed().as_secs_f64();
        let PackedBody { encoding, base, segments, packed, bytes } = packed;
        let ObjectRef { blake3, sha256, size } = of(body);
        let object = Object { blake3, sha256, size, encoding, base, segments, packed, parts: Vec::new() };
        let (begun, mut given) = (Instant::now(), 0);
        let base = bases.first().map(|(_, base)| &base[..]);
        decode(&object, base, &bytes[..], |piece| {
            assert!(piece == &body[given..given + piece.len()], "another body came back");
            given += piece.len();
            Ok::<_, Infallible>(())
        })
        .unwrap();
        assert_eq!(given, body.len());
        Self { bytes: packed.size, encoding: encoding.as_str(), pack_s, unpack_s: begun.elapsed().as_secs_f64() }
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { bytes, encoding, pack_s, unpack_s } = self;
        write!(f, "{bytes:>11} {encoding:>7} {pack_s:>6.2} {unpack_s:>6.2}")
    }
}

/// The archive inside a package of npm; any other package as it is.
fn read(feed: &str, version: &str) -> Option<Bytes> {
    let mut packed = Vec::new();
    File::open(format!("target/corpus/{feed}-{version}")).ok()?.read_to_end(&mut packed).unwrap();
    if !packed.starts_with(&[0x1f, 0x8b]) {
        return Some(packed.into());
    }
    let mut body = Vec::new();
    flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut body).unwrap();
    Some(body.into())
}

fn of(body: &[u8]) -> ObjectRef {
    ObjectRef { blake3: Blake3Digest::of(body), sha256: Sha256Digest::of(body), size: body.len() as u64 }
}
