use serde_json::json;

use crate::cli::CliError;
use crate::cli::confirm::{YesArgs, confirm};
use crate::cli::connect::ServerArgs;
use crate::cli::output::say;
use crate::model::{GroupName, LayoutName, Platform, ProductName, Reason, ShareName};

use super::answer::Share;

/// Add a share to the policy in force, after saying what that does and asking
///
/// It is one more share table at the end of the policy; `ringfence policy show` has it then. To change or remove it,
/// apply another policy.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Its name, the first part of its paths
    share: ShareName,
    /// The group whose decisions it takes
    #[arg(long)]
    group: GroupName,
    /// How its files are arranged, for example plain, defender-windows, clamav or apt
    #[arg(long)]
    layout: LayoutName,
    /// A product in it; may be given several times
    #[arg(long = "product", value_name = "PRODUCT", required = true)]
    products: Vec<ProductName>,
    /// A platform that it must serve; may be given several times [default: whatever the releases have]
    #[arg(long = "platform", value_name = "PLATFORM")]
    platforms: Vec<Platform>,
    /// Who may read it over HTTP: anyone, devices, group or an address range; may be given several times
    /// [default: the devices of its group]
    #[arg(long, value_name = "WHO")]
    open_to: Vec<String>,
    /// Let its folders be listed over HTTP
    #[arg(long)]
    listing: bool,
    /// Why; written as a comment into the policy
    #[arg(long, value_name = "TEXT")]
    reason: Option<Reason>,
    #[command(flatten)]
    yes: YesArgs,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let Self { share, group, layout, products, platforms, open_to, listing, reason, .. } = &self;
        let names: Vec<&str> = products.iter().map(ProductName::as_str).collect();
        let readers = if open_to.is_empty() { format!("the devices of {group}") } else { open_to.join(", ") };
        let what = format!(
            "Share {share} will be in the policy in force at once: what {group} gets of {}, arranged as {layout}, open to \
             {readers}.",
            names.join(", ")
        );
        confirm(&what, self.yes)?;
        let mut body =
            json!({ "name": share, "group": group, "layout": layout, "products": products, "listing": listing });
        if !platforms.is_empty() {
            body["platforms"] = json!(platforms);
        }
        if !open_to.is_empty() {
            body["open_to"] = json!(open_to);
        }
        if let Some(reason) = reason {
            body["reason"] = json!(reason);
        }
        session.show(session.post("/v1/shares", &body)?, |share: Share| {
            say(format_args!("Share {} is in the policy.", share.name))?;
            share.problems.iter().try_for_each(|problem| say(format_args!("  {problem}")))?;
            say(format_args!("It shows what {group} gets a second from now: ringfence share show {}", share.name))?;
            say(format_args!("Next: ringfence share stage {} --to DIR", share.name))
        })
    }
}
