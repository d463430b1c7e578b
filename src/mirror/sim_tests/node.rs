//! A mirror of the simulation: it is started, follows, is stopped, and started again.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use super::net::{Link, Says, Wire};
use crate::bundle::sim_tests::place::{close, world};
use crate::catalog::testing::World;
use crate::mirror::trouble::Trouble;
use crate::mirror::{Mirror, MirrorOptions, Upstream};
use crate::model::PublicKey;
use crate::sys::clock::ManualClock;

pub(super) struct Node {
    pub(super) name: &'static str,
    world: World,
    pub(super) wire: Wire,
    mirror: Option<Arc<Mirror>>,
    pinned: Vec<PublicKey>,
    /// When it last asked its upstream who that is.
    last_hello: Option<tokio::time::Instant>,
    /// The highest sequence at which it was seen.
    pub(super) seen: u64,
    /// Bytes of lines that it holds: a few, so that it has to ask twice, or many.
    held_max_bytes: usize,
}

impl Node {
    pub(super) fn new(
        name: &'static str,
        clock: &Arc<ManualClock>,
        link: Link,
        pinned: Vec<PublicKey>,
        held_max_bytes: usize,
    ) -> Self {
        let wire = Wire::new(link);
        let mut world = world(clock);
        world.options.follows = Some(wire.url.clone());
        let mut node = Self { name, world, wire, mirror: None, pinned, last_hello: None, seen: 0, held_max_bytes };
        node.start();
        node
    }

    fn start(&mut self) {
        let options = MirrorOptions {
            name: self.name.parse().unwrap(),
            origin_keys: self.pinned.clone(),
            stale_after: SignedDuration::from_mins(30),
            poll_wait: Duration::ZERO,
            dir: self.world.dir.path().join("mirror"),
            journal_dir: self.world.options.journal_dir.clone(),
            held_max_bytes: self.held_max_bytes,
            take_token_key: Box::new(|_| Ok(())),
        };
        let upstream = Upstream::new(self.wire.url.parse().unwrap(), None, None).unwrap();
        self.mirror = Some(Arc::new(Mirror::open(options, self.world.catalog(), upstream).unwrap()));
        self.last_hello = None;
    }

    pub(super) async fn restart(&mut self) {
        let mirror = self.mirror.take().unwrap();
        let catalog = mirror.catalog.clone();
        drop(mirror);
        close(catalog).await;
        self.start();
    }

    pub(super) fn mirror(&self) -> &Mirror {
        self.mirror.as_ref().unwrap()
    }

    /// One attempt to follow, as the loop makes it.
    pub(super) async fn step(&mut self) -> Result<(), Trouble> {
        let mirror = self.mirror.clone().unwrap();
        let outcome = mirror.step(&mut self.last_hello, Duration::ZERO).await;
        if let Err(trouble) = &outcome {
            self.last_hello = None;
            mirror.note(trouble);
        }
        outcome
    }

    /// What it says to a mirror of its own.
    pub(super) fn says(&self) -> Says {
        let mirror = self.mirror();
        let (hops, keys) = mirror.origin().unwrap_or_default();
        Says {
            hops,
            keys,
            statement: mirror.statement(),
            journal_dir: self.world.options.journal_dir.clone(),
            upto: mirror.catalog.head().0,
        }
    }

    /// The bytes of its journal.
    pub(super) fn journal(&self) -> Vec<u8> {
        super::run::journal(&self.world.options.journal_dir)
    }
}
