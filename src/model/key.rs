//! Ed25519 public keys as minisign writes them, and what the journal knows of each.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::reach::NameGlob;
use super::{NameError, ProductName, Reason, Stamp};

/// The first two bytes of a minisign key: Ed25519.
const ALGORITHM: [u8; 2] = *b"Ed";

/// The eight bytes that name a key. As text, minisign's sixteen upper-case hexadecimal characters: the number that the
/// bytes are in little-endian order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for KeyId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let error = || NameError::new(text, "key id", "16 hexadecimal characters");
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u64::from_str_radix(text, 16).ok()).flatten().ok_or_else(error)?;
        Ok(Self(number.to_le_bytes()))
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An Ed25519 public key with its id: 56 characters of base64, the second line of a minisign public key file. Whether
/// the 32 bytes are a point of the curve is only known to whoever verifies with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey {
    /// Its id.
    pub id: KeyId,
    /// The key as RFC 8032 encodes it.
    pub bytes: [u8; 32],
}

impl PublicKey {
    /// Reads the key, or a whole minisign public key file: a line of comment, and the key.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        match lines[..] {
            [key] => key.parse(),
            [comment, key] if comment.starts_with("untrusted comment:") => key.parse(),
            _ => Err(not_a_key(text)),
        }
    }
}

fn not_a_key(text: &str) -> NameError {
    NameError::new(text, "public key", "56 characters of base64 that begin with RW, as minisign writes it")
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(42);
        bytes.extend_from_slice(&ALGORITHM);
        bytes.extend_from_slice(&self.id.0);
        bytes.extend_from_slice(&self.bytes);
        f.pad(&STANDARD.encode(bytes))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bytes = STANDARD.decode(text).ok().and_then(|bytes| <[u8; 42]>::try_from(bytes).ok());
        let bytes = bytes.filter(|bytes| bytes[..2] == ALGORITHM).ok_or_else(|| not_a_key(text))?;
        let (mut id, mut key) = ([0; 8], [0; 32]);
        id.copy_from_slice(&bytes[2..10]);
        key.copy_from_slice(&bytes[10..]);
        Ok(Self { id: KeyId(id), bytes: key })
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A publisher's key whose signatures the release gates take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// What people call it.
    pub name: String,
    /// Globs over the products that it may sign; all of them where empty.
    pub products: Vec<NameGlob>,
    /// Who trusted it, and when.
    pub trusted: Stamp,
    /// When, by whom and why it was revoked.
    pub revoked: Option<(Stamp, Reason)>,
}

impl TrustedKey {
    /// Whether it may sign releases of this product.
    pub fn may_sign(&self, product: &ProductName) -> bool {
        self.products.is_empty() || self.products.iter().any(|glob| glob.0.matches(product.as_str()))
    }
}

/// A key that this origin signs with, or has signed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginKey {
    /// The key.
    pub key: PublicKey,
    /// Who added it, and when.
    pub added: Stamp,
    /// The key that vouches for it; none for the first one, and for one that replaces a lost one.
    pub introduced_by: Option<KeyId>,
    /// The vouching key's signature over the introduction, as minisign writes it.
    pub introduction: Option<String>,
    /// Since when nothing it signed is to be believed any more.
    pub retired_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// minisign's own public key, as its web page and manual give it.
    const MINISIGN: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    #[test]
    fn a_known_key_has_the_id_that_minisign_shows() {
        let key: PublicKey = MINISIGN.parse().unwrap();
        assert_eq!(key.id.to_string(), "E7620F1842B4E81F");
        assert_eq!(key.to_string(), MINISIGN);
        let file = format!("untrusted comment: minisign public key E7620F1842B4E81F\n{MINISIGN}\n");
        assert_eq!(PublicKey::parse(&file).unwrap(), key);
        assert_eq!("e7620f1842b4e81f".parse::<KeyId>().unwrap(), key.id);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "RWQ", "x\ny", &MINISIGN[..55], &MINISIGN.replacen("RW", "AA", 1), "a\nb\nc"] {
            assert!(PublicKey::parse(text).is_err(), "{text}");
        }
        assert!("+000000000000000".parse::<KeyId>().is_err());
    }

    proptest! {
        #[test]
        fn text_and_bytes_round_trip(id: [u8; 8], bytes: [u8; 32]) {
            let key = PublicKey { id: KeyId(id), bytes };
            prop_assert_eq!(key.to_string().parse::<PublicKey>().unwrap(), key);
            prop_assert_eq!(key.id.to_string().parse::<KeyId>().unwrap(), key.id);
        }
    }
}
