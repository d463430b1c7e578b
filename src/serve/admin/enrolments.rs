//! Codes with which devices enrol. A code is in exactly one answer: that to its creation.
//!
//! Creating one is an operator's work, as importing devices is: a device's credential reads what every operator may
//! read, and has one vote. A token of a person remains an admin's.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{Person, Services};
use super::extract::Sent;
use crate::control::create_enrolment;
use crate::model::{DeviceId, Enrolment, EnrolmentId};
use crate::serve::problem::Problem;

/// The longest that a code may be taken.
const VALID_MAX_S: u64 = 30 * 24 * 3600;

/// An enrolment to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EnrolmentRequest {
    /// Whom it is for.
    #[schema(value_type = String)]
    device: DeviceId,
    /// How many seconds the code is taken, at most 30 days; `enrol.code_valid_for` where absent.
    #[serde(default)]
    valid_for_s: Option<u64>,
}

/// An enrolment with its code, which is told this once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreatedEnrolment {
    /// The code.
    code: String,
    #[serde(flatten)]
    #[schema(value_type = EnrolmentAnswer)]
    created: EnrolmentAnswer,
}

/// An enrolment without its code.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EnrolmentAnswer {
    id: EnrolmentId,
    #[schema(value_type = String)]
    device: DeviceId,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    created_by: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

impl EnrolmentAnswer {
    pub(super) fn new(enrolment: &Enrolment) -> Self {
        Self {
            id: enrolment.id,
            device: enrolment.device.clone(),
            created_at: enrolment.created.at,
            created_by: enrolment.created.by.to_string(),
            expires_at: enrolment.expires_at,
        }
    }
}

/// The open enrolments, in order of id.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EnrolmentsAnswer {
    enrolments: Vec<EnrolmentAnswer>,
}

/// Lists the enrolments whose codes can still be used.
#[utoipa::path(get, path = "/v1/enrolments", responses((status = 200, body = EnrolmentsAnswer)))]
pub(super) async fn list(State(services): Services) -> Json<EnrolmentsAnswer> {
    let (snapshot, now) = (services.catalog.snapshot(), services.catalog.now());
    let open = snapshot.enrolments().filter(|enrolment| enrolment.is_open_at(now));
    Json(EnrolmentsAnswer { enrolments: open.map(|enrolment| EnrolmentAnswer::new(enrolment)).collect() })
}

/// Creates a code for a device, in place of an open one of the same device.
#[utoipa::path(post, path = "/v1/enrolments", request_body = EnrolmentRequest, responses(
    (status = 201, body = CreatedEnrolment),
    (status = 409, description = "the device is denied, or too many enrolments are open"),
    (status = 422, description = "the code would be taken for no time, or for too long"),
))]
pub(super) async fn create(
    State(services): Services,
    person: Person,
    Sent(request): Sent<EnrolmentRequest>,
) -> Result<(StatusCode, Json<CreatedEnrolment>), Problem> {
    let EnrolmentRequest { device, valid_for_s } = request;
    let valid_for = match valid_for_s {
        None => services.code_valid_for,
        Some(seconds @ 1..=VALID_MAX_S) => SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(0)),
        Some(_) => {
            let detail = format!("valid_for_s is from 1 to {VALID_MAX_S}, which is 30 days");
            return Err(Problem::with_detail(StatusCode::UNPROCESSABLE_ENTITY, detail));
        }
    };
    let actor = person.on_device(&services.catalog, &device)?;
    let made = create_enrolment(&services.catalog, actor, &services.token_key, device, valid_for);
    let (enrolment, code) = made.await?;
    let created = EnrolmentAnswer::new(&enrolment);
    Ok((StatusCode::CREATED, Json(CreatedEnrolment { code: code.expose(), created })))
}
