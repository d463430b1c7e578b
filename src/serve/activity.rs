//! What one connection is doing, and the one place that says when it has done nothing for too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::limits::Limits;
use super::metrics::DropReason;

/// Counters of one connection. The tasks of its HTTP/2 streams share it; hence atomics, each of which stands alone, so
/// relaxed ordering is enough.
#[derive(Debug)]
pub(crate) struct Activity {
    accepted: Instant,
    /// Requests whose handler is running.
    handling: AtomicU32,
    /// Answers whose body hyper has not yet taken wholly.
    answering: AtomicU32,
    /// Whether a request was ever seen, and whether it came over HTTP/2.
    has_requests: AtomicBool,
    is_h2: AtomicBool,
    /// Whether the header of a later HTTP/1.1 request has begun.
    in_header: AtomicBool,
    /// When the connection last began to wait for a header, in milliseconds after `accepted`.
    waiting_since_ms: AtomicU64,
    written_bytes: AtomicU64,
    slow_reader: AtomicBool,
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self {
            accepted: Instant::now(),
            handling: AtomicU32::new(0),
            answering: AtomicU32::new(0),
            has_requests: AtomicBool::new(false),
            is_h2: AtomicBool::new(false),
            in_header: AtomicBool::new(false),
            waiting_since_ms: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            slow_reader: AtomicBool::new(false),
        }
    }

    /// Bytes of the peer came in. On an idle HTTP/1.1 connection they begin a header; over HTTP/2 they may be mere
    /// acknowledgements, and tell nothing.
    pub(crate) fn read(&self) {
        let idle = self.handling.load(Relaxed) == 0 && self.has_requests.load(Relaxed) && !self.is_h2.load(Relaxed);
        if idle && !self.in_header.swap(true, Relaxed) {
            self.mark_waiting();
        }
    }

    /// Whether it was accepted less than this ago and has asked nothing yet.
    pub(crate) fn awaits_first_request(&self, grace: Duration) -> bool {
        !self.has_requests.load(Relaxed) && self.accepted.elapsed() < grace
    }

    pub(crate) fn wrote(&self, bytes: usize) {
        self.written_bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn note_slow_reader(&self) {
        self.slow_reader.store(true, Relaxed);
    }

    pub(crate) fn had_slow_reader(&self) -> bool {
        self.slow_reader.load(Relaxed)
    }

    /// A request's header is complete.
    pub(crate) fn begin_request(self: &Arc<Self>, is_h2: bool) -> Handling {
        self.has_requests.store(true, Relaxed);
        if is_h2 {
            self.is_h2.store(true, Relaxed);
        }
        self.in_header.store(false, Relaxed);
        self.handling.fetch_add(1, Relaxed);
        Handling(self.clone())
    }

    fn mark_waiting(&self) {
        let since = u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.waiting_since_ms.store(since, Relaxed);
    }
}

/// Exists while a handler runs.
#[derive(Debug)]
pub(crate) struct Handling(Arc<Activity>);

impl Handling {
    /// The handler is done; what it answered is on its way.
    pub(crate) fn begin_answer(self) -> Answering {
        self.0.answering.fetch_add(1, Relaxed);
        Answering(self.0.clone())
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        self.0.handling.fetch_sub(1, Relaxed);
        self.0.mark_waiting();
    }
}

/// Exists while hyper has not taken an answer's body wholly.
#[derive(Debug)]
pub(crate) struct Answering(Arc<Activity>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.fetch_sub(1, Relaxed);
        self.0.mark_waiting();
    }
}

/// What [`Watch::look`] finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All is well; look again then.
    LookAt(Instant),
    /// Nothing was asked for a while: end the connection in an orderly way.
    CloseIdle,
    /// The peer breaks a limit: cut it off.
    Cut(DropReason),
}

/// Looks at an [`Activity`] from time to time. One timer a connection is enough for all its limits.
#[derive(Debug)]
pub(crate) struct Watch {
    activity: Arc<Activity>,
    header_timeout: Duration,
    idle_timeout: Duration,
    /// How long an answer may stand still or crawl, and how much must have moved by then.
    crawl_timeout: Duration,
    crawl_min_bytes: u64,
    looked_at: Instant,
    written_then: u64,
    closing: bool,
}

impl Watch {
    pub(crate) fn new(activity: Arc<Activity>, limits: &Limits) -> Self {
        let rate = u64::from(limits.pace.min_bytes_per_second);
        // The kernel's buffer hides up to this much time of a reader that keeps the minimum pace.
        let hidden_s = u64::from(limits.unsent_max_bytes).checked_div(rate).unwrap_or(0);
        Self {
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            crawl_timeout: limits.pace.window + Duration::from_secs(hidden_s),
            crawl_min_bytes: rate.saturating_mul(limits.pace.window.as_secs()).max(1),
            looked_at: activity.accepted,
            written_then: 0,
            closing: false,
            activity,
        }
    }

    /// When to look first.
    pub(crate) fn first_look(&self) -> Instant {
        self.activity.accepted + self.header_timeout
    }

    /// The connection is being closed in an orderly way: whatever is still on its way must keep the pace.
    pub(crate) fn closing(&mut self, now: Instant) {
        self.closing = true;
        self.looked_at = now;
        self.written_then = self.activity.written_bytes.load(Relaxed);
    }

    /// Judges the connection.
    pub(crate) fn look(&mut self, now: Instant) -> Verdict {
        let activity = &self.activity;
        let since = activity.accepted + Duration::from_millis(activity.waiting_since_ms.load(Relaxed));
        let handling = activity.handling.load(Relaxed) > 0;
        if !handling && !activity.has_requests.load(Relaxed) {
            return until(activity.accepted + self.header_timeout, now, Verdict::Cut(DropReason::Header));
        }
        if !handling && activity.in_header.load(Relaxed) {
            return until(since + self.header_timeout, now, Verdict::Cut(DropReason::Header));
        }
        let written = activity.written_bytes.load(Relaxed);
        let moved = written - self.written_then;
        if handling {
            self.start_over(now, written);
            return Verdict::LookAt(self.before_a_header_is_late(now, now + self.idle_timeout));
        }
        if self.closing || activity.answering.load(Relaxed) > 0 {
            let deadline = self.looked_at + self.crawl_timeout;
            if now < deadline {
                return Verdict::LookAt(deadline);
            }
            if moved < self.crawl_min_bytes {
                return Verdict::Cut(DropReason::SlowReader);
            }
            self.start_over(now, written);
            return Verdict::LookAt(now + self.crawl_timeout);
        }
        // hyper lets go of a body as soon as its last bytes are queued: while bytes still leave, nothing is idle.
        let since = if moved > 0 { now.max(since) } else { since };
        self.start_over(now, written);
        match until(since + self.idle_timeout, now, Verdict::CloseIdle) {
            Verdict::LookAt(deadline) => Verdict::LookAt(self.before_a_header_is_late(now, deadline)),
            verdict => verdict,
        }
    }

    /// When to look again at the latest: a header may begin at any moment from now on.
    fn before_a_header_is_late(&self, now: Instant, deadline: Instant) -> Instant {
        deadline.min(now + self.header_timeout)
    }

    fn start_over(&mut self, now: Instant, written: u64) {
        self.looked_at = now;
        self.written_then = written;
    }
}

fn until(deadline: Instant, now: Instant, verdict: Verdict) -> Verdict {
    if now < deadline { Verdict::LookAt(deadline) } else { verdict }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> (Arc<Activity>, Watch) {
        let activity = Arc::new(Activity::new());
        let watch = Watch::new(activity.clone(), &Limits::default());
        (activity, watch)
    }

    async fn later(seconds: u64) -> Instant {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn silence_after_accept_is_cut() {
        let (_activity, mut watch) = watch();
        assert_eq!(watch.look(Instant::now()), Verdict::LookAt(watch.first_look()));
        assert_eq!(watch.look(later(10).await), Verdict::Cut(DropReason::Header));
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_handler_may_take_its_time_and_idleness_counts_from_the_answer() {
        let (activity, mut watch) = watch();
        let handling = activity.begin_request(false);
        assert!(matches!(watch.look(later(600).await), Verdict::LookAt(_)));
        drop(handling.begin_answer());
        let answered = Instant::now();
        assert_eq!(watch.look(answered), Verdict::LookAt(answered + Duration::from_secs(10)));
        let late = answered + Duration::from_secs(60);
        assert_eq!(watch.look(later(55).await), Verdict::LookAt(late));
        assert_eq!(watch.look(later(5).await), Verdict::CloseIdle);
    }

    #[tokio::test(start_paused = true)]
    async fn the_header_of_a_second_request_has_its_own_deadline() {
        let (activity, mut watch) = watch();
        drop(activity.begin_request(false).begin_answer());
        later(50).await;
        activity.read();
        assert!(matches!(watch.look(later(9).await), Verdict::LookAt(_)));
        activity.read();
        assert_eq!(watch.look(later(1).await), Verdict::Cut(DropReason::Header));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_crawls_is_cut_and_one_that_flows_is_not() {
        let (activity, mut watch) = watch();
        let _answering = activity.begin_request(true).begin_answer();
        watch.look(Instant::now());
        for _ in 0..5 {
            activity.wrote(64 * 1024);
            assert!(matches!(watch.look(later(158).await), Verdict::LookAt(_)));
        }
        activity.wrote(100);
        assert_eq!(watch.look(later(158).await), Verdict::Cut(DropReason::SlowReader));
    }
}
