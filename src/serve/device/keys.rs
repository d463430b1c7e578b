//! `GET /v1/keys`: the origin's public keys, each vouched for by one before it. They are no secret: anybody may ask.

use http::Request;

use super::{Answer, Backend, Inner, Refusal, RequestBody, signed};

impl<B: Backend> Inner<B> {
    pub(super) fn keys(&self, request: &Request<RequestBody>) -> Answer {
        let origin = self.options.origin.as_ref().ok_or(Refusal::NotFound)?;
        let text = signed::json(&origin.document(&self.backend.snapshot()))?;
        Ok(signed::respond(request.method(), text, "no-cache"))
    }
}
