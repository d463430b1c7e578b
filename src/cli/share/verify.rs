use std::path::PathBuf;

use crate::cli::CliError;
use crate::cli::output::{RED, counted, say, say_json, size, styled};
use crate::cli::time;
use crate::share::stage::{StageError, State, Verification, verify};

/// Hash every file of a staged directory and compare it with its manifest; needs no server; exit code 8 if anything
/// differs
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The staged directory
    dir: PathBuf,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self) -> Result<(), CliError> {
        let found = verify(&self.dir).map_err(|error| match &error {
            StageError::NoManifest { .. } | StageError::Missing { .. } => CliError::NotFound(error.to_string()),
            StageError::UnreadableManifest { .. } => CliError::Damage(error.to_string()),
            _ => CliError::Failed(error.to_string()),
        })?;
        if self.json {
            let json = serde_json::to_value(&found)
                .map_err(|cause| CliError::Failed(format!("the findings are no JSON: {cause}")))?;
            say_json(&json)?;
        } else {
            print(&found)?;
        }
        if found.is_good() { Ok(()) } else { Err(CliError::Damage(summary(&self.dir.display().to_string(), &found))) }
    }
}

fn print(found: &Verification) -> Result<(), CliError> {
    say(format_args!(
        "Switch {} of {} ({}), staged {}: {} as {} should be, {}.",
        found.switch,
        found.share,
        found.layout,
        time::shown(found.staged_at),
        counted(found.good_files, "file"),
        if found.good_files == 1 { "it" } else { "they" },
        size(found.good_bytes),
    ))?;
    let missing = found.missing.iter().map(|path| ("missing:", path.as_str()));
    let changed = found.changed.iter().map(|path| ("changed:", path.as_str()));
    let extra = found.extra.iter().map(|path| ("extra:", path.as_str()));
    for (word, path) in missing.chain(changed).chain(extra) {
        say(format_args!("{} {path}", styled(RED, word)))?;
    }
    Ok(())
}

fn summary(dir: &str, found: &Verification) -> String {
    let mut parts = Vec::new();
    let counts = [
        (found.missing.len(), "missing"),
        (found.changed.len(), "changed"),
        (found.extra.len(), "not part of the share"),
    ];
    for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
        parts.push(format!("{count} {what}"));
    }
    if found.state == State::Switching {
        parts.push("a switch is under way or was cut off: stage it again".to_owned());
    }
    if found.is_overtaken {
        parts.push("it was staged anew meanwhile: verify again".to_owned());
    }
    format!("{dir} is not switch {} of {}: {}", found.switch, found.share, parts.join(", "))
}
