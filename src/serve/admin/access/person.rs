//! Whoever sends a request, and what lies within the reach of their role.

use std::collections::BTreeSet;
use std::fmt;

use http::StatusCode;

use crate::catalog::Catalog;
use crate::model::{Actor, DeviceId, GroupName, HoldScope, ProductName, Reach, Role, RolloutKind};
use crate::policy::{Requester, group_of};
use crate::serve::problem::Problem;

/// Whoever sends the request, proven. The name under which a change is journaled is given out only by the methods that
/// say what the change is on, and only where the role reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    actor: Actor,
    role: Role,
    reach: Reach,
}

impl Person {
    /// A person with this name, role and reach.
    pub(in crate::serve::admin) fn new(actor: Actor, role: Role, reach: Reach) -> Self {
        Self { actor, role, reach }
    }

    /// What may be done.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whoever makes a change to this product, if the role reaches it.
    pub fn on_product(&self, product: &ProductName) -> Result<&Actor, Problem> {
        self.within(self.reach.has_product(product), format_args!("product {product}"))
    }

    /// Whoever makes a change to what this group sees, if the role reaches it.
    pub fn on_group(&self, group: &GroupName) -> Result<&Actor, Problem> {
        self.within(self.reach.has_group(group), format_args!("group {group}"))
    }

    /// Whoever makes a change to what these groups see of a product. No groups stand for all of them.
    pub fn on_product_and_groups(
        &self,
        product: &ProductName,
        groups: &BTreeSet<GroupName>,
    ) -> Result<&Actor, Problem> {
        if groups.is_empty() {
            self.within(self.reach.has_all_groups(), format_args!("all groups, which this concerns"))?;
        }
        for group in groups {
            self.on_group(group)?;
        }
        self.on_product(product)
    }

    /// Whoever adds or lifts a hold. Only a group's own hold concerns one group; a ring and a predicate may take in
    /// devices of any.
    pub fn on_hold(&self, product: &ProductName, scope: &HoldScope) -> Result<&Actor, Problem> {
        let groups = match scope {
            HoldScope::Group(group) => BTreeSet::from([group.clone()]),
            HoldScope::Everyone | HoldScope::Ring(_) | HoldScope::Devices(_) => BTreeSet::new(),
        };
        self.on_product_and_groups(product, &groups)
    }

    /// Whoever steers a rollout. An ordinary one is the product's business; an override concerns every group it touches.
    pub fn on_rollout(&self, product: &ProductName, kind: &RolloutKind) -> Result<&Actor, Problem> {
        match kind {
            RolloutKind::Release => self.on_product(product),
            RolloutKind::Expedite { .. } => self.on_product_and_groups(product, &BTreeSet::new()),
            RolloutKind::Rollback { groups, .. } => self.on_product_and_groups(product, groups),
        }
    }

    /// Whoever changes something of a share: its group's, and every product's in it.
    pub fn on_share(&self, group: &GroupName, products: &[ProductName]) -> Result<&Actor, Problem> {
        for product in products {
            self.on_product(product)?;
        }
        self.on_group(group)
    }

    /// Whoever changes what one device may do at all: it concerns all products, and the group that the device is in, as far
    /// as its name and the inventory tell.
    pub(in crate::serve::admin) fn on_device(&self, catalog: &Catalog, device: &DeviceId) -> Result<&Actor, Problem> {
        if self.reach.is_everywhere() || !self.reach.has_all_products() {
            return self.on_everything();
        }
        let who = Requester { device: Some(device), ..Requester::default() };
        match group_of(&catalog.snapshot(), &who, catalog.now()) {
            Some(group) => self.on_group(group.name()),
            None => self.on_everything(),
        }
    }

    /// Whoever gives or takes a role with this reach: nobody hands out more than they have.
    pub fn on_reach(&self, reach: &Reach) -> Result<&Actor, Problem> {
        self.within(self.reach.covers(reach), format_args!("all that this token would reach"))
    }

    /// Whoever makes a change that concerns everything.
    pub fn on_everything(&self) -> Result<&Actor, Problem> {
        self.within(self.reach.is_everywhere(), format_args!("everything, which this concerns"))
    }

    /// Whoever sends bytes that belong to no product yet, and that nobody else can see or change.
    pub fn on_own_uploads(&self) -> &Actor {
        &self.actor
    }

    fn within(&self, is_within: bool, what: fmt::Arguments<'_>) -> Result<&Actor, Problem> {
        let beyond = || Problem::with_detail(StatusCode::FORBIDDEN, format!("the role does not reach {what}"));
        is_within.then_some(&self.actor).ok_or_else(beyond)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(reach: &str) -> Person {
        Person::new("ada".parse().unwrap(), Role::Operator, serde_json::from_str(reach).unwrap())
    }

    fn groups(names: &[&str]) -> BTreeSet<GroupName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn everywhere_reaches_everything() {
        let ada = person("{}");
        let product = "p".parse().unwrap();
        assert!(ada.on_everything().is_ok());
        assert!(ada.on_product_and_groups(&product, &groups(&[])).is_ok());
        assert!(ada.on_hold(&product, &HoldScope::Everyone).is_ok());
        assert!(ada.on_reach(&Reach::default()).is_ok());
    }

    #[test]
    fn a_hold_on_more_than_one_group_needs_all() {
        let ada = person(r#"{"products":["intel-*"],"groups":["pos-*"]}"#);
        let product = "intel-1".parse().unwrap();
        let one = HoldScope::Group("pos-1".parse().unwrap());
        assert!(ada.on_hold(&product, &one).is_ok());
        let other = HoldScope::Group("desk".parse().unwrap());
        assert_eq!(ada.on_hold(&product, &other).unwrap_err().detail(), Some("the role does not reach group desk"));
        for scope in [HoldScope::Everyone, HoldScope::Ring("canary".parse().unwrap())] {
            let refusal = ada.on_hold(&product, &scope).unwrap_err();
            assert_eq!(refusal.detail(), Some("the role does not reach all groups, which this concerns"));
        }
        assert!(ada.on_hold(&"driver".parse().unwrap(), &one).is_err());
    }

    #[test]
    fn overrides_need_every_group_that_they_touch() {
        let ada = person(r#"{"groups":["pos-*"]}"#);
        let product = "intel".parse().unwrap();
        let back =
            |names: &[&str]| RolloutKind::Rollback { from: 2, groups: groups(names), devices: 1, automatic: false };
        assert!(ada.on_rollout(&product, &RolloutKind::Release).is_ok());
        assert!(ada.on_rollout(&product, &back(&["pos-1", "pos-2"])).is_ok());
        assert!(ada.on_rollout(&product, &back(&["pos-1", "desk"])).is_err());
        assert!(ada.on_rollout(&product, &back(&[])).is_err());
    }

    #[test]
    fn a_share_needs_its_group_and_all_its_products() {
        let ada = person(r#"{"products":["intel-*"],"groups":["pos-*"]}"#);
        let products = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<_>>();
        let pos = "pos-1".parse().unwrap();
        assert!(ada.on_share(&pos, &products(&["intel-1", "intel-2"])).is_ok());
        assert!(ada.on_share(&pos, &products(&["intel-1", "driver"])).is_err());
        assert!(ada.on_share(&"desk".parse().unwrap(), &products(&["intel-1"])).is_err());
    }
}
