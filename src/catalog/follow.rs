//! Following another server's journal: its lines become this one's, byte for byte.

use std::sync::Arc;

use bytes::Bytes;

use super::commit::{Catalog, Committed};
use super::error::FollowError;

impl Catalog {
    /// From now on nothing but [`Catalog::follow`] changes this catalog; whoever tries is told the origin's address.
    /// Cannot be taken back.
    pub fn follow_only(&self, origin: &str) {
        // A second call finds the first one's word, which stays.
        let _ = self.read_only_of.set(origin.to_owned());
    }

    /// The origin's address, if this server only follows its journal.
    pub fn origin(&self) -> Option<&str> {
        self.read_only_of.get().map(String::as_str)
    }

    /// Takes over the lines that come next in the origin's journal, each without its line feed. Whether they are the
    /// origin's is the caller's to know; that they continue what is here is checked. Returns once they are fsynced, in
    /// the index, and visible.
    pub async fn follow(self: &Arc<Self>, lines: Vec<Bytes>) -> Result<Committed, FollowError> {
        let (catalog, queue) = (self.clone(), move |catalog: &Self| catalog.enqueue_lines(&lines));
        // Parsing and checking thousands of lines is no work for a runtime's thread.
        let queued = tokio::task::spawn_blocking(move || queue(&catalog)).await;
        let (seq, records) = queued.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        self.finish(seq).await?;
        Ok(Committed { records, snapshot: self.snapshot() })
    }

    #[allow(clippy::type_complexity, reason = "as `enqueue`")]
    fn enqueue_lines(&self, lines: &[Bytes]) -> Result<(u64, Vec<Arc<crate::model::EventRecord>>), FollowError> {
        let mut writer = self.writer();
        // Tried on a copy before anything is queued: what does not apply must not be journaled.
        let mut next = writer.newest.clone();
        let records = self.journal.enqueue_lines(lines, |record| next.apply(record).map_err(FollowError::from))?;
        Ok(writer.queue(next, records))
    }
}
