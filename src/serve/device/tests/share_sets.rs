//! Files that belong together come from one version, whoever reads them across a switch.

use std::time::Duration;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::world::{POLICY, Server, World, share_file, share_time};
use super::{CANARY, TERMINAL};
use crate::serve::device::share::{Moment, Reader, Stragglers, pick, wait};

const SHARE: &str = "\n[[share]]\nname = \"s\"\ngroup = \"everyone\"\nlayout = \"plain\"\nproducts = [\"av\"]\n\
                     open_to = \"anyone\"\n";
const INDEX: &str = "manifest.json";
const PAYLOAD: &str = "updates.zip";

fn bytes(name: &str, version: u64) -> Vec<u8> {
    format!("{name} of version {version}").into_bytes()
}

/// A share with an index and a payload in one set, and a file that stands alone; `versions` are published, the first is
/// shown since 1,000 seconds ago.
fn world(versions: u64) -> World {
    let mut world = World::default();
    world.policy(&format!("{POLICY}{SHARE}"));
    world.product("av");
    for version in 1..=versions {
        world.release("av", &format!("{version}.0"), &bytes("release", version));
        for name in [INDEX, PAYLOAD, "alone.txt", "extra.sig"] {
            let bytes = bytes(name, version);
            world.bodies.insert(crate::model::Blake3Digest::of(&bytes), bytes.into());
        }
    }
    show(&mut world, -1000, 1, &[]);
    world.device_token("canary-1");
    world.device_token("pos-1");
    world
}

fn show(world: &mut World, at: i64, version: u64, more: &[&str]) {
    let file = |name: &str, set| share_file(name, &bytes(name, version), ("av", version), set);
    let mut put = vec![file(INDEX, "linux"), file(PAYLOAD, "linux"), file("alone.txt", "")];
    put.extend(more.iter().map(|name| file(name, "linux")));
    world.switch("s", at, put, &[]);
}

async fn version(server: &Server, name: &str, headers: &[&str]) -> Option<u64> {
    let answer = server.get(&format!("/shares/s/{name}"), headers).await;
    let is_there = answer.status() == 200;
    let text = String::from_utf8(answer.body).unwrap();
    is_there.then(|| text.rsplit(' ').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_straggler_gets_the_rest_of_its_version() {
    let mut world = world(2);
    show(&mut world, 10, 2, &["extra.sig"]);
    let server = world.serve();
    server.set_clock(9);
    assert_eq!(version(&server, INDEX, &[CANARY]).await, Some(1));
    assert_eq!(version(&server, "alone.txt", &[TERMINAL]).await, Some(1));
    for second in [10, 24] {
        server.set_clock(second);
        assert_eq!(version(&server, PAYLOAD, &[CANARY]).await, Some(1), "{second} s");
        assert_eq!(version(&server, INDEX, &[CANARY]).await, Some(1), "{second} s");
        assert_eq!(version(&server, "extra.sig", &[CANARY]).await, None, "its version has none");
        assert_eq!(version(&server, "alone.txt", &[CANARY]).await, Some(2), "a file without a set stands alone");
        // Another device, and one without identity: both begin with the new version.
        assert_eq!(version(&server, PAYLOAD, &[TERMINAL]).await, Some(2), "{second} s");
        assert_eq!(version(&server, PAYLOAD, &[]).await, Some(2), "{second} s");
        assert_eq!(version(&server, "extra.sig", &[]).await, Some(2), "{second} s");
    }
    server.set_clock(25);
    for name in [INDEX, PAYLOAD, "extra.sig"] {
        assert_eq!(version(&server, name, &[CANARY]).await, Some(2), "{name} after the grace");
    }
}

#[tokio::test]
async fn a_reader_without_identity_is_known_by_its_address_and_a_304_counts_as_read() {
    let mut world = world(2);
    show(&mut world, 10, 2, &[]);
    let server = world.serve();
    server.set_clock(9);
    let etag = crate::model::Blake3Digest::of(&bytes(INDEX, 1));
    let known = server.get(&format!("/shares/s/{INDEX}"), &[&format!("if-none-match: \"{etag}\"")]).await;
    assert_eq!(known.status(), 304);
    server.set_clock(11);
    assert_eq!(version(&server, PAYLOAD, &[]).await, Some(1));
}

#[tokio::test]
async fn what_is_withheld_is_not_given_to_stragglers() {
    let mut world = world(2);
    show(&mut world, 10, 2, &[]);
    let server = world.serve();
    server.set_clock(9);
    assert_eq!(version(&server, INDEX, &[CANARY]).await, Some(1));
    server.set_clock(11);
    server.change(|world| world.hold("av", "1.0", "everyone"));
    assert_eq!(version(&server, PAYLOAD, &[CANARY]).await, Some(2));
    server.change(|world| world.hold("av", "2.0", "everyone"));
    assert_eq!(version(&server, PAYLOAD, &[CANARY]).await, None);
}

/// The version of `name` that one and the same reader gets at each of these seconds, and how long it waits for it.
fn read_at(world: &World, name: &str, seconds: &[i64]) -> Vec<(u64, Option<Duration>)> {
    let stragglers = Stragglers::new(SignedDuration::from_secs(GRACE_S), SignedDuration::from_secs(900));
    let device = "pc-0".parse().unwrap();
    let read = |second: &i64| {
        let now = share_time(*second);
        let policy = world.snapshot.policy_at(now).unwrap().policy().unwrap();
        let share = policy.share(&"s".parse().unwrap()).unwrap();
        let moment = Moment { snapshot: &world.snapshot, policy, share, now, grace: SignedDuration::from_hours(24) };
        let found = pick(&stragglers, &moment, &name.parse().unwrap(), Some(Reader::Device(&device))).unwrap();
        (found.file.sequence, wait(&moment, &found))
    };
    seconds.iter().map(read).collect()
}

#[test]
fn an_old_answer_waits_until_the_second_of_the_switch_is_over() {
    let mut world = world(2);
    show(&mut world, 10, 2, &[]);
    assert_eq!(read_at(&world, PAYLOAD, &[9, 10, 12]), [(1, None), (1, Some(Duration::from_secs(1))), (1, None)]);
    assert_eq!(read_at(&world, PAYLOAD, &[10]), [(2, None)], "what is new waits for nothing");
}

#[test]
fn a_file_that_is_alone_in_its_set_has_no_stragglers() {
    let mut world = world(2);
    for (at, version) in [(-500, 1), (10, 2)] {
        let bytes = bytes("extra.sig", version);
        world.switch("s", at, vec![share_file("extra.sig", &bytes, ("av", version), "lonely")], &[]);
    }
    assert_eq!(read_at(&world, "extra.sig", &[9, 10]), [(1, None), (2, None)]);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// So many seconds pass.
    Wait(i64),
    /// The next version is shown, so many seconds ahead.
    Switch(i64),
    /// One of the readers asks for one of the files.
    Read { reader: usize, name: &'static str },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..12i64).prop_map(Step::Wait),
        1 => (0..1000i64).prop_map(Step::Wait),
        2 => (1..4i64).prop_map(Step::Switch),
        6 => (0..3usize, prop_oneof![Just(INDEX), Just(PAYLOAD)]).prop_map(|(reader, name)| Step::Read { reader, name }),
    ]
}

const GRACE_S: i64 = 15;
const VERSIONS: usize = 12;

/// What was read: by whom, when, and of which version.
struct Reading {
    reader: usize,
    second: i64,
    version: u64,
    /// Whether the next switch was known already: then what was before the one in effect is forgotten.
    is_next_known: bool,
}

/// Plays the steps and returns the seconds of the switches, the first included, and all readings.
fn play(steps: &[Step]) -> (Vec<i64>, Vec<Reading>) {
    let mut world = world(VERSIONS as u64);
    let stragglers = Stragglers::new(SignedDuration::from_secs(GRACE_S), SignedDuration::from_secs(900));
    let devices = ["pc-0", "pc-1", "pc-2"].map(|id| id.parse().unwrap());
    let (mut second, mut switches, mut readings) = (0, vec![-1000], Vec::new());
    for step in steps {
        match *step {
            Step::Wait(seconds) => second += seconds,
            Step::Switch(ahead) => {
                let at = (second + ahead).max(switches[switches.len() - 1] + 1);
                // As the server does it: not before the last one has taken effect.
                if switches.len() < VERSIONS && switches[switches.len() - 1] <= second {
                    switches.push(at);
                    show(&mut world, at, switches.len() as u64, &[]);
                }
            }
            Step::Read { reader, name } => {
                let now = share_time(second);
                let policy = world.snapshot.policy_at(now).unwrap().policy().unwrap();
                let share = policy.share(&"s".parse().unwrap()).unwrap();
                let moment =
                    Moment { snapshot: &world.snapshot, policy, share, now, grace: SignedDuration::from_hours(24) };
                let device = Some(Reader::Device(&devices[reader]));
                let found = pick(&stragglers, &moment, &name.parse().unwrap(), device).unwrap();
                let is_next_known = switches[switches.len() - 1] > second;
                readings.push(Reading { reader, second, version: found.file.sequence, is_next_known });
            }
        }
    }
    (switches, readings)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the order of reads and switches: nobody gets a version before the last but one, the grace of a switch
    /// once over everybody gets the newest, no reader goes back, and one reader's files of one grace are of one version:
    /// the one before for who was reading it. Only the announcement of another switch ends a grace early.
    #[test]
    fn one_reader_gets_one_version(steps in prop::collection::vec(step(), 1..80)) {
        let (switches, readings) = play(&steps);
        for (n, reading) in readings.iter().enumerate() {
            let newest = switches.iter().filter(|at| **at <= reading.second).count() as u64;
            let switched_s = switches[newest as usize - 1];
            let in_grace = reading.second < switched_s + GRACE_S;
            prop_assert!(reading.version == newest || in_grace && reading.version + 1 == newest);
            let earlier: Vec<&Reading> =
                readings[..n].iter().filter(|earlier| earlier.reader == reading.reader).collect();
            let Some(last) = earlier.last() else {
                prop_assert_eq!(reading.version, newest, "a new reader");
                continue;
            };
            prop_assert!(last.version <= reading.version, "a reader went back");
            if in_grace && newest > 1 {
                let since_switch = earlier.iter().rfind(|earlier| earlier.second < switched_s);
                let is_reading = last.version + 1 == newest
                    && !reading.is_next_known
                    && since_switch.is_some_and(|before| before.version + 1 == newest && before.second >= switched_s - 900);
                prop_assert_eq!(reading.version, if is_reading { newest - 1 } else { newest });
            }
        }
    }
}
