//! What can go wrong between a client and its server.

use serde::Deserialize;

use super::EndpointError;
use crate::model::{GateFinding, GivenReceipt};

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The server's address is none.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The token cannot be sent.
    #[error("the token holds characters that no token has; is it the right file?")]
    TokenUnfit,
    /// A name in the request's path cannot be sent.
    #[error("{path:?} cannot be asked for: it is not a path")]
    PathUnfit {
        /// The path.
        path: String,
    },
    /// No connection, or no answer in time.
    #[error("{server} cannot be reached: {cause}")]
    Unreachable {
        /// Which server.
        server: String,
        /// What happened.
        cause: String,
    },
    /// The connection ended before the answer did.
    #[error("the connection to {server} broke: {cause}")]
    Broken {
        /// Which server.
        server: String,
        /// What happened.
        cause: String,
    },
    /// Nothing says by which CA the server's certificate is to be trusted.
    #[error("{server} speaks TLS, and nothing says whom to trust: give the CA's certificate with --ca or RINGFENCE_CA")]
    NoTrust {
        /// Which server.
        server: String,
    },
    /// A file of the client's TLS cannot be used.
    #[error("{path}: {cause}")]
    TlsFile {
        /// Which file.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The server's certificate is not to be trusted.
    #[error(
        "the certificate of {server} is not trusted ({cause}): is --ca the CA that issued it, and the address right?"
    )]
    Untrusted {
        /// Which server.
        server: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The server refuses the client's certificate, or wants one.
    #[error(
        "{server} refused the client's certificate ({alert}): give one that it trusts with --certificate and --key"
    )]
    CertificateRefused {
        /// Which server.
        server: String,
        /// The alert that it sent.
        alert: String,
    },
    /// Something else than TLS came back.
    #[error("{server} does not speak TLS: give its address with http://")]
    NotTls {
        /// Which server.
        server: String,
    },
    /// The server understood and said no.
    #[error("{0}")]
    Refused(Problem),
    /// The answer is not what the protocol says.
    #[error("{server} gave an answer that is not understood: {what}; is it a Ringfence of this version?")]
    NotUnderstood {
        /// Which server.
        server: String,
        /// What was wrong.
        what: String,
    },
    /// The file to upload cannot be read to its end.
    #[error("{path}: {cause}")]
    File {
        /// Which file.
        path: String,
        /// What happened.
        cause: String,
    },
}

/// A refusal, from an RFC 9457 problem document where the server sent one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The problem's type, a URI reference; `about:blank` where none was given.
    pub kind: String,
    /// What is wrong in general.
    pub title: String,
    /// What is wrong in this case.
    pub detail: Option<String>,
    /// Everything that the release gates found, where they turned a publication down.
    pub findings: Box<[GateFinding]>,
    /// Objects that are not at the server, where a bundle was refused for them.
    pub missing: Box<[String]>,
    /// The receipt that an offline site has given about a bundle that it refused.
    pub receipt: Option<Box<GivenReceipt>>,
}

/// What kind of no a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The credential is missing, wrong or not enough (401, 403).
    NotAllowed,
    /// There is no such thing (404, 410).
    NotFound,
    /// What exists contradicts it (409, 412).
    Conflict,
    /// Stored bytes are not what they were (a problem whose type names damage).
    Damage,
    /// Anything else.
    Other,
}

#[derive(Default, Deserialize)]
struct Document {
    #[serde(rename = "type")]
    kind: Option<String>,
    title: Option<String>,
    detail: Option<String>,
    #[serde(default)]
    findings: Vec<GateFinding>,
    #[serde(default)]
    missing: Vec<String>,
    #[serde(default)]
    receipt: Option<Box<GivenReceipt>>,
}

impl Problem {
    /// Reads a refusal's body. One that is no problem document is kept to its status: it comes from something else
    /// than Ringfence, and may be a page of HTML.
    pub(super) fn read(status: u16, body: &[u8]) -> Self {
        if status == 400 && body.starts_with(b"This port speaks HTTP over TLS") {
            let title = "this port speaks TLS: give its address with https://".to_owned();
            return Self {
                status,
                kind: "about:blank".to_owned(),
                title,
                detail: None,
                findings: Box::default(),
                missing: Box::default(),
                receipt: None,
            };
        }
        let document: Document = serde_json::from_slice(body).unwrap_or_default();
        let reason = || {
            let known = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
            format!("the server answered {status} {}", known.unwrap_or_default()).trim_end().to_owned()
        };
        Self {
            status,
            kind: document.kind.unwrap_or_else(|| "about:blank".to_owned()),
            title: document.title.unwrap_or_else(reason),
            detail: document.detail,
            findings: document.findings.into_boxed_slice(),
            missing: document.missing.into_boxed_slice(),
            receipt: document.receipt,
        }
    }

    /// What kind of no it is.
    pub fn refusal(&self) -> Refusal {
        match self.status {
            _ if self.kind.contains("damage") => Refusal::Damage,
            401 | 403 => Refusal::NotAllowed,
            404 | 410 => Refusal::NotFound,
            409 | 412 => Refusal::Conflict,
            _ => Refusal::Other,
        }
    }

    /// Whether the same request may succeed later.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self.status, 408 | 409 | 429 | 500 | 502 | 503 | 504)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.findings.len() < 2 {
            return f.write_str(self.detail.as_deref().unwrap_or(&self.title));
        }
        write!(f, "it cannot be published, for {} reasons:", self.findings.len())?;
        for GateFinding { gate, text, .. } in &self.findings {
            write!(f, "\n  {gate}: {}", text.replace('\n', "\n    "))?;
        }
        Ok(())
    }
}
