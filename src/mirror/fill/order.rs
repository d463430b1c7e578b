//! Which blobs a mirror is to have, and which of them first.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;

use crate::model::policy::Policy;
use crate::model::{
    Artifact, Blake3Digest, ObjectRef, Platform, ProductName, ProductReleases, Release, ReleaseState, ShareFile,
    Snapshot,
};
use crate::policy::decide_for_share;

/// The blobs that some device may get now, those of `critical` products first, then the newest first.
///
/// For each product these are the releases from the lowest one on that is decided for any group, so that what is still
/// held back or rolling out is there before it is needed; barriers, which lead up to them; and what shares show.
pub fn desired(snapshot: &Snapshot, critical: &[ProductName], now: Timestamp) -> Vec<ObjectRef> {
    let Some(policy) = snapshot.policy_at(now).and_then(|applied| applied.policy().ok()) else { return Vec::new() };
    let mut found: Vec<(Rank, ObjectRef)> = Vec::new();
    for product in snapshot.products() {
        let is_critical = critical.contains(&product.product().name);
        for release in wanted(snapshot, policy, product, now) {
            let rank = (Reverse(is_critical), Reverse(release.published_at));
            found.extend(release.manifest.artifacts.iter().map(|artifact| (rank, of_artifact(artifact))));
        }
    }
    for file in snapshot.shares().flat_map(|share| share.kept_files()) {
        let release = snapshot.product(&file.product).and_then(|product| product.by_sequence(file.sequence));
        let published_at = release.and_then(|release| release.published_at);
        found.push(((Reverse(critical.contains(&file.product)), Reverse(published_at)), of_file(file)));
    }
    found.sort_by_key(|(rank, _)| *rank);
    let mut known = HashSet::new();
    found.into_iter().map(|(_, object)| object).filter(|object| known.insert(object.blake3)).collect()
}

type Rank = (Reverse<bool>, Reverse<Option<Timestamp>>);

/// The releases of a product that are worth having.
fn wanted<'s>(snapshot: &Snapshot, policy: &Policy, product: &'s ProductReleases, now: Timestamp) -> Vec<&'s Release> {
    let is_out = |release: &&Release| {
        release.published_at.is_some_and(|at| at <= now)
            && release.state_at(now) != ReleaseState::Withdrawn
            && !product.is_absent(&release.id)
    };
    let out: Vec<&Release> = product.releases().iter().map(AsRef::as_ref).filter(is_out).collect();
    let Some(newest) = out.last().map(|release| release.sequence) else { return Vec::new() };
    let lowest = lowest_decided(snapshot, policy, product, &out, now).unwrap_or(newest);
    out.into_iter().filter(|release| release.sequence >= lowest || release.manifest.barrier).collect()
}

/// The lowest release that any group is meant to have; `None` where no group is meant to have any.
fn lowest_decided(
    snapshot: &Snapshot,
    policy: &Policy,
    product: &ProductReleases,
    out: &[&Release],
    now: Timestamp,
) -> Option<u64> {
    let name = &product.product().name;
    let artifacts = out.iter().flat_map(|release| &release.manifest.artifacts);
    let platforms: BTreeSet<&Platform> = artifacts.map(|artifact| &artifact.platform).collect();
    let groups = policy.groups().iter().filter(|group| group.sees(name));
    let decided = groups.flat_map(|group| {
        let on = |platform| decide_for_share(snapshot, group, (name, platform), &[], now).release;
        let each = platforms.iter().copied().map(Some).chain([None]);
        each.filter_map(on).map(|release| release.sequence).collect::<Vec<_>>()
    });
    decided.min()
}

/// A blob that the journal names, by its digest.
pub fn object_of(snapshot: &Snapshot, blob: &Blake3Digest) -> Option<ObjectRef> {
    let releases = snapshot.products().flat_map(|product| product.with_blob(blob));
    let mut artifacts = releases.flat_map(|release| &release.manifest.artifacts);
    let artifact = artifacts.find(|artifact| artifact.blake3 == *blob).map(of_artifact);
    artifact.or_else(|| {
        let mut files = snapshot.shares().flat_map(|share| share.kept_files());
        files.find(|file| file.blake3 == *blob).map(of_file)
    })
}

fn of_artifact(artifact: &Artifact) -> ObjectRef {
    ObjectRef { blake3: artifact.blake3, sha256: artifact.sha256, size: artifact.size }
}

fn of_file(file: &ShareFile) -> ObjectRef {
    ObjectRef { blake3: file.blake3, sha256: file.sha256, size: file.size }
}
