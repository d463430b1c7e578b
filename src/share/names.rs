//! Whether shares can take the names of a release that is about to be published.
//!
//! The shares' own rule is asked: the layout's plan, with this release alone, and then beside what the share's other
//! products published last. What this does not ask: whether an archive that a layout unpacks can be unpacked.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::layout::{LayoutProblem, Pick, layout};
use crate::model::policy::{Policy, SharePolicy};
use crate::model::{Actor, ApprovalRule, Platform, ProductName, Release, ReleaseManifest, Snapshot, Stamp};

/// The most problems of one share that are told.
const PROBLEMS_MAX: usize = 20;

/// Why a share could not show a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameProblem {
    /// The share.
    pub share: String,
    /// Its layout.
    pub layout: String,
    /// What is wrong, and what to do.
    pub why: String,
    /// Whether it is a name that does not fit; otherwise something is missing, which another release may bring.
    pub is_name: bool,
}

/// The problems that shares of this policy would have with a release of this manifest.
pub fn name_problems(
    snapshot: &Snapshot,
    policy: &Policy,
    manifest: &ReleaseManifest,
    now: Timestamp,
) -> Vec<NameProblem> {
    let release = imagined(manifest, now);
    let shares = policy.shares().iter().filter(|share| share.products().contains(&manifest.product));
    shares.flat_map(|share| problems_of(snapshot, share, &release, now)).collect()
}

/// The release as it would stand.
fn imagined(manifest: &ReleaseManifest, now: Timestamp) -> Release {
    let stamp = Stamp { at: now, by: Actor::system() };
    Release {
        id: manifest.id(),
        sequence: u64::MAX,
        manifest: manifest.clone(),
        approval: ApprovalRule::Auto,
        added: stamp,
        approved: None,
        published_at: Some(now),
        withdrawn: None,
        inspection: None,
    }
}

fn problems_of(snapshot: &Snapshot, share: &SharePolicy, release: &Release, now: Timestamp) -> Vec<NameProblem> {
    let Some(layout) = layout(share.layout()) else { return Vec::new() };
    let product = &release.manifest.product;
    let plan = |picks: &[Pick<'_>]| layout.plan(picks).err().unwrap_or_default();
    let mine = picks(share, product, release, now);
    let mut problems = plan(&mine);
    if !problems.iter().any(|problem| is_name(problem, release)) {
        // Names that collide with another product's do so only beside it.
        let others: Vec<Pick<'_>> = share
            .products()
            .iter()
            .filter(|other| *other != product)
            .filter_map(|other| snapshot.product(other))
            .filter_map(|other| {
                let newest = other.releases().iter().rev().find(|known| known.published_at.is_some())?;
                Some(picks(share, &other.product().name, newest, now))
            })
            .flatten()
            .collect();
        let before: BTreeSet<LayoutProblem> = plan(&others).into_iter().collect();
        let together: Vec<Pick<'_>> = mine.into_iter().chain(others).collect();
        problems.extend(plan(&together).into_iter().filter(|one| one.path.is_some() && !before.contains(one)));
    }
    let told = problems.iter().take(PROBLEMS_MAX).map(|problem| NameProblem {
        share: share.name().to_string(),
        layout: layout.name().to_owned(),
        why: problem.to_string(),
        is_name: is_name(problem, release),
    });
    told.collect()
}

/// Whether a name does not fit: an artifact's own path, or one that two files want. What is missing has a path, too.
fn is_name(problem: &LayoutProblem, release: &Release) -> bool {
    let Some(path) = &problem.path else { return false };
    problem.version.is_none() || release.manifest.artifacts.iter().any(|artifact| artifact.target.as_str() == path)
}

/// What a share would pick of a release: each of its platforms, and the artifacts for all of them.
fn picks<'a>(share: &SharePolicy, product: &'a ProductName, release: &'a Release, since: Timestamp) -> Vec<Pick<'a>> {
    let named = share.platforms();
    let platforms: BTreeSet<&Platform> = release.manifest.artifacts.iter().map(|artifact| &artifact.platform).collect();
    let wanted = platforms
        .into_iter()
        .filter(|platform| named.is_empty() || **platform == Platform::any() || named.contains(*platform));
    let pick = |platform: &'a Platform| Pick {
        product,
        release,
        platform: (*platform != Platform::any()).then_some(platform),
        artifacts: release.manifest.artifacts.iter().filter(|artifact| artifact.platform == *platform).collect(),
        previous: None,
        since,
    };
    wanted.map(pick).collect()
}
