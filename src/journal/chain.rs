//! The chain: how a line is written and what must hold from one line to the next. No I/O.
//!
//! A line is `{"seq":…,"time":…,"actor":…,"event":…,"prev":"<64 hex>","hash":"<64 hex>"}`, and `hash` is BLAKE3 of the
//! bytes before `,"hash":`. Checking happens on the bytes read, so that no byte of a line can change unnoticed.

use jiff::Timestamp;
use serde::Serialize;

use crate::model::{Actor, Blake3Digest, Event, EventRecord};

use super::error::{Fault, JournalError, MAX_LINE_BYTES};

const HASH_KEY: &str = ",\"hash\":\"";
const LINE_END: &str = "\"}";
const TAIL_BYTES: usize = HASH_KEY.len() + 64 + LINE_END.len();

/// The `prev` of the first line.
pub(super) const NO_HASH: Blake3Digest = Blake3Digest::from_bytes([0; 32]);

/// What the next line must continue.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    next_seq: u64,
    /// Unknown only where reading starts inside the journal.
    prev: Option<Blake3Digest>,
    time: Option<Timestamp>,
}

/// A record without its hash: the bytes that are hashed, but for the closing brace.
#[derive(Serialize)]
struct Hashed<'a> {
    seq: u64,
    time: Timestamp,
    actor: &'a Actor,
    event: &'a Event,
    prev: Blake3Digest,
}

impl Chain {
    /// The chain of an empty journal.
    pub(super) fn start() -> Self {
        Self { next_seq: 1, prev: Some(NO_HASH), time: None }
    }

    /// The chain of a reader who starts at the record `seq` without having read the one before it.
    pub(super) fn resume_at(seq: u64) -> Self {
        Self { next_seq: seq, prev: None, time: None }
    }

    /// The chain behind a record of which only the place and the hash are known.
    pub(super) fn after(seq: u64, hash: Blake3Digest) -> Self {
        Self { next_seq: seq.saturating_add(1), prev: Some(hash), time: None }
    }

    /// The chain just before `record`, for a test that puts another record in its place.
    #[cfg(test)]
    pub(super) fn forged(record: &EventRecord) -> Self {
        Self { next_seq: record.seq, prev: Some(record.prev), time: None }
    }

    /// The last record's `seq` and `hash`.
    pub(super) fn head(&self) -> (u64, Blake3Digest) {
        (self.next_seq.saturating_sub(1), self.prev.unwrap_or(NO_HASH))
    }

    /// Checks a line (without its line feed) against the chain and moves on.
    pub(super) fn accept(&mut self, line: &[u8]) -> Result<EventRecord, Fault> {
        let text = std::str::from_utf8(line).map_err(|_| Fault::NotUtf8)?;
        let hash = checked_hash(text)?;
        let record: EventRecord = serde_json::from_str(text).map_err(|error| Fault::NotARecord(error.to_string()))?;
        if record.hash != hash {
            return Err(Fault::NoHash);
        }
        if record.seq != self.next_seq {
            return Err(Fault::Seq { expected: self.next_seq, found: record.seq });
        }
        if self.prev.is_some_and(|prev| prev != record.prev) {
            return Err(Fault::Prev);
        }
        if self.time.is_some_and(|time| record.time < time) {
            return Err(Fault::Time);
        }
        self.advance(&record);
        Ok(record)
    }

    /// Writes the next line, line feed included, to the end of `out`. On an error `out` may hold a part of it.
    pub(super) fn append(
        &mut self,
        now: Timestamp,
        actor: &Actor,
        event: Event,
        out: &mut Vec<u8>,
    ) -> Result<EventRecord, JournalError> {
        let start = out.len();
        let seq = self.next_seq;
        let time = self.time.map_or(now, |time| time.max(now));
        let prev = self.prev.unwrap_or(NO_HASH);
        let hashed = Hashed { seq, time, actor, event: &event, prev };
        serde_json::to_writer(&mut *out, &hashed).map_err(JournalError::NotJson)?;
        out.pop(); // The closing brace comes after the hash.
        let hash = Blake3Digest::of(&out[start..]);
        out.extend_from_slice(HASH_KEY.as_bytes());
        out.extend_from_slice(hash.to_hex().as_bytes());
        out.extend_from_slice(LINE_END.as_bytes());
        out.push(b'\n');
        let bytes = out.len() - start;
        if bytes > MAX_LINE_BYTES {
            return Err(JournalError::TooLong { bytes });
        }
        let record = EventRecord { seq, time, actor: actor.clone(), event, prev, hash };
        self.advance(&record);
        Ok(record)
    }

    fn advance(&mut self, record: &EventRecord) {
        self.next_seq = record.seq.saturating_add(1);
        self.prev = Some(record.hash);
        self.time = Some(record.time);
    }
}

/// The hash at the end of a line, once it is certain that it is the hash of the bytes before it.
fn checked_hash(line: &str) -> Result<Blake3Digest, Fault> {
    let at = line.len().checked_sub(TAIL_BYTES).ok_or(Fault::NoHash)?;
    let (hashed, tail) = line.split_at_checked(at).ok_or(Fault::NoHash)?;
    let hex = tail.strip_prefix(HASH_KEY).and_then(|tail| tail.strip_suffix(LINE_END)).ok_or(Fault::NoHash)?;
    let hash = hex.parse().map_err(|_| Fault::NoHash)?;
    if Blake3Digest::of(hashed.as_bytes()) == hash { Ok(hash) } else { Err(Fault::Hash) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{actor, event, time};
    use super::*;

    fn line(chain: &mut Chain, second: i64, number: u64) -> (EventRecord, Vec<u8>) {
        let mut out = Vec::new();
        let record = chain.append(time(second), &actor(), event(number), &mut out).unwrap();
        assert_eq!(out.pop(), Some(b'\n'));
        (record, out)
    }

    #[test]
    fn a_line_is_the_record_in_struct_order() {
        let mut chain = Chain::start();
        for number in 1..=3 {
            let (record, bytes) = line(&mut chain, 5, number);
            assert_eq!(bytes, serde_json::to_vec(&record).unwrap());
            assert_eq!(chain.head(), (number, record.hash));
        }
    }

    #[test]
    fn the_format_is_frozen() {
        let mut chain = Chain::start();
        let (_, bytes) = line(&mut chain, 0, 7);
        let text = String::from_utf8(bytes).unwrap();
        let expected = concat!(
            r#"{"seq":1,"time":"1970-01-01T00:00:00Z","actor":"alice@corp","event":{"type":"product_added","#,
            r#""product":"product-7","class":"intelligence"},"#,
            r#""prev":"0000000000000000000000000000000000000000000000000000000000000000""#
        );
        let hash = Blake3Digest::of(expected.as_bytes());
        assert_eq!(text, format!("{expected},\"hash\":\"{hash}\"}}"));
    }

    #[test]
    fn time_never_goes_back() {
        let mut chain = Chain::start();
        line(&mut chain, 100, 1);
        let (record, bytes) = line(&mut chain, 50, 2);
        assert_eq!(record.time, time(100));
        // A line written by other means, with a lower time and good hashes, is refused.
        let mut late = Chain { time: Some(time(101)), ..Chain::resume_at(2) };
        assert_eq!(late.accept(&bytes), Err(Fault::Time));
    }

    #[test]
    fn every_way_to_break_a_line_has_its_name() {
        let mut chain = Chain::start();
        let (first, one) = line(&mut chain, 1, 1);
        let (_, two) = line(&mut chain, 2, 2);
        let fault = |bytes: &[u8]| Chain::start().accept(bytes).unwrap_err();
        assert_eq!(fault(&two), Fault::Seq { expected: 1, found: 2 });
        assert_eq!(fault(b""), Fault::NoHash);
        assert_eq!(fault(&one[..one.len() - 1]), Fault::NoHash);
        assert_eq!(fault(&[0xff; 200]), Fault::NotUtf8);
        assert_eq!(fault("é".repeat(100).as_bytes()), Fault::NoHash);
        let mut edited = one.clone();
        edited[8] ^= 1;
        assert_eq!(fault(&edited), Fault::Hash);
        let prefix = r#"{"seq":1"#;
        let unknown = format!("{prefix},\"hash\":\"{}\"}}", Blake3Digest::of(prefix.as_bytes()));
        assert!(matches!(fault(unknown.as_bytes()), Fault::NotARecord(_)));
        let mut other = Chain { prev: Some(NO_HASH), ..Chain::resume_at(2) };
        assert_eq!(other.accept(&two), Err(Fault::Prev));
        let mut whole = Chain::start();
        assert_eq!(whole.accept(&one).unwrap(), first);
        whole.accept(&two).unwrap();
        assert_eq!(whole.head(), chain.head());
    }
}
