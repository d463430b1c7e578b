//! Putting a snapshot together again from stored parts, without replaying the journal.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::{AppliedPolicy, ProductReleases, Snapshot};
use crate::model::{
    Blake3Digest, Denial, DeviceHistory, DeviceId, Enrolment, Freeze, Hold, OriginKey, OwnSite, Pin, Product,
    ProductName, Refusal, Release, ReleaseId, Rollout, Share, SharePath, SiteRecord, TargetName, Token, TrustedKey,
};

/// A share and its paths.
pub type ShareParts = (Share, Vec<(TargetName, SharePath)>);

/// The parts of a snapshot, as an index keeps them.
#[derive(Debug, Default)]
pub struct SnapshotParts {
    /// The sequence of the last event in it.
    pub seq: u64,
    /// The hash of the last event in it.
    pub head: Option<Blake3Digest>,
    /// The time of the last event in it.
    pub time: Option<Timestamp>,
    /// Products with their releases in order of sequence.
    pub products: Vec<(Product, Vec<Release>)>,
    /// Policies in order of sequence.
    pub policies: Vec<AppliedPolicy>,
    /// Holds in order of id.
    pub holds: Vec<Hold>,
    /// Pins in order of id.
    pub pins: Vec<Pin>,
    /// The inventory.
    pub devices: Vec<(DeviceId, DeviceHistory)>,
    /// Rollouts in order of id.
    pub rollouts: Vec<Rollout>,
    /// Freezes in order of id, each with its product.
    pub freezes: Vec<(ProductName, Freeze)>,
    /// Shares, each with its paths.
    pub shares: Vec<ShareParts>,
    /// Tokens in order of id.
    pub tokens: Vec<Token>,
    /// Unused enrolments in order of id.
    pub enrolments: Vec<Enrolment>,
    /// The devices that are denied.
    pub denials: Vec<Denial>,
    /// Refused versions in order of time, with their product.
    pub refusals: Vec<(ProductName, Vec<Refusal>)>,
    /// Keys trusted to sign releases, in order of time.
    pub trusted_keys: Vec<TrustedKey>,
    /// The origin's keys, in order of time.
    pub origin_keys: Vec<OriginKey>,
    /// The offline sites that bundles are written for.
    pub sites: Vec<SiteRecord>,
    /// This server as an offline site.
    pub own_site: Option<OwnSite>,
    /// Releases whose bytes are not here, with their product.
    pub absent: Vec<(ProductName, BTreeSet<ReleaseId>)>,
}

impl Snapshot {
    /// The snapshot with these parts, or what does not fit together.
    pub fn restore(parts: SnapshotParts) -> Result<Self, String> {
        let mut snapshot =
            Self { seq: parts.seq, inventory_seq: parts.seq, head: parts.head, time: parts.time, ..Self::default() };
        let products = Arc::make_mut(&mut snapshot.products);
        for (product, releases) in parts.products {
            let name = product.name.clone();
            products.insert(name, Arc::new(ProductReleases::restore(product, releases)?));
        }
        for hold in parts.holds {
            snapshot.set_hold(hold)?;
        }
        for pin in parts.pins {
            snapshot.set_pin(pin)?;
        }
        for rollout in parts.rollouts {
            snapshot.set_rollout(rollout)?;
        }
        for (product, freeze) in parts.freezes {
            snapshot.set_freeze(&product, freeze)?;
        }
        for (share, paths) in parts.shares {
            snapshot.restore_share(share, paths);
        }
        for token in parts.tokens {
            snapshot.set_token(token);
        }
        for enrolment in parts.enrolments {
            snapshot.set_enrolment(enrolment);
        }
        for denial in parts.denials {
            snapshot.set_denial(denial);
        }
        for (product, refusals) in parts.refusals {
            let known = snapshot.product_mut(&product)?;
            refusals.into_iter().for_each(|refusal| known.refuse(refusal));
        }
        for (product, absent) in parts.absent {
            snapshot.product_mut(&product)?.set_absent(absent);
        }
        snapshot.set_keys(parts.trusted_keys, parts.origin_keys);
        snapshot.restore_sites(parts.sites, parts.own_site);
        snapshot.policies = Arc::new(parts.policies);
        snapshot.devices = Arc::new(parts.devices.into_iter().collect());
        Ok(snapshot)
    }
}

impl ProductReleases {
    /// The product with these releases, lowest sequence first; some may be missing, as they are at an offline site.
    pub(super) fn restore(product: Product, releases: Vec<Release>) -> Result<Self, String> {
        let mut restored = Self::new(product);
        for release in releases {
            let last = restored.releases().last().map_or(0, |last| last.sequence);
            if release.sequence <= last {
                let product = &restored.product().name;
                return Err(format!("release {} of {product} behind release {last}", release.sequence));
            }
            restored.push(release);
        }
        Ok(restored)
    }
}
