//! Values that may be given once, per class or per product.

use crate::model::policy::Scoped;
use crate::model::policy::error::Findings;
use crate::model::policy::node::{Node, Value};
use crate::model::{Class, ProductName, Span};

/// The furthest that a group may stay behind.
const MAX_KEEP: u32 = 99;

/// One value: `defer = "48h"`, `keep = "N-1"`.
pub(super) type ReadOne<T> = fn(&Node, &str, &mut Findings) -> Option<T>;

/// One value for everything, or a table of classes.
pub(super) fn per_class<T>(node: &Node, what: &str, findings: &mut Findings, one: ReadOne<T>) -> Scoped<T> {
    scoped(node, what, findings, one, false)
}

/// One value for everything, or a table of classes and products. A key that is a class's name means the class.
pub(super) fn per_product<T>(node: &Node, what: &str, findings: &mut Findings, one: ReadOne<T>) -> Scoped<T> {
    scoped(node, what, findings, one, true)
}

fn scoped<T>(node: &Node, what: &str, findings: &mut Findings, one: ReadOne<T>, products: bool) -> Scoped<T> {
    let mut scoped = Scoped::default();
    let Value::Table(entries) = &node.value else {
        scoped.all = one(node, what, findings);
        return scoped;
    };
    for (key, node) in entries {
        let value = one(node, &format!("{what}.{key}"), findings);
        if let Ok(class) = key.parse::<Class>() {
            scoped.class[class as usize] = value;
        } else if !products {
            let known = "intelligence or platform";
            findings.add(node.line, format!("{what} has no class {key:?}; a class is {known}"));
        } else if let Some(product) = product(key, node.line, what, findings) {
            scoped.product.extend(value.map(|value| (product, value)));
        }
    }
    scoped
}

/// A product's name as a key.
pub(super) fn product(text: &str, line: usize, what: &str, findings: &mut Findings) -> Option<ProductName> {
    let product = text.parse();
    product.map_err(|error| findings.add(line, format!("{what}: {error}"))).ok()
}

/// A length of time of more than none.
pub(super) fn some_time(node: &Node, what: &str, findings: &mut Findings) -> Option<Span> {
    let span: Span = node.parse(what, findings)?;
    if span.is_none() {
        findings.add(node.line, format!("{what} is more than 0s"));
        return None;
    }
    Some(span)
}

/// One of these words.
pub(super) fn choice<T: Copy>(node: &Node, what: &str, options: &[(&str, T)], findings: &mut Findings) -> Option<T> {
    let text = node.text(what, findings)?;
    let found = options.iter().find(|(word, _)| *word == text);
    if found.is_none() {
        let words: Vec<_> = options.iter().map(|(word, _)| format!("{word:?}")).collect();
        findings.add(node.line, format!("{what} is {}", words.join(" or ")));
    }
    found.map(|(_, value)| *value)
}

/// A deferral.
pub(super) fn deferral(node: &Node, what: &str, findings: &mut Findings) -> Option<Span> {
    node.parse(what, findings)
}

/// `N`, or `N-1` to `N-99`.
pub(super) fn keep(node: &Node, what: &str, findings: &mut Findings) -> Option<u32> {
    let text = node.text(what, findings)?;
    let behind = match text.strip_prefix("N-") {
        None => (text == "N").then_some(0),
        // One spelling each: no sign, no leading zero.
        Some(digits) => digits.parse().ok().filter(|n: &u32| n.to_string() == digits && (1..=MAX_KEEP).contains(n)),
    };
    if behind.is_none() {
        let text: String = text.chars().take(80).collect();
        let rule = "write \"N\" for the newest release, or \"N-1\" to \"N-99\" to stay that many behind it";
        findings.add(node.line, format!("{what}: {text:?} is not understood; {rule}"));
    }
    behind
}
