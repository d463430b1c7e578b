//! What an origin makes of a site's receipt: whether it is the site's, whether it continues what is known of the site, and
//! which bundle it proves to be there.
//!
//! A receipt that is the site's is taken whatever it says; what does not fit makes the site astray, and its next bundle a
//! full one. What this module deliberately does not do: it resets nothing, at no site and nowhere: what no receipt
//! acknowledges is simply in the next bundle again.

mod chain;
mod judge;
mod refusal;
#[cfg(test)]
mod tally_tests;
#[cfg(test)]
mod tests;
mod trust;

pub use refusal::ReceiptRefusal;

use std::sync::Arc;

use jiff::Timestamp;

use super::receipt::{Receipt, SignedShort};
use crate::catalog::{Catalog, CommitError};
use crate::model::{
    Actor, BundleId, Event, PublicKey, ReceiptId, ReceiptOutcome, RingTally, Sha256Digest, SiteName, SiteVersion,
};
use crate::signing::{KeysDocument, Signature};

/// A receipt as it was carried here; nothing of it is believed yet.
#[derive(Debug)]
pub struct Carried {
    claim: Claim,
    proof: Proof,
}

/// What a receipt says, in either form.
#[derive(Debug, Clone)]
struct Claim {
    site: SiteName,
    receipt: ReceiptId,
    number: u64,
    previous: Option<ReceiptId>,
    bundle: Option<(BundleId, u64)>,
    outcome: ReceiptOutcome,
    applied: Option<(BundleId, u64)>,
    root: Sha256Digest,
    trusted_time: Timestamp,
    /// What only the whole receipt has.
    details: Option<Details>,
}

#[derive(Debug, Clone)]
struct Details {
    reasons: Vec<String>,
    versions: Vec<SiteVersion>,
    tallies: Vec<RingTally>,
}

#[derive(Debug)]
enum Proof {
    Whole { text: String, signature: String, key: PublicKey, keys: KeysDocument },
    Short(Box<SignedShort>),
}

/// What became of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Which site.
    pub site: SiteName,
    /// The receipt.
    pub receipt: ReceiptId,
    /// Its place among the site's receipts.
    pub number: u64,
    /// Whether it was not known before. Where it was, nothing was changed.
    pub is_new: bool,
    /// How the import ended.
    pub outcome: ReceiptOutcome,
    /// Why it was not applied, each reason one sentence.
    pub reasons: Vec<String>,
    /// The bundle that it is about, and its sequence.
    pub bundle: Option<(BundleId, u64)>,
    /// What the site has proven to hold, from which the next bundle starts.
    pub proven: Option<(BundleId, u64)>,
    /// Why the next bundle has to be a full one, where it has to.
    pub astray: Option<String>,
    /// What a person should know besides, each a sentence.
    pub notes: Vec<String>,
    /// The key that signed it.
    pub key: PublicKey,
}

impl Carried {
    /// Reads a receipt: the text of its file and the text of its signature.
    pub fn whole(text: String, signature: String) -> Result<Self, ReceiptRefusal> {
        let (receipt, id) = Receipt::parse(&text)?;
        Signature::parse(&signature)?;
        let Receipt {
            site, number, previous, outcome, reasons, root, trusted_time, versions, tallies, key, keys, ..
        } = receipt;
        let claim = Claim {
            site,
            receipt: id,
            number,
            previous,
            bundle: receipt.bundle.map(|bundle| (bundle, receipt.sequence)),
            outcome,
            applied: receipt.applied.map(|applied| (applied, receipt.applied_sequence)),
            root,
            trusted_time,
            details: Some(Details { reasons, versions, tallies }),
        };
        Ok(Self { claim, proof: Proof::Whole { text, signature, key, keys } })
    }

    /// Reads the short form, as a QR code has it or as it was typed.
    pub fn short(text: &str) -> Result<Self, ReceiptRefusal> {
        let signed = SignedShort::parse(text)?;
        let short = signed.short.clone();
        let claim = Claim {
            site: short.site,
            receipt: short.receipt,
            number: short.number,
            previous: short.previous,
            bundle: short.bundle,
            outcome: short.outcome,
            applied: short.applied,
            root: short.root,
            trusted_time: short.trusted_time,
            details: None,
        };
        Ok(Self { claim, proof: Proof::Short(Box::new(signed)) })
    }
}

/// Takes a receipt. `key` is the site's, where a person says so; otherwise it is the policy's, the last receipt's, or, for
/// the first receipt of a site, its own. Returns after fsync.
pub async fn take_receipt(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    carried: Carried,
    key: Option<PublicKey>,
) -> Result<Told, CommitError<ReceiptRefusal>> {
    let mut told = None;
    let committed = catalog.commit(actor, |snapshot, now| {
        let judged = judge::judge(snapshot, &carried, key.as_ref(), now)?;
        let events = judged.event.into_iter().collect();
        told = Some(judged.told);
        Ok::<Vec<Event>, _>(events)
    });
    let committed = committed.await?;
    let told = told.ok_or(CommitError::Refused(ReceiptRefusal::NotJudged))?;
    let record = committed.snapshot.site(&told.site).cloned();
    let proven = record.as_ref().and_then(|record| record.proven_export());
    let proven = proven.map(|(export, _)| (export.bundle, export.sequence));
    Ok(Told { proven, astray: record.and_then(|record| record.astray.clone()), ..told })
}
