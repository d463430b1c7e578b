//! Key sets (RFC 7517): which keys are taken, and which make the whole set one that nobody should trust.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The largest file.
const FILE_MAX_BYTES: u64 = 1 << 20;
/// The most keys of one set.
const KEYS_MAX: usize = 100;
const RSA_LEAST_BITS: usize = 2048;
/// What the verifier takes.
const RSA_MOST_BITS: usize = 8192;

/// Why a key set is not taken. The keys that were in force before stay.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// The file cannot be read.
    #[error("the key set {} cannot be read: {source}", path.display())]
    Unreadable {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no key set, or one of its keys should not be trusted.
    #[error("the key set {} is refused: {why}", path.display())]
    Refused {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// What tells a changed file from an unchanged one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp(Option<SystemTime>, u64, u64);

/// The keys that signatures are verified with.
pub(super) struct Keys(Vec<Key>);

struct Key {
    id: Option<String>,
    algorithms: &'static [Algorithm],
    key: DecodingKey,
}

impl Keys {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The key of this id for this algorithm. Without an id there must be one key only.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let key = match (id, &self.0[..]) {
            (None, [only]) => only,
            (None, _) => return None,
            (Some(_), [only]) if only.id.is_none() => only,
            (Some(id), keys) => keys.iter().find(|key| key.id.as_deref() == Some(id))?,
        };
        key.algorithms.contains(&algorithm).then_some(&key.key)
    }
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<RawKey>,
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<IgnoredAny>,
    k: Option<IgnoredAny>,
}

/// The file as it is now.
pub(super) fn stamp(path: &Path) -> io::Result<Stamp> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(path)?;
    Ok(Stamp(metadata.modified().ok(), metadata.len(), metadata.ino()))
}

/// Reads and checks a key set. The stamp is taken first, so that a change while it is read is seen later.
pub(super) fn read(path: &Path) -> Result<(Keys, Stamp), JwksError> {
    let unreadable = |source| JwksError::Unreadable { path: path.to_owned(), source };
    let stamp = stamp(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let keys = parse(&bytes).map_err(|why| JwksError::Refused { path: path.to_owned(), why })?;
    Ok((keys, stamp))
}

/// The keys of a set. One weak or secret key condemns all of it: whoever put that in put in the rest.
pub(super) fn parse(bytes: &[u8]) -> Result<Keys, String> {
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(format!("it is larger than {FILE_MAX_BYTES} bytes"));
    }
    let set: RawSet = serde_json::from_slice(bytes).map_err(|error| format!("it is no JSON web key set: {error}"))?;
    if set.keys.len() > KEYS_MAX {
        return Err(format!("it has {} keys; at most {KEYS_MAX} are taken", set.keys.len()));
    }
    let mut keys: Vec<Key> = Vec::new();
    for (number, raw) in set.keys.into_iter().enumerate() {
        let name = match &raw.kid {
            Some(id) => format!("{:?}", id.chars().take(80).collect::<String>()),
            None => format!("number {}", number + 1),
        };
        keys.extend(raw.read().map_err(|why| format!("key {name} {why}"))?);
    }
    if keys.is_empty() {
        return Err("none of its keys can verify a signature (RS, PS, ES256, ES384 or EdDSA with Ed25519)".to_owned());
    }
    for (at, key) in keys.iter().enumerate() {
        if keys.len() > 1 && key.id.is_none() {
            return Err("it has several keys, so each needs a \"kid\"".to_owned());
        }
        if keys[..at].iter().any(|other| other.id == key.id) {
            let id: String = key.id.iter().flat_map(|id| id.chars()).take(80).collect();
            return Err(format!("two of its keys have the kid {id:?}"));
        }
    }
    Ok(Keys(keys))
}

impl RawKey {
    /// The key; none where it is for something else, or of a kind that no signature here is verified with.
    fn read(self) -> Result<Option<Key>, String> {
        let algorithm = self.alg.as_deref().unwrap_or_default();
        if self.kty == "oct" || self.k.is_some() || algorithm.starts_with("HS") {
            return Err(
                "is a shared secret (kty \"oct\" or an HS algorithm): whoever verifies with it could sign, too; \
                        use RSA, EC or Ed25519 keys"
                    .to_owned(),
            );
        }
        if algorithm.eq_ignore_ascii_case("none") {
            return Err("has the algorithm \"none\", which signs nothing".to_owned());
        }
        if self.d.is_some() {
            return Err("is a private key: put only public keys into the file, and replace this one".to_owned());
        }
        let made = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => Some(self.rsa()?),
            ("EC", Some("P-256")) => Some((self.point(32)?, &[Algorithm::ES256][..])),
            ("EC", Some("P-384")) => Some((self.point(48)?, &[Algorithm::ES384][..])),
            ("OKP", Some("Ed25519")) => {
                let x = coordinate(self.x.as_deref(), 32).ok_or("has no \"x\" of 32 bytes")?;
                Some((DecodingKey::from_ed_der(&x), &[Algorithm::EdDSA][..]))
            }
            _ => None,
        };
        let verifies = |operations: &Vec<String>| operations.iter().any(|operation| operation == "verify");
        let is_for_signatures =
            self.r#use.as_deref().is_none_or(|usage| usage == "sig") && self.key_ops.as_ref().is_none_or(verifies);
        let Some((key, algorithms)) = made.filter(|_| is_for_signatures) else { return Ok(None) };
        let algorithms = match &self.alg {
            None => algorithms,
            // Of another kind than the key, or for encryption: nothing can be verified with it.
            Some(named) => match algorithms.iter().position(|known| format!("{known:?}") == *named) {
                Some(at) => &algorithms[at..=at],
                None => return Ok(None),
            },
        };
        Ok(Some(Key { id: self.kid, algorithms, key }))
    }

    fn rsa(&self) -> Result<(DecodingKey, &'static [Algorithm]), String> {
        use Algorithm::{PS256, PS384, PS512, RS256, RS384, RS512};
        const RSA: &[Algorithm] = &[RS256, RS384, RS512, PS256, PS384, PS512];
        let (Some(n), Some(e)) = (number(self.n.as_deref()), number(self.e.as_deref())) else {
            return Err("has no \"n\" and \"e\" in base64url".to_owned());
        };
        let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        if bits < RSA_LEAST_BITS {
            return Err(format!("is RSA of {bits} bits; at least {RSA_LEAST_BITS} are needed"));
        }
        if bits > RSA_MOST_BITS {
            return Err(format!("is RSA of {bits} bits; at most {RSA_MOST_BITS} are taken"));
        }
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        if !is_odd(&n) || !is_odd(&e) || e == [1] || e.len() > 4 {
            return Err("is RSA with a modulus or exponent that no honest key has".to_owned());
        }
        Ok((DecodingKey::from_rsa_raw_components(&n, &e), RSA))
    }

    fn point(&self, bytes: usize) -> Result<DecodingKey, String> {
        let (x, y) = (coordinate(self.x.as_deref(), bytes), coordinate(self.y.as_deref(), bytes));
        let (Some(x), Some(y)) = (x, y) else { return Err(format!("has no \"x\" and \"y\" of {bytes} bytes")) };
        // Uncompressed (SEC 1, section 2.3.3).
        Ok(DecodingKey::from_ec_der(&[&[4], &x[..], &y[..]].concat()))
    }
}

fn coordinate(text: Option<&str>, bytes: usize) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok().filter(|decoded| decoded.len() == bytes)
}

/// A number without leading zeros, big end first.
fn number(text: Option<&str>) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text?).ok()?;
    let first = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes[first..].to_vec())
}
