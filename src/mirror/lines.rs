//! From the journal to lines that the origin has signed: nothing is taken over before the chain has reached its word.
//!
//! Lines are held until then. Where they are more than may be held, only the chain of the later ones is followed, with
//! marks on the way; once it has reached the origin's word, they are fetched again from mark to mark.

use std::time::Duration;

use bytes::Bytes;

use super::mirror::Mirror;
use super::trouble::Trouble;
use crate::journal::{Continuation, Fault};
use crate::model::Blake3Digest;
use crate::signing::JournalStatement;

/// Bytes of lines that are taken over at once.
const CHUNK_BYTES: usize = 4 << 20;

/// An event's number and hash.
type Place = (u64, Blake3Digest);

/// Lines that were found to continue this journal.
struct Held {
    lines: Vec<Bytes>,
    bytes: usize,
    /// Behind the held lines: where each further answer ended.
    marks: Vec<Place>,
}

impl Mirror {
    /// Takes over what leads from this journal's end to the statement. `first` are the lines that came already.
    pub(super) async fn take_lines(&self, first: Bytes, statement: &JournalStatement) -> Result<(), Trouble> {
        let own = self.catalog.head();
        let held = self.hold(first, own, (statement.sequence, statement.head)).await?;
        self.apply(held.lines).await?;
        for mark in held.marks {
            let mut chain = Continuation::after(self.catalog.head().0, self.catalog.head().1);
            let mut lines = Vec::new();
            while chain.head().0 < mark.0 {
                let answer = self.upstream.journal(chain.head().0, Duration::ZERO).await?;
                lines.extend(accept(&mut chain, &answer, mark.0, own)?);
            }
            check(&chain, mark)?;
            self.apply(lines).await?;
        }
        Ok(())
    }

    async fn hold(&self, first: Bytes, own: Place, signed: Place) -> Result<Held, Trouble> {
        let mut held = Held { lines: Vec::new(), bytes: 0, marks: Vec::new() };
        let mut chain = Continuation::after(own.0, own.1);
        let mut answer = first;
        if answer.is_empty() {
            // The wait for an event may have ended just before it came and was signed: nobody is blamed for that.
            answer = self.upstream.journal(own.0, Duration::ZERO).await?;
        }
        loop {
            let lines = accept(&mut chain, &answer, signed.0, own)?;
            let bytes: usize = lines.iter().map(Bytes::len).sum();
            if held.marks.is_empty() && held.bytes + bytes <= self.options.held_max_bytes {
                held.bytes += bytes;
                held.lines.extend(lines);
            } else if !lines.is_empty() {
                held.marks.push(chain.head());
            }
            if chain.head().0 >= signed.0 {
                check(&chain, signed)?;
                return Ok(held);
            }
            answer = self.upstream.journal(chain.head().0, Duration::ZERO).await?;
        }
    }

    async fn apply(&self, lines: Vec<Bytes>) -> Result<(), Trouble> {
        let mut chunk = Vec::new();
        let mut bytes = 0;
        for line in lines {
            bytes += line.len();
            chunk.push(line);
            if bytes >= CHUNK_BYTES {
                self.catalog.follow(std::mem::take(&mut chunk)).await?;
                bytes = 0;
            }
        }
        if !chunk.is_empty() {
            self.catalog.follow(chunk).await?;
        }
        Ok(())
    }
}

fn check(chain: &Continuation, (sequence, signed): Place) -> Result<(), Trouble> {
    let found = chain.head().1;
    if found == signed { Ok(()) } else { Err(Trouble::NotSigned { sequence, signed, found }) }
}

/// The lines of an answer up to `upto`, each of which continues the one before.
fn accept(chain: &mut Continuation, answer: &Bytes, upto: u64, own: Place) -> Result<Vec<Bytes>, Trouble> {
    if !answer.is_empty() && answer.last() != Some(&b'\n') {
        return Err(Trouble::Cut);
    }
    if answer.is_empty() && chain.head().0 < upto {
        return Err(Trouble::Short { after: chain.head().0, signed: upto });
    }
    let mut lines = Vec::new();
    for line in answer.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let (sequence, ours) = chain.head();
        if sequence >= upto {
            break;
        }
        chain.accept(line).map_err(|fault| match fault {
            // The first line that comes continues another event than the last one here.
            Fault::Prev if sequence == own.0 => match prev_of(line) {
                Some(theirs) => Trouble::Forked { sequence, ours, theirs },
                None => Trouble::Malformed { seq: sequence + 1, fault: Fault::Prev },
            },
            fault => Trouble::Malformed { seq: sequence + 1, fault },
        })?;
        lines.push(answer.slice_ref(line));
    }
    Ok(lines)
}

fn prev_of(line: &[u8]) -> Option<Blake3Digest> {
    #[derive(serde::Deserialize)]
    struct Prev {
        prev: Blake3Digest,
    }
    serde_json::from_slice::<Prev>(line).ok().map(|record| record.prev)
}
