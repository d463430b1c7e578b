//! Listing rollouts.

use super::answer::{Rollout, Rollouts};
use crate::cli::connect::ServerArgs;
use crate::cli::output::{YELLOW, grouped, note, say_table, state_cell, styled};
use crate::cli::{CliError, time};
use crate::model::ProductName;

/// List the rollouts that still move or can be made to, newest first
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ListArgs {
    /// Only this product's
    #[arg(long, value_name = "PRODUCT")]
    product: Option<ProductName>,
    /// Also those that are over
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    server: ServerArgs,
}

impl ListArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let state = if self.all { "all" } else { "live" };
        let product = self.product.map(|product| format!("&product={product}")).unwrap_or_default();
        let answer = session.get(&format!("/v1/rollouts?state={state}{product}"))?;
        session.show(answer, |Rollouts { rollouts }| {
            let mut frozen: Vec<_> =
                rollouts.iter().filter_map(|rollout| Some((&rollout.product, rollout.frozen.as_ref()?))).collect();
            frozen.sort_unstable();
            frozen.dedup();
            for (product, why) in frozen {
                note(format_args!("{} {product} is frozen: {why}", styled(YELLOW, "!")));
            }
            let none = if self.all { "There was no rollout yet." } else { "No rollout is under way." };
            say_table(&HEADINGS, rollouts.iter().map(row).collect(), none)
        })
    }
}

const HEADINGS: [&str; 9] = ["rollout", "product", "version", "kind", "state", "ring", "share", "offered", "planned"];

fn row(rollout: &Rollout) -> Vec<comfy_table::Cell> {
    vec![
        rollout.id.into(),
        rollout.product.as_str().into(),
        rollout.version.as_str().into(),
        rollout.kind.as_str().into(),
        state_cell(rollout.state_words()),
        rollout.ring.as_deref().unwrap_or("-").into(),
        rollout.share.into(),
        grouped(rollout.offered()).into(),
        time::shown(rollout.planned.at).into(),
    ]
}
