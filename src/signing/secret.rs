//! The key that signs.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b512, Digest as _};
use ed25519_dalek::{Signer as _, SigningKey};

use crate::model::{KeyId, PublicKey};

/// The line before the key in its file.
const COMMENT: &str = "untrusted comment: ringfence secret key";
/// The first bytes of the key's line: Ed25519, not encrypted.
const MAGIC: [u8; 4] = *b"Rf\x00\x01";

/// An Ed25519 secret key with its id. Never printed by `Debug`, wiped when dropped.
#[derive(Clone)]
pub struct SecretKey {
    id: KeyId,
    key: SigningKey,
}

/// A text is not a secret key. It is not repeated: it may be a damaged one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not a secret key: a line of comment, and 60 characters of base64")]
pub struct NotASecretKey;

impl SecretKey {
    /// The key that these random bytes make: 32 for the seed, and its id.
    pub fn from_random(seed: [u8; 32], id: [u8; 8]) -> Self {
        Self { id: KeyId(id), key: SigningKey::from_bytes(&seed) }
    }

    /// Reads the text of a key file.
    pub fn parse(text: &str) -> Result<Self, NotASecretKey> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("untrusted"));
        let (Some(line), None) = (lines.next(), lines.next()) else { return Err(NotASecretKey) };
        let bytes = STANDARD.decode(line).map_err(|_| NotASecretKey)?;
        let bytes: [u8; 44] = bytes.try_into().map_err(|_| NotASecretKey)?;
        let (mut id, mut seed) = ([0; 8], [0; 32]);
        if bytes[..4] != MAGIC {
            return Err(NotASecretKey);
        }
        id.copy_from_slice(&bytes[4..12]);
        seed.copy_from_slice(&bytes[12..]);
        Ok(Self::from_random(seed, id))
    }

    /// The text of a key file: for a file that only its owner may read.
    pub fn expose(&self) -> String {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.id.0);
        bytes.extend_from_slice(self.key.as_bytes());
        format!("{COMMENT} {}\n{}\n", self.id, STANDARD.encode(bytes))
    }

    /// The key that verifies what this one signs.
    pub fn public(&self) -> PublicKey {
        PublicKey { id: self.id, bytes: self.key.verifying_key().to_bytes() }
    }

    /// Signs `message`, in minisign's format, over its BLAKE2b digest. The trusted comment is signed, too; it is one
    /// line.
    pub fn sign(&self, message: &[u8], trusted_comment: &str) -> String {
        self.sign_digest(&Blake2b512::digest(message).into(), trusted_comment)
    }

    /// The bare Ed25519 signature that [`SecretKey::sign`] puts into its text, without key id and comment.
    pub fn sign_bare(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(&Blake2b512::digest(message)).to_bytes()
    }

    /// As [`SecretKey::sign`], of a message with this BLAKE2b-512 digest.
    pub fn sign_digest(&self, digest: &[u8; 64], trusted_comment: &str) -> String {
        let comment: String = trusted_comment.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let signature = self.key.sign(digest).to_bytes();
        let mut line = b"ED".to_vec();
        line.extend_from_slice(&self.id.0);
        line.extend_from_slice(&signature);
        let mut covered = signature.to_vec();
        covered.extend_from_slice(comment.as_bytes());
        let global = self.key.sign(&covered).to_bytes();
        format!(
            "untrusted comment: signature from ringfence key {}\n{}\ntrusted comment: {comment}\n{}\n",
            self.id,
            STANDARD.encode(line),
            STANDARD.encode(global)
        )
    }
}

/// The text of a public key's file, as minisign takes it.
pub fn public_key_file(key: &PublicKey) -> String {
    format!("untrusted comment: ringfence origin key {}\n{key}\n", key.id)
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}, …)", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_round_trips_and_is_never_printed() {
        let key = SecretKey::from_random([7; 32], *b"abcdefgh");
        let text = key.expose();
        let back = SecretKey::parse(&text).unwrap();
        assert_eq!(back.public(), key.public());
        assert_eq!(format!("{key:?}"), format!("SecretKey({}, …)", key.public().id));
        assert!(!format!("{key:?}").contains(text.lines().nth(1).unwrap()));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let text = SecretKey::from_random([7; 32], *b"abcdefgh").expose();
        let line = text.lines().nth(1).unwrap();
        for text in ["", "untrusted comment: x\n", &line[4..], &format!("{line}\n{line}"), &line.replacen('U', "V", 1)]
        {
            assert_eq!(SecretKey::parse(text).unwrap_err(), NotASecretKey, "{text}");
        }
        assert!(SecretKey::parse(line).is_ok());
    }
}
