//! docs/security.md names tests for each threat: this finds names of tests that are not there, and threats without one.

use std::fs;
use std::path::Path;

/// A source of tests: its place as the page spells it (`it::uniform`, `journal::tests`), and its text.
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Every Rust source below `src` and `tests`.
pub(crate) fn read_places() -> Vec<Place> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut places = Vec::new();
    for folder in ["src", "tests"] {
        collect(&root.join(folder), "", &mut places);
    }
    places
}

fn collect(folder: &Path, prefix: &str, places: &mut Vec<Place>) {
    for entry in fs::read_dir(folder).expect("a folder of sources can be read") {
        let path = entry.expect("an entry can be read").path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let name = match stem.as_str() {
            "mod" => prefix.to_owned(),
            _ if prefix.is_empty() => stem,
            _ => format!("{prefix}::{stem}"),
        };
        if path.is_dir() {
            collect(&path, &name, places);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).expect("a source is text");
            places.push(Place { name, text });
        }
    }
}

/// Whether the text has a test of this name.
fn has_test(text: &str, test: &str) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    let function = format!("fn {test}(");
    lines.iter().enumerate().filter(|(_, line)| line.contains(&function)).any(|(at, _)| {
        lines[at.saturating_sub(6)..at].iter().any(|line| {
            let line = line.trim_start();
            line.starts_with("#[test]") || line.starts_with("#[tokio::test")
        })
    })
}

/// The names of tests in a text: what stands between backticks and is a path.
fn names(text: &str) -> Vec<&str> {
    let is_word = |word: &str| {
        !word.is_empty()
            && word.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
    };
    text.split('`').skip(1).step_by(2).filter(|name| name.contains("::") && name.split("::").all(is_word)).collect()
}

/// Every finding over the page.
pub(crate) fn check(page: &str, places: &[Place]) -> Vec<String> {
    let mut findings = Vec::new();
    for name in names(page) {
        let (place, test) = name.rsplit_once("::").expect("names have two parts at least");
        if !places.iter().any(|known| known.name == place && has_test(&known.text, test)) {
            findings.push(format!("docs/security.md: `{name}` is no test; name it by its file, or write it"));
        }
    }
    let threats = page.split("\n## ").find(|section| section.starts_with("Threats")).unwrap_or_default();
    let rows = threats.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| threat |"));
    for row in rows {
        let threat = row.split('|').nth(1).unwrap_or_default().trim();
        let proof = row.rsplit('|').nth(1).unwrap_or_default();
        // A comment says which test is to come.
        if names(proof).is_empty() && !proof.contains("<!--") {
            findings.push(format!("docs/security.md: the threat {threat:?} has no test"));
        }
    }
    if findings.is_empty() && names(threats).len() < 20 {
        findings.push("docs/security.md: hardly any test is named: the check looks in the wrong place".to_owned());
    }
    findings
}
