//! What one offline site is given: the decisions of its groups, and no more than these need.

mod content;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::model::policy::{Group, Policy};
use crate::model::{
    GroupName, ObjectRef, Platform, ProductReleases, Release, SiteContent, SiteVersion, Snapshot, Span, Version,
};
use crate::policy::decide_for_site;
use content::Selection;

/// How many decisions are made for one bundle at most: some minutes of one processor.
const MAX_DECISIONS: u64 = 20_000_000;

/// Why a site's content cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// No policy is in force.
    #[error("no policy is in force: apply one with `ringfence policy apply` first")]
    NoPolicy,
    /// The one in force cannot be read.
    #[error("the policy in force is not understood by this version of ringfence: apply one that is")]
    Unreadable,
    /// The policy has no such group.
    #[error("the policy has no group {0}")]
    NoGroup(GroupName),
    /// There are more moments to look at than can be looked at.
    #[error(
        "what the groups of the site will see changes too often to be told ahead: give the site a shorter preload, or \
         fewer groups"
    )]
    TooMuch,
}

/// For whom and when.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The groups whose decisions the site is given.
    pub groups: &'a [GroupName],
    /// The present moment.
    pub now: Timestamp,
    /// How long a release that is decided for no more may still be downloaded.
    pub grace: SignedDuration,
    /// How far ahead the site is given what its groups are going to see.
    pub preload: Span,
    /// What the site was given before, as far as that is known: its shares may show these, outside of their windows, too.
    pub before: &'a [SiteContent],
}

/// What a site is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// What the origin decides for it.
    pub content: SiteContent,
    /// The artifacts of every release that comes with its bytes.
    pub carried: BTreeSet<ObjectRef>,
    /// What its groups see at the moment, windows and rates aside.
    pub versions: Vec<SiteVersion>,
}

/// What a site of these groups is given by the policy in force.
pub fn scope(snapshot: &Snapshot, terms: Terms<'_>) -> Result<Scope, ScopeError> {
    let applied = snapshot.policies().last().ok_or(ScopeError::NoPolicy)?;
    let policy = applied.policy().map_err(|_| ScopeError::Unreadable)?;
    let groups = groups_of(policy, terms.groups)?;
    let mut left = MAX_DECISIONS;
    let mut scope = Scope { content: content::policy_of(applied), carried: BTreeSet::new(), versions: Vec::new() };
    for releases in snapshot.products() {
        let product = &releases.product().name;
        let seeing: Vec<&Group> = groups.iter().copied().filter(|group| group.sees(product)).collect();
        if seeing.is_empty() {
            continue;
        }
        let mut carried = BTreeMap::new();
        for group in &seeing {
            let asking = Asking { snapshot, releases, group, terms };
            asking.collect(&mut carried, &mut scope.versions, &mut left)?;
        }
        for artifact in carried.values().flat_map(|release: &Arc<Release>| &release.manifest.artifacts) {
            let (blake3, sha256, size) = (artifact.blake3, artifact.sha256, artifact.size);
            scope.carried.insert(ObjectRef { blake3, sha256, size });
        }
        Selection::new(snapshot, releases, &seeing, carried, terms.now).add_to(&mut scope.content, terms);
    }
    content::put_in_order(&mut scope.content);
    Ok(scope)
}

fn groups_of<'a>(policy: &'a Policy, names: &[GroupName]) -> Result<Vec<&'a Group>, ScopeError> {
    let find = |name: &GroupName| policy.group(name).ok_or_else(|| ScopeError::NoGroup(name.clone()));
    names.iter().map(find).collect()
}

/// One product for one group.
struct Asking<'a> {
    snapshot: &'a Snapshot,
    releases: &'a ProductReleases,
    group: &'a Group,
    terms: Terms<'a>,
}

impl Asking<'_> {
    fn collect(
        &self,
        carried: &mut BTreeMap<u64, Arc<Release>>,
        versions: &mut Vec<SiteVersion>,
        left: &mut u64,
    ) -> Result<(), ScopeError> {
        let product = &self.releases.product().name;
        let shown = self.shown_before();
        let shown: Vec<&Version> = shown.iter().collect();
        let start = self.terms.now.checked_sub(self.terms.grace).unwrap_or(Timestamp::MIN);
        let end = self.terms.preload.ends_at(self.terms.now);
        for platform in self.platforms() {
            let about = (product, platform.as_ref());
            let mut moment = start;
            while moment <= end {
                *left = left.checked_sub(1).ok_or(ScopeError::TooMuch)?;
                let at = (moment, self.terms.now);
                let decision = decide_for_site(self.snapshot, self.group, about, &shown, at);
                carried.extend(decision.given.into_iter().map(|release| (release.sequence, release)));
                if moment == self.terms.now && platform.is_none() {
                    let version = decision.top.map(|release| release.version().clone());
                    let (product, group) = (product.clone(), self.group.name().clone());
                    versions.push(SiteVersion { product, group, version });
                }
                let next = decision.valid_until.filter(|next| *next > moment);
                // The present is looked at whatever happens.
                let next = if moment < self.terms.now {
                    next.unwrap_or(end).min(self.terms.now)
                } else {
                    match next {
                        Some(next) => next,
                        None => break,
                    }
                };
                moment = next;
            }
        }
        Ok(())
    }

    /// What requesters may run on: any of the platforms that there are artifacts for, another one, or none that is known.
    fn platforms(&self) -> Vec<Option<Platform>> {
        let published = self.releases.releases().iter().filter(|release| release.published_at.is_some());
        let named = published.flat_map(|release| &release.manifest.artifacts).map(|artifact| &artifact.platform);
        let named: BTreeSet<&Platform> = named.collect();
        std::iter::once(None).chain(named.into_iter().cloned().map(Some)).collect()
    }

    /// The versions that the site was given with their bytes.
    fn shown_before(&self) -> BTreeSet<Version> {
        let name = &self.releases.product().name;
        let products = self.terms.before.iter().flat_map(|content| &content.products);
        let mine = products.filter(|product| product.product.name == *name);
        mine.flat_map(|product| {
            let brought = product.releases.iter().filter(|release| !product.absent.contains(&release.id));
            brought.map(|release| release.version().clone())
        })
        .collect()
    }
}

/// The artifacts of the releases that a site's content brings with their bytes.
pub fn carried_of(content: &SiteContent) -> BTreeSet<ObjectRef> {
    let brought = content
        .products
        .iter()
        .flat_map(|product| product.releases.iter().filter(|release| !product.absent.contains(&release.id)));
    let artifacts = brought.flat_map(|release| &release.manifest.artifacts);
    artifacts
        .map(|artifact| ObjectRef { blake3: artifact.blake3, sha256: artifact.sha256, size: artifact.size })
        .collect()
}
