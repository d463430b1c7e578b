//! Predicates: which devices a group or a hold means.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;

use super::Glob;
use super::error::Findings;
use super::node::{Node, Value};
use crate::model::{AttributeName, Device, DeviceId, Tag};

/// How deep `any`, `all` and `not` may be nested.
const MAX_DEPTH: usize = 8;
/// The most single conditions in one predicate.
const MAX_CONDITIONS: usize = 256;

/// What is known of the sender of a request: its proven identity, the inventory's record, its address.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeviceFacts<'a> {
    /// The proven identity, if there is one.
    pub id: Option<&'a DeviceId>,
    /// What the inventory says of it.
    pub device: Option<&'a Device>,
    /// Where the request comes from.
    pub address: Option<IpAddr>,
}

/// A condition on a device. In TOML and JSON alike: `"any"`, or a table with exactly one key.
///
/// Something that is not known (no address, not in the inventory) never matches; `not` of it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    /// `"any"`: every device.
    Everything,
    /// `{ id = "dc-*" }`: the proven identity.
    Id(Glob),
    /// `{ tag = "dc" }`: a label in the inventory.
    Tag(Tag),
    /// `{ attr.os = "windows-*" }`: attributes in the inventory; with several, all of them.
    Attributes(Vec<(AttributeName, Glob)>),
    /// `{ address = "10.1.0.0/16" }`: where the request comes from.
    Address(IpNet),
    /// `{ any = [..] }`: at least one of them.
    AnyOf(Vec<Predicate>),
    /// `{ all = [..] }`: every one of them.
    AllOf(Vec<Predicate>),
    /// `{ not = .. }`: everything else.
    Not(Box<Predicate>),
}

/// Why a value is not a predicate: all that is wrong with it, joined by semicolons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PredicateError(String);

/// The keys that a predicate's table may have.
pub(super) const KEYS: [&str; 7] = ["id", "tag", "attr", "address", "any", "all", "not"];

impl Predicate {
    /// Whether the device fits.
    pub fn matches(&self, facts: &DeviceFacts<'_>) -> bool {
        match self {
            Self::Everything => true,
            Self::Id(glob) => facts.id.is_some_and(|id| glob.matches(id.as_str())),
            Self::Tag(tag) => facts.device.is_some_and(|device| device.tags.contains(tag)),
            Self::Attributes(attributes) => facts.device.is_some_and(|device| {
                let fits = |(name, glob): &(AttributeName, Glob)| {
                    device.attributes.get(name).is_some_and(|value| glob.matches(value))
                };
                attributes.iter().all(fits)
            }),
            // An IPv4 client of a dual-stack listener arrives as ::ffff:a.b.c.d.
            Self::Address(net) => facts.address.is_some_and(|address| net.contains(&address.to_canonical())),
            Self::AnyOf(parts) => parts.iter().any(|part| part.matches(facts)),
            Self::AllOf(parts) => parts.iter().all(|part| part.matches(facts)),
            Self::Not(part) => !part.matches(facts),
        }
    }

    /// Whether it can match no device that is not in the inventory. `false` where that is not certain: what a `not`
    /// leaves may be outside it.
    pub fn needs_inventory(&self) -> bool {
        match self {
            Self::Tag(_) | Self::Attributes(_) => true,
            Self::AllOf(parts) => parts.iter().any(Self::needs_inventory),
            Self::AnyOf(parts) => parts.iter().all(Self::needs_inventory),
            Self::Everything | Self::Id(_) | Self::Address(_) | Self::Not(_) => false,
        }
    }

    /// Parses the JSON form.
    ///
    /// # Errors
    /// All that is wrong with it, in one sentence.
    pub fn from_json(json: serde_json::Value) -> Result<Self, PredicateError> {
        let mut findings = Findings::default();
        let predicate = read(&Node::from_json(json), "the predicate", &mut findings);
        let predicate = findings.or(predicate).map_err(|error| {
            PredicateError(error.findings().iter().map(|found| found.message.as_str()).collect::<Vec<_>>().join("; "))
        })?;
        predicate.ok_or_else(|| PredicateError("the predicate is not understood".into()))
    }

    /// The JSON form.
    pub fn to_json(&self) -> serde_json::Value {
        let list = |parts: &[Self]| parts.iter().map(Self::to_json).collect::<Vec<_>>();
        match self {
            Self::Everything => json!("any"),
            Self::Id(glob) => json!({ "id": glob.as_str() }),
            Self::Tag(tag) => json!({ "tag": tag.as_str() }),
            Self::Attributes(attributes) => {
                let entries = attributes.iter().map(|(name, glob)| (name.to_string(), json!(glob.as_str())));
                json!({ "attr": entries.collect::<serde_json::Map<_, _>>() })
            }
            Self::Address(net) => json!({ "address": net.to_string() }),
            Self::AnyOf(parts) => json!({ "any": list(parts) }),
            Self::AllOf(parts) => json!({ "all": list(parts) }),
            Self::Not(part) => json!({ "not": part.to_json() }),
        }
    }
}

/// Reads a predicate; everything that is wrong with it becomes a finding.
pub(super) fn read(node: &Node, what: &str, findings: &mut Findings) -> Option<Predicate> {
    let mut budget = MAX_CONDITIONS;
    let before = findings.count();
    let predicate = read_part(node, what, MAX_DEPTH, &mut budget, findings);
    predicate.filter(|_| findings.count() == before)
}

fn read_part(node: &Node, what: &str, depth: usize, budget: &mut usize, findings: &mut Findings) -> Option<Predicate> {
    if depth == 0 {
        findings.add(node.line, format!("{what} is nested deeper than {MAX_DEPTH} levels"));
        return None;
    }
    if *budget == 0 {
        findings.add(node.line, format!("{what} has more than {MAX_CONDITIONS} conditions"));
        return None;
    }
    *budget -= 1;
    let entries = match &node.value {
        Value::Text(text) if text == "any" => return Some(Predicate::Everything),
        Value::Table(_) => node.fields(what, &KEYS, findings)?,
        other => {
            let kind = other.kind();
            findings.add(node.line, format!("{what} is \"any\" or a table such as {{ tag = \"dc\" }}, not {kind}"));
            return None;
        }
    };
    let [(key, value)] = entries else {
        let problem = "has exactly one key; to combine conditions write all = [..] or any = [..]";
        findings.add(node.line, format!("{what} {problem}"));
        return None;
    };
    let what = format!("{what}, {key}");
    let list = |budget: &mut usize, findings: &mut Findings| {
        let items = value.list(&what, findings)?;
        if items.is_empty() {
            findings.add(value.line, format!("{what} is an empty list"));
        }
        Some(items.iter().filter_map(|item| read_part(item, &what, depth - 1, budget, findings)).collect::<Vec<_>>())
    };
    match key.as_str() {
        "id" => value.parse(&what, findings).map(Predicate::Id),
        "tag" => value.parse(&what, findings).map(Predicate::Tag),
        "attr" => read_attributes(value, &what, findings),
        "address" => read_address(value, &what, findings),
        "any" => list(budget, findings).map(Predicate::AnyOf),
        "all" => list(budget, findings).map(Predicate::AllOf),
        "not" => read_part(value, &what, depth - 1, budget, findings).map(|part| Predicate::Not(Box::new(part))),
        // Reported as an unknown key above.
        _ => None,
    }
}

fn read_attributes(node: &Node, what: &str, findings: &mut Findings) -> Option<Predicate> {
    let entries = node.table(what, findings)?;
    if entries.is_empty() {
        findings.add(node.line, format!("{what} names no attribute"));
    }
    let mut attributes = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        let glob = value.parse(&format!("{what}.{name}"), findings);
        match name.parse() {
            Ok(name) => attributes.extend(glob.map(|glob| (name, glob))),
            Err(error) => findings.add(value.line, format!("{what}: {error}")),
        }
    }
    Some(Predicate::Attributes(attributes))
}

fn read_address(node: &Node, what: &str, findings: &mut Findings) -> Option<Predicate> {
    let text = node.text(what, findings)?;
    let parsed = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    match parsed {
        Some(net) if net.addr() == net.network() => Some(Predicate::Address(net)),
        Some(net) => {
            let right = net.trunc();
            findings.add(node.line, format!("{what}: {text:?} has bits beyond its prefix; write {right}"));
            None
        }
        None => {
            let text: String = text.chars().take(80).collect();
            findings.add(node.line, format!("{what}: {text:?} is not an address range such as 10.1.0.0/16"));
            None
        }
    }
}

/// JSON in formats that people read; JSON as a text in the others, which cannot tell a string from a table.
impl Serialize for Predicate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = self.to_json();
        if serializer.is_human_readable() { json.serialize(serializer) } else { serializer.collect_str(&json) }
    }
}

impl<'de> Deserialize<'de> for Predicate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = if deserializer.is_human_readable() {
            serde_json::Value::deserialize(deserializer)?
        } else {
            let text = String::deserialize(deserializer)?;
            serde_json::from_str(&text).map_err(serde::de::Error::custom)?
        };
        Self::from_json(json).map_err(serde::de::Error::custom)
    }
}
