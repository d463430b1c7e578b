//! The inventory of devices.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::{Person, Services};
use super::extract::{InPath, InQuery, Sent};
use super::refusals::failed;
use crate::catalog::DeviceStatus;
use crate::control::{ControlError, import_devices, remove_devices};
use crate::model::{Device, DeviceId, ProductName};
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
    Json(DevicesAnswer { devices: devices.into_iter().cloned().collect(), next })
}

/// A device, and what it last reported of each product.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeviceAnswer {
    #[serde(flatten)]
    #[schema(value_type = Object)]
    device: Device,
    reported: Vec<ReportedAnswer>,
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

/// One device.
#[utoipa::path(get, path = "/v1/devices/{id}", params(("id" = String, Path)),
    responses((status = 200, body = DeviceAnswer), (status = 404, description = "not in the inventory")))]
pub(super) async fn show(
    State(services): Services,
    InPath(id): InPath<DeviceId>,
) -> Result<Json<DeviceAnswer>, Problem> {
    let snapshot = services.catalog.snapshot();
    let device = snapshot.device(&id).and_then(|history| history.latest());
    let device = device.ok_or_else(|| ControlError::UnknownDevice(id.clone()))?;
    let mut reported = Vec::new();
    for product in snapshot.products().map(|product| &product.product().name) {
        if let Some(status) = services.catalog.device_status(&id, product).map_err(|error| failed(&error))? {
            reported.push(ReportedAnswer { product: product.clone(), status });
        }
    }
    Ok(Json(DeviceAnswer { device: Device::clone(device), reported }))
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
