//! Signatures: Ed25519 in minisign's format, made by the origin and verified on what publishers sign; what the origin
//! signs, as text; and whether an origin's answers are to be believed.
//!
//! minisign's format, because anybody can check it with a tool that they have: a signature is four lines of text, a
//! public key is two. What this room deliberately does not do: it reads and writes no files, keeps no keys, and knows
//! no clock and no randomness; whoever calls it brings the bytes. Which keys count is decided elsewhere, but for the
//! keys of an origin, each of which is vouched for by the one before.

#[cfg(test)]
mod attacks;
mod bare;
mod chain;
mod manifest;
mod secret;
mod signature;
mod statement;
mod verify;

pub use bare::{BARE_SIGNATURE_BYTES, verify_bare};
pub use chain::{KEYS_MAX, KeyEntry, KeysDocument};
pub use manifest::{MANIFEST_MAX_BYTES, NotAManifest, parse_manifest};
pub use secret::{NotASecretKey, SecretKey, public_key_file};
pub use signature::{BadSignature, SIGNATURE_MAX_BYTES, Signature};
pub use statement::{
    Freshness, JournalStatement, NotAStatement, OfferLine, STATEMENT_MAX_BYTES, introduction, view_of,
};
pub use verify::{
    Answers, Asked, CLOCK_TOLERANCE, Offer, OfferedArtifact, Remembered, Signed, Untrusted, Verified, verify,
};
