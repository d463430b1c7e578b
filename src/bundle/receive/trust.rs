//! Whether a receipt is the site's.

use jiff::Timestamp;

use super::{Claim, Proof, ReceiptRefusal};
use crate::model::{PublicKey, SiteRecord, Snapshot};
use crate::signing::{KeyEntry, KeysDocument, Signature};

/// The key that signed, which is the site's, and what to say of how that is known.
#[derive(Debug)]
pub(super) struct Trusted {
    pub(super) key: PublicKey,
    pub(super) note: Option<String>,
}

/// A key that is known to be the site's, and by whose word.
struct Anchor {
    key: PublicKey,
    whose: &'static str,
}

/// Verifies the signature, and that its key is the site's: the one that a person names, or the policy's, or the last
/// receipt's, or one for which that one vouches. The first receipt of a site for which nobody has said a word is
/// believed.
pub(super) fn trusted(
    snapshot: &Snapshot,
    record: Option<&SiteRecord>,
    (claim, proof): (&Claim, &Proof),
    named: Option<&PublicKey>,
    now: Timestamp,
) -> Result<Trusted, ReceiptRefusal> {
    let policy = snapshot.policy_at(now).and_then(|applied| applied.policy().ok());
    let pinned = policy.and_then(|policy| policy.site(&claim.site)).and_then(|site| site.key());
    if let (Some(named), Some(pinned)) = (named, pinned)
        && named != pinned
    {
        return Err(ReceiptRefusal::OtherThanPolicy { site: claim.site.clone(), policy: pinned.id });
    }
    let known = record.and_then(|record| record.key.as_ref());
    let anchor = |key: Option<&PublicKey>, whose| key.map(|key| Anchor { key: *key, whose });
    let anchor = anchor(named, "the key that was named for")
        .or_else(|| anchor(pinned, "the policy's key for"))
        .or_else(|| anchor(known, "the known key of"));
    match proof {
        Proof::Whole { text, signature, key, keys } => {
            Signature::parse(signature)?.verify(key, text.as_bytes())?;
            let note = vouched(claim, key, keys, anchor.as_ref(), known)?;
            Ok(Trusted { key: *key, note })
        }
        Proof::Short(short) => {
            let by = short.short.key;
            let candidates = [named, pinned, known].into_iter().flatten();
            let key = candidates.copied().find(|key| key.id == by);
            let key = key.ok_or_else(|| ReceiptRefusal::UnknownKey { site: claim.site.clone(), by })?;
            short.verify(&key)?;
            Ok(Trusted { key, note: None })
        }
    }
}

fn vouched(
    claim: &Claim,
    key: &PublicKey,
    keys: &KeysDocument,
    anchor: Option<&Anchor>,
    known: Option<&PublicKey>,
) -> Result<Option<String>, ReceiptRefusal> {
    let site = &claim.site;
    let Some(anchor) = anchor else {
        return Ok(Some(format!(
            "nothing was known of the key of site {site}: {} ({key}) is believed from now on; compare it with what \
             `ringfence key show` prints at the site, or name it in the policy's [[site]]",
            key.id
        )));
    };
    if anchor.key != *key && !follows(&anchor.key, key, keys) {
        let (by, known) = (key.id, anchor.key.id);
        return Err(ReceiptRefusal::OtherKey { site: site.clone(), by, whose: anchor.whose, known });
    }
    let is_new = known.is_some_and(|known| known != key);
    Ok(is_new.then(|| format!("site {site} signs with key {} from now on", key.id)))
}

/// Whether `anchor` vouches for `key`, directly or through others. That a key is retired does not matter here: the site
/// itself says so, and it is the site's newest key that signs.
fn follows(anchor: &PublicKey, key: &PublicKey, keys: &KeysDocument) -> bool {
    let unretired = |entry: &KeyEntry| KeyEntry { retired_at: None, ..entry.clone() };
    let keys = KeysDocument { keys: keys.keys.iter().map(unretired).collect() };
    keys.trusted_from(anchor, Timestamp::MIN).contains(key)
}
