//! What is fuzzed, and what must hold of every input.

use std::fmt::{Debug, Display};
use std::io::{Cursor, Read as _, Write as _};
use std::path::Path;
use std::str::FromStr;

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Method};
use ringfence::model::policy::Policy;
use ringfence::model::{
    BasisPoints, Blake3Digest, DeviceId, EventRecord, GroupName, KeyId, LayoutName, Platform, ProductName, PublicKey,
    ReportId, RingName, ShareName, Span, TargetName, Version,
};
use ringfence::serve::http::range::{MAX_PARTS, Selection, select};
use ringfence::serve::http::{Content, Representation, plan};
use ringfence::share::derive::{UnpackLimits, unpack};
use ringfence::signing::{SecretKey, Signature};

use super::runner::{Outcome, outcome};

/// A file of the repository.
pub(crate) fn read(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The first line is a `Range`, the next ones are conditions.
pub(crate) fn ranges(input: &[u8]) -> Outcome {
    let mut lines = input.split(|byte| *byte == b'\n');
    let field = lines.next().unwrap_or_default();
    let mut seen = Vec::new();
    for length in [0, 1, 10, 10_000, u64::MAX] {
        let parts = match select(field, length) {
            Selection::One(range) => vec![range],
            Selection::Several(ranges) => {
                assert!((2..=MAX_PARTS).contains(&ranges.len()));
                ranges
            }
            other => {
                seen.push(outcome(&other));
                continue;
            }
        };
        assert!(parts.iter().all(|part| part.first <= part.last && part.last < length), "{parts:?} of {length}");
        let sum = parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.octets())).expect("no overflow");
        assert!(sum <= length, "{parts:?} of {length}: no octet is sent twice");
        seen.push(parts.len() as u64);
    }
    let mut headers = HeaderMap::new();
    let values = std::iter::once(field).chain(lines);
    for (name, value) in [RANGE, IF_MATCH, IF_NONE_MATCH, IF_RANGE, IF_MODIFIED_SINCE].into_iter().zip(values) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    for method in [Method::GET, Method::HEAD] {
        let planned = plan(&method, &headers, &representation());
        assert!([200, 206, 304, 412, 416].contains(&planned.status.as_u16()));
        let has_content = method == Method::GET && planned.status.is_success();
        assert_eq!(planned.content != Content::Nothing, has_content, "{method} {}", planned.status);
        seen.push(u64::from(planned.status.as_u16()));
    }
    outcome_of(&seen)
}

fn representation() -> Representation {
    Representation {
        size: 10_000,
        blake3: Blake3Digest::of(b"x"),
        sha256: None,
        last_modified: Some("2026-01-02T03:04:05Z".parse().unwrap()),
        media_type: HeaderValue::from_static("application/octet-stream"),
        cache_control: None,
        longest_transfer: None,
        boundary_salt: 1,
    }
}

fn outcome_of(seen: &[u64]) -> Outcome {
    seen.iter().fold(0, |all: u64, one| all.wrapping_mul(31).wrapping_add(*one))
}

/// What is read can be written, and read again as the same.
fn round_trip<T: FromStr<Err: Display + Debug> + Display + PartialEq + Debug>(text: &str) -> Outcome {
    match text.parse::<T>() {
        Ok(value) => {
            let again = value.to_string().parse::<T>();
            assert_eq!(again.as_ref().ok(), Some(&value), "{text:?} is written as {value}");
            1
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            0
        }
    }
}

/// Everything with a grammar of its own.
pub(crate) fn names(input: &[u8]) -> Outcome {
    let text = &*String::from_utf8_lossy(input);
    if let Ok(target) = text.parse::<TargetName>() {
        let text = target.to_string();
        assert!(text.is_ascii() && !text.starts_with('/') && !text.contains(['\\', '\0', ':', '%']), "{text:?}");
        let is_plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.ends_with(['.', ' ']);
        assert!(text.split('/').all(is_plain), "{text:?}");
    }
    let versions: Vec<Version> = text.split(['\n', ' ']).filter_map(|part| part.parse().ok()).take(3).collect();
    if let [a, b, c] = &versions[..] {
        assert_eq!(a.cmp(b), b.cmp(a).reverse());
        assert!(!(a <= b && b <= c) || a <= c, "the order of {a}, {b}, {c}");
    }
    outcome_of(&[
        round_trip::<TargetName>(text),
        round_trip::<Version>(text),
        round_trip::<ProductName>(text),
        round_trip::<DeviceId>(text),
        round_trip::<GroupName>(text),
        round_trip::<RingName>(text),
        round_trip::<ShareName>(text),
        round_trip::<LayoutName>(text),
        round_trip::<Platform>(text),
        round_trip::<ReportId>(text),
        round_trip::<Span>(text),
        round_trip::<BasisPoints>(text),
        round_trip::<KeyId>(text),
        round_trip::<Blake3Digest>(text),
    ])
}

/// A policy that is taken can be said in sentences.
pub(crate) fn policy(input: &[u8]) -> Outcome {
    match Policy::parse(&String::from_utf8_lossy(input)) {
        Ok(policy) => {
            let sentences = policy.sentences();
            assert!(sentences.iter().all(|sentence| !sentence.is_empty()));
            assert!(!policy.rings().is_empty() && !policy.groups().is_empty());
            outcome(&sentences)
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty());
            outcome(&text)
        }
    }
}

/// A configuration is refused with a sentence that names the file, or taken.
pub(crate) fn config(input: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(input);
    match ringfence::config::parse(&text, Path::new("ringfence.toml"), Path::new("/nonexistent")) {
        Ok(settings) => {
            assert!(settings.limits.connections_per_address_max <= settings.limits.connections_max);
            assert!(!settings.limits.refusal_time.is_zero() && settings.limits.header_max_bytes >= 8192);
            1
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("ringfence.toml"), "{text}");
            outcome(&text)
        }
    }
}

/// An archive never gives more than it may, and no member a name that is no name.
pub(crate) fn archives(input: &[u8]) -> Outcome {
    let limits = UnpackLimits { members_max: 16, total_bytes_max: 1 << 20, ratio_max: 200 };
    let (mut members, mut total, mut is_partly_read) = (0, 0_u64, false);
    let result = unpack(input, &limits, &mut |member| {
        members += 1;
        let mut body = Vec::new();
        // Every second member is left unread in the middle.
        is_partly_read = members % 2 == 0;
        let wanted = if is_partly_read { member.size / 2 } else { u64::MAX };
        let got = member.body.take(wanted).read_to_end(&mut body).unwrap_or(0) as u64;
        assert!(got <= member.size, "{} gives {got} bytes instead of {}", member.name, member.size);
        total += got;
        Ok(())
    });
    assert!(members <= limits.members_max && total <= limits.total_bytes_max, "{members} members, {total} bytes");
    outcome(&result.map_err(|error| error.to_string())).wrapping_add(members as u64)
}

/// A zip of each kind and a cabinet, all small.
pub(crate) fn small_archives() -> Vec<Vec<u8>> {
    let mut archives = Vec::new();
    for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for name in ["a.txt", "folder/b.bin"] {
            let options = zip::write::SimpleFileOptions::default().compression_method(method);
            writer.start_file(name, options).unwrap();
            writer.write_all(&b"some bytes, and again ".repeat(20)).unwrap();
        }
        archives.push(writer.finish().unwrap().into_inner());
    }
    for compression in [cab::CompressionType::None, cab::CompressionType::MsZip] {
        let mut builder = cab::CabinetBuilder::new();
        let folder = builder.add_folder(compression);
        folder.add_file("a.txt");
        folder.add_file("b.bin");
        let mut writer = builder.build(Cursor::new(Vec::new())).unwrap();
        while let Some(mut file) = writer.next_file().unwrap() {
            file.write_all(&b"some bytes, and again ".repeat(20)).unwrap();
        }
        archives.push(writer.finish().unwrap().into_inner());
    }
    archives
}

/// Nothing that was changed is still signed.
pub(crate) fn signatures(input: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(input);
    let (key, good) = signer();
    let mut seen = vec![round_trip::<PublicKey>(text.trim())];
    seen.push(SecretKey::parse(&text).map_or(0, |_| 1));
    match Signature::parse(&text) {
        Ok(signature) => {
            let verified = signature.verify(&key, MESSAGE).is_ok();
            // The untrusted comment and white space may differ; what is signed may not.
            let same = Signature::parse(&good).unwrap().trusted_comment() == signature.trusted_comment();
            assert!(!verified || same, "{text:?}");
            assert!(signature.verify(&key, b"another message").is_err(), "{text:?}");
            seen.push(u64::from(verified) + 2);
        }
        Err(error) => seen.push(outcome(&error.to_string())),
    }
    outcome_of(&seen)
}

const MESSAGE: &[u8] = b"what is signed";

fn signer() -> (PublicKey, String) {
    let secret = SecretKey::from_random([7; 32], [1; 8]);
    (secret.public(), secret.sign(MESSAGE, "a comment"))
}

/// A signature, a public key and a secret one.
pub(crate) fn signed() -> Vec<Vec<u8>> {
    let secret = SecretKey::from_random([7; 32], [1; 8]);
    let (key, signature) = signer();
    vec![signature.into_bytes(), key.to_string().into_bytes(), secret.expose().into_bytes()]
}

/// An event that is read is written as one that reads the same.
pub(crate) fn events(input: &[u8]) -> Outcome {
    match serde_json::from_slice::<EventRecord>(input) {
        Ok(record) => {
            let text = serde_json::to_vec(&record).unwrap();
            assert_eq!(serde_json::from_slice::<EventRecord>(&text).unwrap(), record);
            outcome(&record)
        }
        Err(error) => outcome(&error.to_string()),
    }
}
