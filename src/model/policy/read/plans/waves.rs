//! Waves: `"20% bake 1h"`, `"40% over 4h bake 1h"`, `"100%"`.

use crate::model::policy::error::Findings;
use crate::model::policy::node::Node;
use crate::model::{BasisPoints, Span, Strategy, Wave};

/// The most waves of one ring.
const MAX_WAVES: usize = 50;

/// What the waves are for: it decides what else they must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// A ring under this strategy.
    Ring(Strategy),
    /// The way back. Nothing follows its last wave, so that one need not bake.
    Rollback,
}

/// Reads a list of waves; where there are findings it may be short.
pub(super) fn read(node: &Node, what: &str, usage: Use, findings: &mut Findings) -> Vec<Wave> {
    let Some(items) = node.list(what, findings) else { return Vec::new() };
    if items.is_empty() || items.len() > MAX_WAVES {
        findings.add(node.line, format!("{what} has {} waves; write 1 to {MAX_WAVES}", items.len()));
        return Vec::new();
    }
    let before = findings.count();
    let waves: Vec<(usize, Wave)> =
        items.iter().filter_map(|item| Some((item.line, read_wave(item, what, findings)?))).collect();
    // What is compared must all be there.
    if findings.count() == before {
        check(&waves, what, usage, findings);
    }
    waves.into_iter().map(|(_, wave)| wave).collect()
}

fn read_wave(node: &Node, what: &str, findings: &mut Findings) -> Option<Wave> {
    let text = node.text(what, findings)?;
    match parse(text) {
        Ok(wave) => Some(wave),
        Err(why) => {
            let text: String = text.chars().take(80).collect();
            let shape = "write a share and its times, such as \"20% bake 1h\", \"40% over 4h bake 1h\" or \"100%\"";
            findings.add(node.line, format!("{what}: {text:?} is not a wave: {}", why.unwrap_or_else(|| shape.into())));
            None
        }
    }
}

/// The error says what is wrong with one word; none where the shape is wrong.
fn parse(text: &str) -> Result<Wave, Option<String>> {
    let mut words = text.split_ascii_whitespace();
    let share: BasisPoints =
        words.next().ok_or(None)?.parse().map_err(|error: crate::model::BasisPointsError| Some(error.to_string()))?;
    let mut wave = Wave { share, over: Span::NONE, bake: Span::NONE };
    let mut last = "";
    while let Some(word) = words.next() {
        let place = match (last, word) {
            ("", "over") => &mut wave.over,
            ("" | "over", "bake") => &mut wave.bake,
            _ => return Err(None),
        };
        last = word;
        let span = words.next().ok_or(None)?;
        *place = span.parse().map_err(|error: crate::model::SpanError| Some(error.to_string()))?;
    }
    Ok(wave)
}

fn check(waves: &[(usize, Wave)], what: &str, usage: Use, findings: &mut Findings) {
    let mut before = Wave { share: BasisPoints::NONE, over: Span::NONE, bake: Span::NONE };
    for (index, (line, wave)) in waves.iter().enumerate() {
        if wave.share <= before.share {
            let why = "shares include the waves before and must grow";
            findings.add(*line, format!("{what}: {} does not follow {}; {why}", wave.share, before.share));
        }
        let is_end = index + 1 == waves.len();
        if wave.bake < before.bake && !(is_end && usage == Use::Rollback) {
            let why = "a later wave bakes at least as long as the one before";
            findings.add(*line, format!("{what}: bake {} does not follow bake {}; {why}", wave.bake, before.bake));
        }
        before = *wave;
    }
    let Some((line, last)) = waves.last() else { return };
    if last.share != BasisPoints::ALL {
        let rest = format!("the rest would never get the release; end with \"100%{}\"", baking(last.bake));
        findings.add(*line, format!("{what}: the last wave is {}: {rest}", last.share));
    }
    if usage == Use::Ring(Strategy::BlueGreen) && (waves.len() > 1 || !last.over.is_none()) {
        let one = "the strategy blue-green changes a whole ring in one step: write one wave without over";
        findings.add(*line, format!("{what}: {one}, such as \"100%{}\"", baking(last.bake)));
    }
}

fn baking(bake: Span) -> String {
    if bake.is_none() { String::new() } else { format!(" bake {bake}") }
}
