//! Reading `[[group]]`, and what only the whole list shows: duplicates, groups that nothing reaches, rings without one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Rings, timing, values};
use crate::model::policy::error::Findings;
use crate::model::policy::node::{Node, Value, field};
use crate::model::policy::{Group, MAX_GROUPS, Predicate, Ring, Scoped, UNIDENTIFIED, predicate};
use crate::model::{Class, GroupName, ProductName, RingName, Version};

/// The keys of `[[group]]`.
pub(in crate::model::policy) const KEYS: [&str; 11] =
    ["name", "match", "ring", "products", "pin", "keep", "defer", "cadence", "window", "rate", "staleness"];

/// Reads the groups. `planned` says which classes have a plan.
pub(super) fn read_groups(
    node: Option<&Node>,
    rings: &Rings,
    planned: [bool; 2],
    findings: &mut Findings,
) -> Vec<Group> {
    let Some(node) = node else {
        findings.add(1, "there is no [[group]]; a policy has at least one");
        return Vec::new();
    };
    let Some(items) = node.list("group (written [[group]])", findings) else { return Vec::new() };
    if items.len() > MAX_GROUPS {
        let count = items.len();
        findings.add(items[MAX_GROUPS].line, format!("there are {count} groups; at most {MAX_GROUPS} are allowed"));
        return Vec::new();
    }
    let before = findings.count();
    let mut groups = Vec::with_capacity(items.len());
    let mut seen = Seen::default();
    for item in items {
        groups.extend(read_group(item, rings, planned, &mut seen, findings));
    }
    // A ring may only look empty where its group could not be read.
    if findings.count() == before && !rings.incomplete {
        check_rings_used(node, &rings.rings, &groups, findings);
    }
    groups
}

/// What the groups before this one were.
#[derive(Default)]
struct Seen {
    names: BTreeSet<GroupName>,
    predicates: HashMap<String, GroupName>,
    everything: Option<GroupName>,
}

fn read_group(
    node: &Node,
    rings: &Rings,
    planned: [bool; 2],
    seen: &mut Seen,
    findings: &mut Findings,
) -> Option<Group> {
    let entries = match &node.value {
        Value::Table(entries) => entries,
        _ => node.table("a group", findings)?,
    };
    let Some(name) = field(entries, "name") else {
        findings.add(node.line, "a group has no name");
        return None;
    };
    let name_line = name.line;
    let name: GroupName = name.parse("name", findings)?;
    let what = format!("group \"{name}\"");
    node.fields(&what, &KEYS, findings);
    if !seen.names.insert(name.clone()) {
        findings.add(name_line, format!("{what} is defined twice"));
    }
    let predicate = read_match(field(entries, "match"), &name, name_line, seen, findings);
    let ring = read_ring(field(entries, "ring"), &what, name_line, rings, findings);
    let products = field(entries, "products").and_then(|node| read_products(node, &what, findings));
    let pin = field(entries, "pin").map(|node| read_pins(node, &what, findings)).unwrap_or_default();
    let keep =
        field(entries, "keep").map(|node| values::per_product(node, &format!("{what}, keep"), findings, values::keep));
    let defer = field(entries, "defer")
        .map(|node| values::per_product(node, &format!("{what}, defer"), findings, values::deferral));
    let (keep, defer) = (keep.unwrap_or_default(), defer.unwrap_or_default());
    let timing = timing::read(entries, &what, planned, findings);
    if let Some(products) = &products {
        let named = pin.keys().chain(keep.products().keys()).chain(defer.products().keys()).chain(timing.products());
        for product in named.filter(|product| !products.contains(*product)).collect::<BTreeSet<_>>() {
            findings.add(name_line, format!("{what} has a rule for {product}, which is not among its products"));
        }
    }
    let ring = ring?;
    let ring_defer = Class::ALL.map(|class| {
        let found = rings.rings.iter().find(|known| known.name == ring[class as usize]);
        found.map(|ring| ring.defer(class)).unwrap_or_default()
    });
    Some(Group { name, predicate, ring, ring_defer, products, pin, keep, defer, timing })
}

fn read_match(
    node: Option<&Node>,
    name: &GroupName,
    name_line: usize,
    seen: &mut Seen,
    findings: &mut Findings,
) -> Option<Predicate> {
    if name.as_str() == UNIDENTIFIED {
        if let Some(node) = node {
            let why = "takes every request without identity and has no match";
            findings.add(node.line, format!("group \"{name}\" {why}"));
        }
        return None;
    }
    let Some(node) = node else {
        findings.add(name_line, format!("group \"{name}\" has no match; write match = \"any\" for all devices"));
        return None;
    };
    if let Some(earlier) = &seen.everything {
        let why = format!("can never be reached: group \"{earlier}\" before it takes every device");
        findings.add(name_line, format!("group \"{name}\" {why}"));
    }
    let predicate = predicate::read(node, &format!("group \"{name}\", match"), findings)?;
    if predicate == Predicate::Everything {
        seen.everything.get_or_insert_with(|| name.clone());
    } else if let Some(earlier) = seen.predicates.insert(predicate.to_json().to_string(), name.clone()) {
        let why = format!("can never be reached: group \"{earlier}\" before it has the same match");
        findings.add(node.line, format!("group \"{name}\" {why}"));
    }
    Some(predicate)
}

fn read_ring(
    node: Option<&Node>,
    what: &str,
    name_line: usize,
    rings: &Rings,
    findings: &mut Findings,
) -> Option<[RingName; 2]> {
    let Some(node) = node else {
        findings.add(name_line, format!("{what} has no ring"));
        return None;
    };
    let before = findings.count();
    let scoped: Scoped<(usize, RingName)> =
        values::per_class(node, &format!("{what}, ring"), findings, |node, what, findings| {
            node.parse(what, findings).map(|ring| (node.line, ring))
        });
    let mut named = Vec::with_capacity(2);
    for class in Class::ALL {
        match scoped.for_class(class) {
            Some((line, ring)) => {
                if !rings.incomplete && !rings.rings.iter().any(|known| known.name == *ring) {
                    let known = rings.rings.iter().map(|ring| ring.name.as_str()).collect::<Vec<_>>().join(", ");
                    let problem = format!("is in ring \"{ring}\", which is not defined; the rings are {known}");
                    findings.add(*line, format!("{what} {problem}"));
                }
                named.push(ring.clone());
            }
            None if findings.count() == before => {
                findings.add(node.line, format!("{what} has no ring for {class}"));
            }
            None => {}
        }
    }
    named.try_into().ok()
}

fn read_products(node: &Node, what: &str, findings: &mut Findings) -> Option<BTreeSet<ProductName>> {
    let what = format!("{what}, products");
    let items = node.list(&what, findings)?;
    if items.is_empty() {
        findings.add(node.line, format!("{what} is an empty list: its devices would see nothing"));
    }
    let mut products = BTreeSet::new();
    for item in items {
        if let Some(product) = item.parse::<ProductName>(&what, findings)
            && !products.insert(product.clone())
        {
            findings.add(item.line, format!("{what} names {product} twice"));
        }
    }
    Some(products)
}

fn read_pins(node: &Node, what: &str, findings: &mut Findings) -> BTreeMap<ProductName, Version> {
    let what = format!("{what}, pin");
    let mut pins = BTreeMap::new();
    for (key, node) in node.table(&what, findings).unwrap_or_default() {
        let product = values::product(key, node.line, &what, findings);
        let version = node.parse(&format!("{what}.{key}"), findings);
        pins.extend(product.zip(version));
    }
    pins
}

fn check_rings_used(node: &Node, rings: &[Ring], groups: &[Group], findings: &mut Findings) {
    for ring in rings {
        if !groups.iter().any(|group| group.ring.contains(&ring.name)) {
            findings.add(node.line, format!("ring \"{}\" is empty: no group is in it", ring.name));
        }
    }
}
