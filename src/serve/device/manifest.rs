//! `GET|HEAD /v1/manifests/{release}`: what a release consists of, signed by the origin.
//!
//! As with a blob, its name is no capability: only who may download the release gets its manifest.

use http::Request;
use serde::Serialize;

use super::offer::peer_address;
use super::{Answer, Backend, Inner, Refusal, RequestBody, signed};
use crate::control::sign;
use crate::model::{Release, ReleaseId};
use crate::policy::{Requester, may_download};

#[derive(Serialize)]
struct ManifestAnswer {
    manifest: String,
    signature: String,
}

impl<B: Backend> Inner<B> {
    pub(super) fn manifest(&self, id: Option<&ReleaseId>, request: &Request<RequestBody>) -> Answer {
        let origin = self.options.origin.as_ref().ok_or(Refusal::NotFound)?;
        let snapshot = self.backend.snapshot();
        let now = self.backend.now(&snapshot);
        let address = peer_address(request);
        let device = self.identify(request, &snapshot, now).map_err(|_| Refusal::NotFound)?;
        self.admit(request, device.as_ref())?;
        let id = id.ok_or(Refusal::NotFound)?;
        let who = Requester { device: device.as_ref(), address, platform: None, current: None };
        let grace = self.options.download_grace;
        let allowed = |release: &&std::sync::Arc<Release>| {
            may_download(&snapshot, &who, &release.manifest.product, release, now, grace)
        };
        let found = snapshot.products().find_map(|product| product.by_id(id)).filter(allowed);
        let release = found.ok_or(Refusal::NotFound)?;
        let key = origin.key();
        let text = self.signed.manifest((release.id, key.public().id), || {
            let comment = format!("release {} {}", release.manifest.product, release.version());
            let signed = sign(&key, release.manifest.text(), &comment);
            signed::json(&ManifestAnswer { manifest: signed.text, signature: signed.signature })
        })?;
        Ok(signed::respond(request.method(), text, "private, no-cache"))
    }
}
