//! Giving a receipt: a look at the store, and one event.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::make::held_set;
use super::{About, Receipt, Seen, Signer, make};
use crate::catalog::{Catalog, CommitError};
use crate::model::{Actor, Blake3Digest, BundleId, Event, GivenReceipt, ReceiptOutcome, SiteName, Snapshot};
use crate::store::{BlobStore as _, StoreError};

/// How often it is looked again when bundles are applied meanwhile.
const LOOKS_MAX: usize = 4;

/// Why no receipt was given. Nothing was journaled.
#[derive(Debug, thiserror::Error)]
pub enum GiveError {
    /// What the store holds cannot be told.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal did not take it.
    #[error(transparent)]
    Commit(#[from] CommitError<Changing>),
    /// This server is another site.
    #[error("this server is site {known}, not {asked}")]
    OtherSite {
        /// What it is.
        known: SiteName,
        /// What it should be.
        asked: SiteName,
    },
}

/// Another bundle was applied while the receipt was written.
#[derive(Debug, thiserror::Error)]
#[error("bundles are being applied; ask for the receipt again when they are")]
pub struct Changing;

impl About {
    /// For a receipt that is asked for without an import: what is served is what it is about.
    pub fn present(snapshot: &Snapshot) -> Self {
        let missing = BTreeSet::new();
        match snapshot.applied_bundle() {
            Some(applied) => {
                let (bundle, sequence) = (Some(applied.bundle), applied.sequence);
                Self { bundle, sequence, outcome: ReceiptOutcome::Applied, reasons: Vec::new(), missing }
            }
            None => {
                let reasons = vec!["no bundle has been applied here yet".to_owned()];
                Self { bundle: None, sequence: 0, outcome: ReceiptOutcome::Partial, reasons, missing }
            }
        }
    }
}

/// Writes and journals the next receipt of this server as `site`. Looks for every object of the applied bundle in the
/// store, so that what was lost since is told. Returns after fsync.
pub async fn give_receipt(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    site: &SiteName,
    about: About,
    signer: Signer<'_>,
) -> Result<(Receipt, GivenReceipt), GiveError> {
    let known = catalog.snapshot().own_site().map(|own| own.name.clone()).filter(|known| known != site);
    if let Some(known) = known {
        return Err(GiveError::OtherSite { known, asked: site.clone() });
    }
    let mut looks = 0;
    loop {
        let looking = catalog.clone();
        let looked = tokio::task::spawn_blocking(move || look(&looking)).await;
        let (applied, lost) = looked.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let now = catalog.clock_now();
        let tallies = catalog.ring_tallies(catalog.now());
        let mut made = None;
        let committed = catalog.commit(actor, |snapshot, _| {
            if snapshot.applied_bundle().map(|bundle| bundle.bundle) != applied {
                return Err(Changing);
            }
            let seen = Seen { lost, tallies };
            let (receipt, given) = make(snapshot, site, about.clone(), seen, now, signer);
            let event = Event::ReceiptGiven { site: site.clone(), receipt: Box::new(given.clone()) };
            made = Some((receipt, given));
            Ok(vec![event])
        });
        let committed = committed.await;
        looks += 1;
        match (committed, made) {
            (Err(CommitError::Refused(Changing)), _) if looks < LOOKS_MAX => {}
            (Err(error), _) => return Err(error.into()),
            (Ok(_), Some(made)) => return Ok(made),
            // A commit that succeeded has made one.
            (Ok(_), None) => return Err(CommitError::Refused(Changing).into()),
        }
    }
}

/// The applied bundle, and what of it is not in the store.
fn look(catalog: &Catalog) -> Result<(Option<BundleId>, BTreeSet<Blake3Digest>), StoreError> {
    let snapshot = catalog.snapshot();
    let Some(applied) = snapshot.applied_bundle() else { return Ok((None, BTreeSet::new())) };
    let mut lost = BTreeSet::new();
    for object in held_set(&snapshot, applied) {
        if catalog.store().size(&object)?.is_none() {
            lost.insert(object);
        }
    }
    Ok((Some(applied.bundle), lost))
}
