//! The journal's lines, byte for byte.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::access::{Person, Services};
use super::super::extract::InQuery;
use super::super::refusals::failed;
use super::super::shares::off_thread;
use crate::mirror::{JOURNAL_BYTES_MAX, WAIT_MAX_S};
use crate::serve::problem::Problem;

/// Which lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::serve::admin) struct Which {
    /// Those of the events behind this one; from the first where absent.
    #[serde(default)]
    after: u64,
    /// Where there are none, how many seconds to wait for the next; at most 30, none where absent.
    #[serde(default)]
    wait_s: u64,
    /// At most so many bytes, but one line at least; 8 MiB where absent, and at most.
    #[serde(default)]
    max_bytes: Option<usize>,
}

/// Lines of the journal as they stand there, each with its line feed; none where nothing came in time.
#[utoipa::path(get, path = "/v1/follow/journal", params(Which),
    responses((status = 200, body = String, content_type = "application/x-ndjson")))]
pub(in crate::serve::admin) async fn journal(
    services: Services,
    person: Person,
    InQuery(which): InQuery<Which>,
) -> Result<Response, Problem> {
    person.on_everything()?;
    let mut advanced = services.catalog.advanced();
    // Whoever is ahead waits for nothing that could come.
    if *advanced.borrow() == which.after {
        let wait = Duration::from_secs(which.wait_s.min(WAIT_MAX_S));
        let moved = tokio::time::timeout(wait, advanced.wait_for(|seq| *seq > which.after));
        tokio::select! {
            _ = moved => {}
            () = services.follow.stop.cancelled() => {}
        }
    }
    let max_bytes = which.max_bytes.unwrap_or(JOURNAL_BYTES_MAX).min(JOURNAL_BYTES_MAX);
    let lines = off_thread(move || {
        let upto = services.catalog.snapshot().seq();
        services.follow.lines.read(which.after, upto, max_bytes).map_err(|error| failed(&error))
    })
    .await?;
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert(CONTENT_LENGTH, lines.len().into());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    *response.body_mut() = Body::from(lines);
    Ok(response)
}
