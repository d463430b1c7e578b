//! Which of the origin's keys are believed, and whether a statement is one of its own.

use jiff::Timestamp;

use crate::model::{KeyId, PublicKey, Snapshot};
use crate::signing::{BadSignature, CLOCK_TOLERANCE, JournalStatement, KeysDocument, NotAStatement, Signature, Signed};

/// Why what the upstream passes on as the origin's is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// It is no statement.
    #[error("the upstream's statement cannot be read: {0}")]
    NotAStatement(#[from] NotAStatement),
    /// It is no signature, or not of this text.
    #[error("the upstream's statement is not signed well: {0}")]
    BadSignature(#[from] BadSignature),
    /// The key that signed is not among those that are believed.
    #[error(
        "key {0} has signed, which no key of [mirror] origin_keys vouches for: compare `ringfence key list` at the origin"
    )]
    UnknownKey(KeyId),
    /// The origin names no key that could be believed.
    #[error("the upstream names no key of the origin that counts now")]
    NoKey,
    /// It is too old.
    #[error("the upstream's statement expired at {0}: the upstream is cut off from the origin, or this clock is ahead")]
    Expired(Timestamp),
    /// It is from the future.
    #[error("the upstream's statement was made at {0}, which is ahead of this clock")]
    Ahead(Timestamp),
}

/// The keys that count for somebody who believes the `anchors`. What this server's own journal says is retired counts no
/// more, whatever the upstream says.
pub(super) fn trusted(
    anchors: &[PublicKey],
    keys: &KeysDocument,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Vec<PublicKey> {
    let retired = |key: &PublicKey| {
        let known = snapshot.origin_keys().iter().find(|known| known.key == *key);
        known.and_then(|known| known.retired_at).is_some_and(|at| at <= now)
    };
    let mut all: Vec<PublicKey> = Vec::new();
    for anchor in anchors.iter().filter(|anchor| !retired(anchor)) {
        for key in keys.trusted_from(anchor, now) {
            if !retired(&key) && !all.contains(&key) {
                all.push(key);
            }
        }
    }
    all
}

/// The key that signed a text, if it is one of `trusted`.
pub(super) fn signer(signed: &Signed, trusted: &[PublicKey]) -> Result<PublicKey, Doubt> {
    let signature = Signature::parse(&signed.signature)?;
    let Some(key) = trusted.iter().find(|key| key.id == signature.key()) else {
        return Err(Doubt::UnknownKey(signature.key()));
    };
    signature.verify(key, signed.text.as_bytes())?;
    Ok(*key)
}

/// The statement, if the origin made it and it is to be believed now.
pub(super) fn statement(
    signed: &Signed,
    trusted: &[PublicKey],
    now: Timestamp,
) -> Result<(JournalStatement, PublicKey), Doubt> {
    let key = signer(signed, trusted)?;
    let statement = JournalStatement::parse(&signed.text)?;
    if statement.origin != key.id {
        return Err(Doubt::UnknownKey(statement.origin));
    }
    if now > statement.expires.checked_add(CLOCK_TOLERANCE).unwrap_or(Timestamp::MAX) {
        return Err(Doubt::Expired(statement.expires));
    }
    if statement.at > now.checked_add(CLOCK_TOLERANCE).unwrap_or(Timestamp::MAX) {
        return Err(Doubt::Ahead(statement.at));
    }
    Ok((statement, key))
}
