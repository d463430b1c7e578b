//! Generated `Range` headers against a model that knows no intervals: a range is the set of its octets, as bits.

use super::super::range::{ByteRange, MAX_PARTS, Selection, select};
use super::random::Random;

/// Lengths stay below this, so that a set of octets fits in 64 bits and can be shifted by one.
const LONGEST: u64 = 60;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Whole,
    Unsatisfiable,
    /// Sets of octets in the order of the answer.
    Parts(Vec<u64>),
}

/// RFC 9110 section 14 with the liberties that this server takes, for a field value without white space around it.
pub(super) fn oracle(field: &str, length: u64) -> Expected {
    let Some((unit, set)) = field.split_once('=') else { return Expected::Whole };
    if unit.to_lowercase() != "bytes" {
        return Expected::Whole;
    }
    let Some(specs) = elements(set).and_then(|list| list.into_iter().map(parse).collect::<Option<Vec<_>>>()) else {
        return Expected::Whole;
    };
    if specs.is_empty() {
        return Expected::Whole;
    }
    if !specs.iter().any(|spec| spec.satisfiable(length)) {
        return Expected::Unsatisfiable;
    }
    let sets: Vec<u64> = specs.iter().map(|spec| spec.octets(length)).filter(|&octets| octets != 0).collect();
    if let [only] = sets[..] {
        return Expected::Parts(vec![only]);
    }
    let overlapping = (0..sets.len())
        .filter(|&one| (0..sets.len()).any(|other| one != other && sets[one] & sets[other] != 0))
        .count();
    let total: u64 = sets.iter().map(|octets| u64::from(octets.count_ones())).sum();
    let joined = join(sets);
    if joined.is_empty() || overlapping > 2 || total > length || joined.len() > MAX_PARTS {
        return Expected::Whole;
    }
    Expected::Parts(joined)
}

/// `[ element ] *( OWS "," OWS [ element ] )`, walked through as it is written; None if the text is not of this form.
fn elements(text: &str) -> Option<Vec<String>> {
    let characters: Vec<char> = text.chars().collect();
    let mut at = 0;
    let mut list = Vec::new();
    loop {
        let mut element = String::new();
        while at < characters.len() && !matches!(characters[at], ' ' | '\t' | ',') {
            element.push(characters[at]);
            at += 1;
        }
        if !element.is_empty() {
            list.push(element);
        }
        let space = |mut at: usize| {
            while at < characters.len() && matches!(characters[at], ' ' | '\t') {
                at += 1;
            }
            at
        };
        at = space(at);
        if at == characters.len() {
            return Some(list);
        }
        if characters[at] != ',' {
            return None;
        }
        at = space(at + 1);
    }
}

enum Spec {
    Int { first: u128, last: Option<u128> },
    Suffix(u128),
}

fn parse(element: String) -> Option<Spec> {
    let digits = |text: &str| {
        (!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())).then(|| text.parse::<u128>().unwrap())
    };
    let dashes = element.matches('-').count();
    match element.split('-').collect::<Vec<_>>()[..] {
        _ if dashes != 1 => None,
        ["", octets] => Some(Spec::Suffix(digits(octets)?)),
        [first, ""] => Some(Spec::Int { first: digits(first)?, last: None }),
        [first, last] => {
            let (first, last) = (digits(first)?, digits(last)?);
            (first <= last).then_some(Spec::Int { first, last: Some(last) })
        }
        _ => None,
    }
}

impl Spec {
    fn satisfiable(&self, length: u64) -> bool {
        match self {
            Spec::Int { first, .. } => *first < u128::from(length),
            Spec::Suffix(octets) => *octets != 0,
        }
    }

    fn octets(&self, length: u64) -> u64 {
        (0..length)
            .filter(|&at| match self {
                Spec::Int { first, last } => *first <= u128::from(at) && last.is_none_or(|last| u128::from(at) <= last),
                Spec::Suffix(octets) => u128::from(at) + octets >= u128::from(length),
            })
            .fold(0, |set, at| set | 1 << at)
    }
}

/// Joins any two sets that share an octet or touch, into the earlier one's place, until none is left.
fn join(mut sets: Vec<u64>) -> Vec<u64> {
    'again: loop {
        for one in 0..sets.len() {
            for other in one + 1..sets.len() {
                if (sets[one] | sets[one] << 1 | sets[one] >> 1) & sets[other] != 0 {
                    sets[one] |= sets.remove(other);
                    continue 'again;
                }
            }
        }
        return sets;
    }
}

fn as_set(range: &ByteRange) -> u64 {
    (range.first..=range.last).fold(0, |set, at| set | 1 << at)
}

fn expected(selection: &Selection) -> Expected {
    match selection {
        Selection::Whole => Expected::Whole,
        Selection::Unsatisfiable => Expected::Unsatisfiable,
        Selection::One(range) => Expected::Parts(vec![as_set(range)]),
        Selection::Several(ranges) => Expected::Parts(ranges.iter().map(as_set).collect()),
    }
}

/// A header that is mostly well formed and often close to a rule's edge, and the length to resolve it against.
pub(super) fn generate(random: &mut Random) -> (String, u64) {
    let length = if random.once_in(12) { 0 } else { 1 + random.below(LONGEST - 1) };
    let unit = if random.once_in(12) {
        random.pick(&["Bytes", "BYTES", "bYtEs", "byte", "items", "", "bytes ", "none"])
    } else {
        "bytes"
    };
    let mut field = format!("{unit}{}", if random.once_in(60) { random.pick(&["", "==", ":", " ="]) } else { "=" });
    let count = if random.once_in(2) { 1 } else { 1 + random.below(12) };
    // Walking upwards makes sets without overlap common; the rest is anywhere.
    let walks = random.once_in(2);
    let mut at = 0;
    for place in 0..count {
        if place > 0 || random.once_in(40) {
            field.push_str(spaces(random));
            field.push(',');
            field.push_str(spaces(random));
        }
        if walks {
            at += random.below(5);
            let last = at + random.below(3);
            field.push_str(&format!("{at}-{last}"));
            at = last + 1;
        } else {
            field.push_str(&element(random, length));
        }
    }
    if random.once_in(25) {
        let position = usize::try_from(random.below(field.len() as u64 + 1)).unwrap();
        field.insert_str(position, random.pick(&[" ", "\t", ",", "-", "0", "=", "x", "\u{e9}", "+", ", ,", ";"]));
    }
    (field.trim_matches([' ', '\t']).to_owned(), length)
}

fn spaces(random: &mut Random) -> &'static str {
    if random.once_in(3) { random.pick(&[" ", "\t", "  ", " \t "]) } else { "" }
}

fn element(random: &mut Random, length: u64) -> String {
    let near = |random: &mut Random| random.below(length + 3);
    match random.below(20) {
        0..=8 => {
            let first = near(random);
            format!("{first}-{}", first + random.below(6))
        }
        9 | 10 => format!("{}-{}", near(random), near(random)),
        11 | 12 => format!("{}-", near(random)),
        13 | 14 => format!("-{}", near(random)),
        15 => format!("{:03}-{:021}", near(random), near(random)),
        16 => {
            let huge =
                ["18446744073709551614", "18446744073709551615", "18446744073709551616", "99999999999999999999999"];
            format!("{}-{}", if random.once_in(2) { "1" } else { random.pick(&huge) }, random.pick(&huge))
        }
        17 => format!("{}-{}", length.saturating_sub(1), length),
        18 => String::new(),
        _ => {
            random.pick(&["-", "--1", "1--2", "1-2-3", "a-b", "0x1-2", "-0", "1 - 2", "+1-2", "1.5-2", "*"]).to_owned()
        }
    }
}

#[test]
fn generated_headers_select_what_the_model_selects() {
    let seed = Random::seed();
    let mut random = Random::new(seed);
    let (mut whole, mut unsatisfiable, mut one, mut several) = (0u64, 0u64, 0u64, 0u64);
    let cases = super::cases();
    for case in 0..cases {
        let (field, length) = generate(&mut random);
        let selection = select(field.as_bytes(), length);
        let model = oracle(&field, length);
        assert_eq!(expected(&selection), model, "RINGFENCE_SEED={seed}, case {case}: {field:?} of {length}");
        let count = match selection {
            Selection::Whole => &mut whole,
            Selection::Unsatisfiable => &mut unsatisfiable,
            Selection::One(_) => &mut one,
            Selection::Several(_) => &mut several,
        };
        *count += 1;
    }
    // The generator must keep reaching every kind of answer, or the comparison proves little.
    println!("{cases} headers: {whole} whole, {unsatisfiable} unsatisfiable, {one} one range, {several} several");
    for count in [whole, unsatisfiable, one, several] {
        assert!(count * 20 > cases, "seed {seed}: {whole} {unsatisfiable} {one} {several}");
    }
}
