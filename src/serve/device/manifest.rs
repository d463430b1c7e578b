//! `GET|HEAD /v1/manifests/{release}`: what a release consists of, signed by the origin.
//!
//! As with a blob, its name is no capability: only who may download the release gets its manifest.

use std::sync::Arc;

use http::Request;
use jiff::Timestamp;
use serde::Serialize;

use super::offer::peer_address;
use super::{Answer, Backend, Inner, Refusal, RequestBody, signed};
use crate::model::{Release, ReleaseId, Snapshot};
use crate::policy::{Requester, may_download};
use crate::serve::statements;

#[derive(Serialize)]
struct ManifestAnswer {
    manifest: String,
    signature: String,
}

impl<B: Backend> Inner<B> {
    pub(super) fn manifest(&self, id: Option<&ReleaseId>, request: &Request<RequestBody>) -> Answer {
        let origin = self.options.origin.as_ref().ok_or(Refusal::NotFound)?;
        let (_, _, release) = self.manifest_asked(id, request)?;
        let key = origin.key();
        let text = self.signed.manifest((release.id, key.public().id), || {
            let signed = statements::manifest(&key, &release);
            signed::json(&ManifestAnswer { manifest: signed.text, signature: signed.signature })
        })?;
        Ok(signed::respond(request.method(), text, "private, no-cache"))
    }

    /// The release that was asked for, if whoever asks may download it.
    pub(super) fn manifest_asked(
        &self,
        id: Option<&ReleaseId>,
        request: &Request<RequestBody>,
    ) -> Result<(Arc<Snapshot>, Timestamp, Arc<Release>), Refusal> {
        let snapshot = self.backend.snapshot();
        let now = self.backend.now(&snapshot);
        let address = peer_address(request);
        let device = self.identify(request, &snapshot, now).map_err(|_| Refusal::NotFound)?;
        self.admit(request, device.as_ref())?;
        let id = id.ok_or(Refusal::NotFound)?;
        let who = Requester { device: device.as_ref(), address, platform: None, current: None };
        let grace = self.options.download_grace;
        let allowed =
            |release: &&Arc<Release>| may_download(&snapshot, &who, &release.manifest.product, release, now, grace);
        let found = snapshot.products().find_map(|product| product.by_id(id)).filter(allowed).cloned();
        let release = found.ok_or(Refusal::NotFound)?;
        Ok((snapshot, now, release))
    }
}
