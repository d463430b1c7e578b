//! Reading a policy text: keys and values into a [`Policy`], all findings at once.

mod groups;
mod plans;
mod shares;
mod sites;
mod timing;
mod values;

use super::error::Findings;
use super::node::{Node, field};
use super::{MAX_RINGS, MAX_TEXT_BYTES, Policy, PolicyError, Ring};
use crate::model::{ApprovalRule, Class, RingName, SignatureRule, Span};

/// The keys of the whole text.
pub(super) const KEYS: [&str; 7] = ["approve", "ring", "group", "plan", "share", "site", "signature"];
/// The keys of `[approve]` and of `[signature]`.
pub(super) const APPROVE_KEYS: [&str; 2] = ["intelligence", "platform"];
/// The keys of `[[ring]]`.
pub(super) const RING_KEYS: [&str; 2] = ["name", "defer"];
#[cfg(test)]
pub(super) use groups::KEYS as GROUP_KEYS;
#[cfg(test)]
pub(super) use plans::{CLASS_KEYS, EMERGENCY_KEYS, GATE_KEYS, RESERVED, RING_PLAN_KEYS, ROLLBACK_KEYS};
#[cfg(test)]
pub(super) use shares::{KEYS as SHARE_KEYS, STALE_KEYS};
#[cfg(test)]
pub(super) use sites::KEYS as SITE_KEYS;

/// The rings as far as they could be read.
struct Rings {
    rings: Vec<Ring>,
    /// The line of each.
    lines: Vec<usize>,
    /// Whether a name is missing from them because it could not be read; a group that names it is no second finding.
    incomplete: bool,
}

pub(super) fn read(text: &str) -> Result<Policy, PolicyError> {
    let mut findings = Findings::default();
    let policy = read_text(text, &mut findings);
    // Without a policy there is a finding; an empty one stands for what is never seen.
    findings.or(policy.unwrap_or_else(|| Policy {
        approve: DEFAULT_APPROVE,
        signature: DEFAULT_SIGNATURE,
        rings: Vec::new(),
        groups: Vec::new(),
        unidentified: None,
        plans: [None, None],
        shares: Vec::new(),
        sites: Vec::new(),
    }))
}

/// Shipped defaults: intelligence is published at once, platform needs a second person.
const DEFAULT_APPROVE: [ApprovalRule; 2] = [ApprovalRule::Auto, ApprovalRule::Other];

/// Publishers sign where the policy wants it.
const DEFAULT_SIGNATURE: [SignatureRule; 2] = [SignatureRule::Optional; 2];

fn read_text(text: &str, findings: &mut Findings) -> Option<Policy> {
    if text.len() > MAX_TEXT_BYTES {
        findings.add(1, format!("the policy has {} bytes; at most {MAX_TEXT_BYTES} are allowed", text.len()));
        return None;
    }
    let document = Node::from_toml(text, findings)?;
    let entries = document.fields("a policy", &KEYS, findings)?;
    let approve = read_approve(field(entries, "approve"), findings);
    let signature = read_signature(field(entries, "signature"), findings);
    let rings = read_rings(field(entries, "ring"), findings);
    let before = findings.count();
    let plans = field(entries, "plan");
    let planned = Class::ALL.map(|class| {
        let classes = plans.and_then(Node::entries);
        classes.is_some_and(|classes| field(classes, class.as_str()).is_some())
    });
    let groups = groups::read_groups(field(entries, "group"), &rings, planned, findings);
    let known = (findings.count() == before && !rings.incomplete).then_some(groups.as_slice());
    let context = plans::Context { rings: &rings, groups: known };
    let plans = plans::read_plans(plans, context, findings);
    let shares = shares::read_shares(field(entries, "share"), known, findings);
    let sites = sites::read_sites(field(entries, "site"), known, findings);
    let unidentified = groups.iter().position(|group| group.name.as_str() == super::UNIDENTIFIED);
    Some(Policy { approve, signature, rings: rings.rings, groups, unidentified, plans, shares, sites })
}

fn read_approve(node: Option<&Node>, findings: &mut Findings) -> [ApprovalRule; 2] {
    let mut approve = DEFAULT_APPROVE;
    let Some(entries) = node.and_then(|node| node.fields("approve", &APPROVE_KEYS, findings)) else {
        return approve;
    };
    for class in Class::ALL {
        let Some(node) = field(entries, class.as_str()) else { continue };
        let what = format!("approve.{class}");
        match node.text(&what, findings) {
            Some("auto") => approve[class as usize] = ApprovalRule::Auto,
            Some("anyone") => approve[class as usize] = ApprovalRule::Anyone,
            Some("other") => approve[class as usize] = ApprovalRule::Other,
            Some(_) => findings.add(node.line, format!("{what} is \"auto\", \"anyone\" or \"other\"")),
            None => {}
        }
    }
    approve
}

fn read_signature(node: Option<&Node>, findings: &mut Findings) -> [SignatureRule; 2] {
    let mut signature = DEFAULT_SIGNATURE;
    let Some(entries) = node.and_then(|node| node.fields("signature", &APPROVE_KEYS, findings)) else {
        return signature;
    };
    for class in Class::ALL {
        let Some(node) = field(entries, class.as_str()) else { continue };
        let what = format!("signature.{class}");
        match node.text(&what, findings) {
            Some("required") => signature[class as usize] = SignatureRule::Required,
            Some("optional") => signature[class as usize] = SignatureRule::Optional,
            Some(_) => findings.add(node.line, format!("{what} is \"required\" or \"optional\"")),
            None => {}
        }
    }
    signature
}

fn read_rings(node: Option<&Node>, findings: &mut Findings) -> Rings {
    let mut rings = Rings { rings: Vec::new(), lines: Vec::new(), incomplete: false };
    let Some(node) = node else {
        findings.add(1, "there is no [[ring]]; a policy has at least one");
        return rings;
    };
    let Some(items) = node.list("ring (written [[ring]])", findings) else { return rings };
    if items.len() > MAX_RINGS {
        findings
            .add(items[MAX_RINGS].line, format!("there are {} rings; at most {MAX_RINGS} are allowed", items.len()));
    }
    for item in items.iter().take(MAX_RINGS) {
        match read_ring(item, findings) {
            Some(ring) if rings.rings.iter().any(|known| known.name == ring.name) => {
                findings.add(item.line, format!("ring \"{}\" is defined twice", ring.name));
            }
            Some(ring) => {
                rings.rings.push(ring);
                rings.lines.push(item.line);
            }
            None => rings.incomplete = true,
        }
    }
    rings
}

fn read_ring(node: &Node, findings: &mut Findings) -> Option<Ring> {
    let entries = node.fields("a ring", &RING_KEYS, findings)?;
    let Some(name) = field(entries, "name") else {
        findings.add(node.line, "a ring has no name");
        return None;
    };
    let name: RingName = name.parse("name", findings)?;
    let mut defer = [Span::NONE; 2];
    if let Some(node) = field(entries, "defer") {
        let scoped = values::per_class(node, &format!("ring \"{name}\", defer"), findings, values::deferral);
        for class in Class::ALL {
            defer[class as usize] = scoped.for_class(class).copied().unwrap_or_default();
        }
    }
    Some(Ring { name, defer })
}
