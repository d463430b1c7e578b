//! Numbers and shares as a gate's sentence has them.

/// `part` of `whole` as a percentage, with one decimal below ten.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let share = part as f64 * 100.0 / whole.max(1) as f64;
    if share < 10.0 && share > 0.0 { format!("{share:.1}%") } else { format!("{share:.0}%") }
}

/// Thousandths as a number, without needless zeros.
pub(super) fn milli(value: u64) -> String {
    let (whole, rest) = (value / 1_000, value % 1_000);
    if rest == 0 {
        return whole.to_string();
    }
    format!("{whole}.{rest:03}").trim_end_matches('0').to_owned()
}

/// `n device` or `n devices`.
pub(super) fn devices(count: u64) -> String {
    if count == 1 { "1 device".to_owned() } else { format!("{count} devices") }
}
