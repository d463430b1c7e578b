//! The receipt of an offline site, `RECEIPT-<site>-<number>.json`: one JSON object on one line, whose last member is the
//! receipt's id.
//!
//! It is written as a bundle's manifest is, and signed as a whole by the site's own key. Each names the one before it,
//! so that an origin sees a copy of a site, and one that was put back from a backup. `make` writes one, `give` journals
//! it, `short` is what fits in a QR code or can be typed, `words` is what people read.
//!
//! What this module deliberately does not do: it judges no receipt (`receive` does), and it knows no device: only sums.

mod check;
mod give;
mod make;
mod qr;
mod short;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod typed;
mod words;

pub use check::is_consistent;
pub use give::{GiveError, give_receipt};
pub use make::{About, Seen, Signer, make};
pub use qr::qr;
pub use short::{ShortError, ShortReceipt, SignedShort};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::line::{self, NotClosed};
use crate::model::{
    Blake3Digest, BundleId, PublicKey, ReceiptId, ReceiptOutcome, RingTally, Sha256Digest, SiteName, SiteVersion,
};
use crate::signing::KeysDocument;

/// The format that is written, and the only one that is read.
pub const RECEIPT_FORMAT: u32 = 1;
/// The longest receipt that is written and read.
pub const RECEIPT_MAX_BYTES: usize = 64 << 10;
/// The most reasons in one.
pub const REASONS_MAX: usize = 20;
/// The longest reason in bytes.
pub const REASON_MAX_BYTES: usize = 400;
/// The most missing objects that one names; how many there are is told besides.
pub const MISSING_MAX: usize = 100;

/// Why a text is no receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// It is longer than any that is written.
    #[error("the receipt has {bytes} bytes; at most {RECEIPT_MAX_BYTES} are read")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// It is in a format that this build does not know.
    #[error(
        "the receipt has format {found}, and this version of ringfence reads format {RECEIPT_FORMAT}: take it with the version that the site runs"
    )]
    OtherFormat {
        /// The format that it names.
        found: u64,
    },
    /// It cannot be read.
    #[error("this is no receipt of a site: {why}")]
    Malformed {
        /// What is wrong.
        why: String,
    },
    /// Its bytes are not those that its id was taken of.
    #[error("the receipt does not have the id that it names: its bytes were changed")]
    OtherId,
    /// It contradicts itself.
    #[error("the receipt contradicts itself: {why}")]
    Contradiction {
        /// How.
        why: String,
    },
}

/// How much a receipt had no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Versions of products.
    pub versions: u64,
    /// Tallies, those of the oldest rollouts.
    pub tallies: u64,
}

/// What an offline site says of itself, and of the last import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// [`RECEIPT_FORMAT`].
    pub format: u32,
    /// Which site.
    pub site: SiteName,
    /// Its place among the site's receipts, from 1.
    pub number: u64,
    /// The receipt before it; none for the first.
    pub previous: Option<ReceiptId>,
    /// The bundle that it is about; none before the first.
    pub bundle: Option<BundleId>,
    /// That bundle's sequence; 0 where there is none.
    pub sequence: u64,
    /// How the import ended.
    pub outcome: ReceiptOutcome,
    /// Why it was not applied, each reason one sentence.
    pub reasons: Vec<String>,
    /// Objects that are not there, in ascending order, at most [`MISSING_MAX`].
    pub missing: Vec<Blake3Digest>,
    /// How many are not there.
    pub missing_count: u64,
    /// The bundle whose content the site serves.
    pub applied: Option<BundleId>,
    /// That bundle's sequence; 0 where there is none.
    pub applied_sequence: u64,
    /// The root of the set that the site holds of what it serves.
    pub root: Sha256Digest,
    /// What its groups see.
    pub versions: Vec<SiteVersion>,
    /// What its devices have said so far, newest rollouts first.
    pub tallies: Vec<RingTally>,
    /// What there was no room for.
    pub left_out: LeftOut,
    /// The highest time that the site has seen, in whole seconds.
    pub trusted_time: Timestamp,
    /// When its own clock says that this was written.
    pub issued_at: Timestamp,
    /// The site's key that signs.
    pub key: PublicKey,
    /// The site's keys, each vouched for by the one before it.
    pub keys: KeysDocument,
}

impl Receipt {
    /// The bytes of the file, and the receipt's id.
    pub fn text(&self) -> (String, ReceiptId) {
        // Maps with text keys and numbers: there is nothing in it that JSON cannot carry.
        let (text, id) = line::close(serde_json::to_string(self).unwrap_or_default());
        (text, ReceiptId(id))
    }

    /// Reads the file: only what [`Receipt::text`] writes, byte for byte, and only what does not contradict itself. Whether
    /// it is signed is the caller's to ask, before anything else of it is believed.
    pub fn parse(text: &str) -> Result<(Self, ReceiptId), ReceiptError> {
        let malformed = |why: String| ReceiptError::Malformed { why };
        if text.len() > RECEIPT_MAX_BYTES {
            return Err(ReceiptError::TooLong { bytes: text.len() });
        }
        #[derive(Deserialize)]
        struct Format {
            format: u64,
        }
        let Format { format } = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
        if format != u64::from(RECEIPT_FORMAT) {
            return Err(ReceiptError::OtherFormat { found: format });
        }
        let (object, id) = line::open(text).map_err(|why| match why {
            NotClosed::NoId => malformed("it does not end in its id".into()),
            NotClosed::OtherId => ReceiptError::OtherId,
        })?;
        let receipt: Self = serde_json::from_str(&object).map_err(|error| malformed(error.to_string()))?;
        if receipt.text().0 != text {
            return Err(malformed("it is spelt in another way than it is written".into()));
        }
        receipt.check()?;
        Ok((receipt, ReceiptId(id)))
    }

    /// The name of its file without the ending: of `RECEIPT-plant-7-0012.json` and `.sig`. No two receipts share one.
    pub fn file_name(&self) -> String {
        format!("RECEIPT-{}-{:04}", self.site, self.number)
    }
}
