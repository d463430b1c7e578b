//! Bytes as characters that a QR code packs densely and people can type: base32 of RFC 4648, which has neither 0 nor 1,
//! with a checksum over all, and one over each line.

use super::ShortError;
use crate::model::Blake3Digest;

const PREFIX: &str = "RF1:";
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Bytes of BLAKE3 behind the others.
const CHECK_BYTES: usize = 4;
/// Characters of a typed line, in groups.
const LINE_CHARACTERS: usize = 40;
const GROUP_CHARACTERS: usize = 5;
/// Check characters of a line.
const LINE_CHECK: usize = 2;
/// The longest text that is read.
const TEXT_MAX_BYTES: usize = 8 << 10;

/// All in one piece.
pub(super) fn code(bytes: &[u8]) -> String {
    format!("{PREFIX}{}", encode(&checked(bytes)))
}

/// In lines: `RF1`, then `01 ABCDE … VWXYZ 7Q`.
pub(super) fn lines(bytes: &[u8]) -> String {
    let characters = encode(&checked(bytes));
    let mut text = String::from("RF1\n");
    let chunk = |text: &str, at: usize, length: usize| text[at..text.len().min(at + length)].to_owned();
    for (index, at) in (0..characters.len()).step_by(LINE_CHARACTERS).enumerate() {
        let line = chunk(&characters, at, LINE_CHARACTERS);
        let groups: Vec<_> =
            (0..line.len()).step_by(GROUP_CHARACTERS).map(|at| chunk(&line, at, GROUP_CHARACTERS)).collect();
        text.push_str(&format!("{:02} {} {}\n", index + 1, groups.join(" "), line_check(index + 1, &line)));
    }
    text
}

/// The bytes that were written, whichever way.
pub(super) fn read(text: &str) -> Result<Vec<u8>, ShortError> {
    if text.len() > TEXT_MAX_BYTES {
        return Err(ShortError::Malformed);
    }
    let text = text.trim().to_ascii_uppercase();
    let characters = match text.strip_prefix(PREFIX) {
        Some(code) => code.split_whitespace().collect(),
        None => unlined(&text)?,
    };
    let bytes = decode(&characters).ok_or(ShortError::Malformed)?;
    let body = &bytes[..bytes.len().saturating_sub(CHECK_BYTES)];
    if checked(body) == bytes { Ok(body.to_vec()) } else { Err(ShortError::Malformed) }
}

/// The characters of typed lines. Each must be the next one, and fit its check.
fn unlined(text: &str) -> Result<String, ShortError> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines.next() != Some(PREFIX.trim_end_matches(':')) {
        return Err(ShortError::Malformed);
    }
    let mut characters = String::new();
    for (index, line) in lines.enumerate() {
        let number = index + 1;
        let mistyped = ShortError::Mistyped { line: number };
        let said = line.split_whitespace().next().and_then(|said| said.parse::<usize>().ok());
        if said != Some(number) {
            return Err(if said.is_some() { ShortError::Malformed } else { mistyped });
        }
        let rest: String = line.split_whitespace().skip(1).collect();
        let split = rest.len().checked_sub(LINE_CHECK).and_then(|at| rest.split_at_checked(at));
        let (line, check) = split.ok_or_else(|| mistyped.clone())?;
        if line_check(number, line) != check {
            return Err(mistyped);
        }
        characters.push_str(line);
    }
    Ok(characters)
}

fn line_check(number: usize, line: &str) -> String {
    let digest = Blake3Digest::of(format!("{number} {line}").as_bytes());
    digest.as_bytes()[..LINE_CHECK].iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

fn checked(bytes: &[u8]) -> Vec<u8> {
    let mut checked = bytes.to_vec();
    checked.extend_from_slice(&Blake3Digest::of(bytes).as_bytes()[..CHECK_BYTES]);
    checked
}

fn encode(bytes: &[u8]) -> String {
    let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1);
    let character = |at: usize| {
        let value = (0..5).fold(0, |value, place| value << 1 | usize::from(bit(at * 5 + place)));
        char::from(ALPHABET[value])
    };
    (0..(bytes.len() * 8).div_ceil(5)).map(character).collect()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0u32);
    for character in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == character)?;
        held = held << 5 | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    // What is left are fewer bits than a character has, and none of them is set.
    (bits < 5 && held == 0).then_some(bytes)
}
