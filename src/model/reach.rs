//! How far a person's role reaches: over which products and groups.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::policy::Glob;
use super::{GroupName, ProductName};

/// The products and groups that a role holds for. An empty list stands for all of them, so that the default reaches
/// everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reach {
    /// Globs over names of products.
    pub products: Vec<NameGlob>,
    /// Globs over names of groups.
    pub groups: Vec<NameGlob>,
}

impl Reach {
    /// The most globs of one kind.
    pub const GLOBS_MAX: usize = 64;

    /// Whether it leaves nothing out.
    pub fn is_everywhere(&self) -> bool {
        self.products.is_empty() && self.groups.is_empty()
    }

    /// Whether a change to this product lies within it.
    pub fn has_product(&self, product: &ProductName) -> bool {
        has(&self.products, product.as_str())
    }

    /// Whether a change to what this group sees lies within it.
    pub fn has_group(&self, group: &GroupName) -> bool {
        has(&self.groups, group.as_str())
    }

    /// Whether it has all groups: what concerns everybody needs that.
    pub fn has_all_groups(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether it has all products.
    pub fn has_all_products(&self) -> bool {
        self.products.is_empty()
    }
}

impl Reach {
    /// Whether all of `other` lies within it.
    pub fn covers(&self, other: &Self) -> bool {
        covers(&self.products, &other.products) && covers(&self.groups, &other.groups)
    }
}

fn covers(ours: &[NameGlob], theirs: &[NameGlob]) -> bool {
    let is_covered = |theirs: &NameGlob| ours.iter().any(|ours| ours.0.covers(&theirs.0));
    ours.is_empty() || !theirs.is_empty() && theirs.iter().all(is_covered)
}

fn has(globs: &[NameGlob], name: &str) -> bool {
    globs.is_empty() || globs.iter().any(|glob| glob.0.matches(name))
}

/// A glob that is written as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameGlob(pub Glob);

impl Serialize for NameGlob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for NameGlob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(json: &str) -> Reach {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn nothing_named_is_everything() {
        let everywhere = reach("{}");
        assert!(everywhere.is_everywhere() && everywhere.has_all_groups() && everywhere.has_all_products());
        assert!(everywhere.has_product(&"p".parse().unwrap()) && everywhere.has_group(&"g".parse().unwrap()));
    }

    #[test]
    fn nobody_covers_more_than_they_have() {
        let ours = reach(r#"{"products":["intel-*","rules"]}"#);
        assert!(ours.covers(&ours) && reach("{}").covers(&ours) && !ours.covers(&reach("{}")));
        assert!(ours.covers(&reach(r#"{"products":["intel-1"],"groups":["pos-*"]}"#)));
        assert!(!ours.covers(&reach(r#"{"products":["intel-1","driver"]}"#)));
        assert!(!reach(r#"{"groups":["pos-*"]}"#).covers(&ours), "all groups are more than some");
    }

    #[test]
    fn what_is_named_and_nothing_else() {
        let some = reach(r#"{"products":["defender-*","rules"],"groups":["pos-*"]}"#);
        let product = |name: &str| some.has_product(&name.parse().unwrap());
        assert!(product("defender-intelligence") && product("rules") && !product("rules-2") && !product("clam"));
        assert!(some.has_group(&"pos-1".parse().unwrap()) && !some.has_group(&"everyone".parse().unwrap()));
        assert!(!some.has_all_groups() && !some.has_all_products() && !some.is_everywhere());
        assert_eq!(reach(&serde_json::to_string(&some).unwrap()), some);
    }
}
