//! deny.toml's licences, bans and sources, checked on what cargo resolved: for machines without cargo-deny.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

fn strings(value: Option<&toml::Value>, key: Option<&str>) -> Vec<String> {
    let items = value.and_then(toml::Value::as_array).expect("deny.toml has the list");
    let text = |item: &toml::Value| match key {
        Some(key) => item.get(key).and_then(toml::Value::as_str).map(str::to_owned),
        None => item.as_str().map(str::to_owned),
    };
    items.iter().filter_map(text).collect()
}

/// Whether an SPDX expression can be satisfied with allowed licences only. `/` is the old spelling of OR; AND binds more
/// tightly than OR.
pub(crate) fn licence_allowed(expression: &str, allow: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let allowed = any_of(&tokens, &mut at, allow);
    allowed && at == tokens.len()
}

fn any_of(tokens: &[&str], at: &mut usize, allow: &[String]) -> bool {
    let mut allowed = all_of(tokens, at, allow);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        allowed |= all_of(tokens, at, allow);
    }
    allowed
}

fn all_of(tokens: &[&str], at: &mut usize, allow: &[String]) -> bool {
    let mut allowed = one(tokens, at, allow);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        allowed &= one(tokens, at, allow);
    }
    allowed
}

fn one(tokens: &[&str], at: &mut usize, allow: &[String]) -> bool {
    let Some(token) = tokens.get(*at) else { return false };
    *at += 1;
    if *token == "(" {
        let allowed = any_of(tokens, at, allow);
        *at += usize::from(tokens.get(*at) == Some(&")"));
        return allowed;
    }
    let mut licence = (*token).to_owned();
    if tokens.get(*at) == Some(&"WITH") {
        licence = format!("{licence} WITH {}", tokens.get(*at + 1).unwrap_or(&""));
        *at += 2;
    }
    allow.contains(&licence)
}

/// What is linked or runs at build time, as `name vVERSION`. `cargo metadata` also resolves optional crates that no feature
/// turns on (ring, of rustls-webpki).
fn linked(root: &Path) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--all-features", "--target", "x86_64-unknown-linux-gnu"])
        .args(["--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}"])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let package = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let linked: BTreeSet<String> = text.lines().map(package).collect();
    assert!(linked.len() > 100, "cargo tree names {} packages only", linked.len());
    linked
}

/// Every finding over the linked packages.
pub(crate) fn check_workspace() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let deny = std::fs::read_to_string(root.join("deny.toml")).expect("deny.toml is there");
    let deny: toml::Table = deny.parse().expect("deny.toml is TOML");
    let allow = strings(deny["licenses"].get("allow"), None);
    let banned = strings(deny["bans"].get("deny"), Some("crate"));

    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let linked = linked(root);

    let mut findings = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        if !linked.contains(&format!("{name} v{}", package["version"].as_str().unwrap_or_default())) {
            continue;
        }
        let licence = package["license"].as_str().unwrap_or_default();
        if !licence_allowed(licence, &allow) {
            findings.push(format!("{name}: licence {licence:?} is not allowed by deny.toml"));
        }
        if banned.iter().any(|banned| banned == name) {
            findings.push(format!("{name}: banned by deny.toml"));
        }
        let source = package["source"].as_str();
        if source.is_some_and(|source| !source.starts_with("registry+")) {
            findings.push(format!("{name}: comes from {}, not from the registry", source.unwrap_or_default()));
        }
    }
    findings
}
