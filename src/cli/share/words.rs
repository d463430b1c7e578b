//! How shares and what was staged are put into words.

use crate::cli::output::{BOLD, GREEN, RED, YELLOW, counted, grouped, size, styled};
use crate::share::TargetState;
use crate::share::stage::Staged;

use super::answer::{Share, Shown, Target};

/// A length of time for people: its two largest units.
pub(super) fn span(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let first = units.iter().position(|(_, length)| seconds >= *length).unwrap_or(units.len() - 1);
    let mut left = seconds;
    let mut words = Vec::new();
    for (unit, length) in units.iter().skip(first).take(2) {
        let count = left / length;
        left %= length;
        if count > 0 || words.is_empty() {
            words.push(format!("{count}{unit}"));
        }
    }
    words.join(" ")
}

/// How old what a share shows is, and whether that is too old.
pub(super) fn age(share: &Share) -> String {
    let Some(age_s) = share.age_s else { return "-".to_owned() };
    match share.staleness.as_str() {
        "warn" => format!("{} (old)", span(age_s)),
        "critical" => format!("{} (too old)", span(age_s)),
        _ => span(age_s),
    }
}

/// What is shown: `feed 1.2, drivers 3.4 (windows-x64)`.
pub(super) fn shown(releases: &[Shown]) -> String {
    let names = releases.iter().map(|shown| match &shown.platform {
        Some(platform) => format!("{} {} ({platform})", shown.product, shown.version),
        None => format!("{} {}", shown.product, shown.version),
    });
    let names: Vec<String> = names.collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// How many targets have the newest switch.
pub(super) fn targets(targets: &[Target]) -> String {
    let published = targets.iter().filter(|target| target.state == TargetState::Published && target.lag_s == 0);
    match targets.len() {
        0 => "-".to_owned(),
        all => format!("{} of {all}", published.count()),
    }
}

/// The word for a target's state.
pub(super) fn target_state(state: TargetState) -> String {
    match state {
        TargetState::Published => styled(GREEN, "published"),
        TargetState::Pending => styled(YELLOW, "pending"),
        TargetState::Failed => styled(RED, "failed"),
    }
}

/// What a run did: a sentence, then a line for each file that was put right or waits.
pub(super) fn staged(staged: &Staged) -> String {
    let Staged { share, switch, written_files, written_bytes, tree_files, tree_bytes, .. } = staged;
    let mut text = format!(
        "{} switch {switch} of {share}: {} of {} written, {} of {}",
        styled(BOLD, if staged.is_pending.is_some() { "prepared" } else { "published" }),
        grouped(*written_files),
        counted(*tree_files, "file"),
        size(*written_bytes),
        size(*tree_bytes),
    );
    for (count, what) in [(staged.reused_files, "reused"), (staged.removed_files, "removed")] {
        if count > 0 {
            text += &format!("; {} {what}", grouped(count));
        }
    }
    text += &format!("; {}.{} s", staged.took_ms / 1_000, staged.took_ms % 1_000 / 100);
    for repaired in &staged.repaired {
        text += &format!("\n{} {}: {}", styled(YELLOW, "repaired:"), repaired.path, repaired.why);
    }
    for path in &staged.requeued {
        text += &format!("\n{} {path} is open and is removed by a later run", styled(YELLOW, "left:"));
    }
    if let Some(pending) = &staged.is_pending {
        text += &format!("\n{} {}: {}", styled(YELLOW, "pending:"), pending.path, pending.why);
    }
    text
}
