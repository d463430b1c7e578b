//! The people whom the configuration names: what a certificate or an identity provider's token only has to name.

use std::collections::BTreeMap;

use super::Person;
use crate::model::{Actor, Reach, Role};

/// The configured people, by name.
#[derive(Debug, Clone, Default)]
pub struct People(BTreeMap<Actor, (Role, Reach)>);

impl People {
    /// The person of this name.
    pub(super) fn find(&self, name: &Actor) -> Option<Person> {
        let (role, reach) = self.0.get(name)?;
        Some(Person::new(name.clone(), *role, reach.clone()))
    }
}

impl FromIterator<(Actor, Role, Reach)> for People {
    fn from_iter<I: IntoIterator<Item = (Actor, Role, Reach)>>(people: I) -> Self {
        Self(people.into_iter().map(|(name, role, reach)| (name, (role, reach))).collect())
    }
}
