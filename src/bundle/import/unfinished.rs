//! What a receipt says of an import that did not come to its end: one that is open, or one that was refused.

use std::sync::PoisonError;

use super::{Imports, Refused};
use crate::bundle::receipt::About;
use crate::model::{ReceiptOutcome, SiteName};

impl Imports {
    /// Notes how the begin of an import ended, of a bundle that is the origin's and for this site. Kept until the next
    /// begin: a receipt that is asked for meanwhile tells of it.
    pub(super) fn note_begin(&self, refused: Option<Refused>) {
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
        open.or_else(|| refused().map(|Refused { site, about, .. }| (site, about)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::SignedDuration;

    use super::*;
    use crate::bundle::import::{Brought, ImportError, ImportOptions, NotBegun};
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
        let refusal = begin(made.bundle()).await.unwrap_err();
        assert!(matches!(refusal, NotBegun { error: ImportError::Expired { .. }, refused: Some(_) }));
        let (site, about) = imports.unfinished().unwrap();
        assert_eq!((site.as_str(), about.outcome, about.sequence), ("plant-7", ReceiptOutcome::Refused, 1));
        assert!(about.reasons[0].starts_with("the bundle could be imported until "), "{about:?}");
        // Of what is not the origin's, or not for this site, nothing is kept.
        let other = Make { site: "ship".into(), created: later, ..made.clone() };
        let refusal = begin(other.bundle()).await.unwrap_err();
        assert!(matches!(refusal, NotBegun { error: ImportError::OtherSite { .. }, refused: None }));
        assert_eq!(imports.unfinished().unwrap().1.sequence, 1);
        let next = Make { sequence: 2, created: later, ..made.clone() };
        begin(next.bundle()).await.unwrap();
        let (_, about) = imports.unfinished().unwrap();
        assert_eq!((about.outcome, about.sequence, about.missing.len()), (ReceiptOutcome::Partial, 2, 3));
        assert_eq!(about.reasons, ["3 objects of bundle 2 are not here yet"]);
        assert!(imports.abandon(&about.bundle.unwrap()) && imports.unfinished().is_none());
    }
}
