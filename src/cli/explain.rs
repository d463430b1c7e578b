use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::Value;

use super::connect::ServerArgs;
use super::output::{BOLD, GREEN, say, styled};
use super::{CliError, answer, time};
use crate::model::{DeviceId, Platform, ProductName, Version};

/// Say which version of a product a device gets, and why, step by step
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The device
    device: DeviceId,
    /// The product
    product: ProductName,
    /// At another moment, for example 2026-11-21T14:30:00Z
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    at: Option<Timestamp>,
    /// As if the device asked for this platform
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// As if the device had this version
    #[arg(long, value_name = "VERSION")]
    current: Option<Version>,
    /// As if the device asked from this address
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let mut path = format!("/v1/explain?device={}&product={}", self.device, self.product);
        let more = [
            ("at", self.at.map(|at| at.to_string())),
            ("platform", self.platform.map(|platform| platform.to_string())),
            ("current", self.current.map(|current| current.to_string())),
            ("address", self.address.map(|address| address.to_string())),
        ];
        for (key, value) in more.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            path.push_str(&format!("&{key}={value}"));
        }
        session.show(session.get(&path)?, |decision| {
            said(self.device.as_str(), self.product.as_str(), &decision).iter().try_for_each(say)
        })
    }
}

/// The decision in words: what, why, then every step, with the one that decided marked.
pub(super) fn said(device: &str, product: &str, decision: &answer::Decision) -> Vec<String> {
    let version = decision.version.as_deref().or_else(|| match &decision.release {
        Value::Object(release) => release.get("version").and_then(Value::as_str),
        _ => None,
    });
    let gets = match version {
        Some(version) => styled(BOLD, format_args!("{product} {version}")),
        None => styled(BOLD, format_args!("no release of {product}")),
    };
    let place = match (&decision.group, &decision.ring) {
        (Some(group), Some(ring)) => format!(" (group {group}, ring {ring})"),
        (Some(group), None) => format!(" (group {group})"),
        _ => String::new(),
    };
    let mut lines = vec![format!("{device}{place} gets {gets}."), format!("  because  {}", decision.reason)];
    if let Some(until) = decision.valid_until {
        lines.push(format!("  until    {} at the latest, unless something changes", time::shown(until)));
    }
    lines.push(String::new());
    let width = |part: fn(&answer::TraceLine) -> &str| {
        decision.trace.iter().map(|line| part(line).chars().count()).max().unwrap_or(0)
    };
    let (rules, outcomes) = (width(|line| &line.rule), width(|line| &line.outcome));
    let decider = decision.trace.iter().rposition(|line| line.rule == decision.rule);
    for (index, line) in decision.trace.iter().enumerate() {
        let decides = Some(index) == decider;
        let mark = if decides { "→" } else { " " };
        let answer::TraceLine { rule, outcome, detail } = line;
        let text = format!("{mark} {:>2}  {rule:rules$}  {outcome:outcomes$}  {detail}", index + 1);
        let text = text.trim_end();
        lines.push(if decides { styled(GREEN, text) } else { text.to_owned() });
    }
    lines
}
