//! The part of a receipt that an origin cannot do without, small enough for a QR code or for typing.
//!
//! It is signed on its own, as a text of one fact a line, so that it can be believed without the whole receipt. It has
//! no tallies and no versions: it moves the base of the next bundle, and opens no gate.

use jiff::Timestamp;

use super::{Receipt, typed};
use crate::model::{Blake3Digest, BundleId, KeyId, PublicKey, ReceiptId, ReceiptOutcome, Sha256Digest, SiteName};
use crate::signing::{BARE_SIGNATURE_BYTES, BadSignature, SecretKey, verify_bare};

/// The first byte: the format.
const FORMAT: u8 = 1;
const HAS_PREVIOUS: u8 = 1;
const HAS_BUNDLE: u8 = 2;
const HAS_APPLIED: u8 = 4;
/// The applied bundle is the one that the receipt is about, and is not told twice.
const IS_APPLIED: u8 = 8;
const OUTCOME_SHIFT: u8 = 4;

/// Why a text is no short receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShortError {
    /// A line was not typed as it was printed.
    #[error("line {line} of the receipt is mistyped: its last two characters do not fit the others")]
    Mistyped {
        /// Its number, from 1.
        line: usize,
    },
    /// There are lines missing, or it is something else.
    #[error("this is no short receipt: it begins with RF1 and ends in its check, and lines may be missing")]
    Malformed,
}

/// What is left of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShortReceipt {
    /// Which site.
    pub site: SiteName,
    /// Its place among the site's receipts.
    pub number: u64,
    /// The receipt before it.
    pub previous: Option<ReceiptId>,
    /// The whole receipt.
    pub receipt: ReceiptId,
    /// The bundle that it is about, and its sequence.
    pub bundle: Option<(BundleId, u64)>,
    /// How the import ended.
    pub outcome: ReceiptOutcome,
    /// The bundle whose content the site serves, and its sequence.
    pub applied: Option<(BundleId, u64)>,
    /// The root of the set that the site holds.
    pub root: Sha256Digest,
    /// The highest time that the site has seen, in whole seconds after 1970.
    pub trusted_time: Timestamp,
    /// The site's key that signs.
    pub key: KeyId,
}

/// A short receipt and its signature; nothing is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedShort {
    /// What is signed.
    pub short: ShortReceipt,
    /// The bare Ed25519 signature over its text.
    pub signature: [u8; BARE_SIGNATURE_BYTES],
}

impl ShortReceipt {
    /// The short form of a receipt, to be signed by this key.
    pub fn of(receipt: &Receipt, id: ReceiptId, key: KeyId) -> Self {
        Self {
            site: receipt.site.clone(),
            number: receipt.number,
            previous: receipt.previous,
            receipt: id,
            bundle: receipt.bundle.map(|bundle| (bundle, receipt.sequence)),
            outcome: receipt.outcome,
            applied: receipt.applied.map(|applied| (applied, receipt.applied_sequence)),
            root: receipt.root,
            trusted_time: receipt.trusted_time,
            key,
        }
    }

    /// The text that is signed.
    pub fn text(&self) -> String {
        let bundle = |bundle: &Option<(BundleId, u64)>| {
            bundle.map_or_else(|| "-".to_owned(), |(bundle, sequence)| format!("{bundle} {sequence}"))
        };
        let Self { site, number, receipt, outcome, root, trusted_time, key, .. } = self;
        let previous = self.previous.map_or_else(|| "-".to_owned(), |previous| previous.to_string());
        let (about, applied, outcome) = (bundle(&self.bundle), bundle(&self.applied), outcome.as_str());
        format!(
            "ringfence receipt 1\nsite {site}\nnumber {number}\nprevious {previous}\nreceipt {receipt}\nbundle {about}\n\
             outcome {outcome}\napplied {applied}\nroot {root}\ntime {trusted_time}\nkey {key}\n"
        )
    }

    /// Signs it. The key is the one that it names.
    pub fn sign(self, key: &SecretKey) -> SignedShort {
        let signature = key.sign_bare(self.text().as_bytes());
        SignedShort { short: self, signature }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT, u8::try_from(self.site.as_str().len()).unwrap_or(u8::MAX)];
        bytes.extend_from_slice(self.site.as_str().as_bytes());
        let is_applied = self.applied.is_some() && self.applied == self.bundle;
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        bytes.push(
            flag(self.previous.is_some(), HAS_PREVIOUS)
                | flag(self.bundle.is_some(), HAS_BUNDLE)
                | flag(self.applied.is_some(), HAS_APPLIED)
                | flag(is_applied, IS_APPLIED)
                | code_of(self.outcome) << OUTCOME_SHIFT,
        );
        push_number(&mut bytes, self.number);
        let applied = self.applied.filter(|_| !is_applied);
        bytes.extend(self.previous.iter().flat_map(|previous| *previous.0.as_bytes()));
        bytes.extend_from_slice(self.receipt.0.as_bytes());
        for (bundle, sequence) in self.bundle.into_iter().chain(applied) {
            bytes.extend_from_slice(bundle.0.as_bytes());
            push_number(&mut bytes, sequence);
        }
        bytes.extend_from_slice(self.root.as_bytes());
        push_number(&mut bytes, u64::try_from(self.trusted_time.as_second()).unwrap_or(0));
        bytes.extend_from_slice(&self.key.0);
        bytes
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        if take::<1>(bytes)? != [FORMAT] {
            return None;
        }
        let [length] = take::<1>(bytes)?;
        let (site, rest) = bytes.split_at_checked(usize::from(length))?;
        *bytes = rest;
        let site = std::str::from_utf8(site).ok()?.parse().ok()?;
        let [flags] = take::<1>(bytes)?;
        let has = |flag: u8| flags & flag != 0;
        let outcome = outcome_of(flags >> OUTCOME_SHIFT)?;
        let number = take_number(bytes)?;
        let digest = |bytes: &mut &[u8]| take::<32>(bytes).map(Blake3Digest::from_bytes);
        let placed = |bytes: &mut &[u8]| Some((BundleId(digest(bytes)?), take_number(bytes)?));
        let previous = if has(HAS_PREVIOUS) { Some(ReceiptId(digest(bytes)?)) } else { None };
        let receipt = ReceiptId(digest(bytes)?);
        let bundle = if has(HAS_BUNDLE) { Some(placed(bytes)?) } else { None };
        let applied = match (has(HAS_APPLIED), has(IS_APPLIED)) {
            (false, false) => None,
            (true, true) => Some(bundle?),
            (true, false) => Some(placed(bytes)?),
            (false, true) => return None,
        };
        let root = Sha256Digest::from_bytes(take::<32>(bytes)?);
        let trusted_time = Timestamp::from_second(i64::try_from(take_number(bytes)?).ok()?).ok()?;
        let key = KeyId(take::<8>(bytes)?);
        Some(Self { site, number, previous, receipt, bundle, outcome, applied, root, trusted_time, key })
    }
}

impl SignedShort {
    /// The characters of the QR code: `RF1:` and base32.
    pub fn code(&self) -> String {
        typed::code(&self.bytes())
    }

    /// The same characters in lines, each with a number before and two characters of check behind it.
    pub fn typed(&self) -> String {
        typed::lines(&self.bytes())
    }

    /// Reads what [`SignedShort::code`] or [`SignedShort::typed`] writes, in whatever case and spacing.
    pub fn parse(text: &str) -> Result<Self, ShortError> {
        let bytes = typed::read(text)?;
        let mut rest = bytes.as_slice();
        let read = ShortReceipt::read(&mut rest).zip(take(&mut rest)).filter(|_| rest.is_empty());
        let (short, signature) = read.ok_or(ShortError::Malformed)?;
        let read = Self { short, signature };
        // Nothing may be spelt in two ways.
        if read.bytes() == bytes { Ok(read) } else { Err(ShortError::Malformed) }
    }

    /// Verifies the signature over the text.
    pub fn verify(&self, key: &PublicKey) -> Result<(), BadSignature> {
        if key.id != self.short.key {
            return Err(BadSignature::OtherKey { by: self.short.key, expected: key.id });
        }
        verify_bare(key, self.short.text().as_bytes(), &self.signature)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.short.bytes();
        bytes.extend_from_slice(&self.signature);
        bytes
    }
}

const fn code_of(outcome: ReceiptOutcome) -> u8 {
    match outcome {
        ReceiptOutcome::Applied => 0,
        ReceiptOutcome::Partial => 1,
        ReceiptOutcome::Refused => 2,
    }
}

fn outcome_of(code: u8) -> Option<ReceiptOutcome> {
    [ReceiptOutcome::Applied, ReceiptOutcome::Partial, ReceiptOutcome::Refused].get(usize::from(code)).copied()
}

/// Seven bits a byte, the lowest first.
fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push(number as u8 & 0x7f | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..63).step_by(7) {
        let [byte] = take::<1>(bytes)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}
