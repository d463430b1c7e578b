//! `GET /v1/freshness`: all that a requester is to have now, signed, and until when that may be believed.
//!
//! With it a client tells whether an offer is the one that the origin means for it now: an old answer has a lower
//! sequence, one that is kept back expires, and one for somebody else names another view.

use std::net::IpAddr;
use std::sync::Arc;

use http::{Request, StatusCode};
use jiff::Timestamp;
use serde::Serialize;

use super::offer::peer_address;
use super::query::Query;
use super::{Answer, Backend, Inner, Problem, Refusal, RequestBody, signed};
use crate::control::sign;
use crate::model::{DeviceId, Platform, ProductName, Snapshot, Version};
use crate::policy::Requester;
use crate::serve::statements;

#[derive(Serialize)]
struct FreshnessAnswer {
    statement: String,
    signature: String,
}

/// A question that was found to be in order.
pub(super) struct Asked {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) now: Timestamp,
    pub(super) device: Option<DeviceId>,
    pub(super) address: Option<IpAddr>,
    pub(super) platform: Option<Platform>,
    pub(super) product: Option<ProductName>,
    pub(super) current: Option<Version>,
}

impl<B: Backend> Inner<B> {
    pub(super) fn freshness(&self, request: &Request<RequestBody>) -> Answer {
        let origin = self.options.origin.as_ref().ok_or(Refusal::NotFound)?;
        let Asked { snapshot, now, device, address, platform, product, current } = self.freshness_asked(request)?;
        let who = Requester { device: device.as_ref(), address, platform, current: None };
        let group = self.groups.group(&snapshot, &who, now);
        let has = product.as_ref().zip(current.as_ref());
        let said = statements::freshness(origin, &snapshot, group, &who, has, now);
        let text = self.signed.statement(said.contents(), said.at, || {
            let signed = sign(&origin.key(), said.text(), &format!("freshness {}", said.sequence));
            signed::json(&FreshnessAnswer { statement: signed.text, signature: signed.signature })
        })?;
        Ok(signed::respond(request.method(), text, "private, no-store"))
    }

    /// Who asks for what, as far as they may ask.
    pub(super) fn freshness_asked(&self, request: &Request<RequestBody>) -> Result<Asked, Refusal> {
        let snapshot = self.backend.snapshot();
        let now = self.backend.now(&snapshot);
        let address = peer_address(request);
        let device = self
            .identify(request, &snapshot, now)
            .map_err(|_| Problem::unauthorized("the device's credential is not valid"))?;
        self.admit(request, device.as_ref())?;
        let text = request.uri().query().unwrap_or_default();
        let Query { platform, product, current } = Query::parse(text, &["platform", "product", "current"])?;
        if product.is_none() && current.is_some() {
            let detail = "current is the version of a product: name it as product";
            return Err(Problem::with_detail(StatusCode::BAD_REQUEST, detail).into());
        }
        Ok(Asked { snapshot, now, device, address, platform, product, current })
    }
}
