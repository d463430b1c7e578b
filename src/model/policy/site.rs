//! Offline sites as the policy names them: which groups a bundle for one carries, how long it lasts, how far ahead it
//! reaches.

use crate::model::{GroupName, PublicKey, SiteName, Span};

/// What bundles for one offline site carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteRule {
    pub(super) name: SiteName,
    pub(super) groups: Vec<GroupName>,
    pub(super) valid_for: Span,
    pub(super) preload: Span,
    pub(super) key: Option<PublicKey>,
}

impl SiteRule {
    /// How long a bundle may be imported where no policy says otherwise: 30 days.
    pub const VALID_FOR: Span = Span::from_secs(30 * 86_400);
    /// The shortest time that a bundle may be valid for.
    pub(super) const VALID_FOR_MIN: Span = Span::from_secs(3_600);

    /// The site's name.
    pub fn name(&self) -> &SiteName {
        &self.name
    }

    /// The groups whose decisions it is given, at least one.
    pub fn groups(&self) -> &[GroupName] {
        &self.groups
    }

    /// How long after it was made a bundle may be imported.
    pub fn valid_for(&self) -> Span {
        self.valid_for
    }

    /// How far ahead of its making a bundle carries what the groups are going to see.
    pub fn preload(&self) -> Span {
        self.preload
    }

    /// The key that the site's receipts are signed with, where the policy names it.
    pub fn key(&self) -> Option<&PublicKey> {
        self.key.as_ref()
    }
}
