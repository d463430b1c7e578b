//! A signature without its text, for where every character counts: the 64 bytes of minisign's signature line alone.

use blake2::{Blake2b512, Digest as _};
use ed25519_dalek::{Signature, VerifyingKey};

use super::BadSignature;
use crate::model::PublicKey;

/// The length of one in bytes.
pub const BARE_SIGNATURE_BYTES: usize = 64;

/// Verifies the 64 bytes that [`SecretKey::sign_bare`](super::SecretKey::sign_bare) makes.
pub fn verify_bare(
    key: &PublicKey,
    message: &[u8],
    signature: &[u8; BARE_SIGNATURE_BYTES],
) -> Result<(), BadSignature> {
    let wrong = |_| BadSignature::Wrong { by: key.id };
    let verifier = VerifyingKey::from_bytes(&key.bytes).map_err(wrong)?;
    verifier.verify_strict(&Blake2b512::digest(message), &Signature::from_bytes(signature)).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::SecretKey;

    #[test]
    fn the_bytes_are_those_of_the_long_form() {
        use base64::Engine as _;
        let key = SecretKey::from_random([7; 32], [7; 8]);
        let bare = key.sign_bare(b"a receipt");
        let long = key.sign(b"a receipt", "c");
        let line = base64::engine::general_purpose::STANDARD.decode(long.lines().nth(1).unwrap()).unwrap();
        assert_eq!(line[10..], bare);
        assert_eq!(verify_bare(&key.public(), b"a receipt", &bare), Ok(()));
        let wrong = Err(BadSignature::Wrong { by: key.public().id });
        assert_eq!(verify_bare(&key.public(), b"another", &bare), wrong);
        assert_eq!(verify_bare(&SecretKey::from_random([8; 32], [7; 8]).public(), b"a receipt", &bare), wrong);
        let mut changed = bare;
        changed[63] ^= 1;
        assert_eq!(verify_bare(&key.public(), b"a receipt", &changed), wrong);
    }
}
