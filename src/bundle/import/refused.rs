//! Receipts of bundles that were refused: one of each refusal, however often the medium is tried.

use std::collections::{BTreeSet, VecDeque};

use super::{ImportError, Imports};
use crate::bundle::receipt::{About, GiveError, Receipt, Signer, give_receipt};
use crate::model::{Actor, BundleId, GivenReceipt, ReceiptOutcome, SiteName, Snapshot};

/// Refusals that are remembered until the server ends; the last one is known from the journal besides.
const REMEMBERED_MAX: usize = 32;

/// That a bundle of this site's origin, for this site, was refused: what a receipt says of it.
#[derive(Debug, Clone)]
pub struct Refused {
    pub(super) site: SiteName,
    pub(super) about: About,
    /// How the sentence begins, up to what is another number each time.
    lasting: String,
    /// Whether this server is that site whatever comes: a receipt binds it.
    is_bound: bool,
}

/// Why an import was not begun, and, where that is to be told the origin, what a receipt says of it.
#[derive(Debug)]
pub struct NotBegun {
    /// Why.
    pub error: ImportError,
    /// None of what is not signed by this site's origin, not for this site, or what passes by itself.
    pub refused: Option<Box<Refused>>,
}

impl From<ImportError> for NotBegun {
    fn from(error: ImportError) -> Self {
        Self { error, refused: None }
    }
}

impl From<NotBegun> for ImportError {
    fn from(not_begun: NotBegun) -> Self {
        not_begun.error
    }
}

/// A refusal that a receipt was given of.
#[derive(Debug)]
pub(super) struct Told {
    bundle: Option<BundleId>,
    /// What the site served then.
    applied: Option<BundleId>,
    lasting: String,
    receipt: GivenReceipt,
}

impl Imports {
    /// What a receipt says of this error, if the origin has to know of it: the signature is good, the bundle is newer than
    /// what the site serves from, and it will not be taken as it is.
    pub(super) fn refused(
        &self,
        site: &SiteName,
        (id, sequence): (BundleId, u64),
        error: &ImportError,
    ) -> Option<Refused> {
        let lasting = lasting(error)?;
        let snapshot = self.catalog.snapshot();
        if snapshot.applied_bundle().is_some_and(|applied| applied.sequence >= sequence) {
            return None;
        }
        let missing = match error {
            ImportError::BaseMissing { ids, .. } => ids.iter().copied().collect(),
            _ => BTreeSet::new(),
        };
        let reasons = vec![error.to_string()];
        let about = About { bundle: Some(id), sequence, outcome: ReceiptOutcome::Refused, reasons, missing };
        let is_bound = self.options.site.is_some() || snapshot.own_site().is_some();
        Some(Refused { site: site.clone(), about, lasting, is_bound })
    }

    /// The same of an import that could not be ended.
    pub fn refused_at_end(&self, bundle: &BundleId, error: &ImportError) -> Option<Refused> {
        let (site, sequence) = self.site_of(bundle)?;
        self.refused(&site, (*bundle, sequence), error)
    }

    /// The receipt about a refusal. The same refusal again has the same receipt again: only what is new is journaled. None
    /// where the bundle would only have made this server a site.
    ///
    /// # Errors
    /// The receipt cannot be made or journaled.
    pub async fn tell_refused(
        &self,
        actor: &Actor,
        refused: &Refused,
        signer: Signer<'_>,
    ) -> Result<Option<GivenReceipt>, GiveError> {
        if !refused.is_bound {
            return Ok(None);
        }
        // One after the other, so that the same medium in two hands makes one receipt.
        let mut told = self.told.lock().await;
        let snapshot = self.catalog.snapshot();
        if let Some(receipt) = earlier(&told, &snapshot, refused) {
            return Ok(Some(receipt));
        }
        let (receipt, given) = give_receipt(&self.catalog, actor, &refused.site, refused.about.clone(), signer).await?;
        told.push_back(Told {
            bundle: refused.about.bundle,
            applied: receipt.applied,
            lasting: refused.lasting.clone(),
            receipt: given.clone(),
        });
        if told.len() > REMEMBERED_MAX {
            told.pop_front();
        }
        Ok(Some(given))
    }
}

/// The receipt that was given of this refusal, in the state that the site is still in.
fn earlier(told: &VecDeque<Told>, snapshot: &Snapshot, refused: &Refused) -> Option<GivenReceipt> {
    let applied = snapshot.applied_bundle().map(|applied| applied.bundle);
    let is_same =
        |told: &&Told| (told.bundle, told.applied, &told.lasting) == (refused.about.bundle, applied, &refused.lasting);
    if let Some(told) = told.iter().find(is_same) {
        return Some(told.receipt.clone());
    }
    let last = snapshot.own_site()?.receipt.clone()?;
    if last.outcome != ReceiptOutcome::Refused || last.bundle != refused.about.bundle {
        return None;
    }
    let (receipt, _) = Receipt::parse(&last.text).ok()?;
    let says_so = receipt.reasons.iter().any(|reason| reason.starts_with(&refused.lasting));
    (receipt.applied == applied && says_so).then_some(last)
}

/// How the sentence of a refusal that an origin has to know of begins, without the time and the numbers of the moment. None
/// of what passes by itself, what people here have to decide, and what is the server's own failure.
fn lasting(error: &ImportError) -> Option<String> {
    use ImportError as E;
    /// Receipts cut sentences that are longer than they take.
    const COMPARED_MAX_BYTES: usize = 300;
    let mut sentence = match error {
        E::Expired { expires, .. } => format!("the bundle could be imported until {expires},"),
        E::NoSpace { .. } => "the bundle needs ".to_owned(),
        E::JournalBehind { .. } | E::Fork { .. } | E::BaseMissing { .. } | E::Contradiction(_) => error.to_string(),
        E::NoKey
        | E::NotYours(_)
        | E::OtherOrigin(_)
        | E::Untrusted(_)
        | E::OtherSite { .. }
        | E::Older { .. }
        | E::TooMany { .. }
        | E::NotOpen(_)
        | E::NoVolume(_)
        | E::Busy
        | E::Partial { .. }
        | E::Store(_)
        | E::Io(_)
        | E::Rejected(_)
        | E::Journal(_)
        | E::ReadOnly(_) => return None,
    };
    let end = (0..=COMPARED_MAX_BYTES.min(sentence.len())).rev().find(|end| sentence.is_char_boundary(*end));
    sentence.truncate(end.unwrap_or(0));
    Some(sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Blake3Digest;

    #[test]
    fn each_sentence_begins_with_what_is_compared() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
        let expired = |now: &str| ImportError::Expired { expires: at("2026-11-21T10:00:00Z"), now: at(now) };
        let missing =
            |count: u32| ImportError::base_missing((0..count).map(|n| Blake3Digest::of(&n.to_le_bytes())).collect());
        let same = [
            (expired("2026-11-22T10:00:00Z"), expired("2026-12-22T10:00:00.5Z")),
            (ImportError::NoSpace { needed: 1, free: 0 }, ImportError::NoSpace { needed: 9, free: 8 }),
            (missing(3), missing(3)),
            (ImportError::Contradiction("ü".repeat(500)), ImportError::Contradiction("ü".repeat(500))),
        ];
        for (one, other) in &same {
            let lasting = lasting(one).unwrap();
            assert!(lasting.len() >= 15 && one.to_string().starts_with(&lasting), "{lasting}");
            assert!(other.to_string().starts_with(&lasting), "{lasting} {other}");
        }
        for (index, (one, _)) in same.iter().enumerate() {
            for (_, other) in same.iter().skip(index + 1) {
                assert!(!other.to_string().starts_with(&lasting(one).unwrap()), "{one} {other}");
            }
        }
        assert!(!missing(4).to_string().starts_with(&lasting(&missing(3)).unwrap()));
        assert_eq!(lasting(&ImportError::Busy), None);
    }
}
