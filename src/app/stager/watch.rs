//! The loop of one target: stage what is new, mend what others changed, and keep trying.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::source::{TreeSource, Unseen};
use super::{StageTarget, pause};
use crate::config::StagerSettings;
use crate::share::stage::{StageTree, Staged};

/// The first wait after a failure; each further one is twice as long.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// How often what is done.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Asking for another tree.
    pub ask_every: Duration,
    /// Looking the directory over for changes by others.
    pub look_every: Duration,
    /// Hashing every file of it.
    pub rehash_every: Duration,
}

impl Pace {
    /// As the configuration says.
    pub fn configured(stager: &StagerSettings, ask_every: Duration) -> Self {
        Self { ask_every, look_every: stager.look_every, rehash_every: stager.rehash_every }
    }
}

/// What a loop tells.
#[derive(Debug)]
pub enum Told<'a> {
    /// A switch was published, or something was put right.
    Staged(&'a Staged),
    /// Something is in the way. Told once, however often it is tried.
    Trouble(&'a str),
    /// Nothing is in the way any more.
    Recovered,
}

/// Keeps a target until `stop`. Blocks.
pub fn watch(
    target: &StageTarget,
    pace: &Pace,
    source: &mut dyn TreeSource,
    stop: &CancellationToken,
    tell: &mut dyn FnMut(Told<'_>),
) {
    let now = Instant::now();
    let mut watch = Watch {
        target,
        pace,
        stop,
        tree: None,
        is_due: false,
        not_before: now,
        next_look: now,
        next_rehash: now + pace.rehash_every,
        asking: Retry::default(),
        staging: Retry::default(),
        told: Troubles::default(),
        shown: None,
    };
    while !stop.is_cancelled() {
        let wait = watch.step(source, tell);
        pause(wait, stop);
    }
}

struct Watch<'w> {
    target: &'w StageTarget,
    pace: &'w Pace,
    stop: &'w CancellationToken,
    tree: Option<Arc<StageTree>>,
    /// Whether the tree is not, or not wholly, in the directory.
    is_due: bool,
    not_before: Instant,
    next_look: Instant,
    next_rehash: Instant,
    asking: Retry,
    staging: Retry,
    told: Troubles,
    /// The switch that was last told of.
    shown: Option<u64>,
}

impl Watch<'_> {
    /// Does what is due, and says how long to wait before the next time.
    fn step(&mut self, source: &mut dyn TreeSource, tell: &mut dyn FnMut(Told<'_>)) -> Duration {
        let mut wait = self.pace.ask_every;
        match source.look() {
            Ok(found) => {
                self.asking = Retry::default();
                self.told.gone(Kind::Asking, tell);
                if let Some(tree) = found {
                    self.tree = Some(tree);
                    self.is_due = true;
                    // Whatever was in the way of the tree before.
                    self.not_before = Instant::now();
                    self.staging = Retry::default();
                }
            }
            // What was staged stays as it is.
            Err(Unseen::Nothing(why)) => self.told.trouble(Kind::Asking, why, tell),
            Err(Unseen::Unanswered(why)) => {
                self.told.trouble(Kind::Asking, why, tell);
                wait = self.asking.next();
            }
        }
        let now = Instant::now();
        let is_time = (self.is_due && now >= self.not_before) || now >= self.next_look;
        if let Some(tree) = self.tree.clone().filter(|_| is_time) {
            self.stage(&tree, source, tell);
        }
        wait
    }

    fn stage(&mut self, tree: &StageTree, source: &mut dyn TreeSource, tell: &mut dyn FnMut(Told<'_>)) {
        let is_rehash = Instant::now() >= self.next_rehash;
        let outcome = self.target.publish(tree, &*source, is_rehash, self.stop, &mut |_| {});
        if outcome.is_err() && self.stop.is_cancelled() {
            return;
        }
        match source.report(self.target.report(tree, &outcome)) {
            Ok(()) => self.told.gone(Kind::Reporting, tell),
            Err(why) => self.told.trouble(Kind::Reporting, why, tell),
        }
        self.next_look = Instant::now() + self.pace.look_every;
        if is_rehash && outcome.is_ok() {
            self.next_rehash = Instant::now() + self.pace.rehash_every;
        }
        let in_the_way = match &outcome {
            Err(error) => Some(error.to_string()),
            Ok(staged) => {
                if self.shown != Some(staged.switch) || is_change(staged) {
                    tell(Told::Staged(staged));
                    self.shown = Some(staged.switch);
                }
                let pending = staged.is_pending.as_ref();
                pending.map(|pending| format!("everything is written, but {} waits: {}", pending.path, pending.why))
            }
        };
        self.is_due = in_the_way.is_some();
        match in_the_way {
            None => {
                self.staging = Retry::default();
                self.told.gone(Kind::Staging, tell);
            }
            Some(why) => {
                self.told.trouble(Kind::Staging, why, tell);
                self.not_before = Instant::now() + self.staging.next();
            }
        }
    }
}

fn is_change(staged: &Staged) -> bool {
    staged.written_files > 0 || staged.reused_files > 0 || staged.removed_files > 0 || !staged.repaired.is_empty()
}

/// Waits that grow.
#[derive(Debug, Default)]
struct Retry {
    last: Option<Duration>,
}

impl Retry {
    fn next(&mut self) -> Duration {
        let next = self.last.map_or(RETRY_FIRST, |last| (last * 2).min(RETRY_MAX));
        self.last = Some(next);
        next
    }
}

/// What a trouble is about.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Asking,
    Staging,
    Reporting,
}

/// What was told and is still so.
#[derive(Debug, Default)]
struct Troubles([Option<String>; 3]);

impl Troubles {
    fn trouble(&mut self, kind: Kind, why: String, tell: &mut dyn FnMut(Told<'_>)) {
        let known = &mut self.0[kind as usize];
        if known.as_ref() != Some(&why) {
            tell(Told::Trouble(&why));
            *known = Some(why);
        }
    }

    fn gone(&mut self, kind: Kind, tell: &mut dyn FnMut(Told<'_>)) {
        let was_there = self.0[kind as usize].take().is_some();
        if was_there && self.0.iter().all(Option::is_none) {
            tell(Told::Recovered);
        }
    }
}
