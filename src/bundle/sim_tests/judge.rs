//! What has to come of a medium, told from what its carrier did and from what the site has; and whether it did.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::carrier::{Harm, Medium};
use super::origin::Exported;
use super::site::{Outcome, Site};
use crate::bundle::{ImportError, Object, root_of};
use crate::model::{Blake3Digest, BundleBase};

/// What has to come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// It is not what was signed, or by a key that counts no more.
    Unsigned,
    Expired,
    /// The site serves from it.
    Again,
    Older,
    /// These are neither there nor in it.
    BaseMissing(BTreeSet<Blake3Digest>),
    /// These did not come whole.
    Partial(BTreeSet<Blake3Digest>),
    Applied,
}

/// What has to come of a medium that arrives now.
pub(super) fn expect(exported: &Exported, medium: &Medium, site: &Site, now: Timestamp) -> Expected {
    let manifest = &exported.manifest;
    let snapshot = site.snapshot();
    let applied = snapshot.applied_bundle();
    let is_retired = applied.is_some_and(|applied| applied.retired.iter().any(|(key, _)| *key == manifest.issuer));
    if is_retired || medium.harm.iter().any(|harm| matches!(harm, Harm::Manifest | Harm::Signature)) {
        return Expected::Unsigned;
    }
    if applied.is_some_and(|applied| applied.bundle == medium.bundle) {
        return Expected::Again;
    }
    if now > manifest.expires {
        return Expected::Expired;
    }
    if applied.is_some_and(|applied| manifest.sequence <= applied.sequence) {
        return Expected::Older;
    }
    let missing = missing(exported, medium, site);
    let base = base_missing(exported, site, missing.contains(&manifest.state));
    match (base.is_empty(), missing.is_empty()) {
        (false, _) => Expected::BaseMissing(base),
        (true, false) => Expected::Partial(missing),
        (true, true) => Expected::Applied,
    }
}

/// What the site still lacks of the bundle's objects once it has read the medium.
fn missing(exported: &Exported, medium: &Medium, site: &Site) -> BTreeSet<Blake3Digest> {
    let kept = site.known.parts.get(&medium.bundle);
    let comes = |index: usize, object: &Object| {
        let is_kept = |part: usize| object.parts.len() > 1 && kept.is_some_and(|kept| kept.contains(&(index, part)));
        (0..object.parts.len()).all(|part| is_kept(part) || is_sound(medium, object, part))
    };
    let objects = exported.manifest.objects.iter().enumerate();
    let lacking = objects.filter(|(index, object)| !site.has(&object.blake3) && !comes(*index, object));
    lacking.map(|(_, object)| object.blake3).collect()
}

fn is_sound(medium: &Medium, object: &Object, part: usize) -> bool {
    let part = &object.parts[part];
    medium.is_sound(part.volume as usize - 1, &(part.offset..part.offset + part.size))
}

/// What the bundle builds on and the site does not have. Without the state only the bases of patches are known.
fn base_missing(exported: &Exported, site: &Site, is_state_missing: bool) -> BTreeSet<Blake3Digest> {
    let manifest = &exported.manifest;
    let patched = manifest.objects.iter().filter(|object| !site.has(&object.blake3));
    let bases: BTreeSet<_> = patched.filter_map(|object| object.base).map(|base| base.blake3).collect();
    let bases: BTreeSet<_> = bases.into_iter().filter(|base| !site.has(base)).collect();
    if is_state_missing || !bases.is_empty() && !site.has(&manifest.state) {
        return bases;
    }
    let is_brought = |blob: &Blake3Digest| manifest.objects.iter().any(|object| object.blake3 == *blob);
    let elsewhere = exported.held.keys().filter(|blob| !is_brought(blob) && !site.has(blob));
    bases.into_iter().chain(elsewhere.copied()).collect()
}

/// Notes which parts of objects came whole, for the next medium with the same bundle.
pub(super) fn note_parts(exported: &Exported, medium: &Medium, site: &mut Site, expected: &Expected) {
    match expected {
        Expected::Partial(_) => {
            let kept = site.known.parts.entry(medium.bundle).or_default();
            for (index, object) in exported.manifest.objects.iter().enumerate() {
                kept.extend(
                    (0..object.parts.len()).filter(|part| is_sound(medium, object, *part)).map(|part| (index, part)),
                );
            }
        }
        // The import is over.
        Expected::BaseMissing(_) | Expected::Applied => {
            site.known.parts.remove(&medium.bundle);
        }
        _ => {}
    }
}

/// Whether what was said is what had to be said.
pub(super) fn check(expected: &Expected, outcome: &Outcome, when: &str) {
    let fits = match (expected, outcome) {
        (Expected::Unsigned, Outcome::Refused(ImportError::Untrusted(_))) => true,
        (Expected::Expired, Outcome::Refused(ImportError::Expired { .. })) => true,
        (Expected::Older, Outcome::Refused(ImportError::Older { .. })) => true,
        (Expected::Again, Outcome::Ended(finished)) => finished.was_applied,
        (Expected::Applied, Outcome::Ended(finished)) => !finished.was_applied,
        (Expected::BaseMissing(expected), Outcome::Refused(ImportError::BaseMissing { ids, count })) => {
            expected.iter().eq(ids) && *count == expected.len() as u64
        }
        (Expected::Partial(expected), Outcome::Refused(ImportError::Partial { missing, count })) => {
            expected.iter().eq(missing) && *count == expected.len() as u64
        }
        _ => false,
    };
    assert!(fits, "{when}: {expected:?} was expected, and it was {outcome:?}");
}

/// Whether a bundle may build on what the site does not have: only what nobody proved, or what was lost with the data.
pub(super) fn check_base(exported: &Exported, site: &Site, life_of_proof: Option<u64>, when: &str) {
    let is_excused = match exported.manifest.base {
        BundleBase::Full => false,
        BundleBase::Assumed { bundle, .. } => {
            site.snapshot().applied_bundle().is_none_or(|applied| applied.bundle != bundle)
        }
        BundleBase::Proven { .. } => life_of_proof.is_some_and(|life| life != site.life),
    };
    let base = exported.manifest.base;
    assert!(is_excused, "{when}: the base {base:?} is missing at a site that has lost nothing");
}

/// Whether everything that the bundle promised is at the site, byte for byte.
pub(super) fn check_root(exported: &Exported, site: &Site, when: &str) {
    let mut found = BTreeSet::new();
    for body in exported.held.values() {
        let bytes = site.catalog().body(&body.blake3, body.size).unwrap();
        let bytes = bytes.unwrap_or_else(|| panic!("{when}: {} is not there", body.blake3));
        found.insert(Blake3Digest::of(&bytes));
    }
    assert_eq!(root_of(&found), exported.manifest.root, "{when}: the root");
    let snapshot = site.snapshot();
    assert_eq!(snapshot.applied_bundle().map(|applied| applied.root), Some(exported.manifest.root), "{when}");
}
