//! Beginning an import: what is asked before anything is written, in this order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::error::ImportError;
use super::finish::Finished;
use super::layout::is_whole;
use super::session::{self, Session, is_here};
use super::trust::{Verified, verified};
use super::{Begun, Brought, IMPORTS_OPEN_MAX, Imports, Needed, NotBegun};
use crate::bundle::BundleManifest;
use crate::model::{AppliedBundle, Blake3Digest, BundleId, ObjectRef, Snapshot};
use crate::sys::durable::free_space_bytes;

/// Space that has to be left: the journal, the index and everything else go on.
const RESERVE_BYTES: u64 = 32 << 20;
/// What a small file takes beyond its bytes, with its directory.
const FILE_COST_BYTES: u64 = 8 << 10;

/// Where a bundle stands beside the one in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is the one in place.
    Applied,
    /// It comes after it.
    Newer,
}

impl Imports {
    /// Checks a bundle, and says what of it has to be sent. Again for an open import, it says what is still missing.
    pub async fn begin(self: &Arc<Self>, brought: Brought) -> Result<Begun, NotBegun> {
        let imports = self.clone();
        let begun = tokio::task::spawn_blocking(move || imports.begin_blocking(&brought)).await;
        begun.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    fn begin_blocking(&self, brought: &Brought) -> Result<Begun, NotBegun> {
        let _turn = self.turn();
        let (snapshot, now) = (self.catalog.snapshot(), self.now());
        let verified = verified(&self.options, &snapshot, brought)?;
        self.check_site(&snapshot, &verified.manifest, brought)?;
        let site = verified.manifest.site.clone();
        let bundle = (verified.id, verified.manifest.sequence);
        let begun = self.begin_verified(&snapshot, verified, brought, now);
        let refused = begun.as_ref().err().and_then(|error| self.refused(&site, bundle, error));
        self.note_begin(refused.clone());
        begun.map_err(|error| NotBegun { error, refused: refused.map(Box::new) })
    }

    fn begin_verified(
        &self,
        snapshot: &Snapshot,
        verified: Verified,
        brought: &Brought,
        now: Timestamp,
    ) -> Result<Begun, ImportError> {
        let accepts_restored = verified.accepts_restored;
        let standing = check_standing(snapshot, (&verified.manifest, verified.id), accepts_restored, now)?;
        if standing == Standing::Applied {
            return Ok(Begun::Applied(Finished::again(snapshot, verified.id)));
        }
        let open = self.sessions().get(&verified.id).cloned();
        // What is accepted now may not have been when the import began.
        let open = open.filter(|session| session.accepts_restored || !accepts_restored);
        let is_new = open.is_none();
        let session = match open {
            Some(session) => session,
            None => Arc::new(self.new_session(verified)?),
        };
        if let Err(error) = self.check_base(&session) {
            // What cannot be ended is not kept open.
            self.sessions().remove(&session.id);
            session::remove_if_there(&session.dir);
            return Err(error);
        }
        if is_new {
            self.check_space(&session)?;
            session.keep(&brought.manifest, &brought.signature)?;
            self.sessions().insert(session.id, session.clone());
        }
        self.needed(&session).map(Begun::Needed)
    }

    fn check_site(&self, snapshot: &Snapshot, manifest: &BundleManifest, brought: &Brought) -> Result<(), ImportError> {
        let bound = snapshot.own_site().map(|own| &own.name).or(self.options.site.as_ref());
        for here in bound.into_iter().chain(&brought.site) {
            if *here != manifest.site {
                return Err(ImportError::OtherSite { bundle: manifest.site.clone(), here: here.clone() });
            }
        }
        if bound.is_none() && !brought.may_bind {
            let why = format!("the bundle makes it site {}; or set site.name in ringfence.toml", manifest.site);
            return Err(ImportError::NotYours(why));
        }
        Ok(())
    }

    fn new_session(&self, verified: Verified) -> Result<Session, ImportError> {
        self.drop_useless();
        let open: Vec<BundleId> = self.sessions().keys().copied().collect();
        if open.len() >= IMPORTS_OPEN_MAX {
            return Err(ImportError::TooMany { open });
        }
        let dir = self.options.dir.join(verified.id.to_string());
        Ok(Session::new(&self.catalog, verified, &dir))
    }

    /// Removes the imports that can never be ended: a newer bundle is in place, or their time is over.
    pub(super) fn drop_useless(&self) {
        let (snapshot, now) = (self.catalog.snapshot(), self.now());
        let is_useless = |session: &Session| {
            session.manifest.expires < now
                || snapshot.applied_bundle().is_some_and(|applied| applied.sequence >= session.manifest.sequence)
        };
        let mut sessions = self.sessions();
        let useless: Vec<BundleId> =
            sessions.values().filter(|session| is_useless(session)).map(|session| session.id).collect();
        for session in useless.iter().filter_map(|id| sessions.remove(id)) {
            session::remove_if_there(&session.dir);
        }
    }

    /// What is neither here nor in the bundle: the bodies that patches are over, and, once the state is known, whatever
    /// the site has to hold.
    fn check_base(&self, session: &Session) -> Result<(), ImportError> {
        let mut missing: BTreeSet<Blake3Digest> = BTreeSet::new();
        for base in session.missing().filter_map(|(_, object)| object.base) {
            if !is_here(&self.catalog, &base) {
                missing.insert(base.blake3);
            }
        }
        if let Some(content) = session.content(&self.catalog)? {
            let elsewhere = content.held.values().filter(|body| session.object(&body.blake3).is_none());
            missing.extend(elsewhere.filter(|body| !is_here(&self.catalog, body)).map(|body| body.blake3));
        }
        if missing.is_empty() { Ok(()) } else { Err(ImportError::base_missing(missing.into_iter().collect())) }
    }

    fn check_space(&self, session: &Session) -> Result<(), ImportError> {
        let cost = |size: u64| size.saturating_add(FILE_COST_BYTES);
        let mut needed = RESERVE_BYTES;
        for (_, object) in session.missing() {
            needed = needed.saturating_add(cost(object.size));
            if !is_whole(object) {
                needed = needed.saturating_add(cost(object.packed.size));
            }
        }
        let free = free_space_bytes(&self.options.dir)?;
        if needed > free { Err(ImportError::NoSpace { needed, free }) } else { Ok(()) }
    }

    fn needed(&self, session: &Arc<Session>) -> Result<Needed, ImportError> {
        let split = session.missing().filter(|(_, object)| !is_whole(object));
        // Looked at once: while this is answered, parts may come whose sender has gone away.
        let parts: BTreeMap<usize, Vec<bool>> =
            split.map(|(index, object)| (index, session.wanted_parts(index, object))).collect();
        let is_wanted = |index: usize, part: usize| match parts.get(&index) {
            Some(wanted) => wanted.get(part).is_some_and(|is_wanted| *is_wanted),
            None => session.manifest.objects.get(index).is_some_and(is_whole) && !session.is_here(index),
        };
        let spans = session.layout.spans(|placed| is_wanted(placed.object, placed.part));
        let state = session.object(&session.manifest.state).map(|(index, _)| index);
        let first = match session.content(&self.catalog)? {
            Some(_) => Vec::new(),
            None => {
                session.layout.spans(|placed| Some(placed.object) == state && is_wanted(placed.object, placed.part))
            }
        };
        let missing: Vec<ObjectRef> = session.missing().map(|(_, object)| object.body()).collect();
        Ok(Needed {
            bundle: session.id,
            sequence: session.manifest.sequence,
            first,
            spans,
            missing_objects: missing.len() as u64,
            missing_bytes: missing.iter().map(|body| body.size).sum(),
        })
    }
}

/// Where it stands beside the bundle in place, and whether its time is over. The one in place is known whatever the time:
/// whoever has lost its receipt gets it again. Where a restored origin is accepted, its journal may end anywhere; its
/// bundles have to be newer all the same, so that no medium of an earlier day comes in by this.
pub(super) fn check_standing(
    snapshot: &Snapshot,
    (manifest, id): (&BundleManifest, BundleId),
    accepts_restored: bool,
    now: Timestamp,
) -> Result<Standing, ImportError> {
    let applied = snapshot.applied_bundle();
    if applied.is_some_and(|applied| applied.bundle == id) {
        return Ok(Standing::Applied);
    }
    if now > manifest.expires {
        return Err(ImportError::Expired { expires: manifest.expires, now });
    }
    let Some(applied) = applied else { return Ok(Standing::Newer) };
    let AppliedBundle { sequence, journal, .. } = *applied;
    if manifest.sequence <= sequence {
        return Err(ImportError::Older { sequence: manifest.sequence, applied: sequence, id: applied.bundle });
    }
    if accepts_restored {
        return Ok(Standing::Newer);
    }
    if manifest.journal.sequence < journal.sequence {
        return Err(ImportError::JournalBehind { bundle: manifest.journal, applied: journal });
    }
    if manifest.journal.sequence == journal.sequence && manifest.journal.head != journal.head {
        return Err(ImportError::Fork { bundle: manifest.journal, applied: journal });
    }
    Ok(Standing::Newer)
}
