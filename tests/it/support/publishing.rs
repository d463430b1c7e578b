//! Publishing over the admin listener alone, one step at a time, for tests that stop in between.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::http::{Answer, parse, request, try_raw};

/// An admin of a server, by address and token: usable from any thread.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    /// The admin listener.
    pub(crate) address: SocketAddr,
    /// The token.
    pub(crate) token: String,
}

impl Admin {
    /// A request with any headers.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let authorization = format!("Bearer {}", self.token);
        let mut all = vec![("Authorization", authorization.as_str())];
        all.extend_from_slice(headers);
        request(self.address, method, path, &all, body)
    }

    /// A JSON request.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// Opens an upload: its id.
    pub(crate) fn open_upload(&self, length: usize) -> String {
        let answer = self.send("POST", "/v1/uploads", &[("Upload-Length", &length.to_string())], b"").expect(201);
        assert_eq!(answer.json()["offset"], 0);
        answer.json()["id"].as_str().expect("an upload has an id").to_owned()
    }

    /// Sends a piece of an upload.
    pub(crate) fn patch(&self, upload: &str, offset: usize, piece: &[u8]) -> Answer {
        let offset = offset.to_string();
        self.send("PATCH", &format!("/v1/uploads/{upload}"), &[("Upload-Offset", &offset)], piece)
    }

    /// How much of an upload the server has.
    pub(crate) fn upload_offset(&self, upload: &str) -> u64 {
        let answer = self.send("GET", &format!("/v1/uploads/{upload}"), &[], b"").expect(200);
        answer.json()["offset"].as_u64().expect("an offset")
    }

    /// Uploads a whole body.
    pub(crate) fn upload(&self, body: &[u8]) -> String {
        let upload = self.open_upload(body.len());
        self.patch(&upload, 0, body).expect(204);
        upload
    }

    /// Asks for a release of uploads.
    pub(crate) fn release(&self, product: &str, version: &str, artifacts: &[Value]) -> Answer {
        let body = json!({ "version": version, "artifacts": artifacts });
        self.post(&format!("/v1/products/{product}/releases"), &body)
    }

    /// Publishes one body as `file.bin`. `None`: the server went away before it answered.
    pub(crate) fn try_publish(&self, product: &str, version: &str, body: &[u8]) -> Option<Answer> {
        let opened = self.try_send("POST", "/v1/uploads", &[("Upload-Length", &body.len().to_string())], b"")?;
        if opened.status != 201 {
            return Some(opened);
        }
        let upload = serde_json::from_slice::<Value>(&opened.body).ok()?["id"].as_str()?.to_owned();
        let sent = self.try_send("PATCH", &format!("/v1/uploads/{upload}"), &[("Upload-Offset", "0")], body)?;
        if sent.status != 204 {
            return Some(sent);
        }
        let release = json!({ "version": version, "artifacts": [{ "target": "file.bin", "upload": upload }] });
        let headers = [("Content-Type", "application/json")];
        let path = format!("/v1/products/{product}/releases");
        self.try_send("POST", &path, &headers, release.to_string().as_bytes())
    }

    /// A request whose answer may be missing or cut.
    fn try_send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
        let mut bytes = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n",
            self.token,
            body.len()
        );
        for (name, value) in headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut bytes = format!("{bytes}\r\n").into_bytes();
        bytes.extend_from_slice(body);
        let answer = parse(&try_raw(self.address, &bytes).ok()?)?;
        let whole = answer.content_length().is_none_or(|length| length == answer.body.len() as u64);
        whole.then_some(answer)
    }
}
