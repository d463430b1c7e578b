//! Following a small upstream in this process, which says what a test wants.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};

use super::protocol::{FORMAT, Hello};
use super::standing::{AlarmKind, Doing};
use super::trouble::Trouble;
use super::trust::Doubt;
use super::{Mirror, MirrorOptions, Upstream};
use crate::catalog::Catalog;
use crate::catalog::testing::{World, actor};
use crate::journal::RawReader;
use crate::model::{Class, Event, PublicKey};
use crate::signing::{JournalStatement, KeyEntry, KeysDocument, SecretKey, Signed, introduction};

fn key(number: u8) -> SecretKey {
    SecretKey::from_random([number; 32], [number; 8])
}

/// What the upstream says.
struct Says {
    hello: Hello,
    /// The journal, line by line, as it is told the first and the second time that it is asked for.
    lines: [Vec<String>; 2],
    asked: Vec<u64>,
    statement: Signed,
    batch: usize,
}

/// A server that says it.
struct Fake {
    says: Arc<Mutex<Says>>,
    url: String,
}

impl Fake {
    fn start(lines: Vec<String>, statement: Signed, keys: KeysDocument) -> Self {
        let hello = Hello {
            format: FORMAT,
            version: "1".into(),
            hops: 0,
            token_key: STANDARD.encode([9; 32]),
            keys,
            site: None,
        };
        let says = Says { hello, lines: [lines.clone(), lines], asked: Vec::new(), statement, batch: 3 };
        let says = Arc::new(Mutex::new(says));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = says.clone();
        std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| answer(stream, &shared)));
        Self { says, url }
    }
}

fn answer(mut stream: TcpStream, says: &Mutex<Says>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    while line.trim_end() != "" {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    let mut says = says.lock().unwrap();
    let body = match path.split('?').next().unwrap() {
        "/v1/follow/hello" => serde_json::to_string(&says.hello).unwrap(),
        "/v1/follow/statement" => serde_json::to_string(&says.statement).unwrap(),
        _ => {
            let after = path.split("after=").nth(1).and_then(|text| text.split('&').next()?.parse().ok()).unwrap_or(0);
            let time = usize::from(says.asked.contains(&after));
            says.asked.push(after);
            says.lines[time].iter().skip(after as usize).take(says.batch).map(|line| format!("{line}\n")).collect()
        }
    };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

/// A journal of so many events, and its lines.
async fn journal(events: u64) -> (World, Arc<Catalog>, Vec<String>) {
    let world = World::new();
    let catalog = world.catalog();
    for number in 0..events {
        let event = Event::ProductAdded { product: format!("p-{number}").parse().unwrap(), class: Class::Intelligence };
        catalog.commit(&actor("ada"), |_, _| Ok::<_, std::convert::Infallible>(vec![event])).await.unwrap();
    }
    let raw = RawReader::new(world.options.journal_dir.clone()).read(0, events, 1 << 30).unwrap();
    let lines = String::from_utf8(raw).unwrap().lines().map(str::to_owned).collect();
    (world, catalog, lines)
}

fn statement(catalog: &Catalog, by: &SecretKey, valid_for: SignedDuration) -> Signed {
    let (sequence, head) = catalog.head();
    let at = catalog.clock_now();
    let expires = at.checked_add(valid_for).unwrap();
    let text = JournalStatement { origin: by.public().id, sequence, head, at, expires }.text();
    Signed { signature: by.sign(text.as_bytes(), "journal"), text }
}

fn entry(key: &SecretKey, by: Option<&SecretKey>) -> KeyEntry {
    let added_at = Timestamp::UNIX_EPOCH;
    let id = by.map(|by| by.public().id);
    let introduction = by.zip(id).map(|(by, id)| by.sign(introduction(&key.public(), id, added_at).as_bytes(), "k"));
    KeyEntry { key: key.public(), added_at, introduced_by: id, introduction, retired_at: None }
}

fn keys(entries: Vec<KeyEntry>) -> KeysDocument {
    KeysDocument { keys: entries }
}

/// A mirror in a world of its own.
fn mirror(
    world: &mut World,
    url: &str,
    pinned: Vec<PublicKey>,
    held_max_bytes: usize,
) -> (Arc<Mirror>, Arc<Mutex<Vec<u8>>>) {
    world.options.follows = Some(url.to_owned());
    let catalog = world.catalog();
    let token_key = Arc::new(Mutex::new(Vec::new()));
    let taken = token_key.clone();
    let options = MirrorOptions {
        name: "mirror-1".parse().unwrap(),
        origin_keys: pinned,
        stale_after: SignedDuration::from_mins(15),
        poll_wait: Duration::ZERO,
        dir: world.dir.path().join("mirror"),
        journal_dir: world.options.journal_dir.clone(),
        held_max_bytes,
        take_token_key: Box::new(move |bytes| {
            *taken.lock().unwrap() = bytes.to_vec();
            Ok(())
        }),
    };
    let upstream = Upstream::new(url.parse().unwrap(), None, None).unwrap();
    (Arc::new(Mirror::open(options, catalog, upstream).unwrap()), token_key)
}

async fn step(mirror: &Mirror) -> Result<(), Trouble> {
    let outcome = mirror.step(&mut None, Duration::ZERO).await;
    if let Err(trouble) = &outcome {
        mirror.note(trouble);
    }
    outcome
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

#[tokio::test(flavor = "multi_thread")]
async fn a_long_journal_is_followed_however_little_may_be_held() {
    let (_origin, catalog, lines) = journal(40).await;
    let word = statement(&catalog, &key(1), DAY);
    for held in [0, 700, 5_000, 1 << 20] {
        let fake = Fake::start(lines.clone(), word.clone(), keys(vec![entry(&key(1), None)]));
        let mut world = World::new();
        let (mirror, token_key) = mirror(&mut world, &fake.url, vec![key(1).public()], held);
        step(&mirror).await.unwrap();
        assert_eq!(mirror.catalog.head(), catalog.head(), "{held}");
        assert_eq!(*token_key.lock().unwrap(), [9; 32]);
        assert_eq!(mirror.statement(), Some(word.clone()));
        let standing = mirror.standing(40, mirror.catalog.clock_now());
        assert_eq!((standing.doing, standing.behind_events), (Doing::Following, 0));
        let read = std::fs::read(world.options.journal_dir.join("00000001.jsonl")).unwrap();
        assert_eq!(String::from_utf8(read).unwrap(), format!("{}\n", lines.join("\n")), "to the byte");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_others_the_second_time_are_not_taken() {
    let (_origin, catalog, lines) = journal(40).await;
    let fake = Fake::start(lines, statement(&catalog, &key(1), DAY), keys(vec![entry(&key(1), None)]));
    let (_other, _, mut others) = journal(41).await;
    others.remove(0);
    fake.says.lock().unwrap().lines[1] = others;
    let mut world = World::new();
    let (mirror, _) = mirror(&mut world, &fake.url, vec![key(1).public()], 0);
    let trouble = step(&mirror).await.unwrap_err();
    assert!(matches!(trouble, Trouble::Malformed { .. } | Trouble::Forked { .. }), "{trouble}");
    assert_eq!(mirror.catalog.head().0, 0);
    assert_eq!(mirror.statement(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_behind_the_word_wait_for_the_next_one() {
    let (_origin, catalog, lines) = journal(10).await;
    let fake = Fake::start(lines, statement(&catalog, &key(1), DAY), keys(vec![entry(&key(1), None)]));
    let (_more, more, all) = journal(12).await;
    // The same clock and the same events: the longer journal begins with the shorter one.
    assert_eq!(
        all[9].rsplit_once("hash").unwrap().1,
        fake.says.lock().unwrap().lines[0][9].rsplit_once("hash").unwrap().1
    );
    fake.says.lock().unwrap().lines = [all.clone(), all];
    let mut world = World::new();
    let (mirror, _) = mirror(&mut world, &fake.url, vec![key(1).public()], 1 << 20);
    step(&mirror).await.unwrap();
    assert_eq!(mirror.catalog.head(), catalog.head());
    fake.says.lock().unwrap().statement = statement(&more, &key(1), DAY);
    step(&mirror).await.unwrap();
    assert_eq!(mirror.catalog.head(), more.head());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_between_the_lines_and_the_word_is_asked_for_once_more() {
    let (_origin, catalog, lines) = journal(4).await;
    let fake = Fake::start(lines.clone(), statement(&catalog, &key(1), DAY), keys(vec![entry(&key(1), None)]));
    let mut world = World::new();
    let (mirror, _) = mirror(&mut world, &fake.url, vec![key(1).public()], 1 << 20);
    step(&mirror).await.unwrap();
    let (_more, more, all) = journal(6).await;
    let says = || fake.says.lock().unwrap();
    says().statement = statement(&more, &key(1), DAY);
    // Nothing behind event 4 the first time, and two events the second time.
    says().lines = [lines.clone(), all];
    step(&mirror).await.unwrap();
    assert_eq!(mirror.catalog.head(), more.head());
    // Who has nothing then, either, keeps something back.
    let (_most, most, _) = journal(8).await;
    says().statement = statement(&most, &key(1), DAY);
    says().lines = [lines.clone(), lines];
    assert!(matches!(step(&mirror).await, Err(Trouble::Short { after: 6, signed: 8 })));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_keys_that_the_pinned_one_vouches_for_are_believed() {
    let (_origin, catalog, lines) = journal(4).await;
    let vouched = keys(vec![entry(&key(1), None), entry(&key(2), Some(&key(1)))]);
    let fake = Fake::start(lines.clone(), statement(&catalog, &key(2), DAY), vouched);
    let mut world = World::new();
    let (followed, _) = mirror(&mut world, &fake.url, vec![key(1).public()], 1 << 20);
    step(&followed).await.unwrap();
    assert_eq!(followed.catalog.head(), catalog.head());
    for (signer, told) in [
        (key(3), keys(vec![entry(&key(3), None)])),
        (key(3), keys(vec![entry(&key(1), None), entry(&key(3), None)])),
        (key(3), keys(vec![entry(&key(1), None), entry(&key(3), Some(&key(2)))])),
        (key(3), keys(Vec::new())),
    ] {
        let fake = Fake::start(lines.clone(), statement(&catalog, &signer, DAY), told);
        let mut world = World::new();
        let (mirror, token_key) = mirror(&mut world, &fake.url, vec![key(1).public()], 1 << 20);
        let trouble = step(&mirror).await.unwrap_err();
        assert!(matches!(trouble, Trouble::Doubt(Doubt::UnknownKey(_))), "{trouble}");
        assert_eq!(mirror.alarms(mirror.catalog.clock_now())[0].alarm, AlarmKind::MirrorUntrusted);
        assert!(token_key.lock().unwrap().is_empty() && mirror.origin().is_none() && mirror.catalog.head().0 == 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_that_is_met_is_kept() {
    let (_origin, catalog, lines) = journal(4).await;
    let fake = Fake::start(lines, statement(&catalog, &key(1), DAY), keys(vec![entry(&key(1), None)]));
    let mut world = World::new();
    let (met, _) = mirror(&mut world, &fake.url, Vec::new(), 1 << 20);
    step(&met).await.unwrap();
    let says = || fake.says.lock().unwrap();
    says().statement = statement(&catalog, &key(2), DAY);
    says().hello.keys = keys(vec![entry(&key(1), None), entry(&key(2), None)]);
    assert!(matches!(step(&met).await, Err(Trouble::Doubt(Doubt::UnknownKey(_)))));
    says().hello.keys = keys(vec![entry(&key(1), None), entry(&key(2), Some(&key(1)))]);
    step(&met).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_are_too_old_too_new_or_set_back_are_not_believed() {
    let (_origin, catalog, lines) = journal(4).await;
    let now = statement(&catalog, &key(1), SignedDuration::from_mins(15));
    let fake = Fake::start(lines, now.clone(), keys(vec![entry(&key(1), None)]));
    let mut world = World::new();
    let (mirror, _) = mirror(&mut world, &fake.url, vec![key(1).public()], 1 << 20);
    let at = mirror.catalog.clock_now();
    step(&mirror).await.unwrap();
    world.clock.set(at.checked_add(SignedDuration::from_mins(21)).unwrap());
    assert!(matches!(step(&mirror).await, Err(Trouble::Doubt(Doubt::Expired(_)))));
    let kinds: Vec<_> = mirror.alarms(mirror.catalog.clock_now()).iter().map(|alarm| alarm.alarm).collect();
    assert_eq!(kinds, [AlarmKind::MirrorUntrusted, AlarmKind::MirrorStale]);
    world.clock.set(at.checked_sub(SignedDuration::from_mins(6)).unwrap());
    assert!(matches!(step(&mirror).await, Err(Trouble::Doubt(Doubt::Ahead(_)))));
    world.clock.set(at);
    let (_short, short, _) = journal(3).await;
    fake.says.lock().unwrap().statement = statement(&short, &key(1), DAY);
    assert!(matches!(step(&mirror).await, Err(Trouble::Behind { seen: 4, found: 3 })));
    let mut forked = JournalStatement::parse(&now.text).unwrap();
    forked.head = crate::model::Blake3Digest::of(b"another");
    let text = forked.text();
    fake.says.lock().unwrap().statement = Signed { signature: key(1).sign(text.as_bytes(), "j"), text };
    assert!(matches!(step(&mirror).await, Err(Trouble::Forked { sequence: 4, .. })));
    assert_eq!(mirror.standing(4, at).doing, Doing::Stopped);
    fake.says.lock().unwrap().statement = now;
    step(&mirror).await.unwrap();
    assert!(mirror.alarms(at).is_empty());
    assert_eq!(mirror.catalog.head(), catalog.head());
}
