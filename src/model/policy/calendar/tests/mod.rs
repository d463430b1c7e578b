//! Tests of calendars: grammar, ticks, windows, and answers of other programs.

mod grammar;
mod oracles;
mod properties;
mod windows;

use jiff::Timestamp;

use super::{Cadence, Window};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn cadence(text: &str) -> Cadence {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn window(text: &str) -> Window {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// The first ticks after `after`, each checked against the way back.
fn ticks(text: &str, after: &str, count: usize) -> Vec<String> {
    let cadence = cadence(text);
    let mut last = at(after);
    let mut found = Vec::new();
    for _ in 0..count {
        let next = cadence.next_tick(last).unwrap();
        assert_eq!(cadence.last_tick(next), Some(next), "{text}");
        found.push(next.to_string());
        last = next;
    }
    found
}
