//! A signature as minisign writes it, and what verifies it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::{KeyId, PublicKey};

/// The longest text of a signature that is read.
pub const SIGNATURE_MAX_BYTES: usize = 8 * 1024;

/// Why a signature is not good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// The text is not one.
    #[error("the signature is not in minisign's format (four lines: two comments, each before a line of base64)")]
    Malformed,
    /// Another key made it.
    #[error("the signature is by key {by}, not by {expected}")]
    OtherKey {
        /// Who signed.
        by: KeyId,
        /// Who should have.
        expected: KeyId,
    },
    /// It does not fit the bytes, or its trusted comment was changed.
    #[error("the signature by key {by} does not fit what it is said to sign")]
    Wrong {
        /// The key that it names.
        by: KeyId,
    },
}

/// A parsed signature; nothing is verified yet.
pub struct Signature {
    key: KeyId,
    comment: String,
    parsed: minisign_verify::Signature,
}

impl Signature {
    /// Reads the text of a signature file.
    pub fn parse(text: &str) -> Result<Self, BadSignature> {
        if text.len() > SIGNATURE_MAX_BYTES {
            return Err(BadSignature::Malformed);
        }
        let line = text.lines().nth(1).and_then(|line| STANDARD.decode(line.trim()).ok());
        let line = line.filter(|line| line.len() == 74).ok_or(BadSignature::Malformed)?;
        let mut id = [0; 8];
        id.copy_from_slice(&line[2..10]);
        let parsed = minisign_verify::Signature::decode(text).map_err(|_| BadSignature::Malformed)?;
        let comment = parsed.trusted_comment().to_owned();
        Ok(Self { key: KeyId(id), comment, parsed })
    }

    /// The key that it says to be by.
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// The trusted comment. To be believed once the signature is verified.
    pub fn trusted_comment(&self) -> &str {
        &self.comment
    }

    /// Verifies it over the whole message.
    pub fn verify(&self, key: &PublicKey, message: &[u8]) -> Result<(), BadSignature> {
        if self.key != key.id {
            return Err(BadSignature::OtherKey { by: self.key, expected: key.id });
        }
        let wrong = |_| BadSignature::Wrong { by: self.key };
        let verifier = minisign_verify::PublicKey::from_base64(&key.to_string()).map_err(wrong)?;
        // Both formats: the old one signs the bytes themselves, which are all at hand.
        verifier.verify(message, &self.parsed, true).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::SecretKey;

    /// A key is no signature.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_random([byte; 32], [byte; 8])
    }

    #[test]
    fn what_we_sign_verifies_and_nothing_else_does() {
        let (key, other) = (key(1), key(2));
        let text = key.sign(b"a release", "sequence 7");
        let signature = Signature::parse(&text).unwrap();
        assert_eq!(signature.trusted_comment(), "sequence 7");
        assert_eq!(signature.key(), key.public().id);
        assert_eq!(signature.verify(&key.public(), b"a release"), Ok(()));
        let wrong = BadSignature::Wrong { by: key.public().id };
        assert_eq!(signature.verify(&key.public(), b"another"), Err(wrong.clone()));
        let impostor = PublicKey { id: key.public().id, ..other.public() };
        assert_eq!(signature.verify(&impostor, b"a release"), Err(wrong.clone()));
        let expected = other.public().id;
        let by = key.public().id;
        assert_eq!(signature.verify(&other.public(), b"a release"), Err(BadSignature::OtherKey { by, expected }));
        let changed = Signature::parse(&text.replace("sequence 7", "sequence 8")).unwrap();
        assert_eq!(changed.verify(&key.public(), b"a release"), Err(wrong));
    }

    #[test]
    fn a_second_implementation_agrees() {
        use blake2::{Blake2b512, Digest as _};
        let key = key(3);
        let text = key.sign(b"a release", "c");
        let line = STANDARD.decode(text.lines().nth(1).unwrap()).unwrap();
        let signature = ed25519_dalek::Signature::from_slice(&line[10..]).unwrap();
        let verifier = ed25519_dalek::VerifyingKey::from_bytes(&key.public().bytes).unwrap();
        assert!(verifier.verify_strict(&Blake2b512::digest(b"a release"), &signature).is_ok());
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        let text = key(1).sign(b"x", "c");
        let lines: Vec<&str> = text.lines().collect();
        let long = format!("untrusted comment: {}\n{}", "x".repeat(SIGNATURE_MAX_BYTES), lines[1..].join("\n"));
        for text in ["", "a\nb\nc\nd", &lines[..3].join("\n"), &lines[1..].join("\n"), KEY, &long] {
            assert!(matches!(Signature::parse(text), Err(BadSignature::Malformed)), "{text}");
        }
    }
}
