//! The server that a mirror follows, asked over the admin listener's follow routes.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::protocol::{Ask, Hello, JOURNAL_BYTES_MAX, TalliesReport, WAIT_MAX_S};
use crate::client::{Client, ClientError, ClientOptions, Download, Endpoint, EndpointError, TlsTrust, TrustedServers};
use crate::journal::MAX_LINE_BYTES;
use crate::model::Blake3Digest;
use crate::signing::{STATEMENT_MAX_BYTES, Signed};

/// How long an answer may take, beyond the time that the upstream was asked to wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The most values of 1 MiB groups that are taken: those of 1 TiB.
const GROUPS_MAX_BYTES: usize = 32 << 20;

/// The server that is followed. Cheap to clone; holds no connection.
#[derive(Debug, Clone)]
pub struct Upstream {
    client: Client,
    patient: Client,
}

/// Where an upstream's admin listener is: `https://host:port`, `http://host:port` or `unix:/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamAddress(Endpoint);

impl UpstreamAddress {
    /// Whether it speaks TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self.0, Endpoint::Tls { .. })
    }

    /// As the client takes it.
    pub fn endpoint(&self) -> Endpoint {
        self.0.clone()
    }
}

impl FromStr for UpstreamAddress {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// By what an https upstream is trusted, and what it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTrust {
    /// The file with the CA, or the very certificate, as PEM.
    pub ca: PathBuf,
    /// The files with the mirror's own certificate and key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Upstream {
    /// The upstream at this address.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn connect(
        address: &UpstreamAddress,
        token: Option<&str>,
        trust: Option<UpstreamTrust>,
    ) -> Result<Self, ClientError> {
        let tls =
            trust.map(|UpstreamTrust { ca, identity }| TlsTrust { servers: TrustedServers::IssuedBy(ca), identity });
        Self::new(address.endpoint(), token, tls)
    }

    /// The upstream at this address, which is shown `token`, or the certificate that `tls` names.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn new(endpoint: Endpoint, token: Option<&str>, tls: Option<TlsTrust>) -> Result<Self, ClientError> {
        let options = ClientOptions { answer_timeout: ANSWER_TIMEOUT, tls, ..ClientOptions::default() };
        let client = Client::new(endpoint, token, options)?;
        let patient = client.patient(ANSWER_TIMEOUT + Duration::from_secs(WAIT_MAX_S));
        Ok(Self { client, patient })
    }

    /// Its address.
    pub fn address(&self) -> String {
        self.client.endpoint().to_string()
    }

    /// Who it is.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn hello(&self) -> Result<Hello, ClientError> {
        self.read_as(self.client.get("/v1/follow/hello").await?)
    }

    /// Whole lines of its journal with a number above `after`, each with its line feed: as many as fit into
    /// [`JOURNAL_BYTES_MAX`], at least one where there is one. Where there is none it waits up to `wait` for the next.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn journal(&self, after: u64, wait: Duration) -> Result<Bytes, ClientError> {
        let wait_s = wait.as_secs().min(WAIT_MAX_S);
        let path = format!("/v1/follow/journal?after={after}&wait_s={wait_s}&max_bytes={JOURNAL_BYTES_MAX}");
        self.patient.get_bytes(&path, JOURNAL_BYTES_MAX.max(MAX_LINE_BYTES) + 1).await
    }

    /// The origin's signed word on where its journal stands.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn statement(&self) -> Result<Signed, ClientError> {
        self.signed_text(self.client.get("/v1/follow/statement").await?)
    }

    /// What the origin signs for a device.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn signed(&self, ask: &Ask) -> Result<Signed, ClientError> {
        let body = serde_json::to_value(ask).map_err(|cause| self.not_understood(&cause.to_string()))?;
        self.signed_text(self.client.post("/v1/follow/signed", &body).await?)
    }

    /// Tells what the devices here said.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn tallies(&self, report: &TalliesReport) -> Result<(), ClientError> {
        let body = serde_json::to_value(report).map_err(|cause| self.not_understood(&cause.to_string()))?;
        self.client.post("/v1/follow/tallies", &body).await.map(drop)
    }

    /// These bytes of a blob as they come, unchecked.
    ///
    /// # Errors
    /// As [`Client::download_range`].
    pub async fn blob_range(&self, blob: &Blake3Digest, range: Range<u64>) -> Result<Download, ClientError> {
        self.client.download_range(&format!("/v1/follow/blobs/{blob}"), range).await
    }

    /// These bytes of a blob in memory, unchecked.
    ///
    /// # Errors
    /// As [`Client::download_range`]; the connection broke before the last byte.
    pub async fn range(&self, blob: &Blake3Digest, range: Range<u64>) -> Result<Bytes, ClientError> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
        let mut download = self.blob_range(blob, range).await?;
        let mut bytes = BytesMut::with_capacity(length);
        while let Some(piece) = download.next().await? {
            bytes.extend_from_slice(&piece);
        }
        if bytes.len() == length { Ok(bytes.freeze()) } else { Err(self.not_understood("more bytes came than asked")) }
    }

    /// The values of a blob's 1 MiB groups, by which each can be checked alone; unchecked themselves.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn groups(&self, blob: &Blake3Digest) -> Result<Vec<[u8; 32]>, ClientError> {
        let bytes = self.client.get_bytes(&format!("/v1/follow/blobs/{blob}/groups"), GROUPS_MAX_BYTES).await?;
        let (values, rest) = bytes.as_chunks::<32>();
        if rest.is_empty() {
            Ok(values.to_vec())
        } else {
            Err(self.not_understood("values of 32 bytes each belong here"))
        }
    }

    fn signed_text(&self, answer: Value) -> Result<Signed, ClientError> {
        let signed: Signed = self.read_as(answer)?;
        let length = signed.text.len().max(signed.signature.len());
        if length > STATEMENT_MAX_BYTES { Err(self.not_understood("what is signed is too long")) } else { Ok(signed) }
    }

    fn read_as<T: DeserializeOwned>(&self, answer: Value) -> Result<T, ClientError> {
        serde_json::from_value(answer).map_err(|cause| self.not_understood(&cause.to_string()))
    }

    fn not_understood(&self, what: &str) -> ClientError {
        ClientError::NotUnderstood { server: self.address(), what: what.to_owned() }
    }
}
