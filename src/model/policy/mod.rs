//! The policy as admins write it: rings, groups, pins, deferrals; parsed once from TOML into checked values.
//!
//! What this module deliberately does not do: decide. That is the `policy` room's. It knows no key that nothing
//! enforces: an unknown key is an error, because a rule that is read and then ignored is worse than none.

mod calendar;
mod error;
mod glob;
mod group;
mod node;
mod plans;
mod predicate;
mod read;
mod schema;
mod scoped;
mod sentences;
mod share;
mod site;
mod staleness;
#[cfg(test)]
mod tests;

use super::{ApprovalRule, Class, GroupName, RingName, ShareName, SignatureRule, SiteName, Span};
pub use calendar::{Cadence, CalendarError, Rate, Window, Windows};
pub use error::{Finding, PolicyError};
pub use glob::{Glob, GlobError};
pub use group::Group;
pub use plans::{Breaker, ClassPlan, EmergencyPlan};
pub use predicate::{DeviceFacts, Predicate, PredicateError};
pub use schema::policy_schema;
pub use scoped::Scoped;
pub use share::{OpenTo, SharePolicy, ShareStaleness};
pub use site::SiteRule;
pub use staleness::{Staleness, StalenessError};

/// The name of the group that takes every request without a proven identity.
pub const UNIDENTIFIED: &str = "unidentified";
/// The longest policy text, in bytes.
pub const MAX_TEXT_BYTES: usize = 1 << 20;
/// The most groups in one policy.
pub const MAX_GROUPS: usize = 2_000;
/// The most rings in one policy.
pub const MAX_RINGS: usize = 32;
/// The most shares in one policy.
pub const MAX_SHARES: usize = 1_000;
/// The most offline sites in one policy.
pub const MAX_SITES: usize = 1_000;

/// An exposure tier. Rings are ordered: the earlier one sees a release first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    pub(super) name: RingName,
    pub(super) defer: [Span; 2],
}

impl Ring {
    /// Its name.
    pub fn name(&self) -> &RingName {
        &self.name
    }

    /// How long after publication its groups see a release of this class, where they do not say otherwise.
    pub fn defer(&self, class: Class) -> Span {
        self.defer[class as usize]
    }
}

/// A checked policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    approve: [ApprovalRule; 2],
    signature: [SignatureRule; 2],
    rings: Vec<Ring>,
    groups: Vec<Group>,
    unidentified: Option<usize>,
    plans: [Option<ClassPlan>; 2],
    shares: Vec<SharePolicy>,
    sites: Vec<SiteRule>,
}

impl Policy {
    /// Parses and checks a policy text.
    ///
    /// # Errors
    /// Every finding of the whole text, each with its line. Syntax errors are found first; where there are any, the
    /// rules are not looked at.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        read::read(text)
    }

    /// The rings in order of exposure.
    pub fn rings(&self) -> &[Ring] {
        &self.rings
    }

    /// The groups in order of precedence.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// One group by name.
    pub fn group(&self, name: &GroupName) -> Option<&Group> {
        self.groups.iter().find(|group| group.name() == name)
    }

    /// The shares in the order of the text.
    pub fn shares(&self) -> &[SharePolicy] {
        &self.shares
    }

    /// One share by name.
    pub fn share(&self, name: &ShareName) -> Option<&SharePolicy> {
        self.shares.iter().find(|share| share.name() == name)
    }

    /// The offline sites in the order of the text.
    pub fn sites(&self) -> &[SiteRule] {
        &self.sites
    }

    /// One offline site by name.
    pub fn site(&self, name: &SiteName) -> Option<&SiteRule> {
        self.sites.iter().find(|site| site.name() == name)
    }

    /// Whose approval releases of this class need before they are published.
    pub fn approval(&self, class: Class) -> ApprovalRule {
        self.approve[class as usize]
    }

    /// Whether releases of this class have to be signed.
    pub fn signature(&self, class: Class) -> SignatureRule {
        self.signature[class as usize]
    }

    /// How releases of this class are rolled out; `None`: everyone sees them from their publication on.
    pub fn plan(&self, class: Class) -> Option<&ClassPlan> {
        self.plans[class as usize].as_ref()
    }

    /// The groups that sit in a ring for a class, in order of precedence.
    pub fn groups_in_ring(&self, ring: &RingName, class: Class) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(move |group| group.ring(class) == ring)
    }

    /// The rings that some group sits in for a class, in order of exposure.
    pub fn rings_of(&self, class: Class) -> impl Iterator<Item = &RingName> {
        let names = self.rings.iter().map(Ring::name);
        names.filter(move |ring| self.groups_in_ring(ring, class).next().is_some())
    }

    /// The one group of a request: the first whose predicate matches or, for a request without identity, the group
    /// named [`UNIDENTIFIED`]. `None` where there is no such group: the request sees nothing.
    pub fn group_of(&self, facts: &DeviceFacts<'_>) -> Option<&Group> {
        if facts.id.is_none() {
            return self.unidentified.map(|index| &self.groups[index]);
        }
        self.groups.iter().find(|group| group.matches().is_some_and(|predicate| predicate.matches(facts)))
    }

    /// Each rule as a sentence that can be read aloud.
    pub fn sentences(&self) -> Vec<String> {
        sentences::sentences(self)
    }
}
