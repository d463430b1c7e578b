//! A dry run in words: what would change, and the sum of it.

use crate::cli::CliError;
use crate::cli::output::{YELLOW, counted, grouped, say, size, styled, table};
use crate::share::stage::{Change, StagePlan};

/// Prints what staging would do.
///
/// # Errors
/// Standard output is gone.
pub(super) fn print(plan: &StagePlan) -> Result<(), CliError> {
    say(text(plan))
}

pub(super) fn text(plan: &StagePlan) -> String {
    let changes = plan.changes.iter().filter(|planned| planned.change != Change::Keep);
    let rows = changes.map(|planned| {
        let bytes = if planned.bytes > 0 { size(planned.bytes) } else { "-".to_owned() };
        vec![word(planned.change).to_owned(), bytes, planned.path.clone()]
    });
    let rows: Vec<_> = rows.collect();
    let StagePlan { share, switch, .. } = plan;
    let sum = if rows.is_empty() {
        format!("The directory is switch {switch} of {share}: {}, nothing to do.", counted(plan.tree_files, "file"))
    } else {
        format!(
            "Switch {switch} of {share} would write {} of {} ({} of {}) and remove {}.",
            grouped(plan.files_to_write),
            counted(plan.tree_files, "file"),
            size(plan.bytes_to_write),
            size(plan.tree_bytes),
            grouped(plan.files_to_remove),
        )
    };
    let found =
        plan.repaired.iter().map(|it| format!("\n{} {}: {}", styled(YELLOW, "not as staged:"), it.path, it.why));
    let found: String = found.collect();
    if rows.is_empty() {
        return format!("{sum}{found}");
    }
    format!("{}\n{sum}{found}", table(&["change", "bytes", "path"], rows))
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Add => "add",
        Change::Replace => "replace",
        Change::Repair => "repair",
        Change::Move => "move",
        Change::Remove => "remove",
        Change::Keep => "keep",
    }
}
