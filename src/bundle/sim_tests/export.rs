//! Writing bundles onto media.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;

use bytes::Bytes;

use super::carrier::Medium;
use super::origin::{Exported, Origin, keys_of};
use crate::bundle::{ExportRequest, Issuer, Since, VolumeStream, carried_of, root_of};
use crate::catalog::testing::actor;
use crate::model::{Blake3Digest, BundleBase, ObjectRef, SiteContent, SiteName};

impl Origin {
    /// Writes a bundle for a site, in volumes of at most this size.
    pub(super) async fn export(&mut self, site: &SiteName, since: Since, volume_bytes: u64, when: &str) -> Medium {
        let (snapshot, now) = (self.catalog.snapshot(), self.now());
        let request = ExportRequest { site: site.clone(), groups: Vec::new(), since, volume_bytes };
        let key = self.key.clone();
        let issuer = move |snapshot: &_| Issuer { key, keys: keys_of(snapshot) };
        let session = self.exporter.export(&actor("ada"), request, issuer).await.unwrap();
        let manifest = session.manifest().clone();
        assert_eq!((manifest.journal.sequence, manifest.created), (snapshot.seq(), now), "{when}");
        let record = snapshot.site(site);
        let is_told = record.is_some_and(|record| record.astray.is_none() && record.proven.is_some());
        let is_full = manifest.base == BundleBase::Full;
        assert!(since != Since::Auto || is_full != is_told, "{when}: the base is {:?} after {record:?}", manifest.base);
        let mut volumes = Vec::new();
        for (number, volume) in (1..).zip(&manifest.volumes) {
            let bytes = read(session.volume(number, 0)).await;
            assert_eq!(bytes.len() as u64, volume.size, "{when}");
            volumes.push(Some(bytes));
        }
        let text = String::from_utf8(session.text().to_vec()).unwrap();
        let (bundle, signature) = (session.id(), session.signature().to_owned());
        assert!(self.exporter.close(&bundle), "{when}");
        let state = manifest.objects.iter().find(|object| object.blake3 == manifest.state).unwrap();
        let state = ObjectRef { blake3: state.blake3, sha256: state.sha256, size: state.size };
        let content = self.catalog.body(&state.blake3, state.size).unwrap().unwrap();
        let content: SiteContent = serde_json::from_slice(&content).unwrap();
        let held: BTreeMap<_, _> =
            carried_of(&content).into_iter().chain([state]).map(|body| (body.blake3, body)).collect();
        let all: BTreeSet<Blake3Digest> = held.keys().copied().collect();
        assert_eq!(root_of(&all), manifest.root, "{when}: the promised root");
        self.exports.insert(bundle, Exported { at: now, snapshot, manifest, held });
        Medium { bundle, text, signature, volumes, harm: Vec::new() }
    }
}

async fn read(mut stream: VolumeStream) -> Bytes {
    let mut bytes = Vec::new();
    while let Some(piece) = poll_fn(|context| stream.poll_next(context)).await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    bytes.into()
}
