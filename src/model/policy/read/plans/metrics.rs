//! Bands of usage metrics: `"at most 2x"`, `"0.2x to 5x"`, `"at least 100"`.

use crate::model::policy::error::Findings;
use crate::model::policy::node::Node;
use crate::model::{Bound, MetricBand, MetricName};

/// The most metrics that a gate may watch.
const MAX_METRICS: usize = 16;
/// The largest number in a bound: thousandths of it stay whole in any arithmetic.
const MAX_BOUND: u64 = 1_000_000_000_000;

/// Reads the bands in the order in which the text gives them.
pub(super) fn read(node: &Node, what: &str, findings: &mut Findings) -> Vec<MetricBand> {
    let entries = node.table(what, findings).unwrap_or_default();
    if entries.len() > MAX_METRICS {
        findings.add(node.line, format!("{what} has {} metrics; at most {MAX_METRICS} are allowed", entries.len()));
        return Vec::new();
    }
    let mut bands = Vec::with_capacity(entries.len());
    for (key, node) in entries {
        let metric = key.parse::<MetricName>().map_err(|error| findings.add(node.line, format!("{what}: {error}")));
        let Some(text) = node.text(&format!("{what}.{key}"), findings) else { continue };
        match parse(text) {
            Ok((low, high)) => bands.extend(metric.ok().map(|metric| MetricBand { metric, low, high })),
            Err(why) => {
                let (key, text): (String, String) = (key.chars().take(80).collect(), text.chars().take(80).collect());
                findings.add(node.line, format!("{what}.{key}: {text:?} is not a band: {why}"));
            }
        }
    }
    bands
}

type Band = (Option<Bound>, Option<Bound>);

fn parse(text: &str) -> Result<Band, &'static str> {
    let words: Vec<_> = text.split_ascii_whitespace().collect();
    match words[..] {
        ["at", "most", high] => Ok((None, Some(bound(high)?))),
        ["at", "least", low] => match bound(low)? {
            Bound::Milli(0) => Err("nothing is less than 0; leave the metric out"),
            low => Ok((Some(low), None)),
        },
        [low, "to", high] => match (bound(low)?, bound(high)?) {
            (low @ Bound::Milli(a), high @ Bound::Milli(b))
            | (low @ Bound::TimesMilli(a), high @ Bound::TimesMilli(b)) => {
                if a < b {
                    Ok((Some(low), Some(high)))
                } else {
                    Err("the first bound is below the second")
                }
            }
            _ => Err("both bounds are multiples (0.2x to 5x), or neither is (10 to 500)"),
        },
        _ => Err("write \"at most 2x\", \"at least 100\" or \"0.2x to 5x\"; x means times the previous release's"),
    }
}

/// A number with at most three decimals; with `x`, a multiple.
fn bound(text: &str) -> Result<Bound, &'static str> {
    let (number, is_multiple) = text.strip_suffix('x').map_or((text, false), |number| (number, true));
    let milli = thousandths(number).ok_or("a bound is a number up to 10^12 with at most three decimals")?;
    match (is_multiple, milli) {
        (true, 0) => Err("a multiple is more than 0x"),
        (true, milli) => Ok(Bound::TimesMilli(milli)),
        (false, milli) => Ok(Bound::Milli(milli)),
    }
}

fn thousandths(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(decimals) || decimals.len() > 3 {
        return None;
    }
    let whole = whole.parse::<u64>().ok().filter(|whole| *whole <= MAX_BOUND)?;
    Some(whole * 1_000 + format!("{decimals:0<3}").parse::<u64>().ok()?)
}
