//! Why a receipt is not taken.

use crate::bundle::receipt::{ReceiptError, ShortError};
use crate::model::{KeyId, SiteName};
use crate::signing::BadSignature;

/// A receipt is left alone: nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptRefusal {
    /// It cannot be read.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// Its short form cannot be read.
    #[error(transparent)]
    Short(#[from] ShortError),
    /// It does not verify.
    #[error("the receipt is not to be believed: {0}")]
    Signature(#[from] BadSignature),
    /// No such site.
    #[error(
        "there is no site {0} here: no bundle was written for it, and the policy has no [[site]] of that name; take the \
         receipt to the origin that it is for"
    )]
    UnknownSite(SiteName),
    /// It is signed by a key that nobody vouches for.
    #[error(
        "the receipt is signed by key {by}, and {whose} site {site} is {known}, which does not vouch for it: if the site \
         was set up anew, name its new key (`ringfence key show` at the site prints it)"
    )]
    OtherKey {
        /// Which site.
        site: SiteName,
        /// Who signed.
        by: KeyId,
        /// Whose word it is that the other key is the site's.
        whose: &'static str,
        /// That key.
        known: KeyId,
    },
    /// A person names another key than the policy.
    #[error("the policy says that site {site} has key {policy}: change the key of its [[site]] instead of naming one")]
    OtherThanPolicy {
        /// Which site.
        site: SiteName,
        /// The policy's key.
        policy: KeyId,
    },
    /// The short form names a key and does not bring it.
    #[error(
        "the short receipt is signed by key {by}, which is not known to be that of site {site}: bring the whole receipt, \
         or name the site's key (`ringfence key show` at the site prints it)"
    )]
    UnknownKey {
        /// Which site.
        site: SiteName,
        /// Who signed.
        by: KeyId,
    },
    /// A newer one was taken.
    #[error("receipt {number} of site {site} is old: receipt {last} was taken already; nothing was changed")]
    Old {
        /// Which site.
        site: SiteName,
        /// Its number.
        number: u64,
        /// The newest number.
        last: u64,
    },
    /// It was not looked at, which does not happen.
    #[error("the receipt was not looked at; try again")]
    NotJudged,
}
