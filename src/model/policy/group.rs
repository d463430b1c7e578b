//! Groups: which devices they hold, and what those devices see.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cadence, Predicate, Rate, Scoped, Staleness, Windows};
use crate::model::{Class, GroupName, ProductName, RingName, Span, Version};

/// A group of devices and its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub(super) name: GroupName,
    /// Absent for the group of requests without identity.
    pub(super) predicate: Option<Predicate>,
    pub(super) ring: [RingName; 2],
    /// What the rings say where `defer` does not.
    pub(super) ring_defer: [Span; 2],
    pub(super) products: Option<BTreeSet<ProductName>>,
    pub(super) pin: BTreeMap<ProductName, Version>,
    pub(super) keep: Scoped<u32>,
    pub(super) defer: Scoped<Span>,
    pub(super) timing: Timing,
}

/// The rules of a group that delay a release to a better moment, and the alarm for what is delayed too long.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Timing {
    pub(super) cadence: Scoped<Cadence>,
    pub(super) windows: Option<Windows>,
    pub(super) rate: Scoped<Rate>,
    pub(super) staleness: Scoped<Staleness>,
}

impl Timing {
    /// Every product that one of the rules names.
    pub(super) fn products(&self) -> impl Iterator<Item = &ProductName> {
        let Self { cadence, windows: _, rate, staleness } = self;
        cadence.products().keys().chain(rate.products().keys()).chain(staleness.products().keys())
    }
}

impl Group {
    /// Its name.
    pub fn name(&self) -> &GroupName {
        &self.name
    }

    /// Which devices it takes; `None` for the group of requests without identity.
    pub fn matches(&self) -> Option<&Predicate> {
        self.predicate.as_ref()
    }

    /// The ring it sits in for this class.
    pub fn ring(&self, class: Class) -> &RingName {
        &self.ring[class as usize]
    }

    /// Whether its devices see this product at all.
    pub fn sees(&self, product: &ProductName) -> bool {
        self.products.as_ref().is_none_or(|products| products.contains(product))
    }

    /// The only products its devices see; `None` for all.
    pub fn products(&self) -> Option<&BTreeSet<ProductName>> {
        self.products.as_ref()
    }

    /// The version that it is kept at by the policy.
    pub fn pin(&self, product: &ProductName) -> Option<&Version> {
        self.pin.get(product)
    }

    /// All versions that it is kept at by the policy.
    pub fn pins(&self) -> &BTreeMap<ProductName, Version> {
        &self.pin
    }

    /// Every product that a rule of this group names.
    pub fn named_products(&self) -> BTreeSet<&ProductName> {
        let listed = self.products.iter().flatten();
        let kept = self.keep.products().keys().chain(self.defer.products().keys());
        listed.chain(self.pin.keys()).chain(kept).chain(self.timing.products()).collect()
    }

    /// How many of the newest releases it stays behind: 0 sees the newest, 1 is `N-1`.
    pub fn keep(&self, product: &ProductName, class: Class) -> u32 {
        self.keep.get(product, class).copied().unwrap_or(0)
    }

    /// How long after publication it sees a release: its own value for the product, the class or everything, else its
    /// ring's.
    pub fn defer(&self, product: &ProductName, class: Class) -> Span {
        self.defer.get(product, class).copied().unwrap_or(self.ring_defer[class as usize])
    }

    /// The ticks at which it takes up what is newest; `None`: at any time.
    pub fn cadence(&self, product: &ProductName, class: Class) -> Option<&Cadence> {
        self.timing.cadence.get(product, class)
    }

    /// The maintenance windows in which its devices may get something new; `None`: at any time.
    pub fn windows(&self) -> Option<&Windows> {
        self.timing.windows.as_ref()
    }

    /// Whether any product has a rate of its own or its class's.
    pub fn has_rate(&self) -> bool {
        let by_class =
            [Class::Intelligence, Class::Platform].iter().any(|class| self.timing.rate.for_class(*class).is_some());
        by_class || !self.timing.rate.products().is_empty()
    }

    /// How many of its devices may get something new in a period; `None`: any number.
    pub fn rate(&self, product: &ProductName, class: Class) -> Option<&Rate> {
        self.timing.rate.get(product, class)
    }

    /// How long it may go without a newer release; `None`: for ever.
    pub fn staleness(&self, product: &ProductName, class: Class) -> Option<&Staleness> {
        self.timing.staleness.get(product, class)
    }

    /// As [`Group::keep`], for products of this class that have no value of their own.
    pub(super) fn class_keep(&self, class: Class) -> u32 {
        self.keep.for_class(class).copied().unwrap_or(0)
    }

    /// As [`Group::defer`], for products of this class that have no value of their own.
    pub(super) fn class_defer(&self, class: Class) -> Span {
        self.defer.for_class(class).copied().unwrap_or(self.ring_defer[class as usize])
    }
}
