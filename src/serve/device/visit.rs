//! One request as the caps on requests see it: counted where its device is known, until its answer is sent wholly.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::{Backend, Inner, Problem, RequestBody, peer_address};
use crate::model::DeviceId;
use crate::serve::http::{BytesBody, TruncatedBody};
use crate::serve::quota::{Running, TooMany};

/// In the extensions of a request, and in the body of its answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Visit(Arc<OnceLock<Running>>);

impl<B: Backend> Inner<B> {
    /// The cap on the request's address; before anything is looked up, so that it tells nothing. Trusted proxies stand
    /// for many devices, each of which has caps of its own.
    pub(super) fn admit_address(&self, request: &Request<RequestBody>) -> Result<(), Problem> {
        let trusted = &self.options.header_trusted_from;
        let address = peer_address(request);
        let counted = address.filter(|address| !trusted.iter().any(|network| network.contains(address)));
        counted.map_or(Ok(()), |address| self.quota.address(address)).map_err(|too_many| self.refuse(too_many))
    }

    /// The caps on the device that was just identified.
    pub(super) fn admit(&self, request: &Request<RequestBody>, device: Option<&DeviceId>) -> Result<(), Problem> {
        let Some(device) = device else { return Ok(()) };
        let running = self.quota.device(device).map_err(|too_many| self.refuse(too_many))?;
        if let (Some(running), Some(visit)) = (running, request.extensions().get::<Visit>()) {
            // A request is identified once; a second time would be given back at once.
            let _ = visit.0.set(running);
        }
        Ok(())
    }

    /// The cap on the reports of a device.
    pub(super) fn admit_reports(&self, device: &DeviceId, count: usize) -> Result<(), Problem> {
        self.quota.reports(device, count).map_err(|too_many| self.refuse(too_many))
    }

    fn refuse(&self, TooMany { cap, retry_after_s }: TooMany) -> Problem {
        self.metrics.refused(cap);
        Problem::with_detail(StatusCode::TOO_MANY_REQUESTS, "more requests than are allowed; come again later")
            .header(http::header::RETRY_AFTER, retry_after_s.into())
    }
}

/// hyper takes a slice of a body at once, however long it is, and lets go of the body with the last one. Slices above
/// this carry the visit themselves; shorter ones are in the kernel's buffer before it matters.
const LONG_BYTES: usize = 64 * 1024;

/// The body of an answer; the request counts as running while it, or a long slice of it, exists.
#[derive(Debug)]
pub struct VisitBody {
    inner: BytesBody,
    visit: Visit,
}

/// Bytes on their way, and for whom.
struct OnTheWay {
    bytes: Bytes,
    _visit: Visit,
}

impl AsRef<[u8]> for OnTheWay {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl VisitBody {
    pub(super) fn new(inner: BytesBody, visit: Visit) -> Self {
        Self { inner, visit }
    }
}

impl From<Bytes> for VisitBody {
    fn from(bytes: Bytes) -> Self {
        Self::new(bytes.into(), Visit::default())
    }
}

impl Body for VisitBody {
    type Data = Bytes;
    type Error = TruncatedBody;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, TruncatedBody>>> {
        let this = &mut *self;
        let visit = &this.visit;
        Pin::new(&mut this.inner).poll_frame(cx).map_ok(|frame| {
            frame.map_data(|bytes| match bytes.len() {
                ..=LONG_BYTES => bytes,
                _ => Bytes::from_owner(OnTheWay { bytes, _visit: visit.clone() }),
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
