//! What a bundle's state object says, and the set of blobs that follows from it.

use std::collections::BTreeMap;

use crate::bundle::{BundleManifest, root_of};
use crate::model::{Blake3Digest, ObjectRef, SiteContent, Snapshot};

/// What the site is given, and what it holds then.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) content: SiteContent,
    /// The state object and every body of the releases that are to be here.
    pub(super) held: BTreeMap<Blake3Digest, ObjectRef>,
}

impl Content {
    /// Reads the state object of this bundle; the sentence says what does not fit.
    pub(super) fn read(manifest: &BundleManifest, state: ObjectRef, bytes: &[u8]) -> Result<Self, String> {
        let content: SiteContent =
            serde_json::from_slice(bytes).map_err(|error| format!("its state cannot be read ({error})"))?;
        // What cannot become this site's snapshot must be found before anything is journaled.
        let snapshot = Snapshot::of_content(&content)?;
        if let Some(applied) = snapshot.policies().last() {
            let policy = applied.policy().map_err(|error| format!("its policy cannot be read ({error})"))?;
            if let Some(group) = manifest.groups.iter().find(|group| policy.group(group).is_none()) {
                return Err(format!("its policy has no group {group}"));
            }
        }
        let held = held_of(&content, state)?;
        let root = root_of(&held.keys().copied().collect());
        if root != manifest.root {
            return Err(format!("the releases that it names have the root {root}, and {} is promised", manifest.root));
        }
        let bytes: u64 = held.values().map(|body| body.size).sum();
        if (held.len() as u64, bytes) != (manifest.held.objects, manifest.held.bytes) {
            return Err("the site would not hold as much as is promised".to_owned());
        }
        for object in &manifest.objects {
            if held.get(&object.blake3).is_none_or(|body| *body != object.body()) {
                return Err(format!("object {} is in it, and no release needs it so", object.blake3));
            }
        }
        Ok(Self { content, held })
    }
}

/// The state object and every artifact of the releases that are not absent.
fn held_of(content: &SiteContent, state: ObjectRef) -> Result<BTreeMap<Blake3Digest, ObjectRef>, String> {
    let mut held = BTreeMap::from([(state.blake3, state)]);
    for product in &content.products {
        for release in product.releases.iter().filter(|release| !product.absent.contains(&release.id)) {
            for artifact in &release.manifest.artifacts {
                let body = ObjectRef { blake3: artifact.blake3, sha256: artifact.sha256, size: artifact.size };
                if *held.entry(body.blake3).or_insert(body) != body {
                    return Err(format!("object {} has two lengths or two SHA-256", body.blake3));
                }
            }
        }
    }
    Ok(held)
}
