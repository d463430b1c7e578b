use std::path::{Path, PathBuf};

use serde_json::json;

use super::confirm::{YesArgs, confirm};
use super::connect::{ServerArgs, Session};
use super::output::{BOLD, YELLOW, counted, grouped, note, say, say_json, say_raw, say_table, short, styled, table};
use super::{CliError, answer, time};
use crate::model::policy::{Policy, PolicyError};
use crate::share::read_policy;

/// Check, plan, apply and look back at the policy
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Check(CheckArgs),
    Plan(PlanArgs),
    Apply(ApplyArgs),
    Show(ShowArgs),
    History(HistoryArgs),
}

/// Check a policy file and say each rule in a sentence; needs no server
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// The policy file
    file: PathBuf,
    /// Print the sentences as JSON
    #[arg(long)]
    json: bool,
}

/// Print which devices a policy file would move to which version, changing nothing
#[derive(Debug, clap::Args)]
pub(super) struct PlanArgs {
    /// The policy file
    file: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
}

/// Put a policy file in force, after printing what it changes and asking
#[derive(Debug, clap::Args)]
pub(super) struct ApplyArgs {
    /// The policy file
    file: PathBuf,
    #[command(flatten)]
    yes: YesArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// Print the policy in force, or an earlier one, as it was written
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// The number of an earlier policy, from `policy history`
    #[arg(long, value_name = "NUMBER")]
    seq: Option<u64>,
    /// Print what it says in sentences instead of its text
    #[arg(long, conflicts_with = "seq")]
    sentences: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// List the policies that were ever in force, newest first
///
/// To go back: `ringfence policy show --seq NUMBER > policy.toml`, then `ringfence policy apply policy.toml`.
#[derive(Debug, clap::Args)]
pub(super) struct HistoryArgs {
    #[command(flatten)]
    server: ServerArgs,
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Check(args) => args.run(),
            Self::Plan(args) => args.run(),
            Self::Apply(args) => args.run(),
            Self::Show(args) => args.run(),
            Self::History(args) => args.run(),
        }
    }
}

/// Reads a policy file and finds what is wrong with it before a server is asked.
fn read(file: &Path) -> Result<(String, Policy), CliError> {
    let text = std::fs::read_to_string(file)
        .map_err(|cause| CliError::Input(format!("{}: the policy cannot be read: {cause}", file.display())))?;
    let policy = read_policy(&text).map_err(|error| mistakes(file, &error))?;
    Ok((text, policy))
}

/// All mistakes of a policy file, one a line, each with the file's name and line.
pub(super) fn mistakes(file: &Path, error: &PolicyError) -> CliError {
    let lines = error.findings().iter().map(|found| format!("{}:{}: {}", file.display(), found.line, found.message));
    CliError::Input(lines.collect::<Vec<_>>().join("\n"))
}

impl CheckArgs {
    fn run(self) -> Result<(), CliError> {
        let (_, policy) = read(&self.file)?;
        let sentences = policy.sentences();
        if self.json {
            return say_json(&json!({ "sentences": sentences, "findings": [] }));
        }
        say(format_args!("{} is correct. It says:", self.file.display()))?;
        sentences.iter().try_for_each(|sentence| say(format_args!("  - {sentence}")))
    }
}

impl PlanArgs {
    fn run(self) -> Result<(), CliError> {
        let (text, _) = read(&self.file)?;
        let session = self.server.session()?;
        let answer = session.post_policy("/v1/policy/plan", &text, None)?;
        session.show(answer, |plan: answer::PolicyPlan| {
            say(planned(&plan))?;
            if plan.devices_changed > 0 {
                say(format_args!("Next: ringfence policy apply {}", self.file.display()))?;
            }
            Ok(())
        })
    }
}

/// What a plan says: a table of changes, then the sum.
fn planned(plan: &answer::PolicyPlan) -> String {
    let mut text = String::new();
    if !plan.changes.is_empty() {
        let is_any_later = plan.changes.iter().any(|change| change.at.is_some());
        let rows = plan.changes.iter().map(|change| {
            let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "nothing".to_owned());
            let mut examples = change.examples.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
            if change.devices > 3 && !examples.is_empty() {
                examples.push_str(", …");
            }
            let mut row = vec![
                change.product.clone(),
                change.group.clone().unwrap_or_else(|| "-".to_owned()),
                version(&change.from),
                version(&change.to),
                grouped(change.devices),
                examples,
            ];
            if is_any_later {
                row.insert(4, time::shown_or(change.at, "at once"));
            }
            row
        });
        let mut headings = vec!["product", "group", "from", "to", "devices", "for example"];
        if is_any_later {
            headings.insert(4, "when");
        }
        text = table(&headings, rows.collect());
        text.push('\n');
    }
    let total = counted(plan.devices_total, "device");
    let sum = match plan.devices_changed {
        0 => format!("No device of {total} changes its version."),
        1 => format!("1 of {total} changes its version."),
        changed => format!("{} of {total} change their version.", grouped(changed)),
    };
    let regrouped = plan.regrouped.iter().map(|change| change.devices).sum();
    let groups = match regrouped {
        0 => String::new(),
        1 => " 1 device changes its group.".to_owned(),
        many => format!(" {} change their group.", counted(many, "device")),
    };
    let warnings: String =
        plan.warnings.iter().map(|warning| format!("\n{} {warning}", styled(YELLOW, "warning:"))).collect();
    let weakened: String =
        plan.weakened.iter().map(|weaker| format!("\n{} {weaker}", styled(YELLOW, "weaker:"))).collect();
    format!("{text}{sum}{groups}{weakened}{warnings}")
}

impl ApplyArgs {
    fn run(self) -> Result<(), CliError> {
        let (text, _) = read(&self.file)?;
        let session = self.server.session()?;
        let in_force = in_force(&session)?;
        let plan: answer::PolicyPlan = session.read(session.post_policy("/v1/policy/plan", &text, None)?)?;
        if in_force.as_ref().is_none_or(|policy| policy.text != text) {
            note(planned(&plan));
            confirm(&format!("{} will be in force at once.", self.file.display()), self.yes)?;
        }
        let answer = session.post_policy("/v1/policy/apply", &text, in_force.map(|policy| policy.seq))?;
        session.show(answer, |applied: answer::PolicyApplied| {
            if applied.changed {
                say(format_args!("The policy is in force, as number {}.", applied.seq))
            } else {
                say(format_args!("That is the policy in force already, number {}: nothing changed.", applied.seq))
            }
        })
    }
}

/// The policy in force; none on a server that has none yet. Its number goes along with the new one, so that what was
/// planned is what is replaced.
fn in_force(session: &Session) -> Result<Option<answer::Policy>, CliError> {
    match session.get("/v1/policy") {
        Ok(answer) => session.read(answer).map(Some),
        Err(error) if error.exit_code() == 6 => Ok(None),
        Err(error) => Err(error),
    }
}

impl ShowArgs {
    fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let (wanted, answer) = match self.seq {
            Some(seq) => (self.sentences, session.get(&format!("/v1/policy/history/{seq}"))?),
            None => (self.sentences, session.get("/v1/policy")?),
        };
        session.show(answer, |policy: answer::Policy| {
            if wanted {
                return policy.sentences.iter().try_for_each(|sentence| say(format_args!("- {sentence}")));
            }
            let applied = time::shown(policy.applied_at);
            note(format_args!("policy {}, applied {applied} by {}", styled(BOLD, policy.seq), policy.applied_by));
            say_raw(policy.text.as_bytes())
        })
    }
}

impl HistoryArgs {
    fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        session.show(session.get("/v1/policy/history")?, |answer::Policies { mut policies }| {
            policies.sort_by_key(|policy| std::cmp::Reverse(policy.seq));
            let rows = policies.into_iter().map(|policy| {
                vec![policy.seq.to_string(), time::shown(policy.applied_at), policy.applied_by, short(&policy.digest)]
            });
            let none = "No policy was ever applied. Apply one: ringfence policy apply policy.toml";
            say_table(&["number", "applied", "by", "digest"], rows.collect(), none)
        })
    }
}
