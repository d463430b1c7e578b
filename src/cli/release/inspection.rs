//! What the gates saw in a release, in words.

use comfy_table::Cell;

use crate::cli::output::{BOLD, RED, grouped, say, state, state_cell, styled};
use crate::cli::{CliError, answer, time};
use crate::model::{GateFinding, Inspection};

/// A version that was turned down, as a row of the list.
pub(super) fn row(refused: answer::Refused) -> Vec<Cell> {
    let none = || Cell::from("-");
    vec![refused.version.into(), state_cell("refused".to_owned()), none(), none(), none(), refused.refused_by.into()]
}

/// Why a version was turned down.
pub(super) fn said_refused(refused: &answer::Refused) -> Result<(), CliError> {
    let answer::Refused { product, version, refused_at, refused_by, findings } = refused;
    let name = styled(BOLD, format_args!("{product} {version}"));
    say(format_args!("{name}: {}, nothing of it is stored", state("refused")))?;
    say(format_args!("  published  {} by {refused_by}, and turned down", time::shown(*refused_at)))?;
    for finding in findings {
        said_finding(finding)?;
    }
    say(format_args!("Next, when that is put right: ringfence publish {product} {version} …"))
}

fn said_finding(finding: &GateFinding) -> Result<(), CliError> {
    say(format_args!("  {:<13}{}", finding.gate, finding.text.replace('\n', "\n               ")))
}

/// What was seen in a release that passed.
pub(super) fn said(is_kernel_mode: bool, inspection: Option<&Inspection>) -> Result<(), CliError> {
    let Some(inspection) = inspection else {
        return say("  gates      no gate has looked into it");
    };
    let bodies = inspection.bodies;
    let command = inspection.command_ms.map(|took| format!(", the gate command passed it in {took} ms"));
    let bodies = if bodies == 1 { "1 body".to_owned() } else { format!("{} bodies", grouped(bodies)) };
    say(format_args!("  gates      passed; {bodies} looked at{}", command.unwrap_or_default()))?;
    if is_kernel_mode {
        say(format_args!("  kernel     {}", styled(RED, "it brings code that runs in a kernel")))?;
    }
    for found in &inspection.kernel_mode {
        let inside = if found.inside.is_empty() { String::new() } else { format!(", in it {}", found.inside) };
        say(format_args!("             {}{inside}: {}", found.target, found.kind.words()))?;
    }
    for signature in &inspection.signatures {
        let what = signature.target.as_ref().map_or_else(|| "the manifest".to_owned(), ToString::to_string);
        say(format_args!("  signed     {what} by key {} ({})", signature.key, signature.comment))?;
    }
    for signed in &inspection.authenticode {
        let verified = if signed.verified == Some(true) { "verified by the command" } else { "not verified here" };
        say(format_args!("  authenticode {} has a signature, {verified}", signed.target))?;
        say(format_args!("             sha256 {}", signed.sha256))?;
    }
    for note in &inspection.notes {
        say(format_args!("  note       {}", note.text))?;
    }
    Ok(())
}
