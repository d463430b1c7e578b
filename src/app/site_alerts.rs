//! What is wrong with offline sites, for people: read from the state, so that a start finds it again.

use jiff::Timestamp;

use super::alerts::Alert;
use crate::bundle::standing::{Ripeness, ripeness, standing};
use crate::model::{BundleId, SiteName, Snapshot};

/// One thing that is wrong with a site. Two that are equal are the same alert: what grows meanwhile is not compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SiteAilment {
    /// No receipt has come for long: since when.
    Silent(SiteName, Timestamp),
    /// The next bundle has to be a full one: why.
    Astray(SiteName, String),
    /// What this server itself serves as a site grows old: whether its time has passed, and when it does.
    Expiring(SiteName, BundleId, bool, Timestamp),
}

impl SiteAilment {
    pub(super) fn alert(&self, now: Timestamp) -> Alert {
        let (alert, site, reason) = match self {
            Self::Silent(site, since) => {
                ("site_silent", site, format!("no receipt of site {site} has been taken since {since}"))
            }
            Self::Astray(site, why) => {
                ("site_astray", site, format!("the next bundle for site {site} has to be a full one: {why}"))
            }
            Self::Expiring(site, _, true, at) => {
                ("site_expiring", site, format!("site {site} serves a bundle that expired at {at}: import a newer one"))
            }
            Self::Expiring(site, _, false, at) => (
                "site_expiring",
                site,
                format!("site {site} serves a bundle that expires at {at}: carry a newer one over"),
            ),
        };
        Alert {
            alert,
            product: None,
            share: None,
            site: Some(site.clone()),
            version: None,
            rollout: None,
            group: None,
            reason,
            evidence: None,
            time: now,
        }
    }
}

/// Everything that is wrong with sites at `now`.
pub(super) fn site_ailments(snapshot: &Snapshot, now: Timestamp) -> Vec<SiteAilment> {
    let mut found = Vec::new();
    for site in snapshot.sites() {
        if let Some(since) = standing(site, now).silent_since {
            found.push(SiteAilment::Silent(site.name.clone(), since));
        }
        if let Some(why) = &site.astray {
            found.push(SiteAilment::Astray(site.name.clone(), why.clone()));
        }
    }
    let own = snapshot.own_site().and_then(|own| own.applied.as_ref().map(|(applied, _)| (&own.name, applied)));
    if let Some((site, applied)) = own {
        let expiring = |is_over| SiteAilment::Expiring(site.clone(), applied.bundle, is_over, applied.expires_at);
        match ripeness(applied, now) {
            Ripeness::Fresh => {}
            Ripeness::Ripe => found.push(expiring(false)),
            Ripeness::Overdue => found.push(expiring(true)),
        }
    }
    found
}
