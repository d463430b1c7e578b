//! `GET /v1/keys`: the origin's public keys, each vouched for by one before it. They are no secret: anybody may ask.

use http::Request;

use super::{Answer, Backend, Inner, Refusal, RequestBody, signed};

impl<B: Backend> Inner<B> {
    pub(super) fn keys(&self, request: &Request<RequestBody>) -> Answer {
        let document = match (&self.options.mirror, &self.options.origin) {
            (Some(mirror), _) => mirror.keys(),
            (None, Some(origin)) => origin.document(&self.backend.snapshot()),
            (None, None) => return Err(Refusal::NotFound),
        };
        let text = signed::json(&document)?;
        Ok(signed::respond(request.method(), text, "no-cache"))
    }
}
