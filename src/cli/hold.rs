use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::confirm::{YesArgs, confirm};
use super::connect::{ServerArgs, Session};
use super::output::{counted, say, say_table, state};
use super::{CliError, answer, local, time};
use crate::model::{GroupName, Hold, HoldId, HoldScope, ProductName, Reason, RingName, Version};

/// Withhold a release, or a whole product, from some devices; list holds, lift them
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Add(AddArgs),
    List(ListArgs),
    Lift(LiftArgs),
}

/// Withhold a version, or a whole product, from some devices or from all
///
/// It takes effect at once, for offers and for new downloads. It ends when it is lifted, or by itself with --for
/// or --until.
#[derive(Debug, clap::Args)]
pub(super) struct AddArgs {
    /// The product
    product: ProductName,
    /// The version; without one, all of the product's, present and future
    version: Option<Version>,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    /// How long, for example 24h or 7d
    #[arg(long = "for", value_name = "TIME", value_parser = time::length, conflicts_with = "until")]
    lasting: Option<Duration>,
    /// Until when, for example 2026-11-21T14:30:00Z
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    until: Option<Timestamp>,
    #[command(flatten)]
    yes: YesArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// From whom.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct ScopeArgs {
    /// From the devices of this group
    #[arg(long, value_name = "GROUP")]
    group: Option<GroupName>,
    /// From the devices whose group sits in this ring for the product's class
    #[arg(long, value_name = "RING")]
    ring: Option<RingName>,
    /// From the devices whose id matches, for example dc-*
    #[arg(long, value_name = "GLOB")]
    device: Option<String>,
    /// From all devices
    #[arg(long)]
    everyone: bool,
}

/// List the holds in force
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Also those that were lifted or have ended
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// End a hold
#[derive(Debug, clap::Args)]
pub(super) struct LiftArgs {
    /// The hold's number
    hold: HoldId,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    #[command(flatten)]
    server: ServerArgs,
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Add(args) => args.run(),
            Self::List(args) => args.run(),
            Self::Lift(args) => args.run(),
        }
    }
}

impl ScopeArgs {
    /// The field of the request, and how to call it.
    fn field(&self) -> (Option<(&'static str, Value)>, String) {
        match self {
            Self { group: Some(group), .. } => (Some(("group", json!(group))), format!("group {group}")),
            Self { ring: Some(ring), .. } => (Some(("ring", json!(ring))), format!("ring {ring}")),
            Self { device: Some(glob), .. } => (Some(("devices", json!({ "id": glob }))), format!("devices {glob}")),
            Self { everyone: _, .. } => (None, "everyone".to_owned()),
        }
    }
}

impl AddArgs {
    fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let (field, whom) = self.scope.field();
        if self.version.is_none() {
            self.confirm_product(&session, &whom)?;
        }
        let mut body = json!({ "product": self.product, "reason": self.reason });
        if let Some((key, value)) = field {
            body[key] = value;
        }
        if let Some(version) = &self.version {
            body["version"] = json!(version);
        }
        let until = self.lasting.map(|lasting| time::after(local::now(), lasting)).transpose()?.or(self.until);
        if let Some(until) = until {
            body["expires_at"] = json!(until);
        }
        let answer = session.post("/v1/holds", &body)?;
        session.show(answer, |hold: Hold| {
            let end = time::shown_or(hold.ends_at(), "it is lifted");
            say(format_args!("Hold {}: {} is withheld from {whom} until {end}.", hold.id, what(&hold)))?;
            say(format_args!("To end it: ringfence hold lift {} --reason TEXT", hold.id))
        })
    }

    fn confirm_product(&self, session: &Session, whom: &str) -> Result<(), CliError> {
        let status: answer::Status = session.read(session.get("/v1/status")?)?;
        let devices = counted(status.devices, "device");
        let reach = if self.scope.everyone { format!("all {devices}") } else { format!("{whom} (of {devices})") };
        let product = &self.product;
        confirm(&format!("Every release of {product}, present and future, will be withheld from {reach}."), self.yes)
    }
}

fn what(hold: &Hold) -> String {
    match &hold.version {
        Some(version) => format!("{} {version}", hold.product),
        None => format!("{} (every version)", hold.product),
    }
}

fn whom(scope: &HoldScope) -> String {
    match scope {
        HoldScope::Everyone => "everyone".to_owned(),
        HoldScope::Group(group) => format!("group {group}"),
        HoldScope::Ring(ring) => format!("ring {ring}"),
        HoldScope::Devices(predicate) => {
            format!("devices {}", serde_json::to_string(predicate).unwrap_or_else(|_| "that match".to_owned()))
        }
    }
}

impl ListArgs {
    fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let answer = session.get(if self.all { "/v1/holds?all=true" } else { "/v1/holds" })?;
        session.show(answer, |answer::Holds { holds }| {
            let now = local::now();
            let rows = holds.into_iter().map(|hold| {
                let word = if hold.is_active_at(now) { "active" } else { "ended" };
                let version = hold.version.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string);
                let until = time::shown_or(hold.ends_at(), "lifted");
                vec![
                    hold.id.to_string(),
                    state(word),
                    hold.product.to_string(),
                    version,
                    whom(&hold.scope),
                    until,
                    hold.author.to_string(),
                    hold.reason.to_string(),
                ]
            });
            let headings = ["hold", "state", "product", "version", "withheld from", "until", "by", "reason"];
            say_table(&headings, rows.collect(), "Nothing is withheld.")
        })
    }
}

impl LiftArgs {
    fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let answer = session.post(&format!("/v1/holds/{}/lift", self.hold), &json!({ "reason": self.reason }))?;
        session.show(answer, |hold: Hold| {
            say(format_args!(
                "Hold {} is lifted: {} is no longer withheld from {}.",
                hold.id,
                what(&hold),
                whom(&hold.scope)
            ))
        })
    }
}
