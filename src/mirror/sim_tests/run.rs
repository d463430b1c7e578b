//! Some days of the origin, and of the links to it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::net::{Link, Says, Weather};
use super::node::Node;
use crate::bundle::sim_tests::origin::{Origin, keys_of};
use crate::bundle::sim_tests::place::world;
use crate::bundle::sim_tests::random::Dice;
use crate::catalog::testing::{START, World, commit, product_added, tally};
use crate::journal::RawReader;
use crate::mirror::Doing;
use crate::mirror::trouble::Trouble;
use crate::mirror::trust::Doubt;
use crate::model::{Blake3Digest, Snapshot};
use crate::policy::decide_for_share;
use crate::signing::{JournalStatement, SecretKey, Signed};
use crate::sys::clock::ManualClock;

const STEPS: u64 = 24;
/// How long the origin's word is good.
const WORD_LASTS: SignedDuration = SignedDuration::from_mins(15);

tally!(followed, idle, away, cut, malformed, behind, forked, expired, restarts);

struct Run {
    seed: u64,
    clock: Arc<ManualClock>,
    dice: Dice,
    origin: Origin,
    /// What the origin has signed, and what it knew then.
    signed: BTreeMap<u64, Arc<Snapshot>>,
    /// What the origin said on earlier days.
    past: Vec<Says>,
    /// Another history, and the last event that it shares with the origin's.
    twin: Option<(Says, u64, World)>,
    /// A mirror, another one, and a mirror of the first.
    nodes: Vec<Node>,
    tally: Tally,
    /// What stands where a journal's first event has none before it.
    genesis: Blake3Digest,
}

pub(super) async fn run(seed: u64) -> Tally {
    let mut dice = Dice::new(seed);
    let clock = Arc::new(ManualClock::new(Timestamp::from_second(START).unwrap()));
    let origin = Origin::new(&clock, &mut dice).await;
    let mut run = Run {
        seed,
        clock,
        dice,
        origin,
        signed: BTreeMap::new(),
        past: Vec::new(),
        twin: None,
        nodes: Vec::new(),
        tally: Tally::default(),
        genesis: Blake3Digest::of(b""),
    };
    run.build();
    run.genesis = run.nodes[0].mirror().catalog.head().1;
    let (rotation, split) = (run.dice.below(STEPS), run.dice.below(STEPS));
    for step in 0..STEPS {
        run.clock.advance(SignedDuration::from_mins(*run.dice.pick(&[1, 10, 8 * 60])));
        run.origin.live(&mut run.dice, step % 6 == 0).await;
        if step == rotation {
            run.origin.rotate(&mut run.dice).await;
        }
        if step == split {
            run.split().await;
        }
        run.step().await;
    }
    run.end().await;
    run.tally
}

impl Run {
    fn build(&mut self) {
        let says = self.origin_says();
        for name in ["mirror-a", "mirror-b", "behind-a"] {
            let dice = Dice::new(self.dice.below(u64::MAX));
            let (now, old) = (says.clone(), says.clone());
            let link = Link { weather: Weather::Clear, percent: 0, now, old, twin: None, dice };
            let pinned = if self.dice.chance(80) { vec![self.origin.key.public()] } else { Vec::new() };
            let held_max_bytes = *self.dice.pick(&[0, 2_000, 1 << 20]);
            self.nodes.push(Node::new(name, &self.clock, link, pinned, held_max_bytes));
        }
    }

    /// What the origin says now; it is remembered.
    fn origin_says(&mut self) -> Says {
        let catalog = &self.origin.catalog;
        let (sequence, head) = catalog.head();
        self.signed.insert(sequence, catalog.snapshot());
        let says = Says {
            hops: 0,
            keys: keys_of(&catalog.snapshot()),
            statement: Some(word(&self.origin.key, (sequence, head), catalog.clock_now())),
            journal_dir: self.origin.journal_dir().to_owned(),
            upto: sequence,
        };
        self.past.push(says.clone());
        says
    }

    /// Somebody goes on from the journal as it is now with events of their own.
    async fn split(&mut self) {
        let (at, _) = self.origin.catalog.head();
        let world = world(&self.clock);
        let catalog = world.catalog();
        let lines = RawReader::new(self.origin.journal_dir().to_owned()).read(0, at, 1 << 30).unwrap();
        let lines = lines.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap());
        catalog.follow(lines.map(bytes::Bytes::copy_from_slice).collect()).await.unwrap();
        for number in 0..=self.dice.below(40) {
            commit(&catalog, vec![product_added(&format!("twin-{number}"))]).await;
        }
        let (upto, head) = catalog.head();
        let statement = Some(word(&self.origin.key, (upto, head), catalog.clock_now()));
        let keys = keys_of(&catalog.snapshot());
        let says = Says { hops: 0, keys, statement, journal_dir: world.options.journal_dir.clone(), upto };
        self.twin = Some((says, at, world));
    }

    async fn step(&mut self) {
        let now = self.origin_says();
        for index in 0..self.nodes.len() {
            if self.dice.chance(8) {
                self.nodes[index].restart().await;
                self.tally.restarts += 1;
            }
            let weather = self.weather(index);
            let percent = *self.dice.pick(&[100, 100, 50, 20]);
            let old = self.past[self.dice.below(self.past.len() as u64) as usize].clone();
            let upstream = if index == 2 { self.nodes[0].says() } else { now.clone() };
            let twin = self.twin_says();
            self.nodes[index].wire.set(|link| {
                (link.weather, link.percent) = (weather, percent);
                (link.now, link.old, link.twin) = (upstream, old, twin);
            });
            self.attempt(index, weather).await;
        }
    }

    fn weather(&mut self, index: usize) -> Weather {
        use Weather as W;
        let weather =
            *self.dice.pick(&[W::Clear, W::Clear, W::Clear, W::Down, W::Cut, W::Bent, W::Old, W::OldWord, W::Twin]);
        // Whoever has not passed the place where the histories part cannot tell which is the origin's: nobody could.
        let has_passed = self.twin.as_ref().is_some_and(|(_, at, _)| self.nodes[index].seen > *at);
        if weather == W::Twin && !has_passed { W::Down } else { weather }
    }

    /// The twin's word, signed anew: it is always fresh.
    fn twin_says(&self) -> Option<Says> {
        let (says, ..) = self.twin.as_ref()?;
        let said = JournalStatement::parse(&says.statement.as_ref()?.text).ok()?;
        let statement = word(&self.origin.key, (said.sequence, said.head), self.origin.catalog.clock_now());
        Some(Says { statement: Some(statement), keys: keys_of(&self.origin.catalog.snapshot()), ..says.clone() })
    }

    async fn attempt(&mut self, index: usize, weather: Weather) {
        let before = self.nodes[index].mirror().catalog.head();
        let outcome = self.nodes[index].step().await;
        let node = &self.nodes[index];
        let when = format!("seed {}, {} in {weather:?}, after {outcome:?}", self.seed, node.name);
        let head = node.mirror().catalog.head();
        assert!(head.0 >= before.0 && head.0 >= node.seen, "{when}: back from event {} to {}", node.seen, head.0);
        assert_eq!(self.hash_at(head.0), head.1, "{when}: event {} has another digest", head.0);
        self.check_decisions(index, &when);
        match &outcome {
            Ok(()) if head.0 > before.0 => self.tally.followed += 1,
            Ok(()) => self.tally.idle += 1,
            Err(trouble) => self.note(index, trouble, weather, &when),
        }
        if weather == Weather::Clear && index != 2 {
            assert!(outcome.is_ok(), "{when}");
        }
        if outcome.is_ok() {
            let word = JournalStatement::parse(&self.nodes[index].mirror().statement().unwrap().text).unwrap();
            assert_eq!((word.sequence, word.head), head, "{when}: it stands elsewhere than the origin has signed");
        }
        self.nodes[index].seen = head.0;
    }

    /// What is said of it has to be true.
    fn note(&mut self, index: usize, trouble: &Trouble, weather: Weather, when: &str) {
        match trouble {
            Trouble::Away(_) => {
                self.tally.away += 1;
                self.tally.cut += u64::from(weather == Weather::Cut);
            }
            Trouble::Malformed { .. }
            | Trouble::Cut
            | Trouble::Short { .. }
            | Trouble::BadTokenKey
            | Trouble::NotSigned { .. }
            | Trouble::Format(_) => {
                self.tally.malformed += 1;
            }
            Trouble::Behind { .. } => {
                // Behind a mirror, an earlier day of the origin itself may have been newer than that mirror is.
                let is_set_back = matches!(weather, Weather::Old | Weather::OldWord | Weather::Twin);
                assert!(is_set_back || index == 2, "{when}");
                self.tally.behind += 1;
            }
            Trouble::Forked { .. } => {
                assert!(matches!(weather, Weather::Twin | Weather::Bent), "{when}");
                self.tally.forked += 1;
            }
            Trouble::Doubt(Doubt::Expired(_)) => self.tally.expired += 1,
            Trouble::Doubt(_) => {}
            // Who the upstream is, nobody signs.
            Trouble::Circle | Trouble::OtherSite(_) if weather == Weather::Bent => self.tally.malformed += 1,
            other => panic!("{when}: {other:?} was not to be expected"),
        }
    }

    fn hash_at(&self, sequence: u64) -> Blake3Digest {
        let (head, hash) = self.origin.catalog.head();
        if sequence == head {
            return hash;
        }
        if sequence == 0 {
            return self.genesis;
        }
        crate::journal::read(self.origin.journal_dir(), sequence - 1, 1).unwrap()[0].hash
    }

    /// Where the origin's state at this sequence is known, every group sees here what it saw there.
    fn check_decisions(&self, index: usize, when: &str) {
        let here = self.nodes[index].mirror().catalog.snapshot();
        let Some(there) = self.signed.get(&here.seq()) else { return };
        let now = self.origin.now();
        let Some(policy) = there.policies().last().and_then(|policy| policy.policy().ok()) else { return };
        for (group, product) in policy.groups().iter().flat_map(|group| there.products().map(move |one| (group, one))) {
            let of = (&product.product().name, None);
            let seen = |snapshot| format!("{:?}", decide_for_share(snapshot, group, of, &[], now));
            let (found, expected) = (seen(&here), seen(there));
            assert_eq!(found, expected, "{when}: {} for {}", of.0, group.name());
        }
    }

    /// The weather clears: everybody gets to where the origin is, byte for byte, and no alarm is left.
    async fn end(&mut self) {
        let now = self.origin_says();
        for index in [0, 1, 2] {
            let upstream = if index == 2 { self.nodes[0].says() } else { now.clone() };
            self.nodes[index].wire.set(|link| (link.weather, link.now) = (Weather::Clear, upstream));
            self.attempt(index, Weather::Clear).await;
            let node = &self.nodes[index];
            let when = format!("seed {}, {} at the end", self.seed, node.name);
            let standing = node.mirror().standing(node.seen, self.origin.catalog.clock_now());
            assert_eq!(node.mirror().catalog.head(), self.origin.catalog.head(), "{when}");
            assert_eq!((standing.doing, standing.alarms.len()), (Doing::Following, 0), "{when}: {standing:?}");
            assert!(node.journal() == journal(self.origin.journal_dir()), "{when}: another journal");
        }
    }
}

fn word(key: &SecretKey, (sequence, head): (u64, Blake3Digest), at: Timestamp) -> Signed {
    let expires = at + WORD_LASTS;
    let text = JournalStatement { origin: key.public().id, sequence, head, at, expires }.text();
    Signed { signature: key.sign(text.as_bytes(), "journal"), text }
}

/// All bytes of a journal.
pub(super) fn journal(dir: &Path) -> Vec<u8> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.iter().flat_map(|path| std::fs::read(path).unwrap()).collect()
}
