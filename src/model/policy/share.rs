//! Shares as the policy names them: for which group, arranged how, with what in them, open to whom.

use ipnet::IpNet;

use crate::model::{GroupName, LayoutName, Platform, ProductName, ShareName, Span};

/// A tree of stable names for one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharePolicy {
    pub(super) name: ShareName,
    pub(super) group: GroupName,
    pub(super) layout: LayoutName,
    pub(super) products: Vec<ProductName>,
    pub(super) platforms: Vec<Platform>,
    pub(super) open_to: Vec<OpenTo>,
    pub(super) listing: bool,
    pub(super) stale: Option<ShareStaleness>,
    pub(super) line: usize,
}

/// Who may read a share over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenTo {
    /// Everyone who reaches the listener.
    Anyone,
    /// Every device with a proven identity.
    Devices,
    /// Devices of the share's own group.
    Group,
    /// Every request from these addresses.
    Network(IpNet),
}

/// How old the newest release of a share may grow before people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareStaleness {
    /// A warning after this time.
    pub warn: Span,
    /// A critical alert after this one.
    pub critical: Span,
}

impl Default for ShareStaleness {
    /// Three and seven days.
    fn default() -> Self {
        Self { warn: Span::from_secs(3 * 86_400), critical: Span::from_secs(7 * 86_400) }
    }
}

impl SharePolicy {
    /// Its name, the first part of its paths.
    pub fn name(&self) -> &ShareName {
        &self.name
    }

    /// The group whose decisions it takes.
    pub fn group(&self) -> &GroupName {
        &self.group
    }

    /// How its files are arranged.
    pub fn layout(&self) -> &LayoutName {
        &self.layout
    }

    /// The products in it, at least one.
    pub fn products(&self) -> &[ProductName] {
        &self.products
    }

    /// The platforms that it must serve, each of them; empty for whatever the releases have.
    pub fn platforms(&self) -> &[Platform] {
        &self.platforms
    }

    /// Who may read it over HTTP. Empty: nobody; it is only staged.
    pub fn open_to(&self) -> &[OpenTo] {
        &self.open_to
    }

    /// Whether its folders can be listed over HTTP.
    pub fn is_listed(&self) -> bool {
        self.listing
    }

    /// How old its newest release may grow, where the policy says so.
    pub fn staleness(&self) -> Option<ShareStaleness> {
        self.stale
    }

    /// The line of its table.
    pub fn line(&self) -> usize {
        self.line
    }
}
