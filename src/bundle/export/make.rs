//! Making one bundle, up to its manifest. Blocks.

use std::collections::BTreeSet;
use std::convert::Infallible;

use super::base::{Base, given_before};
use super::pack::{Bases, PackedSet, pack};
use super::session::{ExportSession, Made};
use super::{ExportError, ExportRequest, Exporter, Issuer};
use crate::bundle::{
    BundleManifest, FORMAT, Held, Layout, PackedObject, STATE_MAX_BYTES, Scope, Terms, Totals, VolumeOf, VolumePlan,
    root_of, scope,
};
use crate::model::policy::{Policy, SiteRule};
use crate::model::{
    Actor, Blake3Digest, GroupName, JournalPlace, ObjectRef, Sha256Digest, SiteContent, Snapshot, Span,
};
use crate::store::{Committed, FsBlobs, TransferPlan, take_blocking};

/// Makes the bundle that is asked for.
pub(super) fn make(
    exporter: &Exporter,
    snapshot: &Snapshot,
    request: ExportRequest,
    (actor, issuer): (&Actor, &Issuer),
) -> Result<ExportSession, ExportError> {
    let store = &**exporter.catalog.store();
    let now = exporter.catalog.now();
    let policy = snapshot.policies().last().and_then(|applied| applied.policy().ok()).map(AsRef::as_ref);
    let rule = policy.and_then(|policy| policy.site(&request.site));
    let groups = groups(&request, rule, policy)?;
    let known = snapshot.site(&request.site).map(AsRef::as_ref);
    let base = Base::choose(store, known, request.since);
    let before = given_before(store, known);
    let terms = Terms {
        groups: &groups,
        now,
        grace: exporter.grace,
        preload: rule.map_or(Span::NONE, SiteRule::preload),
        before: &before,
    };
    let Scope { content, carried, .. } = scope(snapshot, terms)?;
    let (state, stored) = store_state(store, &content)?;
    let mut held = carried;
    held.insert(state);
    let plan = TransferPlan::new(held.iter().copied(), |object| {
        Ok::<_, Infallible>(base.sure.contains(object) && *object != state)
    });
    let plan = plan.unwrap_or_else(|never| match never {});
    let bases = Bases::new(&base, &content, &state, &plan.missing);
    let named = |object: &ObjectRef| who_needs(&content, object);
    let packed = pack(store, &exporter.dir, &plan.missing, &bases, named)?;
    let digests = |set: &BTreeSet<ObjectRef>| -> BTreeSet<Blake3Digest> { set.iter().map(|one| one.blake3).collect() };
    let (held_digests, base_digests) = (digests(&plan.desired), digests(&base.held));
    let manifest = BundleManifest {
        format: FORMAT,
        site: request.site.clone(),
        issuer: issuer.key.public().id,
        issuer_keys: issuer.keys.clone(),
        sequence: known.map_or(0, |known| known.sequence) + 1,
        previous: known.and_then(|known| known.exports.last()).map(|export| export.bundle),
        base: base.base,
        created: now,
        expires: rule.map_or(SiteRule::VALID_FOR, SiteRule::valid_for).ends_at(now),
        journal: JournalPlace { sequence: snapshot.seq(), head: snapshot.head() },
        groups,
        state: state.blake3,
        root: root_of(&held_digests),
        held: Held { objects: plan.desired.len() as u64, bytes: plan.desired.iter().map(|object| object.size).sum() },
        objects: Vec::new(),
        removals: base_digests.difference(&held_digests).copied().collect(),
        volumes: Vec::new(),
        totals: Totals { objects: 0, bytes: 0, packed_bytes: 0, volume_bytes: 0 },
    };
    let (manifest, layout) = lay_out(store, manifest, &packed, request.volume_bytes)?;
    manifest.check()?;
    Ok(ExportSession::new(
        Made { manifest, layout, packed, state, stored },
        exporter.catalog.store().clone(),
        (actor, &issuer.key),
    ))
}

fn groups(
    request: &ExportRequest,
    rule: Option<&SiteRule>,
    policy: Option<&Policy>,
) -> Result<Vec<GroupName>, ExportError> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = request.groups.iter().find(|group| !seen.insert(*group)) {
        return Err(ExportError::GroupTwice(twice.clone()));
    }
    Ok(match (&request.groups[..], rule, policy) {
        ([], Some(rule), _) => rule.groups().to_vec(),
        ([], None, Some(policy)) => policy.groups().iter().map(|group| group.name().clone()).collect(),
        (named, _, _) => named.to_vec(),
    })
}

/// Puts the content into the store: it is an object like any other, and the base of a later bundle.
fn store_state(store: &FsBlobs, content: &SiteContent) -> Result<(ObjectRef, Committed), ExportError> {
    // Maps with text keys and numbers: there is nothing in it that JSON cannot carry.
    let json = serde_json::to_vec(content).unwrap_or_default();
    if json.len() as u64 > STATE_MAX_BYTES {
        return Err(ExportError::StateTooLong { bytes: json.len() as u64 });
    }
    let state = ObjectRef { blake3: Blake3Digest::of(&json), sha256: Sha256Digest::of(&json), size: json.len() as u64 };
    Ok((state, take_blocking(store, state, &json[..])?))
}

/// Product and version of a release that needs an object.
fn who_needs(content: &SiteContent, object: &ObjectRef) -> String {
    let releases = content.products.iter().flat_map(|product| &product.releases);
    let mut needing =
        releases.filter(|release| release.manifest.artifacts.iter().any(|artifact| artifact.blake3 == object.blake3));
    needing.next().map_or_else(
        || "the bundle".to_owned(),
        |release| format!("{} {}", release.manifest.product, release.version()),
    )
}

/// Says of each object where it lies.
fn lay_out(
    store: &FsBlobs,
    mut manifest: BundleManifest,
    packed: &PackedSet,
    volume_bytes: u64,
) -> Result<(BundleManifest, Layout), ExportError> {
    let sizes: Vec<PackedObject> = packed
        .objects
        .iter()
        .map(|object| PackedObject { blake3: object.blake3, encoding: object.encoding, size: object.packed.size })
        .collect();
    let of = VolumeOf { site: manifest.site.clone(), sequence: manifest.sequence, created: manifest.created };
    let plan = VolumePlan::new(of, &sizes, volume_bytes)?;
    let layout = plan.layout(|piece| match piece.parts {
        1 => Ok(packed.objects[piece.object].packed.sha256),
        _ => packed.hash(store, piece.object, piece.start..piece.start + piece.size),
    })?;
    let mut objects = packed.objects.clone();
    for (object, parts) in objects.iter_mut().zip(layout.parts(packed.objects.len())) {
        object.parts = parts;
    }
    manifest.totals = Totals {
        objects: objects.len() as u64,
        bytes: objects.iter().map(|object| object.size).sum(),
        packed_bytes: objects.iter().map(|object| object.packed.size).sum(),
        volume_bytes: layout.volumes().iter().map(|volume| volume.size).sum(),
    };
    manifest.objects = objects;
    manifest.volumes = layout.volumes();
    Ok((manifest, layout))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::journal::MAX_LINE_BYTES;
    use crate::model::{SitePolicy, Stamp};
    use crate::store::FsBlobsOptions;

    #[test]
    fn what_would_not_fit_into_the_sites_journal_is_refused_at_the_origin() {
        let dir = tempfile::tempdir().unwrap();
        let store = FsBlobs::open(dir.path(), &FsBlobsOptions::default()).unwrap();
        let of_length = |length: usize| {
            let text = "x".repeat(length);
            let applied = Stamp { at: Timestamp::UNIX_EPOCH, by: Actor::system() };
            let policy = SitePolicy { seq: 1, applied, digest: Blake3Digest::of(text.as_bytes()), text };
            SiteContent { policy: Some(policy), ..SiteContent::default() }
        };
        let refused = store_state(&store, &of_length(STATE_MAX_BYTES as usize)).unwrap_err();
        assert!(matches!(refused, ExportError::StateTooLong { .. }), "{refused}");
        let (state, _kept) = store_state(&store, &of_length(STATE_MAX_BYTES as usize - 1_000)).unwrap();
        // A site's groups and keys, which stand in the same line, have a mebibyte.
        assert!(state.size as usize + (1 << 20) <= MAX_LINE_BYTES);
    }
}
