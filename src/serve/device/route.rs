//! The device listener's paths. But for those below `/shares/` they hold only names whose grammars need no
//! percent-encoding, so nothing is decoded: an encoded path is some other, unknown path, and there is no second spelling
//! to smuggle anything in.

use super::share::ShareAddress;
use crate::model::{Blake3Digest, ReleaseId, Sha256Digest};

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/healthz`
    Health,
    /// `/v1/offers/{product}`, the product as text that is not yet a name.
    Offer(Option<Box<str>>),
    /// `/v1/blobs/{blake3}` or `/v1/blobs/sha256:{hex}`; `None` where it is neither.
    Blob(Option<BlobName>),
    /// `/shares/{share}/{path}`; `None` where it cannot be one.
    Share(Option<ShareAddress>),
    /// `/v1/reports`
    Reports,
    /// `/v1/enrol`
    Enrol,
    /// `/v1/manifests/{release}`; `None` where it is no release.
    Manifest(Option<ReleaseId>),
    /// `/v1/freshness`
    Freshness,
    /// `/v1/keys`
    Keys,
    /// Anything else.
    Unknown,
}

/// How a blob is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlobName {
    /// By the name it has in the store.
    Blake3(Blake3Digest),
    /// By the digest that vendors publish.
    Sha256(Sha256Digest),
}

/// The route without what it names: the label of its metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RouteKind {
    Health,
    Offer,
    Blob,
    Share,
    Reports,
    Enrol,
    Manifest,
    Freshness,
    Keys,
    Unknown,
}

impl RouteKind {
    pub(super) const ALL: [Self; 10] = [
        Self::Health,
        Self::Offer,
        Self::Blob,
        Self::Share,
        Self::Reports,
        Self::Enrol,
        Self::Manifest,
        Self::Freshness,
        Self::Keys,
        Self::Unknown,
    ];

    pub(super) const fn pattern(self) -> &'static str {
        match self {
            Self::Health => "/healthz",
            Self::Offer => "/v1/offers/{product}",
            Self::Blob => "/v1/blobs/{digest}",
            Self::Share => "/shares/{share}/{path}",
            Self::Reports => "/v1/reports",
            Self::Enrol => "/v1/enrol",
            Self::Manifest => "/v1/manifests/{release}",
            Self::Freshness => "/v1/freshness",
            Self::Keys => "/v1/keys",
            Self::Unknown => "other",
        }
    }
}

impl Route {
    pub(super) fn of(path: &str) -> Self {
        if let Some(product) = path.strip_prefix("/v1/offers/") {
            let is_short = product.len() <= 64;
            return Self::Offer(is_short.then(|| product.into()));
        }
        if let Some(name) = path.strip_prefix("/v1/blobs/") {
            let name = match name.strip_prefix("sha256:") {
                Some(hex) => hex.parse().ok().map(BlobName::Sha256),
                None => name.parse().ok().map(BlobName::Blake3),
            };
            return Self::Blob(name);
        }
        if let Some(release) = path.strip_prefix("/v1/manifests/") {
            return Self::Manifest(release.parse().ok());
        }
        if let Some(below) = path.strip_prefix("/shares/") {
            return Self::Share(ShareAddress::parse(below));
        }
        match path {
            "/v1/reports" => Self::Reports,
            "/v1/enrol" => Self::Enrol,
            "/v1/freshness" => Self::Freshness,
            "/v1/keys" => Self::Keys,
            "/healthz" => Self::Health,
            _ => Self::Unknown,
        }
    }

    pub(super) fn kind(&self) -> RouteKind {
        match self {
            Self::Health => RouteKind::Health,
            Self::Offer(_) => RouteKind::Offer,
            Self::Blob(_) => RouteKind::Blob,
            Self::Share(_) => RouteKind::Share,
            Self::Reports => RouteKind::Reports,
            Self::Enrol => RouteKind::Enrol,
            Self::Manifest(_) => RouteKind::Manifest,
            Self::Freshness => RouteKind::Freshness,
            Self::Keys => RouteKind::Keys,
            Self::Unknown => RouteKind::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_in_the_order_of_their_list() {
        for (place, kind) in RouteKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place, "{}", kind.pattern());
        }
    }

    #[test]
    fn paths() {
        let hex = "ab".repeat(32);
        let digest = hex.parse().unwrap();
        assert_eq!(Route::of(&format!("/v1/blobs/{hex}")), Route::Blob(Some(BlobName::Blake3(digest))));
        let sha256 = hex.parse().unwrap();
        assert_eq!(Route::of(&format!("/v1/blobs/sha256:{hex}")), Route::Blob(Some(BlobName::Sha256(sha256))));
        assert_eq!(Route::of("/v1/offers/av"), Route::Offer(Some("av".into())));
        for malformed in ["/v1/blobs/", "/v1/blobs/sha256:", "/v1/blobs/AB", "/v1/blobs/../x", "/v1/blobs/%61"] {
            assert_eq!(Route::of(malformed), Route::Blob(None), "{malformed}");
        }
        assert_eq!(Route::of(&format!("/v1/manifests/{hex}")), Route::Manifest(Some(ReleaseId(digest))));
        assert_eq!(Route::of("/v1/manifests/AB"), Route::Manifest(None));
        assert_eq!((Route::of("/v1/freshness"), Route::of("/v1/keys")), (Route::Freshness, Route::Keys));
        assert_eq!(Route::of("/shares/s/x"), Route::Share(ShareAddress::parse("s/x")));
        assert_eq!(Route::of("/shares/s"), Route::Share(None));
        for unknown in [
            "",
            "/",
            "*",
            "/v1/offers",
            "/v1/reports/",
            "/v1/enrol/",
            "//v1/reports",
            "/v1/blobs",
            "/shares",
            "/%73hares/s/x",
        ] {
            assert_eq!(Route::of(unknown), Route::Unknown, "{unknown}");
        }
    }
}
