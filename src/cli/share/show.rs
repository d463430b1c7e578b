use crate::cli::connect::ServerArgs;
use crate::cli::output::{BOLD, RED, YELLOW, counted, say, short, size, styled, table};
use crate::cli::{CliError, time};
use crate::model::ShareName;

use super::answer::{self, Share};
use super::words;

/// Show what a share shows: releases, files, targets, and what is in the way
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The share
    share: ShareName,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        session.show(session.get(&format!("/v1/shares/{}", self.share))?, |share: Share| print(&share))
    }
}

/// Prints a share with everything that is known of it.
///
/// # Errors
/// Standard output is gone.
pub(super) fn print(share: &Share) -> Result<(), CliError> {
    let platforms = match share.platforms.is_empty() {
        true => String::new(),
        false => format!(" for {}", share.platforms.join(", ")),
    };
    let name = styled(BOLD, &share.name);
    say(format_args!(
        "{name} shows {} what they get of {}{platforms}, arranged as {}.",
        share.group,
        share.products.join(", "),
        share.layout
    ))?;
    let readers = if share.open_to.is_empty() { "nobody".to_owned() } else { share.open_to.join(", ") };
    let listed = if share.listing { "; its folders can be listed" } else { "" };
    say(format_args!("Over HTTP it is open to: {readers}{listed}."))?;
    match (share.switch, share.at) {
        (Some(switch), Some(at)) => say(format_args!(
            "Switch {switch} at {}: {}, {}; age {}.",
            time::shown(at),
            counted(share.files, "file"),
            size(share.bytes),
            words::age(share)
        ))?,
        _ => say("Nothing is shown yet.")?,
    }
    if share.withheld_files > 0 {
        say(format_args!("{} {} withheld.", styled(YELLOW, "!"), counted(share.withheld_files, "file")))?;
    }
    for problem in &share.problems {
        say(format_args!("{} {problem}", styled(RED, "problem:")))?;
    }
    releases(share)?;
    targets(&share.targets)?;
    paths(share)
}

fn releases(share: &Share) -> Result<(), CliError> {
    if share.releases.is_empty() {
        return Ok(());
    }
    let rows = share.releases.iter().map(|shown| {
        let platform = shown.platform.clone().unwrap_or_else(|| "all".to_owned());
        vec![shown.product.clone(), shown.version.clone(), platform, time::shown(shown.since)]
    });
    say(format_args!("\n{}", table(&["product", "version", "platform", "since"], rows.collect())))
}

fn targets(targets: &[answer::Target]) -> Result<(), CliError> {
    for target in targets {
        let lag = if target.lag_s > 0 { format!(", {} behind", words::span(target.lag_s)) } else { String::new() };
        let why = target.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        say(format_args!(
            "target {}: {} (switch {} at {}{lag}){why}",
            target.target,
            words::target_state(target.state),
            target.switch,
            time::shown(target.staged_at),
        ))?;
    }
    Ok(())
}

fn paths(share: &Share) -> Result<(), CliError> {
    if share.paths.is_empty() {
        return Ok(());
    }
    let rows = share
        .paths
        .iter()
        .map(|path| vec![path.path.clone(), size(path.size), time::shown(path.modified), short(&path.sha256)]);
    say(format_args!("\n{}", table(&["path", "size", "since", "sha256"], rows.collect())))
}
