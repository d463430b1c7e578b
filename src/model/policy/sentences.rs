//! Reading a policy aloud.

mod plans;
mod shares;
mod sites;
mod timing;

use super::{Group, Policy, Predicate, UNIDENTIFIED};
use crate::model::{ApprovalRule, Class, SignatureRule};

/// Each rule as a sentence, in the order in which the text gives them.
pub(super) fn sentences(policy: &Policy) -> Vec<String> {
    let mut sentences = Class::ALL.map(|class| approval(class, policy.approval(class))).to_vec();
    for class in Class::ALL.into_iter().filter(|class| policy.signature(*class) == SignatureRule::Required) {
        sentences.push(format!("Releases of {class} must be signed by a trusted key."));
    }
    let rings: Vec<_> = policy.rings.iter().map(|ring| ring.name.as_str()).collect();
    sentences.push(format!("The rings, in order of exposure, are {}.", join(&rings, "and")));
    for class in Class::ALL {
        sentences.extend(policy.plan(class).into_iter().flat_map(|plan| plans::sentences(class, plan)));
    }
    let planned = Class::ALL.map(|class| policy.plan(class).is_some());
    for group in policy.groups() {
        sentences.extend(group_sentences(group, planned));
    }
    let named = |name: &str| policy.groups().iter().any(|group| group.name.as_str() == name);
    if !policy.groups().iter().any(|group| group.predicate == Some(Predicate::Everything)) {
        sentences.push("A device that none of these groups takes sees nothing.".into());
    }
    if !named(UNIDENTIFIED) {
        sentences.push("A request without identity sees nothing.".into());
    }
    sentences.extend(policy.shares().iter().flat_map(shares::sentences));
    sentences.extend(policy.sites().iter().map(sites::sentence));
    sentences
}

fn approval(class: Class, rule: ApprovalRule) -> String {
    match rule {
        ApprovalRule::Auto => format!("Releases of {class} are published without approval."),
        ApprovalRule::Anyone => format!("Releases of {class} are published once an approver has approved them."),
        ApprovalRule::Other => {
            format!("Releases of {class} are published once someone other than the publisher has approved them.")
        }
    }
}

fn group_sentences(group: &Group, planned: [bool; 2]) -> Vec<String> {
    let name = &group.name;
    let who = group.predicate.as_ref().map_or_else(|| "requests without identity".into(), describe);
    let [one, two] = Class::ALL.map(|class| class_rule(group, class, planned[class as usize]));
    let rule = |class: Class, rule: &str| format!("{class} {rule}");
    let gets = if one == two {
        format!("everything {one}")
    } else {
        format!("{}, and {}", rule(Class::Intelligence, &one), rule(Class::Platform, &two))
    };
    let mut sentences = vec![format!("{name} ({who}) get {gets}.")];
    if let Some(products) = &group.products {
        let products: Vec<_> = products.iter().map(|product| product.as_str()).collect();
        sentences.push(format!("{name} see only {}.", join(&products, "and")));
    }
    for (product, version) in &group.pin {
        sentences.push(format!("{name} are kept at {product} {version}."));
    }
    for (product, behind) in group.keep.products() {
        sentences.push(format!("{name} get {} of {product}.", releases(*behind)));
    }
    for (product, defer) in group.defer.products() {
        let when = if defer.is_none() { "at once".into() } else { format!("{} after publication", defer.in_words()) };
        sentences.push(format!("{name} get {product} {when}."));
    }
    sentences.extend(timing::sentences(group));
    sentences
}

/// "from the broad ring, 48 hours after publication, one release behind the newest"
///
/// Under a plan the ring says when, and a deferral only how early that can be.
fn class_rule(group: &Group, class: Class, is_planned: bool) -> String {
    let mut rule = format!("from the {} ring", group.ring(class));
    let defer = group.class_defer(class);
    rule += &match (defer.is_none(), is_planned) {
        (true, true) => String::new(),
        (true, false) => " at once".into(),
        (false, true) => format!(" at the earliest {} after publication", defer.in_words()),
        (false, false) => format!(" {} after publication", defer.in_words()),
    };
    match group.class_keep(class) {
        0 => {}
        behind => rule += &format!(", {}", releases(behind)),
    }
    rule
}

fn releases(behind: u32) -> String {
    match behind {
        0 => "the newest release".into(),
        1 => "always one release behind the newest (N-1)".into(),
        behind => format!("always {behind} releases behind the newest (N-{behind})"),
    }
}

/// The devices that a predicate means, in words.
pub(super) fn describe(predicate: &Predicate) -> String {
    match predicate {
        Predicate::Everything => "all devices left".into(),
        other => format!("devices {}", condition(other)),
    }
}

fn condition(predicate: &Predicate) -> String {
    let list = |parts: &[Predicate], word: &str| {
        let parts: Vec<_> = parts.iter().map(nested).collect();
        join(&parts.iter().map(String::as_str).collect::<Vec<_>>(), word)
    };
    match predicate {
        Predicate::Everything => "of any kind".into(),
        Predicate::Id(glob) if glob.is_exact() => format!("named {glob}"),
        Predicate::Id(glob) => format!("named like {glob}"),
        Predicate::Tag(tag) => format!("tagged {tag}"),
        Predicate::Attributes(attributes) => {
            let parts = attributes.iter().map(|(name, glob)| {
                let verb = if glob.is_exact() { "is" } else { "is like" };
                format!("whose {name} {verb} {glob}")
            });
            join(&parts.collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>(), "and")
        }
        Predicate::Address(net) => format!("at {net}"),
        Predicate::AnyOf(parts) => list(parts, "or"),
        Predicate::AllOf(parts) => list(parts, "and"),
        Predicate::Not(part) => format!("not {}", nested(part)),
    }
}

/// A part of a list, bracketed where the list would swallow it.
fn nested(predicate: &Predicate) -> String {
    match predicate {
        Predicate::AnyOf(parts) | Predicate::AllOf(parts) if parts.len() > 1 => format!("({})", condition(predicate)),
        other => condition(other),
    }
}

/// With a capital letter, as a sentence begins.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn join(parts: &[&str], word: &str) -> String {
    match parts {
        [] => String::new(),
        [one] => (*one).into(),
        [first @ .., last] => format!("{} {word} {last}", first.join(", ")),
    }
}
