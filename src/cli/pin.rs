use serde_json::json;

use super::connect::ServerArgs;
use super::output::{say, say_table};
use super::{CliError, answer, time};
use crate::model::{GroupName, Pin, ProductName, Reason, Version};

/// Keep a group at one version of a product; without arguments, list the pins
///
/// A pinned group gets that version and no other until it is unpinned. A new pin of the same group and product
/// replaces the old one. A pin never shows a withdrawn or withheld version.
#[derive(Debug, clap::Args)]
pub(super) struct PinArgs {
    /// The group
    #[arg(requires = "product")]
    group: Option<GroupName>,
    /// The product
    #[arg(requires = "version")]
    product: Option<ProductName>,
    /// The version
    #[arg(requires = "reason")]
    version: Option<Version>,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<Reason>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Let a pinned group follow the policy again
#[derive(Debug, clap::Args)]
pub(super) struct UnpinArgs {
    /// The group
    group: GroupName,
    /// The product
    product: ProductName,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    #[command(flatten)]
    server: ServerArgs,
}

impl PinArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let (Some(group), Some(product), Some(version), Some(reason)) =
            (self.group, self.product, self.version, self.reason)
        else {
            return session.show(session.get("/v1/pins")?, |answer::Pins { pins }| listed(pins));
        };
        let body = json!({ "group": group, "product": product, "version": version, "reason": reason });
        session.show(session.post("/v1/pins", &body)?, |pin: Pin| {
            say(format_args!("Group {} is pinned to {} {}.", pin.group, pin.product, pin.version))?;
            say(format_args!("To end it: ringfence unpin {} {} --reason TEXT", pin.group, pin.product))
        })
    }
}

fn listed(pins: Vec<Pin>) -> Result<(), CliError> {
    let rows = pins.into_iter().filter(|pin| pin.removed.is_none()).map(|pin| {
        vec![
            pin.group.to_string(),
            pin.product.to_string(),
            pin.version.to_string(),
            time::shown(pin.added_at),
            pin.author.to_string(),
            pin.reason.to_string(),
        ]
    });
    say_table(&["group", "product", "version", "since", "by", "reason"], rows.collect(), "No group is pinned.")
}

impl UnpinArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let answer::Pins { pins } = session.read(session.get("/v1/pins")?)?;
        let pin = pins
            .into_iter()
            .find(|pin| pin.removed.is_none() && pin.group == self.group && pin.product == self.product)
            .ok_or_else(|| CliError::NotFound(format!("group {} is not pinned for {}", self.group, self.product)))?;
        let answer = session.post(&format!("/v1/pins/{}/remove", pin.id), &json!({ "reason": self.reason }))?;
        session.show(answer, |_: serde_json::Value| {
            say(format_args!("Group {} follows the policy for {} again.", self.group, self.product))
        })
    }
}
