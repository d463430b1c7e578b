//! What a receipt says of an import that did not come to its end: one that is open, or one that was refused.

use std::sync::PoisonError;

use super::Imports;
use super::error::ImportError;
use crate::bundle::receipt::About;
use crate::model::{BundleId, ReceiptOutcome, SiteName};

/// The last bundle for this site that was refused.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    site: SiteName,
    about: About,
}

impl Imports {
    /// Notes how the begin of an import ended, of a bundle that is the origin's and for this site. Kept until the next
    /// begin: a receipt that is asked for meanwhile tells of it.
    pub(super) fn note_begin(&self, site: &SiteName, (id, sequence): (BundleId, u64), error: Option<&ImportError>) {
        use ImportError as E;
        let missing = match error {
            Some(E::BaseMissing { ids, .. }) => ids.iter().copied().collect(),
            _ => Default::default(),
        };
        let refused = error.filter(|error| {
            matches!(
                error,
                E::Expired { .. }
                    | E::JournalBehind { .. }
                    | E::Fork { .. }
                    | E::BaseMissing { .. }
                    | E::Contradiction(_)
            )
        });
        let refused = refused.map(|error| {
            let reasons = vec![error.to_string()];
            let about = About { bundle: Some(id), sequence, outcome: ReceiptOutcome::Refused, reasons, missing };
            Refused { site: site.clone(), about }
        });
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
    }

    /// The import that a receipt has to tell of: the newest that is open, or the last one that was refused, if it is newer
    /// than what the site serves.
    pub fn unfinished(&self) -> Option<(SiteName, About)> {
        let applied = self.catalog.snapshot().applied_bundle().map_or(0, |applied| applied.sequence);
        let open = self.sessions().values().max_by_key(|session| session.manifest.sequence).cloned();
        let open = open.filter(|session| session.manifest.sequence > applied).map(|session| {
            let missing: std::collections::BTreeSet<_> = session.missing().map(|(_, object)| object.blake3).collect();
            let sequence = session.manifest.sequence;
            let reason = match missing.len() {
                0 => format!("all of bundle {sequence} is here, and its import was not ended: import it again"),
                1 => format!("1 object of bundle {sequence} is not here yet"),
                many => format!("{many} objects of bundle {sequence} are not here yet"),
            };
            let (bundle, reasons) = (Some(session.id), vec![reason]);
            let about = About { bundle, sequence, outcome: ReceiptOutcome::Partial, reasons, missing };
            (session.manifest.site.clone(), about)
        });
        let refused = || self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        open.or_else(|| refused().map(|Refused { site, about }| (site, about)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::SignedDuration;

    use super::*;
    use crate::bundle::import::{Brought, ImportOptions};
    use crate::bundle::testing::{Make, TestBundle, secret};
    use crate::catalog::testing::{World, parse};

    #[tokio::test]
    async fn a_receipt_tells_of_what_is_open_or_was_refused() {
        let world = World::new();
        let made = Make::new(&[b"one", b"two"]);
        world.clock.set(made.created);
        let dir = world.dir.path().join("imports");
        let options = ImportOptions { site: Some(parse("plant-7")), keys: vec![secret().public()], dir };
        let imports = Arc::new(Imports::open(world.catalog(), options).unwrap());
        let begin = |bundle: TestBundle| {
            let TestBundle { text, signature, .. } = bundle;
            imports.begin(Brought { manifest: text, signature, ..Brought::default() })
        };
        assert!(imports.unfinished().is_none());
        let later = made.created + SignedDuration::from_hours(31 * 24);
        world.clock.set(later);
        assert!(matches!(begin(made.bundle()).await, Err(ImportError::Expired { .. })));
        let (site, about) = imports.unfinished().unwrap();
        assert_eq!((site.as_str(), about.outcome, about.sequence), ("plant-7", ReceiptOutcome::Refused, 1));
        assert!(about.reasons[0].starts_with("the bundle could be imported until "), "{about:?}");
        // Of what is not the origin's, or not for this site, nothing is kept.
        let other = Make { site: "ship".into(), created: later, ..made.clone() };
        assert!(matches!(begin(other.bundle()).await, Err(ImportError::OtherSite { .. })));
        assert_eq!(imports.unfinished().unwrap().1.sequence, 1);
        let next = Make { sequence: 2, created: later, ..made.clone() };
        begin(next.bundle()).await.unwrap();
        let (_, about) = imports.unfinished().unwrap();
        assert_eq!((about.outcome, about.sequence, about.missing.len()), (ReceiptOutcome::Partial, 2, 3));
        assert_eq!(about.reasons, ["3 objects of bundle 2 are not here yet"]);
        assert!(imports.abandon(&about.bundle.unwrap()) && imports.unfinished().is_none());
    }
}
