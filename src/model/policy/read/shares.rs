//! Reading `[[share]]`.

use std::collections::BTreeSet;

use crate::model::policy::error::Findings;
use crate::model::policy::node::{Node, Value, field};
use crate::model::policy::{Group, MAX_SHARES, OpenTo, SharePolicy, ShareStaleness};
use crate::model::{GroupName, ShareName};

/// The keys of `[[share]]`.
pub(in crate::model::policy) const KEYS: [&str; 8] =
    ["name", "group", "layout", "products", "platforms", "open_to", "listing", "stale"];
/// The keys of a share's `stale`.
pub(in crate::model::policy) const STALE_KEYS: [&str; 2] = ["warn", "critical"];

/// The most products, platforms or ranges of one share.
const MAX_LIST: usize = 64;

/// Reads the shares. `groups` is absent where they could not all be read.
pub(super) fn read_shares(node: Option<&Node>, groups: Option<&[Group]>, findings: &mut Findings) -> Vec<SharePolicy> {
    let Some(node) = node else { return Vec::new() };
    let Some(items) = node.list("share (written [[share]])", findings) else { return Vec::new() };
    if items.len() > MAX_SHARES {
        let count = items.len();
        findings.add(items[MAX_SHARES].line, format!("there are {count} shares; at most {MAX_SHARES} are allowed"));
        return Vec::new();
    }
    let mut names = BTreeSet::new();
    items.iter().filter_map(|item| read_share(item, groups, &mut names, findings)).collect()
}

fn read_share(
    node: &Node,
    groups: Option<&[Group]>,
    names: &mut BTreeSet<ShareName>,
    findings: &mut Findings,
) -> Option<SharePolicy> {
    let entries = match &node.value {
        Value::Table(entries) => entries,
        _ => node.table("a share", findings)?,
    };
    let Some(name) = field(entries, "name") else {
        findings.add(node.line, "a share has no name");
        return None;
    };
    let name_line = name.line;
    let name: ShareName = name.parse("name", findings)?;
    let what = format!("share \"{name}\"");
    node.fields(&what, &KEYS, findings);
    if !names.insert(name.clone()) {
        findings.add(name_line, format!("{what} is defined twice"));
    }
    let mut needed = |key: &str, why: &str| {
        let found = field(entries, key);
        if found.is_none() {
            findings.add(name_line, format!("{what} has no {key}: {why}"));
        }
        found
    };
    let group = needed("group", "name the group whose decisions it takes");
    let layout = needed("layout", "say how its files are arranged, for example \"plain\"");
    let products = needed("products", "list the products that are in it");
    let group = group.and_then(|node| read_group(node, &what, groups, findings));
    let layout = layout.and_then(|node| node.parse(&format!("{what}, layout"), findings));
    let products = products.and_then(|node| read_list(node, &format!("{what}, products"), findings));
    let platforms = field(entries, "platforms").map(|node| read_list(node, &format!("{what}, platforms"), findings));
    let open_to = match field(entries, "open_to") {
        Some(node) => read_open_to(node, &what, findings)?,
        None => vec![OpenTo::Group],
    };
    let listing = field(entries, "listing").and_then(|node| node.flag(&format!("{what}, listing"), findings));
    let stale = field(entries, "stale").and_then(|node| read_stale(node, &what, findings));
    let (group, layout, products) = (group?, layout?, products?);
    let platforms = platforms.flatten().unwrap_or_default();
    let listing = listing.unwrap_or(false);
    Some(SharePolicy { name, group, layout, products, platforms, open_to, listing, stale, line: node.line })
}

fn read_group(node: &Node, what: &str, groups: Option<&[Group]>, findings: &mut Findings) -> Option<GroupName> {
    let group: GroupName = node.parse(&format!("{what}, group"), findings)?;
    if groups.is_some_and(|groups| !groups.iter().any(|known| *known.name() == group)) {
        findings.add(node.line, format!("{what} is for group \"{group}\", which is not defined"));
    }
    Some(group)
}

fn read_list<T>(node: &Node, what: &str, findings: &mut Findings) -> Option<Vec<T>>
where
    T: std::str::FromStr<Err: std::fmt::Display> + PartialEq + std::fmt::Display,
{
    let items = node.list(what, findings)?;
    if items.is_empty() || items.len() > MAX_LIST {
        findings.add(node.line, format!("{what} has {} entries; write 1 to {MAX_LIST}", items.len()));
    }
    let mut list: Vec<T> = Vec::new();
    for item in items.iter().take(MAX_LIST) {
        let Some(value) = item.parse(what, findings) else { continue };
        if list.contains(&value) {
            findings.add(item.line, format!("{what} names {value} twice"));
        }
        list.push(value);
    }
    Some(list)
}

fn read_open_to(node: &Node, what: &str, findings: &mut Findings) -> Option<Vec<OpenTo>> {
    let what = format!("{what}, open_to");
    if matches!(node.value, Value::Text(_)) {
        return Some(read_reader(node, &what, findings).into_iter().collect());
    }
    let items = node.list(&what, findings)?;
    if items.len() > MAX_LIST {
        findings.add(node.line, format!("{what} has {} entries; at most {MAX_LIST} are allowed", items.len()));
    }
    Some(items.iter().take(MAX_LIST).filter_map(|item| read_reader(item, &what, findings)).collect())
}

fn read_reader(node: &Node, what: &str, findings: &mut Findings) -> Option<OpenTo> {
    let text = node.text(what, findings)?;
    match text {
        "anyone" => Some(OpenTo::Anyone),
        "devices" => Some(OpenTo::Devices),
        "group" => Some(OpenTo::Group),
        range => {
            let network = range.parse().map(OpenTo::Network);
            let single = || range.parse::<std::net::IpAddr>().map(|address| OpenTo::Network(address.into()));
            let found = network.or_else(|_| single());
            if found.is_err() {
                let known = "\"anyone\", \"devices\", \"group\" or an address range like \"10.1.0.0/16\"";
                findings.add(node.line, format!("{what} is {known}"));
            }
            found.ok()
        }
    }
}

fn read_stale(node: &Node, what: &str, findings: &mut Findings) -> Option<ShareStaleness> {
    let what = format!("{what}, stale");
    let entries = node.fields(&what, &STALE_KEYS, findings)?;
    let default = ShareStaleness::default();
    let mut span = |key: &str, default| match field(entries, key) {
        Some(node) => node.parse(&format!("{what}.{key}"), findings).unwrap_or(default),
        None => default,
    };
    let warn = span("warn", default.warn);
    let critical = span("critical", default.critical.max(warn));
    if warn.is_none() || critical < warn {
        findings.add(node.line, format!("{what}: \"warn\" is more than nothing and not after \"critical\""));
    }
    Some(ShareStaleness { warn, critical })
}
