use serde_json::json;

use super::connect::ServerArgs;
use super::output::{say, say_table, state};
use super::{CliError, answer, time};
use crate::model::{Class, ProductName};

/// Add products, list them
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Add(AddArgs),
    List(ListArgs),
}

/// Add a product; its name and class stay for ever
#[derive(Debug, clap::Args)]
pub(super) struct AddArgs {
    /// A name such as defender-intelligence
    name: ProductName,
    /// intelligence (user mode, many releases a day) or platform (software and drivers)
    #[arg(long, value_name = "CLASS")]
    class: Class,
    #[command(flatten)]
    server: ServerArgs,
}

/// List the products
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Add(args) => args.run(),
            Self::List(args) => args.run(),
        }
    }
}

impl AddArgs {
    fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let answer = session.post("/v1/products", &json!({ "name": self.name, "class": self.class }))?;
        session.show(answer, |product: answer::Product| {
            say(format_args!("Product {} ({}) is there.", product.name, product.class))?;
            if product.releases == 0 {
                say(format_args!("Next: ringfence publish {} VERSION --artifact FILE", product.name))?;
            }
            Ok(())
        })
    }
}

impl ListArgs {
    fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let answer = session.get("/v1/products")?;
        session.show(answer, |answer::Products { products }| {
            let frozen: Vec<_> = products.iter().filter_map(said_frozen).collect();
            let rows = products.into_iter().map(|product| {
                let newest = product.newest.unwrap_or_else(|| "none".to_owned());
                let added = time::shown(product.added_at);
                vec![
                    product.name,
                    product.class.to_string(),
                    product.releases.to_string(),
                    newest,
                    added,
                    product.added_by,
                ]
            });
            let none = "No products yet. Add one: ringfence product add NAME --class intelligence|platform";
            say_table(&["product", "class", "releases", "newest", "added", "by"], rows.collect(), none)?;
            frozen.iter().try_for_each(say)
        })
    }
}

/// That a product is frozen, why, and how that ends.
fn said_frozen(product: &answer::Product) -> Option<String> {
    let (name, why) = (&product.name, product.frozen.as_ref()?);
    Some(format!("{name} is {}: {why}. To end it: ringfence rollout reset {name} --reason TEXT", state("frozen")))
}
