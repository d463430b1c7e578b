//! From a token's text to whom it names: form, algorithm, key, signature, and only then its claims.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Oidc, Subject, claims};

/// The longest token.
const TOKEN_MAX_BYTES: usize = 16 << 10;

/// Why an identity provider's token is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenRefusal {
    /// Too long to look at.
    #[error("the token is longer than {TOKEN_MAX_BYTES} bytes")]
    TooLong,
    /// Neither ours nor a JSON web token.
    #[error("the token is not valid: it is neither rf_… nor a signed JSON web token")]
    NotAToken,
    /// Unsigned, signed with a shared secret, or in a way that this server does not know.
    #[error("the token is not signed with an algorithm that is taken here: RS, PS, ES256, ES384 or EdDSA")]
    Algorithm,
    /// No key of the set fits, or the signature is another's.
    #[error("the token is not valid: no key of the identity provider verifies it")]
    Signature,
    /// A claim is missing or wrong.
    #[error("the token's claim {0:?} is missing or cannot be read")]
    Claim(String),
    /// Of another identity provider.
    #[error("the token is of another issuer")]
    Issuer,
    /// For another service.
    #[error("the token is for another audience")]
    Audience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not begun.
    #[error("the token is not valid yet")]
    Early,
    /// Its roles stand for more than one here.
    #[error("the token's roles stand for more than one role here, of which a person has one")]
    Roles,
}

/// The parts of a header that matter. A field that comes twice is an error.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<IgnoredAny>,
    #[serde(default)]
    b64: Option<IgnoredAny>,
}

impl Oidc {
    /// Whom a token names at `now`.
    pub(in crate::serve::admin) fn verify(&self, token: &str, now: Timestamp) -> Result<Subject, IdTokenRefusal> {
        use IdTokenRefusal as R;
        if token.len() > TOKEN_MAX_BYTES {
            return Err(R::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(R::NotAToken)?;
        let (header, payload) = message.split_once('.').filter(|(_, rest)| !rest.contains('.')).ok_or(R::NotAToken)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| R::NotAToken);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| R::NotAToken)?;
        // Whatever is critical to the issuer is unknown here (RFC 7515, section 4.1.11).
        if header.crit.is_some() || header.b64.is_some() {
            return Err(R::NotAToken);
        }
        let algorithm = asymmetric(&header.alg).ok_or(R::Algorithm)?;
        let keys = self.keys.load();
        let key = keys.find(header.kid.as_deref(), algorithm).ok_or(R::Signature)?;
        if !crypto::verify(signature, message.as_bytes(), key, algorithm).unwrap_or(false) {
            return Err(R::Signature);
        }
        claims::read(&decode(payload)?, &self.options, now)
    }
}

/// The algorithms that are taken: each verifies with what cannot sign.
fn asymmetric(name: &str) -> Option<Algorithm> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let known = [RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA];
    known.into_iter().find(|algorithm| format!("{algorithm:?}") == name)
}
