use comfy_table::Cell;

use super::Keys;
use crate::cli::connect::ServerArgs;
use crate::cli::output::{say, say_table, state_cell};
use crate::cli::{CliError, local, time};
use crate::model::{KeyId, TrustedKey};
use crate::signing::KeyEntry;

/// List the keys that the origin has signed with, and those that were ever trusted to sign releases
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
}

impl ListArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        session.show(session.get("/v1/keys")?, |Keys { signing, origin, trusted, .. }| {
            say("The origin signs its answers with:")?;
            let rows = origin.into_iter().map(|entry| of_origin(entry, signing)).collect();
            say_table(&["key", "state", "added", "introduced by", "believed until"], rows, "No keys.")?;
            say("\nReleases may be signed with:")?;
            let none = "No keys are trusted. Trust one: ringfence key trust FILE --name TEXT";
            let rows = trusted.into_iter().map(of_publisher).collect();
            say_table(&["key", "state", "name", "products", "trusted", "revoked"], rows, none)
        })
    }
}

fn of_origin(entry: KeyEntry, signing: KeyId) -> Vec<Cell> {
    let state = match entry.key.id == signing {
        true => "active",
        false if entry.is_retired(local::now()) => "retired",
        false => "replaced",
    };
    vec![
        entry.key.id.to_string().into(),
        state_cell(state.to_owned()),
        time::shown(entry.added_at).into(),
        entry.introduced_by.map_or_else(|| "-".to_owned(), |by| by.to_string()).into(),
        time::shown_or(entry.retired_at, "-").into(),
    ]
}

fn of_publisher(key: TrustedKey) -> Vec<Cell> {
    let (word, note) = match &key.revoked {
        Some((stamp, reason)) => ("revoked", format!("{} by {}: {reason}", time::shown(stamp.at), stamp.by)),
        None => ("active", String::new()),
    };
    let products: Vec<_> = key.products.iter().map(|glob| glob.0.as_str()).collect();
    let products = if products.is_empty() { "all".to_owned() } else { products.join(", ") };
    vec![
        key.key.id.to_string().into(),
        state_cell(word.to_owned()),
        key.name.into(),
        products.into(),
        format!("{} by {}", time::shown(key.trusted.at), key.trusted.by).into(),
        note.into(),
    ]
}
