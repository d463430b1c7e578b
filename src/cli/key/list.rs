use crate::cli::connect::ServerArgs;
use crate::cli::output::{say_table, state_cell};
use crate::cli::{CliError, answer, time};

/// List every key that was ever trusted to sign releases
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        session.show(session.get("/v1/keys/trusted")?, |answer::Keys { keys }| {
            let rows = keys.into_iter().map(|key| {
                let (word, note) = match &key.revoked {
                    Some((stamp, reason)) => {
                        ("revoked", format!("{} by {}: {reason}", time::shown(stamp.at), stamp.by))
                    }
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
            });
            let none = "No keys are trusted. Trust one: ringfence key trust FILE --name TEXT";
            say_table(&["key", "state", "name", "products", "trusted", "revoked"], rows.collect(), none)
        })
    }
}
