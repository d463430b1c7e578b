//! Signed answers of a mirror: the origin's, passed on. What may be seen of them is decided here as everywhere.

use http::Request;
use serde::Serialize;

use super::{Answer, Backend, Inner, Refusal, RequestBody, signed};
use crate::mirror::{Ask, Mirror, RelayError};
use crate::model::ReleaseId;
use crate::serve::admin::not_relayed;
use crate::serve::statements;
use crate::signing::Signed;

#[derive(Serialize)]
struct RelayedStatement {
    statement: String,
    signature: String,
}

#[derive(Serialize)]
struct RelayedManifest {
    manifest: String,
    signature: String,
}

impl<B: Backend> Inner<B> {
    pub(super) async fn relayed_freshness(&self, mirror: &Mirror, request: &Request<RequestBody>) -> Answer {
        let asked = self.freshness_asked(request)?;
        let (snapshot, now) = (asked.snapshot.clone(), asked.now);
        let ask = Ask::Freshness {
            device: asked.device,
            address: asked.address,
            platform: asked.platform,
            product: asked.product,
            current: asked.current,
        };
        let Signed { text, signature } = statements::relayed(mirror, &snapshot, ask, now).await.map_err(refused)?;
        let text = signed::json(&RelayedStatement { statement: text, signature })?;
        Ok(signed::respond(request.method(), text, "private, no-store"))
    }

    pub(super) async fn relayed_manifest(
        &self,
        mirror: &Mirror,
        id: Option<&ReleaseId>,
        request: &Request<RequestBody>,
    ) -> Answer {
        let (snapshot, now, release) = self.manifest_asked(id, request)?;
        let relayed = mirror.relay().manifest(&snapshot, release.id, now).await;
        let Signed { text, signature } = relayed.map_err(refused)?;
        let text = signed::json(&RelayedManifest { manifest: text, signature })?;
        Ok(signed::respond(request.method(), text, "private, no-cache"))
    }
}

/// A release that the origin does not have any more is one that nobody has.
fn refused(error: RelayError) -> Refusal {
    match error {
        RelayError::Unknown => Refusal::NotFound,
        error => {
            tracing::debug!(%error, "nothing signed can be passed on");
            not_relayed(error).into()
        }
    }
}
