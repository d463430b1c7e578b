//! Ending an import: the root over what is really here, and the one event that makes it visible.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Imports;
use super::check::{Standing, check_standing};
use super::content::Content;
use super::error::ImportError;
use super::session::{self, Session, is_here};
use crate::bundle::root_of;
use crate::catalog::CommitError;
use crate::model::{
    Actor, AppliedBundle, Blake3Digest, BundleId, Event, GivenReceipt, Sha256Digest, SiteName, Snapshot,
};
use crate::sys::fault;

/// A bundle that the site serves from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The bundle.
    pub bundle: BundleId,
    /// The site.
    pub site: Option<SiteName>,
    /// Its place among the site's bundles.
    pub sequence: u64,
    /// The root that was promised and reached.
    pub root: Option<Sha256Digest>,
    /// The site's last receipt.
    pub receipt: Option<GivenReceipt>,
    /// Whether it was in place before.
    pub was_applied: bool,
}

impl Finished {
    /// That a bundle is the one in place.
    pub(super) fn again(snapshot: &Snapshot, bundle: BundleId) -> Self {
        let own = snapshot.own_site();
        let applied = snapshot.applied_bundle();
        Self {
            bundle,
            site: own.map(|own| own.name.clone()),
            sequence: applied.map_or(0, |applied| applied.sequence),
            root: applied.map(|applied| applied.root),
            receipt: own.and_then(|own| own.receipt.clone()),
            was_applied: true,
        }
    }
}

impl Imports {
    /// Makes a bundle visible, if everything of it is here; by `actor`, in one event. Goes on if the caller stops waiting.
    pub async fn finish(self: &Arc<Self>, bundle: &BundleId, actor: &Actor) -> Result<Finished, ImportError> {
        let snapshot = self.catalog.snapshot();
        if snapshot.applied_bundle().is_some_and(|applied| applied.bundle == *bundle) {
            return Ok(Finished::again(&snapshot, *bundle));
        }
        let (imports, session, actor) = (self.clone(), self.session(bundle)?, actor.clone());
        let finished = tokio::spawn(async move { imports.finish_to_end(&session, &actor).await });
        finished.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    async fn finish_to_end(self: &Arc<Self>, session: &Arc<Session>, actor: &Actor) -> Result<Finished, ImportError> {
        let (imports, looked_at) = (self.clone(), session.clone());
        let content = tokio::task::spawn_blocking(move || imports.reached(&looked_at)).await;
        let content = content.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        fault::point("import.root-reached");
        let manifest = &session.manifest;
        let committed = self.catalog.commit(actor, |snapshot, now| {
            // Another bundle may have come in between.
            match check_standing(snapshot, (manifest, session.id), session.accepts_restored, now)? {
                Standing::Applied => Ok(Vec::new()),
                Standing::Newer => applied(session, &content).map(|event| vec![event]),
            }
        });
        let committed = committed.await.map_err(|error| match error {
            CommitError::Refused(refused) => refused,
            CommitError::Contradiction(error) => ImportError::Rejected(error),
            CommitError::Journal(error) => ImportError::Journal(error),
            CommitError::ReadOnly(error) => ImportError::ReadOnly(error),
        })?;
        let was_applied = committed.records.is_empty();
        let (imports, ended) = (self.clone(), session.id);
        let cleared = tokio::task::spawn_blocking(move || imports.close(&ended)).await;
        cleared.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        if !was_applied {
            let (sequence, root) = (manifest.sequence, manifest.root);
            tracing::info!(bundle = %session.id, sequence, %root, "the site serves from a new bundle");
            if session.accepts_restored {
                tracing::warn!(bundle = %session.id, %actor, journal = manifest.journal.sequence, "the journal of a restored origin was accepted");
            }
        }
        Ok(Finished { was_applied, ..Finished::again(&committed.snapshot, session.id) })
    }

    /// What the bundle says, once all that the site has to hold is in the store and has the promised root.
    fn reached(&self, session: &Session) -> Result<Arc<Content>, ImportError> {
        let Some(content) = session.content(&self.catalog)? else {
            return Err(ImportError::partial(session.missing().map(|(_, object)| object.blake3).collect()));
        };
        let (mut found, mut missing) = (BTreeSet::new(), Vec::new());
        for body in content.held.values() {
            if is_here(&self.catalog, body) {
                found.insert(body.blake3);
            } else {
                missing.push(body.blake3);
            }
        }
        session.look_again(&missing);
        let root = root_of(&found);
        match missing {
            missing if !missing.is_empty() => Err(ImportError::partial(missing)),
            _ if root != session.manifest.root => {
                let promised = session.manifest.root;
                Err(ImportError::Contradiction(format!("what is here has the root {root}, and {promised} is promised")))
            }
            _ => {
                // What was found here may have been named by a process that was killed before the name was durable.
                self.catalog.store().flush()?;
                Ok(content)
            }
        }
    }

    /// Removes the import, and all that it has left behind.
    fn close(&self, bundle: &BundleId) {
        let _turn = self.turn();
        let session = self.sessions().remove(bundle);
        if let Some(session) = session {
            session::remove_if_there(&session.dir);
        }
        self.drop_useless();
    }
}

/// The event that makes the bundle visible.
fn applied(session: &Session, content: &Content) -> Result<Event, ImportError> {
    let manifest = &session.manifest;
    let bundle = AppliedBundle {
        bundle: session.id,
        sequence: manifest.sequence,
        root: manifest.root,
        state: session.state()?,
        created_at: manifest.created,
        expires_at: manifest.expires,
        journal: manifest.journal,
        issuer: manifest.issuer,
        keys: session.next.keys.clone(),
        retired: session.next.retired.clone(),
        groups: manifest.groups.clone(),
    };
    let content = Box::new(content.content.clone());
    Ok(Event::BundleApplied { site: manifest.site.clone(), bundle: Box::new(bundle), content })
}

impl Session {
    /// Forgets that these were here: a scrub may have moved them away.
    fn look_again(&self, missing: &[Blake3Digest]) {
        for (index, _) in missing.iter().filter_map(|blob| self.object(blob)) {
            self.unmark(index);
        }
    }
}
