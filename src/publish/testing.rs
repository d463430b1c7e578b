//! A publisher over a catalog in a temporary directory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;

use super::{NewArtifact, NewRelease, PublishError, Published, Publisher, UploadId, UploadLimits, Uploads};
use crate::catalog::Catalog;
use crate::catalog::testing::{POLICY, World, actor, parse};
use crate::control::{add_product, apply_policy};
use crate::gate::Declared;
use crate::model::{Actor, Class, Platform};

/// Few and small, so that a test reaches them.
pub(crate) const LIMITS: UploadLimits =
    UploadLimits { max_bytes: 1 << 20, open_max: 4, idle_timeout: Duration::from_secs(3_600) };

/// A policy, an `intel` product that is approved at once, and a `driver` one that someone else approves.
pub(crate) struct Desk {
    pub(crate) world: World,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) publisher: Arc<Publisher>,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        Self::with_limits(LIMITS).await
    }

    pub(crate) async fn with_limits(limits: UploadLimits) -> Self {
        let world = World::new();
        let catalog = world.catalog();
        apply_policy(&catalog, &actor("ada"), POLICY.to_owned(), None).await.unwrap();
        for (name, class) in [("intel", Class::Intelligence), ("driver", Class::Platform)] {
            add_product(&catalog, &actor("ada"), &parse(name), class).await.unwrap();
        }
        let uploads = Uploads::new(catalog.store().clone(), limits);
        let publisher = Arc::new(Publisher::new(catalog.clone(), uploads, 8, super::GateOptions::default()));
        Self { world, catalog, publisher }
    }

    /// A finished upload of these bytes.
    pub(crate) async fn upload(&self, owner: &Actor, body: &'static str) -> UploadId {
        let id = self.publisher.uploads().create(owner, body.len() as u64).await.unwrap();
        let status = self.publisher.uploads().append(owner, &id, 0, Full::new(Bytes::from(body))).await.unwrap();
        assert!(status.is_complete());
        id
    }

    /// Uploads these bytes and publishes them as the one artifact of the release.
    pub(crate) async fn publish(
        &self,
        who: &str,
        product: &str,
        version: &str,
        body: &'static str,
    ) -> Result<Published, PublishError> {
        let who = actor(who);
        let upload = self.upload(&who, body).await;
        self.publisher.publish(&who, release(product, version, &[("file", &upload)])).await
    }
}

/// A release to be published, of these targets from these uploads.
pub(crate) fn release(product: &str, version: &str, artifacts: &[(&str, &UploadId)]) -> NewRelease {
    let artifact = |(target, upload): &(&str, &UploadId)| {
        let (target, platform) = (parse(target), Platform::any());
        let declared = Declared { target, platform, size: None, blake3: None, sha256: None };
        NewArtifact { declared, upload: (*upload).clone() }
    };
    let (is_barrier, is_older_allowed) = (false, false);
    let artifacts = artifacts.iter().map(artifact).collect();
    NewRelease {
        product: parse(product),
        version: parse(version),
        is_barrier,
        is_older_allowed,
        artifacts,
        signatures: Vec::new(),
    }
}
