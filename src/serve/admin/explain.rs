//! Why a device sees what it sees, or saw it.

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::Services;
use super::answers::ReleaseAnswer;
use super::extract::InQuery;
use crate::model::{DeviceId, Platform, ProductName, Version};
use crate::policy::{Requester, Rule, TraceLine, decide};
use crate::serve::problem::Problem;

/// Whose decision to explain.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// The device; a request without identity where absent.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
    #[param(value_type = String)]
    product: ProductName,
    /// A past or future moment; now where absent.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    at: Option<Timestamp>,
    /// Where the request would come from.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    address: Option<IpAddr>,
    /// What the device would say it runs on.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    platform: Option<Platform>,
    /// What the device would say it has.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    current: Option<Version>,
}

/// A decision with its trace.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExplainAnswer {
    product: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The decided version; absent where nothing is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<ReleaseAnswer>,
    /// Whether it is what the device says it has.
    is_current: bool,
    /// Whether the device may know that the product exists.
    visible: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ring: Option<String>,
    #[schema(value_type = String)]
    rule: Rule,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_until: Option<Timestamp>,
    #[schema(value_type = Vec<Object>)]
    trace: Vec<TraceLine>,
}

/// Explains a decision.
#[utoipa::path(get, path = "/v1/explain", params(Question), responses((status = 200, body = ExplainAnswer)))]
pub(super) async fn explain(
    State(services): Services,
    InQuery(question): InQuery<Question>,
) -> Result<Json<ExplainAnswer>, Problem> {
    let Question { device, product, at, address, platform, current } = question;
    let snapshot = services.catalog.snapshot();
    let at = at.unwrap_or_else(|| services.catalog.now());
    let who = Requester { device: device.as_ref(), address, platform, current };
    let decision = decide(&snapshot, &who, &product, at);
    Ok(Json(ExplainAnswer {
        product: decision.product.to_string(),
        at,
        version: decision.release.as_ref().map(|release| release.version().to_string()),
        release: decision.release.as_ref().map(|release| ReleaseAnswer::new(release, at)),
        is_current: decision.is_current,
        visible: decision.visible,
        group: decision.group.map(|group| group.to_string()),
        ring: decision.ring.map(|ring| ring.to_string()),
        rule: decision.rule,
        reason: decision.reason,
        valid_until: decision.valid_until,
        trace: decision.trace,
    }))
}
