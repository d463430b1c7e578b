//! The part of the file for TLS: `[device.tls]` and `[admin.tls]`, which are alike.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Finding;
use super::settings::TlsSettings;
use crate::serve::{ClientTrust, Expired, IdentityRule, MinimumVersion, TlsOptions};

/// The most revocation lists, and the most identity rules, of a listener.
const LIST_MAX: usize = 64;

/// TLS of a listener; without this table it speaks plain HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsTable {
    /// The certificate and the chain to its CA, PEM, the server's own first. Relative to this file, as all paths here.
    certificate: PathBuf,
    /// Its private key, PEM, not encrypted.
    key: PathBuf,
    /// The CAs whose client certificates are taken, PEM. Without it no client is asked for a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_ca: Option<PathBuf>,
    /// Revocation lists of those CAs, PEM. With any, every CA of a client's chain needs one.
    #[serde(default)]
    client_crl: Vec<PathBuf>,
    /// Whether a client needs a certificate: `optional` (the default) or `required`. Only with `client_ca`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_certificates: Option<ClientCertificates>,
    /// How a client's identity is read from its certificate, the first rule that finds one: `san-uri`, `san-dns` or
    /// `common-name`, a space, and a pattern in which `*` stands for the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<Vec<String>>,
    /// The oldest version of TLS: `1.2` (the default) or `1.3`.
    #[serde(default)]
    minimum_version: MinimumVersion,
    /// What happens with a certificate that has expired: `serve` it with a warning (the default), or `refuse` to start.
    #[serde(default)]
    expired: Expired,
}

/// Whether a client needs a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ClientCertificates {
    /// It may show one.
    Optional,
    /// It must show one.
    Required,
}

/// Checks the table of `listener`; `identity` is the rule that holds unless the table has its own.
pub(super) fn tls_settings(
    table: Option<TlsTable>,
    listener: &'static str,
    identity: &str,
    base: &Path,
) -> Result<Option<TlsSettings>, Finding> {
    let Some(table) = table else { return Ok(None) };
    let finding = |key: &str, message: String| Finding { key: format!("{listener}.tls.{key}").into(), message };
    let only_with_ca =
        |key: &str| finding(key, format!("{listener}.tls.{key} does nothing without client_ca: name the CAs"));
    let too_many =
        |key: &str| finding(key, format!("{listener}.tls.{key} has more than {LIST_MAX} entries: name fewer"));
    let path = |key: &str, path: PathBuf| match path.as_os_str().is_empty() {
        true => Err(finding(key, format!("{listener}.tls.{key} is empty: name a PEM file"))),
        false => Ok(base.join(path)),
    };
    if table.client_ca.is_none() && table.client_certificates.is_some() {
        return Err(only_with_ca("client_certificates"));
    }
    if table.client_ca.is_none() && !table.client_crl.is_empty() {
        return Err(only_with_ca("client_crl"));
    }
    if table.client_ca.is_none() && table.identity.is_some() {
        return Err(only_with_ca("identity"));
    }
    if table.client_crl.len() > LIST_MAX {
        return Err(too_many("client_crl"));
    }
    let rules = table.identity.unwrap_or_else(|| vec![identity.to_owned()]);
    if rules.len() > LIST_MAX {
        return Err(too_many("identity"));
    }
    let rules = rules.iter().map(|text| text.parse::<IdentityRule>()).collect::<Result<_, _>>();
    let identity = rules.map_err(|cause| finding("identity", cause.to_string()))?;
    let crls = table.client_crl.into_iter().map(|crl| path("client_crl", crl)).collect::<Result<_, _>>()?;
    let is_required = table.client_certificates == Some(ClientCertificates::Required);
    let clients = match table.client_ca {
        Some(ca) => Some(ClientTrust { ca: path("client_ca", ca)?, crls, is_required }),
        None => None,
    };
    let options = TlsOptions {
        certificate: path("certificate", table.certificate)?,
        key: path("key", table.key)?,
        clients,
        minimum_version: table.minimum_version,
        expired: table.expired,
    };
    Ok(Some(TlsSettings { options, identity }))
}
