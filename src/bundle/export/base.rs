//! What an increment starts from, and what the site was given before.

use std::collections::BTreeSet;

use super::Since;
use crate::bundle::{carried_of, root_of};
use crate::model::{Blake3Digest, BundleBase, Export, ObjectRef, SiteContent, SiteRecord};
use crate::store::{BlobStore as _, FsBlobs};

/// What an increment starts from.
pub(super) struct Base {
    pub(super) base: BundleBase,
    /// All that the site holds by it.
    pub(super) held: BTreeSet<ObjectRef>,
    /// What of it the site holds even if it has taken any of the bundles since, and has removed what it needed no more.
    pub(super) sure: BTreeSet<ObjectRef>,
    /// What the site was told by it; none for a full bundle.
    pub(super) content: Option<SiteContent>,
    /// The object that the content was in.
    pub(super) state: Option<ObjectRef>,
}

impl Base {
    fn full() -> Self {
        Self { base: BundleBase::Full, held: BTreeSet::new(), sure: BTreeSet::new(), content: None, state: None }
    }

    /// Chooses. A base that cannot be told any more makes the bundle a full one, which is right for every site.
    pub(super) fn choose(store: &FsBlobs, site: Option<&SiteRecord>, since: Since) -> Self {
        let Some(site) = site else { return Self::full() };
        let chosen = match since {
            Since::Full => None,
            // Nothing can be assumed of a site that is not where it was thought to be.
            Since::Auto | Since::Last if site.astray.is_some() => None,
            Since::Last => site
                .exports
                .last()
                .map(|export| (export, BundleBase::Assumed { bundle: export.bundle, root: export.root })),
            Since::Auto => site.proven_export().map(|(export, receipt)| {
                (export, BundleBase::Proven { receipt, bundle: export.bundle, root: export.root })
            }),
        };
        let Some((export, base)) = chosen else { return Self::full() };
        let Some(content) = content_of(store, export) else { return Self::full() };
        let held = held_by(export, &content);
        let digests: BTreeSet<Blake3Digest> = held.iter().map(|object| object.blake3).collect();
        if root_of(&digests) != export.root {
            tracing::warn!(site = %site.name, bundle = %export.bundle, "the state of an earlier bundle gives another root: the next one is full");
            return Self::full();
        }
        let mut sure = held.clone();
        for later in site.exports.iter().filter(|later| later.sequence > export.sequence) {
            match content_of(store, later) {
                Some(content) => sure = &sure & &held_by(later, &content),
                None => sure.clear(),
            }
        }
        Self { base, held, sure, content: Some(content), state: Some(export.state) }
    }
}

fn held_by(export: &Export, content: &SiteContent) -> BTreeSet<ObjectRef> {
    let mut held = carried_of(content);
    held.insert(export.state);
    held
}

/// What a site was given by the bundles that it may serve from: the one that it has proven, and the newest.
pub(super) fn given_before(store: &FsBlobs, site: Option<&SiteRecord>) -> Vec<SiteContent> {
    let Some(site) = site else { return Vec::new() };
    let proven = site.proven_export().map(|(export, _)| export);
    let newest = site.exports.last().filter(|newest| proven.is_none_or(|proven| proven.bundle != newest.bundle));
    proven.into_iter().chain(newest).filter_map(|export| content_of(store, export)).collect()
}

fn content_of(store: &FsBlobs, export: &Export) -> Option<SiteContent> {
    let body = match store.open(&export.state.blake3, export.state.size) {
        Ok(body) => body?,
        Err(error) => {
            tracing::warn!(%error, bundle = %export.bundle, "the state of an earlier bundle cannot be read");
            return None;
        }
    };
    if Blake3Digest::of(&body.bytes) != export.state.blake3 {
        tracing::warn!(bundle = %export.bundle, "the state of an earlier bundle is damaged");
        return None;
    }
    serde_json::from_slice(&body.bytes).ok()
}
