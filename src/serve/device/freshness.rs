//! `GET /v1/freshness`: all that a requester is to have now, signed, and until when that may be believed.
//!
//! With it a client tells whether an offer is the one that the origin means for it now: an old answer has a lower
//! sequence, one that is kept back expires, and one for somebody else names another view.

use http::{Request, StatusCode};
use jiff::Timestamp;
use serde::Serialize;

use super::offer::peer_address;
use super::query::Query;
use super::{Answer, Backend, Inner, Problem, Refusal, RequestBody, signed};
use crate::control::sign;
use crate::model::{ProductName, Snapshot, Version};
use crate::policy::{Requester, decide_in_group};
use crate::signing::{Freshness, OfferLine, view_of};

#[derive(Serialize)]
struct FreshnessAnswer {
    statement: String,
    signature: String,
}

impl<B: Backend> Inner<B> {
    pub(super) fn freshness(&self, request: &Request<RequestBody>) -> Answer {
        let origin = self.options.origin.as_ref().ok_or(Refusal::NotFound)?;
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
        let who = Requester { device: device.as_ref(), address, platform, current: None };
        let offers = self.decide_all(&snapshot, &who, product.as_ref().zip(current.as_ref()), now);
        // The inventory's word on the platform comes before the request's, as in the decision.
        let record = device.as_ref().and_then(|id| snapshot.device(id)).and_then(|history| history.at(now));
        let platform = record.and_then(|device| device.platform.clone()).or_else(|| who.platform.clone());
        let key = origin.key();
        let (at, expires) = origin.times(now);
        let (view, sequence) = (view_of(device.as_ref()), snapshot.seq());
        let said = Freshness { origin: key.public().id, view, platform, sequence, at, expires, offers };
        let text = self.signed.statement(said.contents(), at, || {
            let signed = sign(&key, said.text(), &format!("freshness {sequence}"));
            signed::json(&FreshnessAnswer { statement: signed.text, signature: signed.signature })
        })?;
        Ok(signed::respond(request.method(), text, "private, no-store"))
    }

    /// What is decided of every product that the requester may know of. The version that it has of one of them counts
    /// for that one.
    fn decide_all(
        &self,
        snapshot: &Snapshot,
        who: &Requester<'_>,
        has: Option<(&ProductName, &Version)>,
        now: Timestamp,
    ) -> Vec<OfferLine> {
        let Some(group) = self.groups.group(snapshot, who, now) else { return Vec::new() };
        let mut offers = Vec::new();
        for product in snapshot.products() {
            let name = &product.product().name;
            let current = has.filter(|(product, _)| *product == name).map(|(_, version)| version.clone());
            let who = Requester { current, ..who.clone() };
            let decision = decide_in_group(snapshot, group, &who, name, now);
            offers.extend(decision.release.filter(|_| decision.visible).map(|release| OfferLine::of(&release)));
        }
        offers.sort();
        offers
    }
}
