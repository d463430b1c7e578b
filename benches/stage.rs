//! Staging a share of 1,000 files and 2 GiB in which 10 change, against `rsync -a --checksum` on the same trees; and both
//! onto an empty directory. `cargo bench --bench stage`; needs 16 GiB of free disk and rsync.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use support::server::{Server, init, scratch};
use support::stats::{Runs, goal};
use support::{files, is_only_a_test, repeats};

const FILES: usize = 1_000;
const CHANGED: usize = 10;
const FILE_BYTES: u64 = (2 << 30) / FILES as u64 / 8 * 8;

const POLICY: &str = "[approve]\nintelligence = \"auto\"\nplatform = \"auto\"\n\n\
    [[ring]]\nname = \"all\"\n\n[[group]]\nname = \"everyone\"\nmatch = \"any\"\nring = \"all\"\n\n\
    [[share]]\nname = \"files\"\ngroup = \"everyone\"\nlayout = \"plain\"\nproducts = [\"feed\"]\n";

/// What is compared. Those after the first are rsync's: as the goal has it, durable as we are, and trusting dates as we do.
const SIDES: [(&str, &[&str]); 4] = [
    ("ringfence share stage", &[]),
    ("rsync -a --checksum", &["--checksum"]),
    ("rsync -a --checksum --fsync", &["--checksum", "--fsync"]),
    ("rsync -a", &[]),
];

fn main() {
    if is_only_a_test() {
        return;
    }
    if Command::new("rsync").arg("--version").output().is_err() {
        println!("rsync is not installed: nothing to compare with");
        return;
    }
    let bench = Bench::new();
    let all: Vec<Side> = SIDES.iter().enumerate().map(|(number, _)| bench.side(number)).collect();
    println!("{FILES} files of {FILE_BYTES} bytes, {CHANGED} of them change");
    let mut fresh: Vec<Runs> = SIDES.iter().map(|_| Runs::new()).collect();
    let mut changed: Vec<Runs> = SIDES.iter().map(|_| Runs::new()).collect();
    let mut same: Vec<Runs> = SIDES.iter().map(|_| Runs::new()).collect();
    for side in bench.in_turn(0) {
        fresh[side].add(all[side].run(&bench, 1, FILES as u64));
    }
    for round in 0..repeats(5) {
        let version = 2 - round % 2;
        bench.show(version);
        for side in bench.in_turn(round) {
            changed[side].add(all[side].run(&bench, version, CHANGED as u64));
            same[side].add(all[side].run(&bench, version, 0));
        }
    }
    for (number, (name, _)) in SIDES.iter().enumerate() {
        println!("{name:<28} onto nothing  {} s", fresh[number]);
        println!("{name:<28} 10 changed    {} s", changed[number]);
        println!("{name:<28} none changed  {} s", same[number]);
    }
    for (number, (name, _)) in SIDES.iter().enumerate().skip(1) {
        let ratio = |runs: &[Runs]| runs[0].median() / runs[number].median();
        let (nothing, ten, none) = (ratio(&fresh), ratio(&changed), ratio(&same));
        println!("ours / {name}: onto nothing {nothing:.2}, 10 changed {ten:.3}, none changed {none:.3}");
    }
    goal("10 of 1,000 changed against rsync -a --checksum, wall", changed[0].median() / changed[1].median(), 1.0);
    goal("the aim", changed[0].median() / changed[1].median(), 0.2);
}

/// The server with both versions, and the same trees for rsync.
struct Bench {
    server: Server,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = scratch();
        let root = dir.path().join("server");
        init(&root, POLICY);
        let server = Server::start(&root);
        server.json(&["product", "add", "feed", "--class", "intelligence"]);
        let bench = Self { server, dir };
        for version in [1, 2] {
            let tree = bench.tree(version);
            (0..FILES).for_each(|number| std::fs::create_dir_all(tree.join(name(number)).parent().unwrap()).unwrap());
            for number in 0..FILES {
                let file = tree.join(name(number));
                if version == 2 && number % (FILES / CHANGED) != 0 {
                    std::fs::hard_link(bench.tree(1).join(name(number)), file).unwrap();
                } else {
                    files::write_random(&file, FILE_BYTES, (version * FILES + number) as u64);
                }
            }
            let artifacts: Vec<String> =
                (0..FILES).map(|number| format!("{0}={1}", name(number), tree.join(name(number)).display())).collect();
            let mut words = vec!["publish".to_owned(), "feed".to_owned(), version.to_string()];
            words.extend(artifacts.into_iter().flat_map(|artifact| ["--artifact".to_owned(), artifact]));
            bench.server.json(&words.iter().map(String::as_str).collect::<Vec<_>>());
        }
        bench.show(1);
        bench
    }

    fn tree(&self, version: usize) -> PathBuf {
        self.dir.path().join(format!("tree-{version}"))
    }

    /// Lets the share show a version, and waits until that is in effect.
    fn show(&self, version: usize) {
        let version = version.to_string();
        self.server.json(&["pin", "everyone", "feed", &version, "--reason", "to compare"]);
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let share = self.server.json(&["share", "show", "files"]);
            if share["releases"][0]["version"] == *version {
                // A switch is in effect on a whole second, which a stager waits for.
                std::thread::sleep(Duration::from_millis(2_000));
                return;
            }
            assert!(Instant::now() < until, "no switch to {version}: {share}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn side(&self, number: usize) -> Side {
        Side { number, dir: self.dir.path().join(format!("target-{number}")) }
    }

    /// The sides in another order each round.
    fn in_turn(&self, round: usize) -> impl Iterator<Item = usize> + use<> {
        let count = SIDES.len();
        (0..count).map(move |side| if round.is_multiple_of(2) { side } else { count - 1 - side })
    }
}

fn name(number: usize) -> String {
    format!("d{:02}/file-{number:04}.bin", number / 50)
}

/// One tool and its target.
struct Side {
    number: usize,
    dir: PathBuf,
}

impl Side {
    /// Brings the target to a version: the seconds that took. Exactly so many files must have been written.
    fn run(&self, bench: &Bench, version: usize, files: u64) -> f64 {
        // What the side before left unwritten is not this one's to wait for.
        assert!(Command::new("sync").status().unwrap().success());
        let begun = Instant::now();
        let (written, bytes) =
            if self.number == 0 { stage(bench, &self.dir) } else { rsync(&bench.tree(version), self) };
        let took = begun.elapsed().as_secs_f64();
        assert_eq!((written, bytes), (files, files * FILE_BYTES), "{} wrote something else", SIDES[self.number].0);
        took
    }
}

/// Files and bytes written.
fn stage(bench: &Bench, dir: &Path) -> (u64, u64) {
    let config = bench.dir.path().join("server/ringfence.toml");
    let (config, dir) = (config.display().to_string(), dir.display().to_string());
    let staged = bench.server.json(&["share", "stage", "files", "--config", &config, "--to", &dir]);
    (staged["written_files"].as_u64().unwrap(), staged["written_bytes"].as_u64().unwrap())
}

fn rsync(from: &Path, side: &Side) -> (u64, u64) {
    let mut command = Command::new("rsync");
    command.args(["--archive", "--stats", "--no-human-readable", "--delete"]).args(SIDES[side.number].1);
    let output = command.arg(format!("{}/", from.display())).arg(&side.dir).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let figure = |what: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(what)).unwrap_or_else(|| panic!("{what}: {text}"));
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    (figure("Number of regular files transferred: "), figure("Total transferred file size: "))
}
