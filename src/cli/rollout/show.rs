//! Showing one rollout.

use super::answer::Rollout;
use super::draw;
use super::which::Which;
use crate::cli::connect::ServerArgs;
use crate::cli::output::{say, say_json, say_raw};
use crate::cli::{CliError, local};

/// Draw a rollout: rings, waves, counts, what bakes for how long, and what its gates say
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ShowArgs {
    /// The rollout: its number, or PRODUCT@VERSION
    #[arg(value_name = "ROLLOUT")]
    which: Which,
    /// Print its timeline as Markdown, for a review
    #[arg(long, conflicts_with = "json")]
    timeline: bool,
    #[command(flatten)]
    server: ServerArgs,
}

impl ShowArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let path = format!("/v1/rollouts/{}", self.which.id(&session)?);
        if self.timeline {
            return say_raw(session.get_text(&format!("{path}/timeline"))?.as_bytes());
        }
        let answer = session.get(&path)?;
        if session.json() {
            return say_json(&answer);
        }
        let rollout: Rollout = session.read(answer)?;
        say(draw::drawn(&rollout, local::now()))
    }
}
