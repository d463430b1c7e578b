//! Small changes of bytes, by a seeded generator.

/// SplitMix64: the same seed gives the same changes on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`; 0 for a bound of 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % (bound.max(1) as u64)) as usize
    }
}

/// Longest input.
const INPUT_MAX_BYTES: usize = 64 * 1024;

/// What parsers trip over.
const TOKENS: &[&[u8]] = &[
    b"0",
    b"-1",
    b"18446744073709551615",
    b"18446744073709551616",
    b"9223372036854775807",
    b"99999999999999999999",
    b"0-0",
    b"-",
    b",",
    b"bytes=",
    b"..",
    b"../",
    b"/",
    b"\\",
    b"%2e",
    b"CON",
    b".",
    b" ",
    b"\t",
    b"\r\n",
    b"\n",
    b"\0",
    b"\"",
    b"'",
    b"\"\"\"",
    b"[[",
    b"]]",
    b"{",
    b"}",
    b"=",
    b"#",
    b"\xff\xfe",
    b"\xc3\xa9",
    b"\xe2\x80\xae",
    b"any",
    b"match",
    b"ring",
    b"*",
    b"?",
    b"N-1",
    b"N-4294967296",
    b"daily at 03:00 Europe/Berlin",
    b"second Tuesday + 7 days",
    b"100% bake 1h",
    b"0.0001%",
    b"1e400",
    b"nan",
    b"inf",
    b"64 MiB",
    b"7d",
    b"292277026596y",
    b"10.0.0.0/33",
    b"::/0",
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"MSCF",
    b"MZ",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
];

/// Changes an input in one to four places; now and then with a piece of another one.
pub(crate) fn mutate(random: &mut Random, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        change(random, &mut bytes, other);
    }
    bytes.truncate(INPUT_MAX_BYTES);
    bytes
}

fn change(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = random.below(bytes.len() + 1);
    let end = at + random.below((bytes.len() - at + 1).min(64));
    match random.below(9) {
        0 => insert(bytes, at, TOKENS[random.below(TOKENS.len())]),
        1 => {
            let token = TOKENS[random.below(TOKENS.len())];
            bytes.splice(at..end, token.iter().copied());
        }
        2 => {
            bytes.drain(at..end);
        }
        3 => {
            let piece = bytes[at..end].to_vec();
            for _ in 0..=random.below(8) {
                insert(bytes, at, &piece);
            }
        }
        4 => {
            let from = random.below(other.len() + 1);
            let to = from + random.below(other.len() - from + 1);
            insert(bytes, at, &other[from..to]);
        }
        5 => {
            let value = [0, 1, 0x7f, 0x80, 0xfe, 0xff][random.below(6)];
            set(bytes, at, value);
        }
        6 => {
            let value = bytes.get(at).map_or(0, |byte| byte ^ (1 << random.below(8)));
            set(bytes, at, value);
        }
        7 => {
            let value = bytes.get(at).map_or(1, |byte| byte.wrapping_add(1));
            set(bytes, at, value);
        }
        _ => set(bytes, at, random.next() as u8),
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    if bytes.len() + piece.len() <= INPUT_MAX_BYTES {
        bytes.splice(at..at, piece.iter().copied());
    }
}

fn set(bytes: &mut [u8], at: usize, value: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = value;
    }
}
