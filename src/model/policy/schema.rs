//! The JSON Schema of a policy text, for editors.
//!
//! These types are only ever a schema: the text is read by `read`, which goes on after a mistake as serde cannot. A
//! test keeps the keys of both equal.

// Never constructed: schemars reads their shape.
#![allow(dead_code)]

use std::collections::BTreeMap;

use schemars::JsonSchema;

mod plans;
mod shares;
mod sites;

/// The policy: who sees which release, and when.
#[derive(JsonSchema)]
#[schemars(rename = "Policy", deny_unknown_fields)]
struct PolicyText {
    /// Whose approval releases need before they are published.
    #[serde(default)]
    approve: ApproveText,
    /// The exposure tiers, in order: the first sees a release first.
    #[schemars(length(min = 1, max = 32))]
    ring: Vec<RingText>,
    /// The groups, in order: the first whose match fits a device takes it.
    #[schemars(length(min = 1, max = 2000))]
    group: Vec<GroupText>,
    /// How releases are rolled out, per class.
    plan: Option<plans::PlansText>,
    /// Trees of stable names, served over HTTP and staged to directories.
    #[schemars(length(max = 1000))]
    share: Option<Vec<shares::ShareText>>,
    /// The offline sites that bundles are written for.
    #[schemars(length(max = 1000))]
    site: Option<Vec<sites::SiteText>>,
    /// Whether releases have to be signed by a trusted key.
    #[serde(default)]
    signature: SignatureText,
}

/// Approval per class.
#[derive(JsonSchema, Default)]
#[schemars(rename = "Approve", deny_unknown_fields)]
struct ApproveText {
    /// For intelligence; "auto" where absent.
    intelligence: Option<ApprovalText>,
    /// For platform; "other" where absent.
    platform: Option<ApprovalText>,
}

/// "auto": none; "anyone": any approver; "other": an approver who is not the publisher.
#[derive(JsonSchema)]
#[schemars(rename = "Approval", rename_all = "lowercase")]
enum ApprovalText {
    Auto,
    Anyone,
    Other,
}

/// Signatures per class.
#[derive(JsonSchema, Default)]
#[schemars(rename = "Signature", deny_unknown_fields)]
struct SignatureText {
    /// For intelligence; "optional" where absent.
    intelligence: Option<SignatureRuleText>,
    /// For platform; "optional" where absent.
    platform: Option<SignatureRuleText>,
}

/// "required": the manifest or each artifact is signed by a trusted key; "optional": only what is given is checked.
#[derive(JsonSchema)]
#[schemars(rename = "SignatureRule", rename_all = "lowercase")]
enum SignatureRuleText {
    Required,
    Optional,
}

/// An exposure tier.
#[derive(JsonSchema)]
#[schemars(rename = "Ring", deny_unknown_fields)]
struct RingText {
    /// Its name.
    name: String,
    /// How long after publication its groups see a release, where they do not say otherwise.
    defer: Option<PerClass<DeferralText>>,
}

/// Devices and what they see.
#[derive(JsonSchema)]
#[schemars(rename = "Group", deny_unknown_fields)]
struct GroupText {
    /// Its name. The group "unidentified" takes requests without identity and has no match.
    name: String,
    /// Which devices it takes.
    #[schemars(rename = "match")]
    predicate: Option<PredicateText>,
    /// The ring it sits in, or one per class.
    ring: PerClass<String>,
    /// The only products its devices see; all where absent.
    #[schemars(length(min = 1))]
    products: Option<Vec<String>>,
    /// The version it is kept at, per product.
    pin: Option<BTreeMap<String, VersionText>>,
    /// How far it stays behind the newest release.
    keep: Option<PerProduct<KeepText>>,
    /// How long after publication it sees a release; comes before its ring's.
    defer: Option<PerProduct<DeferralText>>,
    /// The ticks at which it takes up what is newest; at any time where absent.
    cadence: Option<PerProduct<CadenceText>>,
    /// The maintenance windows in which its devices may get something new; at any time where absent.
    #[schemars(length(min = 1, max = 16))]
    window: Option<Vec<WindowText>>,
    /// How many of its devices may get something new in a period, counted from the opening of a wave.
    rate: Option<PerProduct<RateText>>,
    /// How long it may go without a newer release before an alert.
    staleness: Option<PerProduct<StalenessText>>,
}

/// One value, or one per class.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum PerClass<T> {
    One(T),
    Classes(Classes<T>),
}

/// A value per class.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Classes<T> {
    intelligence: Option<T>,
    platform: Option<T>,
}

/// One value, or one per class ("intelligence", "platform") and product; the narrowest counts.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum PerProduct<T> {
    One(T),
    Each(BTreeMap<String, T>),
}

/// A number and a unit (w, d, h, m, s), largest first: "48h", "1d12h"; at most 365d.
#[derive(JsonSchema)]
#[schemars(rename = "Deferral")]
struct DeferralText(#[schemars(regex(pattern = r"^(?=.)(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?$"))] String);

/// "N" for the newest release, "N-1" to stay one behind it, up to "N-99".
#[derive(JsonSchema)]
#[schemars(rename = "Keep")]
struct KeepText(#[schemars(regex(pattern = r"^N(-[1-9][0-9]?)?$"))] String);

/// "daily at 03:00 Europe/Berlin", "second Tuesday + 7 days at 02:00", "cron 0 3 * * 1-5".
#[derive(JsonSchema)]
#[schemars(rename = "Cadence")]
struct CadenceText(String);

/// "Sat-Sun 00:00-06:00 Europe/Berlin".
#[derive(JsonSchema)]
#[schemars(rename = "Window")]
struct WindowText(String);

/// "500 devices per hour".
#[derive(JsonSchema)]
#[schemars(rename = "Rate")]
struct RateText(String);

/// "14d": an alert; "14d relax": deferral, cadence and ring yield to the last fully baked release, too.
#[derive(JsonSchema)]
#[schemars(rename = "Staleness")]
struct StalenessText(#[schemars(regex(pattern = r"^\s*[0-9wdhms]+(\s+relax)?\s*$"))] String);

/// 1 to 8 numbers joined by dots.
#[derive(JsonSchema)]
#[schemars(rename = "Version")]
struct VersionText(#[schemars(regex(pattern = r"^\d+(\.\d+){0,7}$"))] String);

/// "any", or a table with exactly one key.
#[derive(JsonSchema)]
#[schemars(rename = "Predicate", untagged)]
enum PredicateText {
    Everything(AnyText),
    One(ConditionText),
}

/// "any": every device.
#[derive(JsonSchema)]
#[schemars(rename = "Any", rename_all = "lowercase")]
enum AnyText {
    Any,
}

/// A condition.
#[derive(JsonSchema)]
#[schemars(rename = "Condition", rename_all = "lowercase")]
enum ConditionText {
    /// A glob over the device's proven identity.
    Id(String),
    /// A label in the inventory.
    Tag(String),
    /// Globs over attributes in the inventory; with several, all must fit.
    Attr(BTreeMap<String, String>),
    /// An address range the request comes from.
    Address(String),
    /// At least one of them.
    Any(Vec<PredicateText>),
    /// Every one of them.
    All(Vec<PredicateText>),
    /// All devices that it does not fit.
    Not(Box<PredicateText>),
}

/// The JSON Schema (2020-12) of a policy text.
pub fn policy_schema() -> serde_json::Value {
    schemars::schema_for!(PolicyText).to_value()
}

#[cfg(test)]
mod tests {
    use super::super::{predicate, read};
    use super::*;

    fn keys(schema: &serde_json::Value, pointer: &str) -> Vec<String> {
        let mut keys: Vec<_> = schema.pointer(pointer).unwrap().as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    }

    fn sorted(known: &[&'static str]) -> Vec<&'static str> {
        let mut known = known.to_vec();
        known.sort_unstable();
        known
    }

    #[test]
    fn the_schema_has_the_keys_that_are_read() {
        let schema = policy_schema();
        assert_eq!(keys(&schema, "/properties"), sorted(&read::KEYS));
        assert_eq!(keys(&schema, "/$defs/Approve/properties"), sorted(&read::APPROVE_KEYS));
        assert_eq!(keys(&schema, "/$defs/Signature/properties"), sorted(&read::APPROVE_KEYS));
        assert_eq!(keys(&schema, "/$defs/Ring/properties"), sorted(&read::RING_KEYS));
        assert_eq!(keys(&schema, "/$defs/Group/properties"), sorted(&read::GROUP_KEYS));
        assert_eq!(keys(&schema, "/$defs/Plans/properties"), sorted(&read::CLASS_KEYS));
        assert_eq!(keys(&schema, "/$defs/Plan/properties"), sorted(&read::RESERVED));
        assert_eq!(keys(&schema, "/$defs/RingPlan/properties"), sorted(&read::RING_PLAN_KEYS));
        assert_eq!(keys(&schema, "/$defs/Gate/properties"), sorted(&read::GATE_KEYS));
        assert_eq!(keys(&schema, "/$defs/Rollback/properties"), sorted(&read::ROLLBACK_KEYS));
        assert_eq!(keys(&schema, "/$defs/Emergency/properties"), sorted(&read::EMERGENCY_KEYS));
        assert_eq!(keys(&schema, "/$defs/SharePolicy/properties"), sorted(&read::SHARE_KEYS));
        assert_eq!(keys(&schema, "/$defs/SiteRule/properties"), sorted(&read::SITE_KEYS));
        assert_eq!(keys(&schema, "/$defs/ShareStaleness/properties"), sorted(&read::STALE_KEYS));
        let conditions = schema.pointer("/$defs/Condition/oneOf").unwrap().as_array().unwrap();
        let mut conditions: Vec<_> = conditions.iter().flat_map(|one| keys(one, "/properties")).collect();
        conditions.sort();
        assert_eq!(conditions, sorted(&predicate::KEYS));
    }
}
