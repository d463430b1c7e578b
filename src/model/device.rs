//! Devices as the admins' inventory knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::name::{NameError, is_slug, name};
use super::{DeviceId, Platform};

name!(
    /// A label that an admin gave a device.
    Tag,
    "tag",
    "1 to 64 lower-case letters, digits and inner '.', '_' or '-'",
    |text| is_slug(text, 64)
);
name!(
    /// The name of an attribute, for example `os`.
    AttributeName,
    "attribute name",
    "1 to 64 lower-case letters, digits and inner '.', '_' or '-'",
    |text| is_slug(text, 64)
);

use std::fmt;
use std::str::FromStr;

/// One device of the inventory. Groups match on these fields, never on what a device says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its identity.
    pub id: DeviceId,
    /// What it runs on, if known; an offer's `platform` parameter is taken where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<Tag>,
    /// Its attributes, for example `os = "windows-11"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<AttributeName, String>,
}

/// What the inventory said of a device over time: (since, record), oldest first, `None` from a removal on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceHistory {
    entries: Vec<(Timestamp, Option<Arc<Device>>)>,
}

impl DeviceHistory {
    /// A device first recorded at `since`.
    pub fn new(since: Timestamp, device: Option<Arc<Device>>) -> Self {
        Self { entries: vec![(since, device)] }
    }

    /// Records a change at `since`; says whether it was one.
    pub fn change(&mut self, since: Timestamp, device: Option<Arc<Device>>) -> bool {
        if self.entries.last().is_some_and(|(_, last)| *last == device) {
            return false;
        }
        self.entries.push((since, device));
        true
    }

    /// The record in force at `at`.
    pub fn at(&self, at: Timestamp) -> Option<&Arc<Device>> {
        self.entries.iter().rev().find(|(since, _)| *since <= at).and_then(|(_, device)| device.as_ref())
    }

    /// The newest record.
    pub fn latest(&self) -> Option<&Arc<Device>> {
        self.entries.last().and_then(|(_, device)| device.as_ref())
    }

    /// The first change after `at`.
    pub fn next_change_after(&self, at: Timestamp) -> Option<Timestamp> {
        self.entries.iter().map(|(since, _)| *since).find(|since| *since > at)
    }
}
