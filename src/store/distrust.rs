//! What a store does that could not make something durable: it acknowledges nothing more. The kernel may have dropped what
//! it could not write, and tells so once only: whoever asks next would be told that all is well.

use std::sync::OnceLock;

use tokio::sync::watch;

use super::StoreError;

/// The first error after which nothing may be acknowledged, for everybody who works with the store.
#[derive(Debug)]
pub(super) struct Distrust {
    first: OnceLock<StoreError>,
    has_failed: watch::Sender<bool>,
}

impl Default for Distrust {
    fn default() -> Self {
        Self { first: OnceLock::new(), has_failed: watch::Sender::new(false) }
    }
}

impl Distrust {
    /// Passes on what came of something that had to be durable: an error if this or anything before it was not.
    pub(super) fn judge<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &outcome
            && error.is_fatal()
        {
            let _ = self.first.set(error.clone());
            self.has_failed.send_replace(true);
        }
        match self.first.get() {
            Some(first) => Err(first.clone()),
            None => outcome,
        }
    }

    /// Turns true, for good, with the first such error.
    pub(super) fn has_failed(&self) -> watch::Receiver<bool> {
        self.has_failed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;

    #[test]
    fn nothing_is_acknowledged_after_something_was_not_durable() {
        let distrust = Distrust::default();
        let failed = distrust.has_failed();
        let full = StoreError::NoSpace { needed: None, path: Path::new("blobs").to_owned() };
        assert_eq!(distrust.judge(Ok(1)).unwrap(), 1);
        assert!(matches!(distrust.judge::<()>(Err(full.clone())), Err(StoreError::NoSpace { .. })));
        assert_eq!(distrust.judge(Ok(2)).unwrap(), 2, "a full disk is no reason for doubt");
        assert!(!*failed.borrow());
        for path in ["blobs/00", "blobs/ff"] {
            let error = StoreError::sync(Path::new(path), io::Error::other("broken"));
            let said = distrust.judge::<()>(Err(error)).unwrap_err().to_string();
            assert!(said.contains("blobs/00 could not be made durable"), "the first is what counts: {said}");
        }
        assert!(*failed.borrow());
        assert!(distrust.judge(Ok(3)).is_err_and(|error| error.is_fatal()));
        assert!(distrust.judge::<()>(Err(full)).is_err_and(|error| error.is_fatal()));
    }
}
