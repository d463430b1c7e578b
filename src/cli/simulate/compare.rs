//! The policy beside the published rules of other systems, for the same faults.

use serde_json::{Value, json};

use super::report::{hours, hours_to};
use super::threads;
use crate::cli::CliError;
use crate::cli::output::{grouped, say, table};
use crate::model::{Class, Span};
use crate::policy::simulate::{Alone, Fault, Fleet, FleetGroup, RULES, Rule, Scenario, SimulateError, simulate};

/// The faults, as the columns are called.
pub(super) const FAULTS: [&str; 4] = ["fails and reports", "dies silently", "1 % share a fault", "fails after 6 h"];

/// One policy or rule.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) name: String,
    /// Devices hit under each fault.
    pub(super) hit: [u64; 4],
    /// Hours until a good release is on 95 % of the reachable devices.
    pub(super) hours: Option<f64>,
    /// Whether this is the policy that was asked about.
    pub(super) is_ours: bool,
}

/// The rules, and the policy last.
pub(super) fn rows(ours: &Scenario) -> Result<Vec<Row>, SimulateError> {
    let mut bases: Vec<(String, Scenario, bool)> = Vec::new();
    for rule in RULES {
        bases.push((rule.name.to_owned(), of_rule(ours, rule), false));
    }
    bases.push(("this policy".to_owned(), ours.clone(), true));
    let columns = FAULTS.len() as u64 + 1;
    let all = threads::on_all(bases.len() as u64 * columns, |place| {
        let (_, base, _) = &bases[(place / columns) as usize];
        let column = (place % columns) as usize;
        let scenario = Scenario { fault: fault(column, &ours.fault), ..base.clone() };
        simulate(&scenario, &Alone).map(|run| (run.hit(), hours_to(&run, 0.95)))
    });
    let all = all.into_iter().collect::<Result<Vec<_>, _>>()?;
    let rows = bases.into_iter().zip(all.chunks(columns as usize)).map(|((name, _, is_ours), cells)| {
        let hit = std::array::from_fn(|column| cells[column].0);
        Row { name, hit, hours: cells[FAULTS.len()].1, is_ours }
    });
    Ok(rows.collect())
}

/// The same devices and release without any staging.
pub(super) fn unstaged(scenario: &Scenario) -> Scenario {
    RULES.first().map_or_else(|| scenario.clone(), |rule| of_rule(scenario, rule))
}

/// The fault of a column; behind the last one a good release.
fn fault(column: usize, usual: &Fault) -> Fault {
    let good = Fault {
        failure_rate: 0.0,
        silent_rate: 0.0,
        affected: None,
        affected_share: None,
        onset: Span::NONE,
        ..usual.clone()
    };
    match column {
        0 => Fault { failure_rate: 1.0, ..good },
        1 => Fault { silent_rate: 1.0, ..good },
        2 => {
            let affected = Some("attr.model=affected".to_owned());
            Fault { failure_rate: 1.0, affected, affected_share: Some(0.01), ..good }
        }
        3 => Fault { failure_rate: 1.0, onset: Span::from_secs(6 * 3_600), ..good },
        _ => good,
    }
}

/// The scenario under another system's rule: as many devices, in that rule's groups.
fn of_rule(ours: &Scenario, rule: &Rule) -> Scenario {
    let devices = ours.fleet.devices();
    let first = ours.fleet.groups.first();
    let (check_in, offline) = first.map_or((Span::from_secs(14_400), 0.0), |group| (group.check_in, group.offline));
    let mut fleet = Fleet::default();
    let mut left = devices;
    for (place, (name, share)) in rule.shares.iter().enumerate() {
        let part = (devices as f64 * share).round() as u64;
        let part = if place + 1 == rule.shares.len() { left } else { part.min(left) };
        left -= part;
        if let Ok(group) = name.parse() {
            fleet.groups.push(FleetGroup::usual(group, part, check_in, offline));
        }
    }
    let start_after = Span::from_secs(rule.start_after_minutes * 60);
    // None of the others looks at what failing devices have in common.
    let knows_shared = false;
    Scenario {
        policy: rule.policy_for(devices),
        class: Class::Intelligence,
        fleet,
        start_after,
        knows_shared,
        ..ours.clone()
    }
}

/// Prints the rows.
///
/// # Errors
/// Standard output is gone.
pub(super) fn say_rows(rows: &[Row]) -> Result<(), CliError> {
    let mut headings = vec!["devices hit"];
    headings.extend(FAULTS);
    headings.push("good on 95 %");
    let lines = rows.iter().map(|row| {
        let mut cells = vec![row.name.clone()];
        cells.extend(row.hit.iter().map(|hit| grouped(*hit)));
        cells.push(hours(row.hours));
        cells
    });
    say(table(&headings, lines.collect()))
}

/// The rows as JSON.
pub(super) fn json(rows: &[Row]) -> Value {
    let rows = rows.iter().map(|row| {
        json!({
            "name": row.name, "fails_and_reports": row.hit[0], "dies_silently": row.hit[1],
            "one_percent_share_a_fault": row.hit[2], "fails_after_6h": row.hit[3], "hours_to_95_percent": row.hours,
            "is_this_policy": row.is_ours,
        })
    });
    json!({ "rows": rows.collect::<Vec<_>>() })
}
