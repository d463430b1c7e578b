//! Publishing a release from finished uploads: all of it or nothing.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::OwnedMutexGuard;

use super::inspect::Gates;
use super::upload::Content;
use super::{GateOptions, PublishError, StagedBody, Subject, UploadError, UploadId, Uploads};
use crate::catalog::Catalog;
use crate::gate::{Declared, Finding, NewSignature, Observed, check_artifacts, check_version, media_type_of};
use crate::model::{
    Actor, ApprovalRule, Artifact, Class, Event, Inspection, Platform, ProductName, Release, ReleaseManifest,
    ReleaseState, Snapshot, TargetName, Version,
};
use crate::policy::rollout::Publication;
use crate::store::{BlobStore as _, FsBlobs, Protection, StagedDone};
use crate::sys::fault;

/// One artifact of a release to be published.
#[derive(Debug, Clone)]
pub struct NewArtifact {
    /// What the publisher says of it.
    pub declared: Declared,
    /// Where its bytes are.
    pub upload: UploadId,
}

/// A release to be published.
#[derive(Debug, Clone)]
pub struct NewRelease {
    /// The product, which must exist.
    pub product: ProductName,
    /// The version.
    pub version: Version,
    /// Whether it must be installed before any later release.
    pub is_barrier: bool,
    /// Whether a version that is not above the newest is meant.
    pub is_older_allowed: bool,
    /// Its artifacts.
    pub artifacts: Vec<NewArtifact>,
    /// Publishers' signatures over it.
    pub signatures: Vec<NewSignature>,
}

/// A release that is stored and journaled.
#[derive(Debug, Clone)]
pub struct Published {
    /// The release.
    pub release: Arc<Release>,
    /// Whether this call added it; not if the very same release was there.
    pub is_new: bool,
}

/// Publishes releases.
pub struct Publisher {
    catalog: Arc<Catalog>,
    uploads: Uploads,
    artifacts_max: usize,
    gates: Gates,
}

/// The most findings of a refusal that are journaled.
const FINDINGS_MAX: usize = 100;

/// A release that passed the gates.
#[derive(Clone)]
struct Addition {
    manifest: ReleaseManifest,
    /// What they saw; none where the release is known, or contradicts one that is.
    inspection: Option<Inspection>,
}

type Taken = (Declared, OwnedMutexGuard<Content>, UploadId);

impl Publisher {
    /// A publisher over this catalog and these uploads, of releases with at most `artifacts_max` artifacts.
    pub fn new(catalog: Arc<Catalog>, uploads: Uploads, artifacts_max: usize, gates: GateOptions) -> Self {
        let gates = Gates::new(gates);
        Self { catalog, uploads, artifacts_max, gates }
    }

    /// The open uploads.
    pub fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    /// Publishes a release as the policy's approval rule says: at once, or as a draft that waits for approval. The same
    /// release again is a success. Returns after blobs and event are fsynced. If the caller stops waiting, the release
    /// is published all the same or not at all.
    pub async fn publish(self: &Arc<Self>, actor: &Actor, release: NewRelease) -> Result<Published, PublishError> {
        let (publisher, actor) = (self.clone(), actor.clone());
        let task = tokio::spawn(async move { publisher.publish_now(&actor, release).await });
        task.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    async fn publish_now(&self, actor: &Actor, release: NewRelease) -> Result<Published, PublishError> {
        if self.catalog.snapshot().product(&release.product).is_none() {
            return Err(PublishError::UnknownProduct(release.product));
        }
        let mut taken = self.take_uploads(actor, &release.artifacts).await?;
        let is_older_allowed = release.is_older_allowed;
        let addition = self.pass_gates(actor, release, &taken).await?;
        // Asked before the uploads are used up; asked again, and then for good, when the event is appended.
        events(&self.catalog.snapshot(), self.catalog.now(), addition.clone(), is_older_allowed)?;
        fault::point("publish.staged");
        let published = self.make_durable(actor, addition, is_older_allowed, &mut taken).await;
        // Committing used the uploads up, whatever came of it.
        for (_, _, id) in &taken {
            self.uploads.forget(id);
        }
        published
    }

    async fn make_durable(
        &self,
        actor: &Actor,
        addition: Addition,
        is_older_allowed: bool,
        taken: &mut [Taken],
    ) -> Result<Published, PublishError> {
        let _protections = self.commit_blobs(taken).await?;
        fault::point("publish.blobs-durable");
        self.append_event(actor, addition, is_older_allowed).await
    }

    /// Locks all uploads of the release, or none.
    async fn take_uploads(&self, actor: &Actor, artifacts: &[NewArtifact]) -> Result<Vec<Taken>, PublishError> {
        let mut taken: Vec<Taken> = Vec::with_capacity(artifacts.len());
        for NewArtifact { declared, upload: id } in artifacts {
            if taken.iter().any(|(_, _, other)| other == id) {
                return Err(PublishError::UploadTwice(id.clone()));
            }
            let (upload, content) = self.uploads.hold(actor, id).await?;
            let status = upload.status_of(&content);
            if !matches!(*content, Content::Arrived(_)) {
                let (offset, length) = (status.offset, status.length);
                return Err(UploadError::Incomplete { id: id.clone(), offset, length }.into());
            }
            taken.push((declared.clone(), content, id.clone()));
        }
        Ok(taken)
    }

    /// Asks every gate. What they find is journaled before it is told.
    async fn pass_gates(&self, actor: &Actor, release: NewRelease, taken: &[Taken]) -> Result<Addition, PublishError> {
        let observed = observe(taken)?;
        let mut findings = check_artifacts(&observed, self.artifacts_max);
        let NewRelease { product, version, is_barrier, is_older_allowed, signatures, .. } = release;
        let mut artifacts: Vec<(Artifact, &StagedDone)> = observed.iter().map(artifact).zip(bodies(taken)).collect();
        artifacts.sort_by(|(a, _), (b, _)| (&a.target, &a.platform).cmp(&(&b.target, &b.platform)));
        let listed = artifacts.iter().map(|(artifact, _)| artifact.clone()).collect();
        let manifest = ReleaseManifest { product, version, barrier: is_barrier, artifacts: listed };
        // Nothing can be asked about no files, and too many are not asked about.
        if findings.iter().any(|finding| finding.gate() == "artifacts") {
            return Err(self.refuse(actor, manifest, findings).await);
        }
        let (snapshot, now) = (self.catalog.snapshot(), self.catalog.now());
        let releases = snapshot.product(&manifest.product);
        let releases = releases.ok_or_else(|| PublishError::UnknownProduct(manifest.product.clone()))?;
        let known = releases.by_version(&manifest.version);
        if known.is_some_and(|known| known.id != manifest.id() || known.inspection.is_some()) && findings.is_empty() {
            // Nothing new can come of it, so nobody has to look at it again.
            return Ok(Addition { manifest, inspection: None });
        }
        if known.is_none() {
            let others = releases.releases().iter().map(|release| &**release);
            findings.extend(check_version(&manifest.version, others, is_older_allowed));
        }
        let bodies = artifacts.into_iter().map(|(artifact, done)| staged_body(artifact, done));
        let subject = Subject {
            product: manifest.product.clone(),
            class: releases.product().class,
            version: manifest.version.clone(),
            barrier: manifest.barrier,
            release: manifest.id(),
            publisher: actor.clone(),
            bodies: bodies.collect::<Result<_, _>>()?,
        };
        let inspected = self.gates.inspect(subject, &manifest, signatures, (&snapshot, now), &mut findings);
        let inspection = Some(inspected.await);
        if findings.is_empty() {
            Ok(Addition { manifest, inspection })
        } else {
            Err(self.refuse(actor, manifest, findings).await)
        }
    }

    /// Journals a refusal, unless the version exists or was refused for the very same reasons before.
    async fn refuse(&self, actor: &Actor, manifest: ReleaseManifest, findings: Vec<Finding>) -> PublishError {
        let ReleaseManifest { product, version, .. } = manifest;
        let recorded: Vec<_> = findings.iter().take(FINDINGS_MAX).map(Finding::record).collect();
        let committed = self.catalog.commit(actor, |snapshot, _now| {
            let Some(releases) = snapshot.product(&product) else { return Ok::<_, PublishError>(Vec::new()) };
            let refusals = releases.refusals();
            let is_known = refusals.iter().any(|known| known.version == version && known.findings == recorded);
            if is_known || releases.by_version(&version).is_some() {
                return Ok(Vec::new());
            }
            let (product, version, findings) = (product.clone(), version.clone(), recorded.clone());
            Ok(vec![Event::ReleaseRefused { product, version, findings }])
        });
        match committed.await {
            Ok(_) => PublishError::Findings { product, version, findings },
            Err(error) => error.into(),
        }
    }

    /// Makes every blob durable under its digest. Protected from a sweep until the guards are dropped.
    async fn commit_blobs(&self, taken: &mut [Taken]) -> Result<Vec<Protection>, PublishError> {
        let mut protections = Vec::with_capacity(taken.len());
        for (_, content, _) in taken {
            if let Content::Arrived(done) = std::mem::replace(&mut **content, Content::Gone) {
                let store: Arc<FsBlobs> = self.catalog.store().clone();
                let committed = tokio::task::spawn_blocking(move || store.commit(done)).await;
                let committed = committed.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
                protections.push(committed?.protection);
                fault::point("publish.blob-durable");
            }
        }
        Ok(protections)
    }

    async fn append_event(
        &self,
        actor: &Actor,
        addition: Addition,
        is_older_allowed: bool,
    ) -> Result<Published, PublishError> {
        let (product, id) = (addition.manifest.product.clone(), addition.manifest.id());
        let committed = self.catalog.commit(actor, |snapshot, now| events(snapshot, now, addition, is_older_allowed));
        let committed = committed.await?;
        let release = committed.snapshot.product(&product).and_then(|releases| releases.by_id(&id)).cloned();
        let release = release.ok_or_else(|| PublishError::UnknownProduct(product.clone()))?;
        let is_new = committed.records.iter().any(|record| matches!(record.event, Event::ReleaseAdded { .. }));
        Ok(Published { release, is_new })
    }
}

fn observe(taken: &[Taken]) -> Result<Vec<(Declared, Observed)>, PublishError> {
    let observed = taken.iter().map(|(declared, content, id)| match &**content {
        Content::Arrived(done) => {
            let observed = Observed { size: done.size(), blake3: *done.blake3(), sha256: *done.sha256() };
            Ok((declared.clone(), observed))
        }
        Content::Arriving(_) | Content::Gone => Err(UploadError::Unknown(id.clone()).into()),
    });
    observed.collect()
}

fn bodies(taken: &[Taken]) -> impl Iterator<Item = &StagedDone> {
    taken.iter().filter_map(|(_, content, _)| match &**content {
        Content::Arrived(done) => Some(done),
        Content::Arriving(_) | Content::Gone => None,
    })
}

fn staged_body(artifact: Artifact, done: &StagedDone) -> Result<StagedBody, PublishError> {
    // Without a descriptor of its own a copy costs more, and nothing else.
    let file = done.file().and_then(|file| file.try_clone().ok());
    Ok(StagedBody { artifact, bytes: done.bytes()?, file, is_signed: false })
}

fn artifact((declared, observed): &(Declared, Observed)) -> Artifact {
    let target: TargetName = declared.target.clone();
    let platform: Platform = declared.platform.clone();
    let media_type = media_type_of(&target);
    let Observed { size, blake3, sha256 } = *observed;
    Artifact { target, platform, size, blake3, sha256, media_type }
}

/// The events that add the release to the newest state, or why it cannot be added.
fn events(
    snapshot: &Snapshot,
    now: Timestamp,
    addition: Addition,
    is_older_allowed: bool,
) -> Result<Vec<Event>, PublishError> {
    let Addition { manifest, inspection } = addition;
    let (product, version, release) = (manifest.product.clone(), manifest.version.clone(), manifest.id());
    let releases = snapshot.product(&product).ok_or_else(|| PublishError::UnknownProduct(product.clone()))?;
    let publication = |before| Publication { snapshot, product: releases, release, before, now };
    let inspected = |inspection| Event::ReleaseInspected { product: product.clone(), release, inspection };
    if let Some(known) = releases.by_version(&version) {
        // What the gates saw may have been cut off by a crash, too.
        let mut events: Vec<Event> =
            inspection.filter(|_| known.inspection.is_none()).map(inspected).into_iter().collect();
        let before = events.len();
        let rest = match known.state_at(now) {
            _ if known.id != release => {
                return Err(PublishError::OtherContent { product, version, found: known.id, wanted: release });
            }
            ReleaseState::Withdrawn => return Err(PublishError::Withdrawn { product, version }),
            // A crash between the events of an automatic approval: this completes it.
            ReleaseState::Draft if known.approval == ApprovalRule::Auto => approval(publication(before)),
            ReleaseState::Approved if known.approval == ApprovalRule::Auto => publication(before).events(),
            ReleaseState::Published if known.approval == ApprovalRule::Auto => publication(before).rest(),
            ReleaseState::Draft | ReleaseState::Approved | ReleaseState::Published => Vec::new(),
        };
        events.extend(rest);
        return Ok(events);
    }
    let others = releases.releases().iter().map(|release| &**release);
    if let Some(finding) = check_version(&version, others, is_older_allowed) {
        return Err(PublishError::Findings { product, version, findings: vec![finding] });
    }
    let rule = approval_rule(snapshot, releases.product().class, now);
    let sequence = releases.next_sequence();
    let mut events = vec![Event::ReleaseAdded { release, sequence, manifest, approval: rule }];
    events.extend(inspection.map(inspected));
    if rule == ApprovalRule::Auto {
        events.extend(approval(publication(events.len())));
    }
    Ok(events)
}

/// Approves a release, and publishes it behind that.
fn approval(publication: Publication<'_>) -> Vec<Event> {
    let (product, release) = (publication.product.product().name.clone(), publication.release);
    let mut events = vec![Event::ReleaseApproved { product, release }];
    events.extend(Publication { before: publication.before + 1, ..publication }.events());
    events
}

/// Without a policy nothing is approved by itself.
fn approval_rule(snapshot: &Snapshot, class: Class, now: Timestamp) -> ApprovalRule {
    let policy = snapshot.policy_at(now).and_then(|applied| applied.policy().ok());
    policy.map_or(ApprovalRule::Other, |policy| policy.approval(class))
}
