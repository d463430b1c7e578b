//! What people type: shares, devices that are affected, fleets.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::{Class, GroupName, Span};
use crate::policy::simulate::{Fleet, FleetGroup};

/// When the release is published: a Monday morning, the same for every run, so that a run can be repeated.
pub(super) const MONDAY: &str = "2026-01-05T09:00:00Z";

/// Which devices a fault happens to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Affected {
    /// A share of all, which is given an attribute.
    Share(f64),
    /// Those with this tag or attribute.
    With(String),
}

/// How long people take to halt a release, if they do.
#[derive(Debug, Clone, Copy)]
pub(super) struct HumanHalt(pub(super) Option<Span>);

impl Affected {
    /// What the affected devices share.
    pub(super) fn string(&self) -> String {
        match self {
            Self::Share(_) => "attr.model=affected".to_owned(),
            Self::With(string) => string.clone(),
        }
    }

    /// The share that is given it.
    pub(super) fn share(&self) -> Option<f64> {
        match self {
            Self::Share(share) => Some(*share),
            Self::With(_) => None,
        }
    }
}

/// Reads a class.
pub(super) fn class(text: &str) -> Result<Class, String> {
    match text {
        "intelligence" => Ok(Class::Intelligence),
        "platform" => Ok(Class::Platform),
        _ => Err("a class is intelligence or platform".to_owned()),
    }
}

/// Reads a share: `1%` or `0.01`.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let (number, whole) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let share = number.trim().parse::<f64>().ok().map(|number| number / whole);
    let share = share.filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share looks like 1% or 0.01, and is at most 100%".to_owned())
}

/// Reads which devices are affected.
pub(super) fn affected(text: &str) -> Result<Affected, String> {
    let is_shared = text.starts_with("tag=") || (text.starts_with("attr.") && text.contains('='));
    if is_shared {
        return Ok(Affected::With(text.to_owned()));
    }
    let hint = || "write a share such as 1%, a tag such as tag=kiosk, or an attribute such as attr.model=m3".to_owned();
    share(text).map(Affected::Share).map_err(|_| hint())
}

/// Reads how long people take.
pub(super) fn human_halt(text: &str) -> Result<HumanHalt, String> {
    if text == "never" {
        return Ok(HumanHalt(None));
    }
    text.parse::<Span>().map(|span| HumanHalt(Some(span))).map_err(|error| error.to_string())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FleetFile {
    group: Vec<GroupEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupEntry {
    name: GroupName,
    devices: u64,
    check_in: Span,
    #[serde(default)]
    offline: Share,
    #[serde(default)]
    tags: BTreeMap<String, Share>,
    #[serde(default)]
    attributes: BTreeMap<String, BTreeMap<String, Share>>,
}

/// A share in a file: text as on the command line.
#[derive(Default, Deserialize)]
#[serde(try_from = "String")]
struct Share(f64);

impl TryFrom<String> for Share {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        share(&text).map(Self)
    }
}

/// Reads a fleet file.
pub(super) fn fleet(text: &str) -> Result<Fleet, String> {
    let file: FleetFile = toml::from_str(text).map_err(|error| error.to_string())?;
    let plain = |shares: BTreeMap<String, Share>| shares.into_iter().map(|(name, share)| (name, share.0)).collect();
    let groups = file.group.into_iter().map(|entry| FleetGroup {
        group: entry.name,
        devices: entry.devices,
        check_in: entry.check_in,
        offline: entry.offline.0,
        tags: plain(entry.tags),
        attributes: entry.attributes.into_iter().map(|(name, values)| (name, plain(values))).collect(),
    });
    Ok(Fleet { groups: groups.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_affected_devices() {
        assert_eq!(share("1%"), Ok(0.01));
        assert_eq!(share("0.01"), Ok(0.01));
        for bad in ["", "%", "-1%", "101%", "1.5", "NaN", "x"] {
            assert!(share(bad).is_err(), "{bad}");
        }
        assert_eq!(affected("1%"), Ok(Affected::Share(0.01)));
        assert_eq!(affected("attr.model=m3"), Ok(Affected::With("attr.model=m3".into())));
        assert!(affected("model=m3").is_err());
    }

    #[test]
    fn a_fleet_is_read_and_unknown_keys_are_refused() {
        let text = "[[group]]\nname = \"pcs\"\ndevices = 10\ncheck_in = \"1h\"\noffline = \"5%\"\n\
                    tags = { kiosk = \"10%\" }\nattributes = { model = { x1 = \"1%\", x2 = \"99%\" } }\n";
        let fleet = fleet(text).unwrap();
        assert_eq!((fleet.devices(), fleet.groups[0].offline), (10, 0.05));
        assert_eq!(fleet.groups[0].attributes["model"].len(), 2);
        assert!(super::fleet(&text.replace("offline", "ofline")).unwrap_err().contains("ofline"));
    }
}
