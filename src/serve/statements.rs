//! What the origin says of releases and requesters, for whoever has it signed: its own devices, and those of mirrors.

use jiff::Timestamp;

use crate::control::{OriginKeys, sign};
use crate::mirror::{Ask, Mirror, RelayError};
use crate::model::policy::Group;
use crate::model::{ProductName, Release, Snapshot, Version};
use crate::policy::{Requester, decide_in_group, group_of};
use crate::signing::{Freshness, OfferLine, SecretKey, Signed, view_of};

/// All that a requester of this group is to have now. `has` names the version that it has of one product.
pub(super) fn freshness(
    origin: &OriginKeys,
    snapshot: &Snapshot,
    group: Option<&Group>,
    who: &Requester<'_>,
    has: Option<(&ProductName, &Version)>,
    now: Timestamp,
) -> Freshness {
    let offers = offers(snapshot, group, who, has, now);
    // The inventory's word on the platform comes before the request's, as in the decision.
    let record = who.device.and_then(|id| snapshot.device(id)).and_then(|history| history.at(now));
    let platform = record.and_then(|device| device.platform.clone()).or_else(|| who.platform.clone());
    let (at, expires) = origin.times(now);
    let (view, sequence) = (view_of(who.device), snapshot.seq());
    Freshness { origin: origin.key().public().id, view, platform, sequence, at, expires, offers }
}

/// What is decided of every product that the requester may know of. The version that it has of one of them counts for
/// that one.
fn offers(
    snapshot: &Snapshot,
    group: Option<&Group>,
    who: &Requester<'_>,
    has: Option<(&ProductName, &Version)>,
    now: Timestamp,
) -> Vec<OfferLine> {
    let Some(group) = group else { return Vec::new() };
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

/// What a mirror passes on to whoever asks.
pub(super) async fn relayed(
    mirror: &Mirror,
    snapshot: &Snapshot,
    ask: Ask,
    now: Timestamp,
) -> Result<Signed, RelayError> {
    let (device, address, platform, has) = match &ask {
        Ask::Manifest { release } => return mirror.relay().manifest(snapshot, *release, now).await,
        Ask::Freshness { device, address, platform, product, current } => {
            (device.as_ref(), *address, platform.clone(), product.as_ref().zip(current.as_ref()))
        }
    };
    let who = Requester { device, address, platform, current: None };
    let expected = offers(snapshot, group_of(snapshot, &who, now), &who, has, now);
    mirror.relay().freshness(snapshot, ask, &expected, now).await
}

/// A release's manifest, signed.
pub(super) fn manifest(key: &SecretKey, release: &Release) -> Signed {
    let comment = format!("release {} {}", release.manifest.product, release.version());
    sign(key, release.manifest.text(), &comment)
}
