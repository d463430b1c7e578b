//! Offline sites: those that this server writes bundles for, and this server as one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{AppliedPolicy, ProductReleases, Snapshot};
use crate::model::{
    AppliedBundle, Blake3Digest, Event, EventRecord, GivenReceipt, OwnSite, SiteContent, SiteName, SitePolicy,
    SiteRecord,
};

/// The parts of a snapshot that are about offline sites.
#[derive(Debug, Clone, Default)]
pub(super) struct Sites {
    known: Arc<BTreeMap<SiteName, Arc<SiteRecord>>>,
    own: Option<Arc<OwnSite>>,
}

impl Snapshot {
    /// The offline sites that bundles were written for, in order of name.
    pub fn sites(&self) -> impl ExactSizeIterator<Item = &Arc<SiteRecord>> {
        self.sites.known.values()
    }

    /// One offline site.
    pub fn site(&self, name: &SiteName) -> Option<&Arc<SiteRecord>> {
        self.sites.known.get(name)
    }

    /// This server as an offline site; none where it took no bundle and gave no receipt yet.
    pub fn own_site(&self) -> Option<&Arc<OwnSite>> {
        self.sites.own.as_ref()
    }

    /// The bundle that this server serves from, where it is an offline site that has applied one.
    pub fn applied_bundle(&self) -> Option<&AppliedBundle> {
        self.own_site().and_then(|own| own.applied.as_ref()).map(|(bundle, _)| bundle)
    }

    pub(super) fn apply_site_event(&mut self, record: &EventRecord) -> Result<(), String> {
        match &record.event {
            Event::BundleExported { site, export } => {
                let mut known = self.site_or_new(site);
                if known.export(&export.bundle).is_some() {
                    return Err(format!("bundle {} was exported before", export.bundle));
                }
                if export.sequence <= known.sequence {
                    return Err(format!("site {site} has a bundle {} already", known.sequence));
                }
                known.add_export(Box::as_ref(export).clone());
                self.set_site(known);
            }
            Event::ReceiptTaken { site, receipt, astray } => {
                let mut known = self.site_or_new(site);
                if known.receipt.as_ref().is_some_and(|(last, _)| last.receipt == receipt.receipt) {
                    return Err(format!("receipt {} was taken before", receipt.receipt));
                }
                known.take_receipt(Box::as_ref(receipt).clone(), record.time, astray.clone());
                self.set_site(known);
            }
            Event::BundleApplied { site, bundle, content } => self.apply_bundle(record, site, bundle, content)?,
            Event::ReceiptGiven { site, receipt } => self.give_receipt(site, receipt)?,
            other => return Err(format!("{} is no event of a site", other.name())),
        }
        Ok(())
    }

    /// Puts the bundle's content in place of all that an origin decides. What is the site's own stays: its devices,
    /// tokens, keys and shares.
    fn apply_bundle(
        &mut self,
        record: &EventRecord,
        site: &SiteName,
        bundle: &AppliedBundle,
        content: &SiteContent,
    ) -> Result<(), String> {
        let own = self.own_of(site)?;
        if own.applied.as_ref().is_some_and(|(applied, _)| applied.sequence >= bundle.sequence) {
            return Err(format!("bundle {} of site {site} is not newer than the one before", bundle.sequence));
        }
        let brought = Self::of_content(content)?;
        self.products = brought.products;
        self.policies = brought.policies;
        self.holds = brought.holds;
        self.pins = brought.pins;
        self.sites.own = Some(Arc::new(OwnSite { applied: Some((bundle.clone(), record.time)), ..own }));
        // From now on no moment counts that lies before the bundle was made.
        self.time = self.time.max(Some(bundle.created_at));
        Ok(())
    }

    /// A snapshot of nothing but this content, or what in it does not fit together.
    pub fn of_content(content: &SiteContent) -> Result<Self, String> {
        let mut snapshot = Self::default();
        let products = Arc::make_mut(&mut snapshot.products);
        for brought in &content.products {
            let name = brought.product.name.clone();
            if let Some(release) = brought.releases.iter().find(|release| release.manifest.id() != release.id) {
                return Err(format!("release {} of {name} does not have its manifest's digest", release.sequence));
            }
            if brought.releases.iter().any(|release| release.manifest.product != name) {
                return Err(format!("a release of another product stands below {name}"));
            }
            let mut releases = ProductReleases::restore(brought.product.clone(), brought.releases.clone())?;
            releases.set_absent(brought.absent.clone());
            if products.insert(name.clone(), Arc::new(releases)).is_some() {
                return Err(format!("product {name} is there twice"));
            }
        }
        content.holds.iter().try_for_each(|hold| snapshot.set_hold(hold.clone()))?;
        content.pins.iter().try_for_each(|pin| snapshot.set_pin(pin.clone()))?;
        for rollout in &content.rollouts {
            let known = snapshot.product(&rollout.product).and_then(|product| product.by_sequence(rollout.sequence));
            if known.is_none_or(|release| release.id != rollout.release) {
                return Err(format!("rollout {} is for a release that is not there", rollout.id));
            }
            snapshot.set_rollout(rollout.clone())?;
        }
        for (product, freeze) in &content.freezes {
            snapshot.set_freeze(product, freeze.clone())?;
        }
        if let Some(SitePolicy { seq, applied, digest, text }) = &content.policy {
            if Blake3Digest::of(text.as_bytes()) != *digest {
                return Err("the policy's text does not have its digest".into());
            }
            let policy = AppliedPolicy::new(*seq, applied.clone(), *digest, text.as_str().into());
            snapshot.policies = Arc::new(vec![policy]);
        }
        Ok(snapshot)
    }

    fn give_receipt(&mut self, site: &SiteName, receipt: &GivenReceipt) -> Result<(), String> {
        let own = self.own_of(site)?;
        let expected = own.receipt.as_ref().map_or(0, |last| last.number) + 1;
        if receipt.number != expected {
            return Err(format!("receipt {} where {expected} comes next", receipt.number));
        }
        self.sites.own = Some(Arc::new(OwnSite { receipt: Some(receipt.clone()), ..own }));
        Ok(())
    }

    /// What is known of this server as `site`: it is one site for good.
    fn own_of(&self, site: &SiteName) -> Result<OwnSite, String> {
        match self.own_site() {
            None => Ok(OwnSite::new(site.clone())),
            Some(own) if own.name == *site => Ok(OwnSite::clone(own)),
            Some(own) => Err(format!("this server is site {}, not {site}", own.name)),
        }
    }

    fn site_or_new(&self, name: &SiteName) -> SiteRecord {
        self.site(name).map_or_else(|| SiteRecord::new(name.clone()), |known| SiteRecord::clone(known))
    }

    fn set_site(&mut self, site: SiteRecord) {
        Arc::make_mut(&mut self.sites.known).insert(site.name.clone(), Arc::new(site));
    }

    pub(super) fn restore_sites(&mut self, known: Vec<SiteRecord>, own: Option<OwnSite>) {
        let known = known.into_iter().map(|site| (site.name.clone(), Arc::new(site)));
        self.sites = Sites { known: Arc::new(known.collect()), own: own.map(Arc::new) };
    }
}
