//! The HTTP client of the admin listener: JSON calls and resumable uploads over TCP, TLS or a unix socket; and of the
//! device listener, for what an endpoint fetches.
//!
//! What this room deliberately does not do: redirects, trust in CAs that nobody named (it has no list of public ones),
//! and keeping connections: each call has its own.

mod body;
mod download;
mod endpoint;
mod error;
mod tls;
mod upload;
mod verifier;
mod verify;
mod volume;

pub use download::{Download, Tagged};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{ClientError, Problem, Refusal};
pub use tls::{TlsTrust, TrustedServers};
pub use upload::{UploadOptions, Uploaded};
pub use verify::Question;
pub use volume::SentPiece;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use body::RequestBody;

/// The largest answer that is read into memory.
const ANSWER_MAX_BYTES: usize = 256 << 20;

/// Bounds on waiting.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// For the connection to be made.
    pub connect_timeout: Duration,
    /// For the answer to a call, from sending it to its last byte. Uploads are bounded by their progress instead.
    pub answer_timeout: Duration,
    /// How uploads are retried.
    pub upload: UploadOptions,
    /// What an `https://` server is trusted by; without it none is asked.
    pub tls: Option<TlsTrust>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(120),
            upload: UploadOptions::default(),
            tls: None,
        }
    }
}

/// A client of one server. Cheap to clone; holds no connection.
#[derive(Debug, Clone)]
pub struct Client {
    endpoint: Endpoint,
    authorization: Option<HeaderValue>,
    options: ClientOptions,
}

impl Client {
    /// A client that shows this token, if any.
    ///
    /// # Errors
    /// The token holds characters that no header can carry; the server speaks TLS, and nothing says whom to trust, or
    /// the files that say so cannot be read.
    pub fn new(endpoint: Endpoint, token: Option<&str>, options: ClientOptions) -> Result<Self, ClientError> {
        let authorization = match token {
            None => None,
            Some(token) => {
                let mut value =
                    HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| ClientError::TokenUnfit)?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        if let Endpoint::Tls { .. } = endpoint {
            let trust = options.tls.as_ref();
            trust.ok_or_else(|| ClientError::NoTrust { server: endpoint.to_string() })?.check()?;
        }
        Ok(Self { endpoint, authorization, options })
    }

    /// The server this client speaks to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The same client, which waits this long for an answer: for calls that read the whole store.
    #[must_use]
    pub fn patient(&self, answer_timeout: Duration) -> Self {
        let mut patient = self.clone();
        patient.options.answer_timeout = answer_timeout;
        patient
    }

    /// `GET path`, answered with JSON.
    ///
    /// # Errors
    /// The server cannot be reached, refuses, or does not answer with JSON.
    pub async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.call(Method::GET, path, HeaderMap::new(), Bytes::new()).await
    }

    /// `POST path` with a JSON body, answered with JSON.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.call(Method::POST, path, headers, Bytes::from(body.to_string())).await
    }

    /// `POST path` with the text of a policy; `if_match` is the number of the policy that must still be in force.
    ///
    /// # Errors
    /// As [`Client::get`]; another policy in force is a conflict.
    pub async fn post_policy(&self, path: &str, text: &str, if_match: Option<u64>) -> Result<Value, ClientError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/toml"));
        if let Some(tag) = if_match.and_then(|seq| HeaderValue::try_from(format!("\"{seq}\"")).ok()) {
            headers.insert(header::IF_MATCH, tag);
        }
        self.call(Method::POST, path, headers, Bytes::copy_from_slice(text.as_bytes())).await
    }

    /// `GET path`, answered with text.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn get_text(&self, path: &str) -> Result<String, ClientError> {
        let wait = self.options.answer_timeout;
        let exchange = async {
            let body = RequestBody::Whole(Full::new(Bytes::new()));
            let (status, bytes) = self.read(self.send(Method::GET, path, HeaderMap::new(), body).await?).await?;
            if !status.is_success() {
                return Err(ClientError::Refused(Problem::read(status.as_u16(), &bytes)));
            }
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        tokio::time::timeout(wait, exchange).await.map_err(|_| self.timed_out(wait))?
    }

    async fn call(&self, method: Method, path: &str, headers: HeaderMap, body: Bytes) -> Result<Value, ClientError> {
        let wait = self.options.answer_timeout;
        let exchange = async {
            let response = self.send(method, path, headers, RequestBody::Whole(Full::new(body))).await?;
            let (status, bytes) = self.read(response).await?;
            self.accept(status, &bytes)
        };
        tokio::time::timeout(wait, exchange).await.map_err(|_| self.timed_out(wait))?
    }

    /// Connects, sends one request, and returns once the answer's head is there.
    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: RequestBody,
    ) -> Result<Response<Incoming>, ClientError> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|_| ClientError::PathUnfit { path: path.to_owned() })?;
        *request.headers_mut() = headers;
        let headers = request.headers_mut();
        let host = HeaderValue::try_from(self.endpoint.authority()).unwrap_or(HeaderValue::from_static("localhost"));
        headers.insert(header::HOST, host);
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("ringfence/", env!("CARGO_PKG_VERSION"))));
        if let Some(value) = &self.authorization {
            headers.insert(header::AUTHORIZATION, value.clone());
        }
        match tokio::time::timeout(self.options.connect_timeout, self.connect()).await {
            Ok(Ok(stream)) => self.exchange(stream, request).await,
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(self.timed_out(self.options.connect_timeout)),
        }
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, ClientError> {
        let unreachable = |cause: std::io::Error| self.unreachable(&cause);
        let tcp = async |host: &str, port: u16| {
            let stream = tokio::net::TcpStream::connect((host, port)).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        match &self.endpoint {
            Endpoint::Tcp { host, port } => Ok(Box::new(tcp(host, *port).await.map_err(unreachable)?)),
            Endpoint::Tls { host, port } => {
                let server = self.endpoint.to_string();
                let Some(trust) = &self.options.tls else { return Err(ClientError::NoTrust { server }) };
                let stream = tcp(host, *port).await.map_err(unreachable)?;
                Ok(Box::new(trust.connect(stream, host, &server).await?))
            }
            Endpoint::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await.map_err(unreachable)?)),
        }
    }

    async fn exchange(
        &self,
        stream: Box<dyn Stream>,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, ClientError> {
        let broken = |cause: hyper::Error| self.broken(&cause);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // The connection's own error says no more than the request's, which is returned.
        tokio::spawn(async move { connection.await.ok() });
        sender.send_request(request).await.map_err(broken)
    }

    async fn read(&self, response: Response<Incoming>) -> Result<(StatusCode, Bytes), ClientError> {
        let status = response.status();
        let collected = Limited::new(response.into_body(), ANSWER_MAX_BYTES).collect().await;
        let bytes = collected.map_err(|cause| self.broken(&*cause))?.to_bytes();
        Ok((status, bytes))
    }

    fn accept(&self, status: StatusCode, bytes: &Bytes) -> Result<Value, ClientError> {
        if !status.is_success() {
            return Err(ClientError::Refused(Problem::read(status.as_u16(), bytes)));
        }
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(bytes)
            .map_err(|cause| ClientError::NotUnderstood { server: self.endpoint.to_string(), what: cause.to_string() })
    }

    fn unreachable(&self, cause: &std::io::Error) -> ClientError {
        ClientError::Unreachable { server: self.endpoint.to_string(), cause: cause.to_string() }
    }

    fn timed_out(&self, after: Duration) -> ClientError {
        let cause = format!("no answer within {} s", after.as_secs());
        ClientError::Unreachable { server: self.endpoint.to_string(), cause }
    }

    fn broken(&self, cause: &(dyn std::error::Error + 'static)) -> ClientError {
        // With TLS 1.3 a server refuses the client's certificate only after the handshake.
        if let Some(refusal) = tls::explain(&self.endpoint.to_string(), cause) {
            return refusal;
        }
        let mut text = cause.to_string();
        let mut source = cause.source();
        while let Some(inner) = source {
            text = format!("{text}: {inner}");
            source = inner.source();
        }
        ClientError::Broken { server: self.endpoint.to_string(), cause: text }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

#[cfg(test)]
mod tests;
