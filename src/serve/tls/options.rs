//! What a listener's TLS is made from.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The files and rules of one listener's TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOptions {
    /// PEM: the listener's own certificate first, then those that lead from it to its CA.
    pub certificate: PathBuf,
    /// PEM: the certificate's private key, not encrypted.
    pub key: PathBuf,
    /// Which client certificates are taken; `None` asks for none.
    pub clients: Option<ClientTrust>,
    /// The oldest version that is spoken.
    pub minimum_version: MinimumVersion,
    /// What happens with a certificate whose time is over.
    pub expired: Expired,
}

/// Which client certificates are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTrust {
    /// PEM: the CAs whose certificates are taken.
    pub ca: PathBuf,
    /// PEM: lists of revoked certificates. With any, each CA of a client's chain needs one.
    pub crls: Vec<PathBuf>,
    /// Whether a client without a certificate is refused.
    pub is_required: bool,
}

/// The oldest version of TLS that is spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MinimumVersion {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}

/// What happens with a certificate whose time is over, or has not come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expired {
    /// It is served, with a warning: devices that do not look at dates still get their updates.
    #[default]
    Serve,
    /// The start, or the reload, is refused.
    Refuse,
}
