//! Blobs that no sweep may touch: those of publishes in flight, which nothing refers to yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::Blake3Digest;

/// Counts the guards of each protected digest.
#[derive(Debug, Default, Clone)]
pub(super) struct Protections {
    counts: Arc<Mutex<HashMap<Blake3Digest, usize>>>,
}

/// Keeps a blob from every sweep until dropped. A publish holds it until its release is in the snapshot.
#[derive(Debug)]
#[must_use = "the protection ends when this is dropped"]
pub struct Protection {
    protections: Protections,
    digest: Blake3Digest,
}

impl Protections {
    /// Protects a digest, whether or not its blob is there yet. Waits for a removal under way.
    pub(super) fn protect(&self, digest: Blake3Digest) -> Protection {
        *self.counts().entry(digest).or_default() += 1;
        Protection { protections: self.clone(), digest }
    }

    /// Runs `remove` unless the digest is protected. No protection can begin while it runs, so a publish that finds
    /// the blob present after protecting it may rely on it.
    pub(super) fn unless_protected<T>(&self, digest: &Blake3Digest, remove: impl FnOnce() -> T) -> Option<T> {
        let counts = self.counts();
        (!counts.contains_key(digest)).then(remove)
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Blake3Digest, usize>> {
        // The map is whole between any two statements, so a panic elsewhere does not spoil it.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Protection {
    /// What is protected.
    pub fn digest(&self) -> &Blake3Digest {
        &self.digest
    }
}

impl Drop for Protection {
    fn drop(&mut self) {
        let mut counts = self.protections.counts();
        if let Some(count) = counts.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.digest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_guard_ends_the_protection() {
        let protections = Protections::default();
        let digest = Blake3Digest::of(b"body");
        let first = protections.protect(digest);
        let second = protections.protect(digest);
        drop(first);
        assert_eq!(protections.unless_protected(&digest, || ()), None);
        drop(second);
        assert_eq!(protections.unless_protected(&digest, || ()), Some(()));
    }
}
