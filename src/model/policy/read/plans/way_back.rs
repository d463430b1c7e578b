//! The way back (`rollback`) and the circuit breaker (`breaker`).

use super::waves::{self, Use};
use crate::model::policy::Breaker;
use crate::model::policy::error::Findings;
use crate::model::policy::node::{Node, field};
use crate::model::{RollbackPlan, Span};

/// The keys of `rollback`.
pub(in crate::model::policy) const KEYS: [&str; 4] = ["automatic", "waves", "blast_limit", "approvals"];

const MAX_APPROVALS: u32 = 10;
const MAX_HALTS: u32 = 100;
const MAX_BLAST_LIMIT: u32 = 1_000_000_000;

/// Reads `rollback`; what is absent has its default.
pub(super) fn read_rollback(node: &Node, what: &str, findings: &mut Findings) -> RollbackPlan {
    let mut rollback = RollbackPlan::default();
    let entries = node.fields(what, &KEYS, findings).unwrap_or_default();
    if let Some(node) = field(entries, "automatic") {
        rollback.automatic = node.flag(&format!("{what}, automatic"), findings).unwrap_or_default();
    }
    if let Some(node) = field(entries, "waves") {
        rollback.waves = waves::read(node, &format!("{what}, waves"), Use::Rollback, findings);
    }
    if let Some(node) = field(entries, "blast_limit") {
        let limit = node.whole(&format!("{what}, blast_limit"), 0..=MAX_BLAST_LIMIT, findings);
        rollback.blast_limit = limit.map_or(rollback.blast_limit, u64::from);
    }
    if let Some(node) = field(entries, "approvals") {
        let approvals = node.whole(&format!("{what}, approvals"), 0..=MAX_APPROVALS, findings);
        rollback.approvals = approvals.unwrap_or_default();
    }
    rollback
}

/// Reads `"3 halts in 7d"`.
pub(super) fn read_breaker(node: &Node, what: &str, findings: &mut Findings) -> Option<Breaker> {
    let text = node.text(what, findings)?;
    let words: Vec<_> = text.split_ascii_whitespace().collect();
    let [halts, "halt" | "halts", "in", within] = words[..] else {
        let text: String = text.chars().take(80).collect();
        findings.add(node.line, format!("{what}: {text:?} is not understood; write for example \"3 halts in 7d\""));
        return None;
    };
    let halts = halts.parse::<u32>().ok().filter(|halts| (1..=MAX_HALTS).contains(halts));
    if halts.is_none() {
        findings.add(node.line, format!("{what}: the number of halts is 1 to {MAX_HALTS}"));
    }
    let within = match within.parse::<Span>() {
        Ok(span) if !span.is_none() => Some(span),
        Ok(_) => {
            findings.add(node.line, format!("{what}: halts are counted within more than 0s"));
            None
        }
        Err(error) => {
            findings.add(node.line, format!("{what}: {error}"));
            None
        }
    };
    Some(Breaker { halts: halts?, within: within? })
}
