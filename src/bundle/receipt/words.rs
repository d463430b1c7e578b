//! A receipt as people read it, on one screen.

use super::Receipt;
use crate::model::{ReceiptId, ReceiptOutcome};

/// The most lines of one kind; how many more there are is told.
const LINES_MAX: usize = 8;

impl Receipt {
    /// The receipt in words, one line each.
    pub fn words(&self, id: ReceiptId) -> Vec<String> {
        let mut lines = vec![format!("Receipt {} of site {}: {}", self.number, self.site, self.said())];
        if self.bundle != self.applied {
            let served = match self.applied_sequence {
                0 => "nothing: no bundle has been applied".to_owned(),
                sequence => format!("bundle {sequence}"),
            };
            lines.push(format!("  serves     {served}"));
        }
        lines.extend(self.reasons.iter().take(LINES_MAX).map(|reason| format!("  because    {reason}")));
        let missing: Vec<_> = self.missing.iter().map(|object| format!("  missing    {object}")).collect();
        lines.extend(cut(missing, self.missing_count, "objects are missing"));
        let shown = |version: &crate::model::SiteVersion| {
            let seen = version.version.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
            format!("  version    {} {seen} in {}", version.product, version.group)
        };
        let versions = self.versions.iter().map(shown).collect();
        lines.extend(cut(versions, self.versions.len() as u64 + self.left_out.versions, "versions"));
        let counted = |tally: &crate::model::RingTally| {
            let bad = tally.failed + tally.rolled_back;
            format!(
                "  health     {} rollout {} in {}: {} offered, {} healthy, {bad} failed or went back, {} pending",
                tally.product, tally.rollout, tally.ring, tally.offered, tally.healthy, tally.pending
            )
        };
        let tallies = self.tallies.iter().map(counted).collect();
        lines.extend(cut(tallies, self.tallies.len() as u64 + self.left_out.tallies, "tallies"));
        lines.push(format!("  root       {}", self.root));
        let previous = self.previous.map_or_else(|| "none".to_owned(), |previous| previous.to_string());
        lines.push(format!("  before it  {previous}"));
        lines.push(format!("  time       {}", self.trusted_time));
        lines.push(format!("  signed by  {} ({})", self.key.id, self.key));
        lines.push(format!("  id         {id}"));
        lines
    }

    fn said(&self) -> String {
        let bundle = match self.sequence {
            0 => "no bundle".to_owned(),
            sequence => format!("bundle {sequence}"),
        };
        match self.outcome {
            ReceiptOutcome::Applied => format!("{bundle} is applied"),
            ReceiptOutcome::Partial if self.bundle.is_none() => "no bundle is applied yet".to_owned(),
            ReceiptOutcome::Partial => format!("{bundle} is not there whole"),
            ReceiptOutcome::Refused => format!("{bundle} was refused"),
        }
    }
}

/// The first of these lines, and how many there are besides.
fn cut(mut lines: Vec<String>, all: u64, what: &str) -> Vec<String> {
    lines.truncate(LINES_MAX);
    let more = all.saturating_sub(lines.len() as u64);
    if more > 0 {
        lines.push(format!("             and {more} more {what}"));
    }
    lines
}
