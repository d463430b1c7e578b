//! The loop that follows: ask for lines, ask for the origin's word, take over what the word covers.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio_util::sync::CancellationToken;

use super::mirror::Mirror;
use super::protocol::{FORMAT, HOPS_MAX, Hello};
use super::trouble::Trouble;
use super::trust::{self, Doubt};
use crate::journal;
use crate::model::PublicKey;
use crate::signing::{JournalStatement, Signed};

/// The pause after a first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause: after failures of the network, and after what nobody but a person can mend.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often the upstream is asked again who it is.
const HELLO_EVERY: Duration = Duration::from_secs(300);
/// The pause where lines came that no word covers yet.
const UNCOVERED_PAUSE: Duration = Duration::from_millis(100);

impl Mirror {
    /// Follows until stopped.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.follow_for_ever() => {}
        }
    }

    async fn follow_for_ever(&self) {
        let mut failures = 0;
        let mut last_hello = None;
        let mut is_first = true;
        loop {
            let wait = if is_first { Duration::ZERO } else { self.options.poll_wait };
            match self.step(&mut last_hello, wait).await {
                Ok(()) => {
                    if failures > 0 || is_first {
                        tracing::info!(upstream = %self.upstream.address(), seq = self.catalog.head().0, "the upstream is followed");
                    }
                    (failures, is_first) = (0, false);
                }
                Err(trouble) => {
                    // Whoever answers after a failure may be another one.
                    last_hello = None;
                    is_first = true;
                    self.note(&trouble);
                    let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE);
                    failures += 1;
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    pub(super) fn note(&self, trouble: &Trouble) {
        let now = self.catalog.clock_now();
        let text = trouble.to_string();
        let mut noted = self.watch.lock();
        if noted.last_error.as_ref() != Some(&text) {
            tracing::warn!(upstream = %self.upstream.address(), error = %text, "the upstream cannot be followed; what is here is served on, and it is tried again");
        }
        if let Some(kind) = trouble.alarm() {
            noted.alarms.retain(|known, _| *known == kind || !known.is_of_following());
            noted.raise(kind, text.clone(), now);
        }
        noted.last_error = Some(text);
    }

    /// One round: lines, word, take over. An alarm that lasts is not forgotten before a round went well.
    pub(super) async fn step(
        &self,
        last_hello: &mut Option<tokio::time::Instant>,
        wait: Duration,
    ) -> Result<(), Trouble> {
        if last_hello.is_none_or(|at| at.elapsed() >= HELLO_EVERY) {
            self.meet().await?;
            *last_hello = Some(tokio::time::Instant::now());
        }
        let lines = self.upstream.journal(self.catalog.head().0, wait).await?;
        let signed = self.upstream.statement().await?;
        let (statement, key) = match self.believe(&signed) {
            // The origin may have a new key since.
            Err(Doubt::UnknownKey(_)) => {
                self.meet().await?;
                self.believe(&signed)?
            }
            other => other?,
        };
        self.check_order(&statement).await?;
        self.watch.lock().signed_sequence = statement.sequence;
        let own = self.catalog.head().0;
        let is_uncovered = statement.sequence == own && !lines.is_empty();
        if statement.sequence > own {
            self.take_lines(lines, &statement).await?;
        }
        // Only now: a word that the lines did not lead to may be that of another journal.
        self.keep("the origin's word", move |kept| {
            kept.learn(key);
            kept.seen = kept.seen.max(Some((statement.sequence, statement.head)));
            kept.statement = Some(signed);
        })
        .await?;
        self.watch.lock().went_well(self.catalog.clock_now());
        if is_uncovered {
            tokio::time::sleep(UNCOVERED_PAUSE).await;
        }
        Ok(())
    }

    /// Asks the upstream who it is, and takes over what it tells.
    async fn meet(&self) -> Result<(), Trouble> {
        let hello = self.upstream.hello().await?;
        if hello.format != FORMAT {
            return Err(Trouble::Format(hello.format));
        }
        if hello.hops >= HOPS_MAX {
            return Err(Trouble::Circle);
        }
        let own = self.catalog.snapshot().own_site().map(|own| own.name.clone());
        if let Some(site) = &hello.site
            && own.as_ref().is_some_and(|own| own != site)
        {
            return Err(Trouble::OtherSite(site.clone()));
        }
        let token_key = STANDARD.decode(&hello.token_key).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let token_key = token_key.ok_or(Trouble::BadTokenKey)?;
        // Nothing of it counts before the origin's own signature has come with it.
        let signed = self.upstream.statement().await?;
        let key = self.check_hello(&hello, &signed)?;
        let Hello { keys, hops, .. } = hello;
        self.keep("whom this mirror believes", move |kept| {
            (kept.keys, kept.hops) = (keys, Some(hops));
            kept.learn(key);
        })
        .await?;
        let taken = tokio::task::block_in_place(|| (self.options.take_token_key)(token_key));
        taken.map_err(|cause| Trouble::NotKept { what: "the origin's token key", cause })
    }

    /// The key that has signed, if it is believed together with the keys that the upstream tells of.
    fn check_hello(&self, hello: &Hello, signed: &Signed) -> Result<PublicKey, Doubt> {
        let (now, snapshot, kept) = (self.catalog.clock_now(), self.catalog.snapshot(), self.kept.get());
        if !kept.has_met_nobody() {
            let keys = trust::trusted(&kept.anchors(), &hello.keys, &snapshot, now);
            return trust::statement(signed, &keys, now).map(|(_, key)| key);
        }
        let counts: Vec<PublicKey> =
            hello.keys.keys.iter().filter(|entry| !entry.is_retired(now)).map(|entry| entry.key).collect();
        if counts.is_empty() {
            return Err(Doubt::NoKey);
        }
        let (_, key) = trust::statement(signed, &counts, now)?;
        // What this mirror has followed before names the origin's keys, too.
        let known = snapshot.origin_keys();
        if !known.is_empty() && !known.iter().any(|known| known.key == key) {
            return Err(Doubt::UnknownKey(key.id));
        }
        tracing::warn!(key = %key.id, public_key = %key, upstream = %self.upstream.address(),
            "no key of the origin is configured, so the first one that was met is believed from now on: compare it with `ringfence key show` at the origin, and pin it as [mirror] origin_keys");
        Ok(key)
    }

    fn believe(&self, signed: &Signed) -> Result<(JournalStatement, PublicKey), Doubt> {
        let now = self.catalog.clock_now();
        let kept = self.kept.get();
        let keys = trust::trusted(&kept.anchors(), &kept.keys, &self.catalog.snapshot(), now);
        trust::statement(signed, &keys, now)
    }

    /// Whether the word fits what was seen before, and what is here.
    async fn check_order(&self, statement: &JournalStatement) -> Result<(), Trouble> {
        let (sequence, theirs) = (statement.sequence, statement.head);
        let own = self.catalog.head();
        if sequence <= own.0
            && let Some(ours) = self.hash_at(sequence).await?
            && ours != theirs
        {
            return Err(Trouble::Forked { sequence, ours, theirs });
        }
        let seen = self.kept.get().seen;
        if let Some((seen, ours)) = seen
            && seen == sequence
            && ours != theirs
        {
            return Err(Trouble::Forked { sequence, ours, theirs });
        }
        let highest = seen.map_or(0, |(seen, _)| seen).max(own.0);
        if sequence < highest { Err(Trouble::Behind { seen: highest, found: sequence }) } else { Ok(()) }
    }

    /// The hash of an event of this server's journal; none for the place before the first.
    async fn hash_at(&self, sequence: u64) -> Result<Option<crate::model::Blake3Digest>, Trouble> {
        let own = self.catalog.head();
        if own.0 == sequence || sequence == 0 {
            return Ok((sequence > 0).then_some(own.1));
        }
        let dir = self.options.journal_dir.clone();
        let read = tokio::task::spawn_blocking(move || journal::read(&dir, sequence - 1, 1)).await;
        let records = read.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        Ok(records.map_err(Trouble::Own)?.first().map(|record| record.hash))
    }

    async fn keep(
        &self,
        what: &'static str,
        change: impl FnOnce(&mut super::kept::Kept) + Send + 'static,
    ) -> Result<(), Trouble> {
        let kept = self.kept.clone();
        let done = tokio::task::spawn_blocking(move || kept.change(change)).await;
        let done = done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let trouble = done.err().map(|cause| Trouble::NotKept { what, cause });
        let not_written = trouble.as_ref().map(Trouble::to_string);
        let before = std::mem::replace(&mut self.watch.lock().not_written, not_written.clone());
        match trouble {
            // On a full disk following goes on, as long as the journal has space: a hold must come through. It counts in
            // memory, is written with the next change, and what it guards is in the journal, too.
            Some(trouble) if trouble.is_want_of_space() && self.has_followed() => {
                if before.is_none() {
                    tracing::warn!(error = %trouble, "the disk is full; the upstream is followed all the same");
                }
                Ok(())
            }
            Some(trouble) => Err(trouble),
            None => Ok(()),
        }
    }
}
