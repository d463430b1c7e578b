//! kill -9 at random points of exports, of the server and of the command that writes: no medium is taken for whole that is
//! not, and the next export works.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::origin::{Origin, SITE, bodies, offered, word};
use crate::support::bodies::Random;
use crate::support::{Run, Setup, TestServer, is_full_tier, seed};

/// How long a command may take to notice that its server is gone before it is killed, too.
const A_MOMENT: Duration = Duration::from_millis(20);
/// Kills after which a bundle is carried to the site and its receipt back.
const CARRY_EVERY: u32 = 10;

/// Who is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    Server,
    Command,
}

/// What became of the killed exports.
#[derive(Debug, Default)]
struct Tally {
    kills: u32,
    /// Nothing was on the medium yet.
    before: u32,
    /// Something was, without a signature.
    midway: u32,
    /// It was whole.
    whole: u32,
}

struct World {
    origin: Origin,
    site: TestServer,
    media: tempfile::TempDir,
    key: PathBuf,
    versions: u64,
    tally: Tally,
}

impl World {
    fn new() -> Self {
        let origin = Origin::start();
        let site = origin.site(Setup::new(), SITE).start();
        let key = origin.server.root().join("origin.pub");
        let media = tempfile::tempdir().unwrap();
        Self { origin, site, media, key, versions: 0, tally: Tally::default() }
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.media.path().join(name)
    }

    fn export(&self, to: &Path) -> Child {
        let words = ["bundle", "export", "--site", SITE, "--volume-size", "256KiB", "--to", word(to)];
        let mut command = self.origin.server.command(&words);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// How many bundles the origin remembers to have made.
    fn newest(&self) -> u64 {
        let answer = self.origin.server.api("GET", &format!("/v1/sites/{SITE}"), None);
        if answer.status == 404 { 0 } else { answer.expect(200).json()["newest"]["sequence"].as_u64().unwrap_or(0) }
    }

    fn publish(&mut self) {
        self.versions += 1;
        self.origin.publish(&format!("{}.0", self.versions), &bodies(self.versions, 1_500_000, 12));
    }

    /// Brings a bundle to the site, and its receipt back: how long the export took. Then there is something new.
    fn carry(&mut self) -> Duration {
        let version = format!("{}.0", self.versions);
        let (to, before) = (self.dir(&format!("carried-{}", self.versions)), self.newest());
        let begun = Instant::now();
        let words = ["bundle", "export", "--site", SITE, "--volume-size", "256KiB", "--to", word(&to)];
        let made = self.origin.server.json(&words);
        let took = begun.elapsed();
        // One that was asked for by a command that was killed may have been in the making.
        assert!((before + 1..=before + 2).contains(&made["sequence"].as_u64().unwrap()), "{before} {made}");
        assert_eq!(made["sequence"], self.newest(), "{made}");
        let base = if self.versions == 1 { "full" } else { "proven" };
        assert_eq!(made["base"]["kind"], base, "{made}");
        self.site.cli(&["bundle", "import", word(&to)]).ok();
        assert_eq!(offered(&self.site, "pc-1"), Some(version));
        let receipts = self.dir(&format!("receipts-{}", self.versions));
        std::fs::create_dir(&receipts).unwrap();
        self.site.cli(&["bundle", "receipt", "--last", "--to", word(&receipts)]).ok();
        self.origin.server.cli(&["bundle", "receipt", word(&receipts)]).ok();
        std::fs::remove_dir_all(&to).unwrap();
        self.publish();
        took
    }

    /// What the medium has is whole and signed, or refused by everybody who looks.
    fn judge(&mut self, to: &Path, was_told: bool) {
        let inspect = ["bundle", "inspect", word(to), "--key", word(&self.key), "--verify"];
        let is_there = to.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        if to.join("BUNDLE.sig").exists() {
            self.tally.whole += 1;
            self.origin.server.cli(&inspect).ok();
            return;
        }
        assert!(!was_told, "the export was acknowledged and has no signature");
        if !is_there {
            self.tally.before += 1;
            return;
        }
        self.tally.midway += 1;
        let run = self.origin.server.cli(&inspect);
        assert_ne!(run.code, 0, "half a bundle was taken as one: {}", run.stdout);
        assert_eq!(run.stderr.trim_end().lines().count(), 1, "one sentence: {}", run.stderr);
        if self.tally.midway % 5 == 1 {
            let again = ["bundle", "export", "--site", SITE, "--to", word(to)];
            self.origin.server.cli(&again).complains(7, &["was not finished", "empty it"]);
            let run = self.site.cli(&["bundle", "import", word(to)]);
            assert!(matches!(run.code, 6 | 10), "{}", run.stderr);
        }
    }

    fn kill_once(&mut self, victim: Victim, after: Duration) {
        let to = self.dir("killed");
        let before = self.newest();
        let mut export = self.export(&to);
        if self.tally.kills % 2 == 1 {
            // While volumes are written, then, however long making them takes here. What comes before, and is gone at
            // once, only shows that the medium can be written.
            let is_of_volume = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().contains("vol-");
            let has_begun = || to.read_dir().is_ok_and(|entries| entries.flatten().any(is_of_volume));
            let until = Instant::now() + Duration::from_secs(60);
            while !has_begun() && export.try_wait().unwrap().is_none() {
                assert!(Instant::now() < until, "the export begins");
                std::thread::sleep(Duration::from_millis(1));
            }
            // Where writing takes less than that, at least every other one is in time.
            std::thread::sleep(if self.tally.kills % 4 == 1 { Duration::ZERO } else { after / 8 });
        } else {
            std::thread::sleep(after);
        }
        if victim == Victim::Server {
            self.origin.server.kill();
            std::thread::sleep(A_MOMENT);
        }
        let was_told = export.try_wait().unwrap().is_some_and(|status| status.success());
        let _ = export.kill();
        export.wait().unwrap();
        self.tally.kills += 1;
        if victim == Victim::Server {
            let kills = self.tally.kills;
            let started = self.origin.server.try_start_again();
            started.unwrap_or_else(|failure| panic!("after kill {kills}: {failure}"));
            let left = std::fs::read_dir(self.origin.server.data().join("exports")).unwrap().count();
            assert_eq!(left, 0, "what was packed is gone with the server");
        }
        self.judge(&to, was_told);
        let newest = self.newest();
        let most = before + if victim == Victim::Server { 1 } else { 2 };
        assert!((before..=most).contains(&newest), "{newest} after {before}");
        if to.join("BUNDLE.sig").exists() {
            let manifest = std::fs::read(to.join("BUNDLE.json")).unwrap();
            let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
            assert_eq!(manifest["sequence"], newest, "what was signed is in the journal");
        }
        let _ = std::fs::remove_dir_all(&to);
    }
}

fn kill_exports(test: &str, victim: Victim) {
    let mut random = Random(seed(test));
    let wanted = if is_full_tier() { 500 } else { 10 };
    let begun = Instant::now();
    let mut world = World::new();
    world.publish();
    let mut length = world.carry();
    // On a busy machine each of them may have come too late.
    while world.tally.kills < wanted || world.tally.midway == 0 && world.tally.kills < 5 * wanted {
        world.kill_once(victim, length.mul_f64(random.below(1_000) as f64 / 900.0));
        if world.tally.kills.is_multiple_of(CARRY_EVERY) {
            length = world.carry();
        }
    }
    world.origin.server.cli(&["journal", "verify"]).ok();
    world.origin.server.cli(&["store", "verify"]).ok();
    let (tally, seconds) = (&world.tally, begun.elapsed().as_secs_f64());
    eprintln!("{test}: {tally:?}, {} carried, {seconds:.1} s", world.versions);
    assert!(tally.midway > 0, "no export was killed while it was written: the test tested nothing");
}

#[test]
fn an_export_whose_server_is_killed_is_never_taken_for_whole() {
    kill_exports("bundles::kill_exports::an_export_whose_server_is_killed_is_never_taken_for_whole", Victim::Server);
}

#[test]
fn an_export_whose_command_is_killed_is_never_taken_for_whole_and_locks_nobody_out() {
    kill_exports(
        "bundles::kill_exports::an_export_whose_command_is_killed_is_never_taken_for_whole_and_locks_nobody_out",
        Victim::Command,
    );
}

/// Four exports that are open are no obstacle for the one who left them; for others they are, for two minutes.
#[test]
fn exports_that_were_left_open_give_way_to_the_same_persons_next() {
    let origin = Origin::start();
    origin.publish("1.0", &bodies(1, 300_000, 3));
    let request = |site: &str| serde_json::json!({ "site": site, "volume_size_bytes": 1 << 20 });
    let open = |site: &str| origin.server.api("POST", "/v1/bundles", Some(&request(site)));
    let first = open(SITE).expect(201).json()["bundle"].as_str().unwrap().to_owned();
    let path = |bundle: &str| format!("/v1/bundles/{bundle}/BUNDLE.sig");
    let others: Vec<_> = (0..3).map(|number| open(&format!("plant-{number}")).expect(201)).collect();
    let seq = origin.server.journal_seq();
    let refused = open("plant-9").expect(503);
    assert!(refused.text().contains("4 exports are open"), "{}", refused.text());
    assert_eq!(origin.server.journal_seq(), seq);
    let token = origin.server.root().join("other.token");
    let words = ["token", "create", "--actor", "bob", "--role", "operator", "--out", word(&token)];
    origin.server.cli(&words).ok();
    let to = origin.server.root().join("medium");
    let mut command = origin.server.command(&["bundle", "export", "--site", SITE, "--to", word(&to)]);
    command.env("RINGFENCE_TOKEN", std::fs::read_to_string(&token).unwrap().trim());
    Run::of(&mut command).complains(1, &["4 exports are open"]);
    // The same person's next for that site takes its place; the others stay.
    let second = open(SITE).expect(201).json()["bundle"].as_str().unwrap().to_owned();
    origin.server.api("GET", &path(&first), None).expect(404);
    origin.server.api("GET", &path(&second), None).expect(200);
    for other in others {
        origin.server.api("GET", &path(other.json()["bundle"].as_str().unwrap()), None).expect(200);
    }
}
