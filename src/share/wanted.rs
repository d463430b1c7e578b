//! What a share should show: its group's decisions, arranged by its layout. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::layout::{Layout, Pick, Planned, layout};
use crate::model::policy::{Group, Policy, SharePolicy};
use crate::model::{Platform, ProductName, ProductReleases, Release, Share, Shown, Snapshot};
use crate::policy::{decide_for_share, may_stay_shown};

/// What the decisions give a share at one moment.
pub(super) struct Wanted<'a> {
    pub(super) share: &'a SharePolicy,
    pub(super) layout: &'static dyn Layout,
    chosen: Vec<Chosen<'a>>,
    /// What is missing already before the layout is asked.
    problems: Vec<String>,
    /// Until when the decisions hold if nothing happens.
    pub(super) valid_until: Option<Timestamp>,
}

/// One product's release on one platform.
struct Chosen<'a> {
    product: &'a ProductName,
    /// Absent: the artifacts for every platform.
    platform: Option<Platform>,
    release: Arc<Release>,
    /// Since when the share shows it; absent where that begins with the coming switch.
    since: Option<Timestamp>,
    previous: Option<(Arc<Release>, Timestamp)>,
}

impl<'a> Wanted<'a> {
    /// Asks for every product and platform of the share at `now`; says why where it cannot be asked at all.
    pub(super) fn of(
        snapshot: &'a Snapshot,
        policy: &'a Policy,
        share: &'a SharePolicy,
        now: Timestamp,
    ) -> Result<Self, String> {
        let group = policy.group(share.group()).ok_or_else(|| format!("there is no group {}", share.group()))?;
        let layout = layout(share.layout()).ok_or_else(|| {
            format!("this version of ringfence knows no layout {}; change it in the policy", share.layout())
        })?;
        let state = snapshot.share(share.name()).map(Arc::as_ref);
        let mut wanted = Self { share, layout, chosen: Vec::new(), problems: Vec::new(), valid_until: None };
        for product in share.products() {
            match snapshot.product(product) {
                Some(releases) => wanted.choose(Asking { snapshot, group, state, product, releases, now }),
                None => wanted.problems.push(format!(
                    "there is no product {product}; add it with `ringfence product add`, or take it out of the share"
                )),
            }
        }
        Ok(wanted)
    }

    fn choose(&mut self, asking: Asking<'a>) {
        let platforms = asking.platforms(self.share);
        let before = self.chosen.len();
        for platform in &platforms {
            let (chosen, valid_until) = asking.choose(platform);
            self.valid_until = self.valid_until.into_iter().chain(valid_until).min();
            self.chosen.extend(chosen);
        }
        let given = &self.chosen[before..];
        for platform in self.share.platforms() {
            let fits = |chosen: &Chosen<'_>| chosen.platform.as_ref().is_none_or(|given| given == platform);
            if !given.is_empty() && !given.iter().any(fits) {
                let newest = given.iter().map(|chosen| chosen.release.version()).max();
                let version = newest.map(ToString::to_string).unwrap_or_default();
                let (product, name) = (asking.product, self.share.name());
                self.problems.push(format!(
                    "{product} {version} has no artifact for {platform}, which share {name} must serve; publish a \
                     release that has one, or take {platform} out of the share's platforms"
                ));
            }
        }
    }

    /// What a switch at `at` would record as shown.
    pub(super) fn shows(&self, at: Timestamp) -> Vec<Shown> {
        let shown = self.chosen.iter().map(|chosen| Shown {
            product: chosen.product.clone(),
            version: chosen.release.version().clone(),
            sequence: chosen.release.sequence,
            platform: chosen.platform.clone(),
            since: chosen.since.unwrap_or(at),
        });
        shown.collect()
    }

    /// The tree of a switch at `at`, or everything that stands in its way.
    pub(super) fn plan(&self, at: Timestamp) -> Result<Vec<Planned<'_>>, Vec<String>> {
        if !self.problems.is_empty() {
            return Err(self.problems.clone());
        }
        if self.chosen.is_empty() {
            return Ok(Vec::new());
        }
        let picks: Vec<_> = self.chosen.iter().map(|chosen| chosen.pick(at)).collect();
        self.layout.plan(&picks).map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }
}

impl Chosen<'_> {
    fn pick(&self, at: Timestamp) -> Pick<'_> {
        let previous = self.previous.as_ref().map(|(release, since)| Box::new(self.pick_of(release, None, *since)));
        self.pick_of(&self.release, previous, self.since.unwrap_or(at))
    }

    fn pick_of<'p>(&'p self, release: &'p Release, previous: Option<Box<Pick<'p>>>, since: Timestamp) -> Pick<'p> {
        let platform = self.platform.as_ref();
        let artifacts = release.manifest.artifacts.iter();
        let artifacts = artifacts.filter(|artifact| is_for(&artifact.platform, platform)).collect();
        Pick { product: self.product, release, platform, artifacts, previous, since }
    }
}

/// Whether an artifact of platform `has` is one of exactly `wanted`: of none in particular where that is absent.
fn is_for(has: &Platform, wanted: Option<&Platform>) -> bool {
    match wanted {
        Some(wanted) => has == wanted,
        None => *has == Platform::any(),
    }
}

/// One product of one share.
struct Asking<'a> {
    snapshot: &'a Snapshot,
    group: &'a Group,
    state: Option<&'a Share>,
    product: &'a ProductName,
    releases: &'a ProductReleases,
    now: Timestamp,
}

impl<'a> Asking<'a> {
    /// The platforms that are asked for: those the share names or, where it names none, all that published releases
    /// have; and those artifacts that are for every platform.
    fn platforms(&self, share: &SharePolicy) -> BTreeSet<Platform> {
        let published = self.releases.releases().iter().filter(|release| release.published_at.is_some());
        let all = published.flat_map(|release| &release.manifest.artifacts).map(|artifact| &artifact.platform);
        let named = share.platforms();
        all.filter(|platform| named.is_empty() || **platform == Platform::any() || named.contains(platform))
            .cloned()
            .collect()
    }

    fn choose(&self, platform: &Platform) -> (Option<Chosen<'a>>, Option<Timestamp>) {
        let Self { snapshot, group, state, product, now, .. } = *self;
        let recorded = (*platform != Platform::any()).then(|| platform.clone());
        let shows = state.map(|state| state.switch.shows.as_slice()).unwrap_or_default();
        let is_mine = |shown: &&Shown| shown.product == *product && shown.platform == recorded;
        let shown = shows.iter().find(is_mine);
        let before = state.map(|state| state.shown_before.as_slice()).unwrap_or_default();
        let versions: Vec<_> = before.iter().filter(is_mine).chain(shown).map(|shown| &shown.version).collect();
        let decision = decide_for_share(snapshot, group, (product, Some(platform)), &versions, now);
        let fits = |release: &Arc<Release>| {
            release.manifest.artifacts.iter().any(|artifact| is_for(&artifact.platform, recorded.as_ref()))
        };
        let chosen = decision.release.filter(fits).map(|release| {
            let since = shown.filter(|shown| shown.sequence == release.sequence).map(|shown| shown.since);
            let earlier = before.iter().filter(is_mine).chain(shown);
            let previous = earlier.rev().find_map(|shown| self.previous(shown, &release));
            Chosen { product, platform: recorded.clone(), release, since, previous }
        });
        (chosen, decision.valid_until)
    }

    /// What was shown before `release`, if it is an older one that may still be shown.
    fn previous(&self, shown: &Shown, release: &Release) -> Option<(Arc<Release>, Timestamp)> {
        let Self { snapshot, group, product, releases, now, .. } = *self;
        let is_older = shown.sequence < release.sequence;
        let stays = is_older && may_stay_shown(snapshot, group, product, shown.sequence, now);
        stays.then(|| releases.by_sequence(shown.sequence).cloned().map(|release| (release, shown.since)))?
    }
}
