//! The text of an offer. All of it but its end depends on the release and the platform only, and is kept.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::model::{
    Artifact, Blake3Digest, Platform, ProductName, Release, ReleaseId, Sha256Digest, TargetName, Version,
};

/// Texts kept; past that many the cache starts anew.
const TEXTS_MAX: usize = 4096;
/// The longest text kept: an offer of thousands of artifacts is rendered each time instead.
const TEXT_MAX_BYTES: usize = 64 * 1024;

/// Whether there is kernel-mode code is among them: a crash may have kept the release without what the gates saw in it.
type Texts = HashMap<(ReleaseId, Option<Platform>, bool), Arc<str>>;

/// The beginnings of offers, by what they depend on. A release never changes, so they are never stale.
#[derive(Debug, Default)]
pub(super) struct OfferTexts {
    texts: RwLock<Texts>,
}

#[derive(Serialize)]
struct OfferHead<'a> {
    product: &'a ProductName,
    version: &'a Version,
    release: ReleaseId,
    sequence: u64,
    /// Whether it brings code that runs in a kernel.
    kernel_mode: bool,
    artifacts: Vec<OfferedArtifact<'a>>,
    /// Where the origin's signed manifest of the release is.
    manifest_url: String,
}

#[derive(Serialize)]
struct OfferedArtifact<'a> {
    target: &'a TargetName,
    platform: &'a Platform,
    size: u64,
    sha256: Sha256Digest,
    blake3: Blake3Digest,
    url: String,
    /// No deltas are offered: an empty list says so.
    deltas: [&'a RawValue; 0],
}

impl OfferTexts {
    /// The whole text.
    pub(super) fn render(
        &self,
        release: &Release,
        platform: Option<&Platform>,
        reason: &str,
        next_check_s: u64,
    ) -> Result<Bytes, serde_json::Error> {
        let head = self.head(release, platform)?;
        let mut text = String::with_capacity(head.len() + reason.len() + 64);
        text.push_str(&head);
        text.push_str(r#","reason":"#);
        text.push_str(&serde_json::to_string(reason)?);
        // Writing to a String cannot fail.
        let _ = write!(text, r#","next_check_s":{next_check_s}}}"#);
        Ok(Bytes::from(text))
    }

    /// Everything up to the reason.
    fn head(&self, release: &Release, platform: Option<&Platform>) -> Result<Arc<str>, serde_json::Error> {
        let key = (release.id, platform.cloned(), release.has_kernel_mode());
        if let Some(text) = self.texts.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(text.clone());
        }
        let head = OfferHead {
            product: &release.manifest.product,
            version: release.version(),
            release: release.id,
            sequence: release.sequence,
            kernel_mode: release.has_kernel_mode(),
            artifacts: release.artifacts_for(platform).map(offered).collect(),
            manifest_url: format!("/v1/manifests/{}", release.id),
        };
        let mut text = serde_json::to_string(&head)?;
        // The closing brace comes after what is appended.
        text.pop();
        let text: Arc<str> = text.into();
        if text.len() <= TEXT_MAX_BYTES {
            let mut texts = self.texts.write().unwrap_or_else(PoisonError::into_inner);
            if texts.len() >= TEXTS_MAX {
                texts.clear();
            }
            texts.insert(key, text.clone());
        }
        Ok(text)
    }
}

fn offered(artifact: &Artifact) -> OfferedArtifact<'_> {
    let Artifact { target, platform, size, blake3, sha256, media_type: _ } = artifact;
    let (size, blake3, sha256) = (*size, *blake3, *sha256);
    OfferedArtifact { target, platform, size, sha256, blake3, url: format!("/v1/blobs/{blake3}"), deltas: [] }
}
