//! What stagers ask and tell: the tree to write, the bodies of its files, and how a target stands.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::AdminServices;
use super::access::{Person, Services};
use super::extract::{InPath, Sent};
use super::refusals::failed;
use super::shares::{World, off_thread};
use crate::model::{Blake3Digest, ShareName};
use crate::policy::may_stay_shown;
use crate::serve::http::etag::{Comparison, field_matches, strong_etag};
use crate::serve::problem::Problem;
use crate::share::{TargetReport, stage_tree};

/// The longest name of a target, in bytes.
const TARGET_MAX_BYTES: usize = 1_024;
/// The longest sentence on what is in its way, in bytes.
const WHY_MAX_BYTES: usize = 4_096;

/// The tree that a stager is to write. Its `ETag` is that of its content, so a stager that asks again learns in a few
/// bytes that nothing has changed.
#[utoipa::path(get, path = "/v1/shares/{share}/tree",
    params(("share" = String, Path), ("If-None-Match" = Option<String>, Header)), responses(
        (status = 200, body = Object),
        (status = 304, description = "it is the tree that the stager has"),
        (status = 404, description = "no such share"),
        (status = 409, description = "nothing is shown yet; the detail says why"),
    ))]
pub(super) async fn tree(
    State(services): Services,
    InPath(name): InPath<ShareName>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let json = off_thread(move || tree_json(&services, &name)).await?;
    let etag = strong_etag(&Blake3Digest::of(&json));
    let is_known = field_matches(headers.get_all(IF_NONE_MATCH).iter(), &etag, Comparison::Weak);
    let mut response = Response::new(Body::empty());
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *response.body_mut() = Body::from(json);
    }
    response.headers_mut().insert(ETAG, etag);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

fn tree_json(services: &AdminServices, name: &ShareName) -> Result<Vec<u8>, Problem> {
    let world = World::now(services);
    let (policy, share) = world.share(name)?;
    let tree = stage_tree(&world.snapshot, policy, share, (world.now, services.download_grace));
    let tree = tree.ok_or_else(|| {
        let problems = services.shares.problems(name);
        let why =
            if problems.is_empty() { "its first switch is still to come".to_owned() } else { problems.join("; ") };
        Problem::with_detail(StatusCode::CONFLICT, format!("nothing is shown yet in share {name}: {why}"))
    })?;
    serde_json::to_vec(&tree).map_err(|error| failed(&error))
}

/// The body of a file of a share's tree.
#[utoipa::path(get, path = "/v1/shares/{share}/blobs/{blake3}",
    params(("share" = String, Path), ("blake3" = String, Path)), responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, description = "no such share, or no file of it that may be shown has this digest"),
    ))]
pub(super) async fn body(
    State(services): Services,
    InPath((name, blake3)): InPath<(ShareName, Blake3Digest)>,
) -> Result<Response, Problem> {
    let bytes = off_thread(move || body_bytes(&services, &name, &blake3)).await?;
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(CONTENT_LENGTH, bytes.len().into());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    *response.body_mut() = Body::from(bytes);
    Ok(response)
}

fn body_bytes(services: &AdminServices, name: &ShareName, blake3: &Blake3Digest) -> Result<Bytes, Problem> {
    let world = World::now(services);
    let (policy, share) = world.share(name)?;
    let none = || {
        let detail = format!("share {name} has no file with this digest that may be shown");
        Problem::with_detail(StatusCode::NOT_FOUND, detail)
    };
    let state = world.snapshot.share(name).ok_or_else(none)?;
    let group = policy.group(share.group()).ok_or_else(none)?;
    let stays = |product: &_, sequence: u64| may_stay_shown(&world.snapshot, group, product, sequence, world.now);
    let mut same = state.kept_files().filter(|file| file.blake3 == *blake3);
    let file = same.find(|file| stays(&file.product, file.sequence)).ok_or_else(none)?;
    match services.catalog.body(blake3, file.size) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(failed(&format_args!("share {name} needs blob {blake3}, which is not in the store"))),
        Err(error) => Err(failed(&error)),
    }
}

/// Takes a stager's word on a target.
#[utoipa::path(put, path = "/v1/shares/{share}/targets", params(("share" = String, Path)), request_body = Object,
    responses(
        (status = 204, description = "noted"),
        (status = 404, description = "no such share"),
        (status = 422, description = "the target's name or the reason is too long, or not one line"),
    ))]
pub(super) async fn note_target(
    State(services): Services,
    person: Person,
    InPath(name): InPath<ShareName>,
    Sent(report): Sent<TargetReport>,
) -> Result<StatusCode, Problem> {
    let world = World::now(&services);
    let (_, share) = world.share(&name)?;
    // It changes what is known of the share, but is no change to be journaled.
    person.on_share(share.group(), share.products())?;
    let is_line = |text: &str, max_bytes| text.len() <= max_bytes && !text.chars().any(char::is_control);
    if report.target.is_empty() || !is_line(&report.target, TARGET_MAX_BYTES) {
        let detail = format!("target is the name of a directory on one line, of 1 to {TARGET_MAX_BYTES} bytes");
        return Err(Problem::with_detail(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    if report.why.as_deref().is_some_and(|why| !is_line(why, WHY_MAX_BYTES)) {
        let detail = format!("why is a sentence on one line, of at most {WHY_MAX_BYTES} bytes");
        return Err(Problem::with_detail(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    services.shares.note_target(&name, report);
    Ok(StatusCode::NO_CONTENT)
}
