//! Reading `[[site]]`.

use std::collections::BTreeSet;

use crate::model::policy::error::Findings;
use crate::model::policy::node::{Node, Value, field};
use crate::model::policy::{Group, MAX_GROUPS, MAX_SITES, SiteRule};
use crate::model::{GroupName, SiteName, Span};

/// The keys of `[[site]]`.
pub(in crate::model::policy) const KEYS: [&str; 5] = ["name", "groups", "valid_for", "preload", "key"];

/// Reads the sites. `groups` is absent where they could not all be read.
pub(super) fn read_sites(node: Option<&Node>, groups: Option<&[Group]>, findings: &mut Findings) -> Vec<SiteRule> {
    let Some(node) = node else { return Vec::new() };
    let Some(items) = node.list("site (written [[site]])", findings) else { return Vec::new() };
    if items.len() > MAX_SITES {
        let count = items.len();
        findings.add(items[MAX_SITES].line, format!("there are {count} sites; at most {MAX_SITES} are allowed"));
        return Vec::new();
    }
    let mut names = BTreeSet::new();
    items.iter().filter_map(|item| read_site(item, groups, &mut names, findings)).collect()
}

fn read_site(
    node: &Node,
    groups: Option<&[Group]>,
    names: &mut BTreeSet<SiteName>,
    findings: &mut Findings,
) -> Option<SiteRule> {
    let entries = match &node.value {
        Value::Table(entries) => entries,
        _ => node.table("a site", findings)?,
    };
    let Some(name) = field(entries, "name") else {
        findings.add(node.line, "a site has no name");
        return None;
    };
    let name_line = name.line;
    let name: SiteName = name.parse("name", findings)?;
    let what = format!("site \"{name}\"");
    node.fields(&what, &KEYS, findings);
    if !names.insert(name.clone()) {
        findings.add(name_line, format!("{what} is defined twice"));
    }
    let read = match field(entries, "groups") {
        Some(node) => read_groups(node, &what, groups, findings),
        None => {
            findings.add(name_line, format!("{what} has no groups: list the groups whose decisions it is given"));
            None
        }
    };
    let (valid_for, preload) = read_times(entries, &what, findings);
    let key = field(entries, "key").and_then(|node| node.parse(&format!("{what}, key"), findings));
    Some(SiteRule { name, groups: read?, valid_for, preload, key })
}

fn read_groups(node: &Node, what: &str, known: Option<&[Group]>, findings: &mut Findings) -> Option<Vec<GroupName>> {
    let items = node.list(&format!("{what}, groups"), findings)?;
    if items.is_empty() || items.len() > MAX_GROUPS {
        findings.add(node.line, format!("{what}, groups has {} entries; write 1 to {MAX_GROUPS}", items.len()));
    }
    let mut groups = Vec::new();
    for item in items.iter().take(MAX_GROUPS) {
        let Some(group) = item.parse::<GroupName>(&format!("{what}, groups"), findings) else { continue };
        if known.is_some_and(|known| !known.iter().any(|known| *known.name() == group)) {
            findings.add(item.line, format!("{what} is given group \"{group}\", which is not defined"));
        }
        if groups.contains(&group) {
            findings.add(item.line, format!("{what}, groups names {group} twice"));
            continue;
        }
        groups.push(group);
    }
    Some(groups)
}

fn read_times(entries: &[(String, Node)], what: &str, findings: &mut Findings) -> (Span, Span) {
    let mut span = |key: &str, default| match field(entries, key) {
        Some(node) => node.parse(&format!("{what}, {key}"), findings).unwrap_or(default),
        None => default,
    };
    let valid_for = span("valid_for", SiteRule::VALID_FOR);
    let preload = span("preload", Span::NONE);
    if let Some(node) = field(entries, "valid_for").filter(|_| valid_for < SiteRule::VALID_FOR_MIN) {
        findings.add(node.line, format!("{what}, valid_for is at least {}", SiteRule::VALID_FOR_MIN));
    }
    if let Some(node) = field(entries, "preload").filter(|_| preload > valid_for) {
        findings.add(node.line, format!("{what}, preload is at most valid_for ({valid_for})"));
    }
    (valid_for, preload)
}
