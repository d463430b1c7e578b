//! `GET|HEAD /v1/blobs/{digest}`: the bytes of an artifact, to whoever may have it.
//!
//! A digest is not a capability: the request is answered only if a release that this requester may download contains
//! the blob, and storage is not touched before that is known.

use http::header::HeaderValue;
use http::{Request, Response};
use jiff::Timestamp;

use super::offer::peer_address;
use super::route::BlobName;
use super::{Answer, Backend, Inner, Problem, Refusal, RequestBody};
use crate::model::{Artifact, ObjectRef, Release, Snapshot};
use crate::policy::{Requester, may_download};
use crate::serve::http::{BytesBody, Content, Plan, Representation, plan};

/// What is sent of a blob.
pub(super) enum Sent {
    /// It is there.
    Now(Response<BytesBody>),
    /// It may come from an upstream.
    Pulled(Box<Plan>, ObjectRef),
}

impl<B: Backend> Inner<B> {
    pub(super) fn blob(&self, name: Option<&BlobName>, request: &Request<RequestBody>) -> Result<Sent, Refusal> {
        let snapshot = self.backend.snapshot();
        let now = self.backend.now(&snapshot);
        let address = peer_address(request);
        let device = self.identify(request, &snapshot, now).map_err(|_| Refusal::NotFound)?;
        self.admit(request, device.as_ref())?;
        let name = name.ok_or(Refusal::NotFound)?;
        let who = Requester { device: device.as_ref(), address, platform: None, current: None };
        let artifact = self.find_for(&snapshot, &who, name, now).ok_or(Refusal::NotFound)?;
        self.send(&self.represent(artifact), request)
    }

    /// The artifact with these bytes in a release that `who` may download.
    fn find_for<'s>(
        &self,
        snapshot: &'s Snapshot,
        who: &Requester<'_>,
        name: &BlobName,
        now: Timestamp,
    ) -> Option<&'s Artifact> {
        let grace = self.options.download_grace;
        snapshot.products().find_map(|product| {
            let digest = match name {
                BlobName::Blake3(digest) => *digest,
                BlobName::Sha256(sha256) => product.blob_with_sha256(sha256)?,
            };
            let name = &product.product().name;
            let allowed = |release: &Release| may_download(snapshot, who, name, release, now, grace);
            let release = product.with_blob(&digest).rev().find(|release| allowed(release))?;
            release.manifest.artifacts.iter().find(|artifact| artifact.blake3 == digest)
        })
    }

    fn represent(&self, artifact: &Artifact) -> Representation {
        Representation {
            size: artifact.size,
            blake3: artifact.blake3,
            sha256: Some(artifact.sha256),
            last_modified: None,
            media_type: HeaderValue::try_from(&artifact.media_type)
                .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream")),
            cache_control: Some(HeaderValue::from_static("private, max-age=31536000, immutable")),
            longest_transfer: None,
            boundary_salt: self.options.boundary_salt,
        }
    }

    /// Answers with these bytes or a part of them. Storage is touched only for bytes that are sent.
    pub(super) fn send(
        &self,
        representation: &Representation,
        request: &Request<RequestBody>,
    ) -> Result<Sent, Refusal> {
        let plan = plan(request.method(), request.headers(), representation);
        if plan.content == Content::Nothing {
            return Ok(Sent::Now(plan.respond(&bytes::Bytes::new(), None)));
        }
        match self.backend.body(&representation.blake3, representation.size) {
            Ok(Some(body)) => return Ok(Sent::Now(plan.respond(&body, None))),
            Ok(None) => {}
            Err(error) => tracing::error!(blob = %representation.blake3, error, "a blob cannot be served"),
        }
        // What the journal names has both digests.
        let sha256 = representation.sha256.ok_or_else(unavailable)?;
        let object = ObjectRef { blake3: representation.blake3, sha256, size: representation.size };
        Ok(Sent::Pulled(Box::new(plan), object))
    }

    /// The answer; bytes that are missing come from the upstream, if there is one.
    pub(super) async fn sent(&self, sent: Sent) -> Answer {
        let (plan, object) = match sent {
            Sent::Now(response) => return Ok(response),
            Sent::Pulled(plan, object) => (plan, object),
        };
        let ranges = plan.ranges().iter().map(|range| range.first..range.last + 1).collect();
        match self.backend.pull(object, ranges).await {
            Some(Ok(sources)) => Ok(plan.respond_arriving(sources)),
            Some(Err(why)) => {
                tracing::warn!(blob = %object.blake3, why, "a missing blob cannot be served");
                Err(Problem::try_again(15, "the bytes are not here yet").into())
            }
            None => {
                tracing::error!(blob = %object.blake3, "a blob of a release is missing from the store");
                Err(unavailable())
            }
        }
    }
}

/// Damaged or missing bytes may come back from a mirror or by hand; the device should ask again rather than give up.
fn unavailable() -> Refusal {
    Problem::try_again(300, "the bytes cannot be read at the moment").into()
}
