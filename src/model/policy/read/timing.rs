//! The keys of a group that delay a release to a better moment: cadence, window, rate; and staleness.

use super::values;
use crate::model::Class;
use crate::model::policy::error::Findings;
use crate::model::policy::group::Timing;
use crate::model::policy::node::{Node, Value, field};
use crate::model::policy::{Scoped, Windows};

/// The most maintenance windows of one group.
const MAX_WINDOWS: usize = 16;

/// Reads them. `planned` says which classes have a plan.
pub(super) fn read(entries: &[(String, Node)], what: &str, planned: [bool; 2], findings: &mut Findings) -> Timing {
    let rate = field(entries, "rate");
    if let Some(node) = rate {
        check_planned(node, what, planned, findings);
    }
    Timing {
        cadence: scoped(field(entries, "cadence"), &format!("{what}, cadence"), findings),
        windows: field(entries, "window").and_then(|node| read_windows(node, what, findings)),
        rate: scoped(rate, &format!("{what}, rate"), findings),
        staleness: scoped(field(entries, "staleness"), &format!("{what}, staleness"), findings),
    }
}

fn scoped<T>(node: Option<&Node>, what: &str, findings: &mut Findings) -> Scoped<T>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    node.map(|node| values::per_product(node, what, findings, Node::parse::<T>)).unwrap_or_default()
}

fn read_windows(node: &Node, what: &str, findings: &mut Findings) -> Option<Windows> {
    let what = format!("{what}, window");
    let items = node.list(&what, findings)?;
    if items.is_empty() || items.len() > MAX_WINDOWS {
        let count = items.len();
        findings.add(node.line, format!("{what} has {count} windows; write 1 to {MAX_WINDOWS}, or leave the key out"));
        return None;
    }
    let windows = items.iter().map(|item| item.parse(&what, findings)).collect::<Vec<_>>();
    windows.into_iter().collect::<Option<_>>().map(Windows)
}

/// A rate counts from the opening of a wave: where no wave opens it would be read and never kept to.
fn check_planned(node: &Node, what: &str, planned: [bool; 2], findings: &mut Findings) {
    let missing: Vec<_> = match &node.value {
        Value::Table(entries) => {
            let classes = entries.iter().filter_map(|(key, node)| Some((node.line, key.parse::<Class>().ok()?)));
            let mut missing: Vec<_> = classes.filter(|(_, class)| !planned[*class as usize]).collect();
            // The class of a product is not known here.
            if planned == [false; 2] && missing.is_empty() {
                missing.push((node.line, Class::Intelligence));
            }
            missing
        }
        _ => {
            let classes = Class::ALL.into_iter().filter(|class| !planned[*class as usize]);
            classes.map(|class| (node.line, class)).collect()
        }
    };
    for (line, class) in missing {
        let why = "a rate counts from the opening of a wave";
        let instead = "give the class a plan, or write the rate for the other class only";
        findings.add(line, format!("{what}, rate: {why}, and there is no [plan.{class}]; {instead}"));
    }
}
