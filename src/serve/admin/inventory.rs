//! The inventory of devices.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::{Person, Services};
use super::enrolments::EnrolmentAnswer;
use super::extract::{InPath, InQuery, Sent};
use super::refusals::failed;
use crate::catalog::DeviceStatus;
use crate::control::{ControlError, import_devices, remove_devices};
use crate::model::{Denial, Device, DeviceId, ProductName, Token, TokenId, TokenScope};
use crate::serve::problem::Problem;

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// Which devices to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Those behind this id.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    after: Option<DeviceId>,
    /// At most this many, and at most 1,000; 100 where absent.
    #[serde(default)]
    limit: Option<usize>,
}

/// Devices in order of id.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DevicesAnswer {
    #[schema(value_type = Vec<Object>)]
    devices: Vec<Device>,
    /// Those of them that are denied.
    #[schema(value_type = Vec<String>)]
    denied: Vec<DeviceId>,
    /// Where the next part begins; absent after the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    next: Option<DeviceId>,
}

/// Devices to be put into the inventory.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportRequest {
    #[schema(value_type = Vec<Object>)]
    devices: Vec<Device>,
}

/// Devices to be taken out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RemoveRequest {
    #[schema(value_type = Vec<String>)]
    devices: Vec<DeviceId>,
}

/// What an import did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ImportAnswer {
    imported: usize,
    unchanged: usize,
}

/// What a removal did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RemoveAnswer {
    removed: usize,
}

/// Lists devices.
#[utoipa::path(get, path = "/v1/devices", params(Which), responses((status = 200, body = DevicesAnswer)))]
pub(super) async fn list(State(services): Services, InQuery(which): InQuery<Which>) -> Json<DevicesAnswer> {
    let limit = which.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let snapshot = services.catalog.snapshot();
    let is_behind = |id: &DeviceId| which.after.as_ref().is_none_or(|after| id > after);
    let known = snapshot.devices().filter(|(id, _)| is_behind(id)).filter_map(|(_, history)| history.latest());
    let mut devices: Vec<&Device> = known.map(|device| &**device).collect();
    // The inventory is not kept in order: only as many as are shown are put into it.
    let more = devices.len() > limit;
    if more {
        devices.select_nth_unstable_by(limit, |a, b| a.id.cmp(&b.id));
        devices.truncate(limit);
    }
    devices.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let next = devices.last().filter(|_| more).map(|device| device.id.clone());
    let is_denied = |device: &&Device| snapshot.denial(&device.id).is_some();
    let denied = devices.iter().copied().filter(is_denied).map(|device| device.id.clone()).collect();
    Json(DevicesAnswer { devices: devices.into_iter().cloned().collect(), denied, next })
}

/// A device, its credentials, and what it last reported of each product.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeviceAnswer {
    #[serde(flatten)]
    #[schema(value_type = Object)]
    device: Device,
    /// Whether the inventory knows it; of any other device only credentials and denial are shown.
    in_inventory: bool,
    /// Since when, by whom and why it gets nothing; absent where it is not denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    denial: Option<Denial>,
    /// Its tokens, without their secrets; those that ended, too.
    tokens: Vec<DeviceToken>,
    /// Its enrolments whose codes can still be used.
    enrolments: Vec<EnrolmentAnswer>,
    reported: Vec<ReportedAnswer>,
}

/// A device's token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeviceToken {
    id: TokenId,
    /// Whether it is taken now.
    valid: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    created_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
}

impl DeviceToken {
    fn new(token: &Token, now: Timestamp) -> Self {
        Self {
            id: token.id,
            valid: token.is_valid_at(now),
            created_at: token.created.at,
            created_by: token.created.by.to_string(),
            expires_at: token.expires_at,
            revoked_at: token.revoked.as_ref().map(|stamp| stamp.at),
        }
    }
}

/// What a device last reported of a product.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReportedAnswer {
    #[schema(value_type = String)]
    product: ProductName,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    status: DeviceStatus,
}

/// One device: of the inventory, or one that has a credential or is denied.
#[utoipa::path(get, path = "/v1/devices/{id}", params(("id" = String, Path)),
    responses((status = 200, body = DeviceAnswer), (status = 404, description = "nothing is known of it")))]
pub(super) async fn show(
    State(services): Services,
    InPath(id): InPath<DeviceId>,
) -> Result<Json<DeviceAnswer>, Problem> {
    let (snapshot, now) = (services.catalog.snapshot(), services.catalog.now());
    let known = snapshot.device(&id).and_then(|history| history.latest());
    let denial = snapshot.denial(&id).map(|denial| Denial::clone(denial));
    let is_own = |token: &&Arc<Token>| matches!(&token.scope, TokenScope::Device(device) if *device == id);
    let tokens: Vec<_> = snapshot.tokens().filter(is_own).map(|token| DeviceToken::new(token, now)).collect();
    let open = snapshot.enrolments().filter(|enrolment| enrolment.device == id && enrolment.is_open_at(now));
    let enrolments: Vec<_> = open.map(|enrolment| EnrolmentAnswer::new(enrolment)).collect();
    if known.is_none() && denial.is_none() && tokens.is_empty() && enrolments.is_empty() {
        return Err(ControlError::UnknownDevice(id).into());
    }
    let mut reported = Vec::new();
    for product in snapshot.products().map(|product| &product.product().name) {
        if let Some(status) = services.catalog.device_status(&id, product).map_err(|error| failed(&error))? {
            reported.push(ReportedAnswer { product: product.clone(), status });
        }
    }
    let nothing =
        || Device { id: id.clone(), platform: None, tags: Default::default(), attributes: Default::default() };
    let device = known.map_or_else(nothing, |device| Device::clone(device));
    Ok(Json(DeviceAnswer { device, in_inventory: known.is_some(), denial, tokens, enrolments, reported }))
}

/// Puts devices into the inventory, replacing what was known of the same ids.
#[utoipa::path(post, path = "/v1/devices/import", request_body = ImportRequest,
    responses((status = 200, body = ImportAnswer), (status = 413, description = "too many at once")))]
pub(super) async fn import(
    State(services): Services,
    person: Person,
    Sent(request): Sent<ImportRequest>,
) -> Result<Json<ImportAnswer>, Problem> {
    let done = import_devices(&services.catalog, person.on_everything()?, request.devices).await?;
    Ok(Json(ImportAnswer { imported: done.imported, unchanged: done.unchanged }))
}

/// Takes devices out of the inventory: all that are named, or none.
#[utoipa::path(post, path = "/v1/devices/remove", request_body = RemoveRequest,
    responses((status = 200, body = RemoveAnswer), (status = 404, description = "one of them is not in it")))]
pub(super) async fn remove(
    State(services): Services,
    person: Person,
    Sent(request): Sent<RemoveRequest>,
) -> Result<Json<RemoveAnswer>, Problem> {
    let removed = remove_devices(&services.catalog, person.on_everything()?, request.devices).await?;
    Ok(Json(RemoveAnswer { removed }))
}
