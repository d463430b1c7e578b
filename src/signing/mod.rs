//! Signatures: Ed25519 in minisign's format, made by the origin and verified on what publishers sign.
//!
//! minisign's format, because anybody can check it with a tool that they have: a signature is four lines of text, a
//! public key is two. What this room deliberately does not do: it reads and writes no files, keeps no keys, and knows
//! no clock and no randomness; whoever calls it brings the bytes. Which keys count is decided elsewhere.

mod secret;
mod signature;

pub use secret::{NotASecretKey, SecretKey};
pub use signature::{BadSignature, SIGNATURE_MAX_BYTES, Signature};
