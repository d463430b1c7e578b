//! What a mirror and its upstream say to each other, beside journal lines and bytes of blobs.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::{DeviceId, Platform, ProductName, ReleaseId, RingTally, SiteName, Version};
use crate::signing::KeysDocument;

/// The version of the protocol; another one is refused.
pub const FORMAT: u32 = 1;
/// The most bytes of journal lines in one answer.
pub const JOURNAL_BYTES_MAX: usize = 8 << 20;
/// The longest that an answer waits for a next event, in seconds.
pub const WAIT_MAX_S: u64 = 30;
/// The most servers between a mirror and its origin.
pub const HOPS_MAX: u32 = 8;
/// The most tallies of one mirror.
pub const TALLIES_MAX: usize = 10_000;

/// `GET /v1/follow/hello`: who the upstream is, and what a mirror needs to check devices and signatures.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the protocol.
    pub format: u32,
    /// The upstream's own version, for people.
    pub version: String,
    /// How many mirrors stand between this server and its origin; 0 at the origin itself.
    pub hops: u32,
    /// The key under which the journal keeps tokens, as base64.
    pub token_key: String,
    /// The origin's public keys.
    pub keys: KeysDocument,
    /// The offline site that the upstream is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteName>,
}

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { format, version, hops, keys, site, token_key: _ } = self;
        let known = f.debug_struct("Hello").field("format", format).field("version", version).finish_non_exhaustive();
        known.and_then(|()| write!(f, " hops {hops}, keys {}, site {site:?}", keys.keys.len()))
    }
}

/// `POST /v1/follow/tallies`: what the devices of a mirror, and of the mirrors behind it, said in all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TalliesReport {
    /// The mirror's name: a new report of this name takes the place of the one before.
    pub name: SiteName,
    /// Ring by ring.
    pub tallies: Vec<RingTally>,
}

/// `POST /v1/follow/signed`: what the origin is to sign for a device of a mirror. The origin decides by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// A release's manifest.
    Manifest {
        /// Which release.
        release: ReleaseId,
    },
    /// What a requester is to have now.
    Freshness {
        /// Who asks, proven to the mirror.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<DeviceId>,
        /// From where.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<IpAddr>,
        /// For which platform.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        platform: Option<Platform>,
        /// The product of which it names the version that it has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        product: Option<ProductName>,
        /// That version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        current: Option<Version>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_back() {
        let asks = [
            Ask::Manifest { release: ReleaseId(crate::model::Blake3Digest::of(b"x")) },
            Ask::Freshness {
                device: Some("pc-1".parse().unwrap()),
                address: Some("10.0.0.1".parse().unwrap()),
                platform: Some("windows-x64".parse().unwrap()),
                product: Some("av".parse().unwrap()),
                current: Some("1.2".parse().unwrap()),
            },
            Ask::Freshness { device: None, address: None, platform: None, product: None, current: None },
        ];
        for ask in asks {
            let text = serde_json::to_string(&ask).unwrap();
            assert_eq!(serde_json::from_str::<Ask>(&text).unwrap(), ask, "{text}");
        }
        assert!(serde_json::from_str::<Ask>(r#"{"ask":"anything"}"#).is_err());
    }

    #[test]
    fn the_token_key_is_never_shown() {
        let hello = Hello {
            format: FORMAT,
            version: "1".into(),
            hops: 0,
            token_key: "c2VjcmV0".into(),
            keys: KeysDocument::default(),
            site: None,
        };
        assert!(!format!("{hello:?}").contains("c2VjcmV0"));
    }
}
