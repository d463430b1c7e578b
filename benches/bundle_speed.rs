//! A bundle's way to a medium and into an empty site, against `cp` and `sha256sum` of the same bytes, with and without
//! a `sync`. `cargo bench --bench bundle_speed`; needs 16 GiB of free disk.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use support::process::MemoryWatch;
use support::server::{OPEN_POLICY, Server, init, scratch};
use support::stats::{Runs, goal};
use support::{files, is_only_a_test, repeats};

/// What is carried: how many files, and how long each is.
const CASES: [(&str, u64, u64); 2] = [("4 files of 256 MiB", 4, 256 << 20), ("1,000 files of 64 KiB", 1_000, 64 << 10)];
/// Ours may take this many times as long: 0.7 of the speed.
const SLOWER_MAX: f64 = 1.0 / 0.7;
const MEMORY_MAX_MIB: f64 = 128.0;

fn main() {
    if is_only_a_test() {
        return;
    }
    for (what, count, bytes) in CASES {
        let dir = scratch();
        let origin = origin(&dir.path().join("origin"), dir.path(), count, bytes);
        let mut figures = Figures::new();
        for round in 0..repeats(5) {
            run(dir.path(), &origin, round, &mut figures);
        }
        figures.tell(what);
    }
}

struct Figures {
    by_hand: Runs,
    synced: Runs,
    exported: Runs,
    imported: Runs,
    memory_mib: f64,
}

/// A server with one release of these files.
fn origin(root: &Path, dir: &Path, count: u64, bytes: u64) -> Server {
    init(root, OPEN_POLICY);
    let server = Server::start(root);
    server.json(&["product", "add", "feed", "--class", "intelligence"]);
    let sources = dir.join("sources");
    std::fs::create_dir(&sources).unwrap();
    let artifacts: Vec<String> = (0..count)
        .map(|number| {
            let path = sources.join(format!("{number}.bin"));
            files::write_random(&path, bytes, number + 1);
            format!("{number}.bin={}", path.display())
        })
        .collect();
    let mut words = vec!["publish", "feed", "1"];
    words.extend(artifacts.iter().flat_map(|artifact| ["--artifact", artifact.as_str()]));
    server.json(&words);
    server
}

fn run(dir: &Path, origin: &Server, round: usize, figures: &mut Figures) {
    let (medium, copy) = (dir.join("medium"), dir.join("copy"));
    let to = medium.display().to_string();
    let watch = MemoryWatch::start(origin.pid());
    let begun = Instant::now();
    let memory = timed(origin.command(&["bundle", "export", "--site", "plant", "--since", "full", "--to", &to]));
    figures.exported.add(begun.elapsed().as_secs_f64());
    figures.memory_mib = figures.memory_mib.max(memory).max(watch.most_mib());

    let site = site(&dir.join(format!("site-{round}")), origin);
    let watch = MemoryWatch::start(site.pid());
    let begun = Instant::now();
    let memory = timed(site.command(&["bundle", "import", &to]));
    figures.imported.add(begun.elapsed().as_secs_f64());
    figures.memory_mib = figures.memory_mib.max(memory).max(watch.most_mib());
    site.stop();

    let begun = Instant::now();
    by_hand(&medium, &copy);
    figures.by_hand.add(begun.elapsed().as_secs_f64());
    assert!(Command::new("sync").arg("-f").arg(&copy).status().unwrap().success());
    figures.synced.add(begun.elapsed().as_secs_f64());
    for path in [medium, copy, dir.join(format!("site-{round}"))] {
        std::fs::remove_dir_all(path).unwrap();
    }
}

/// An empty site that trusts the origin.
fn site(root: &Path, origin: &Server) -> Server {
    init(root, OPEN_POLICY);
    let shown = origin.command(&["key", "show"]).output().unwrap().stdout;
    let key = String::from_utf8(shown).unwrap().lines().nth(1).unwrap().to_owned();
    let path = root.join("ringfence.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{config}[site]\nname = \"plant\"\norigin_keys = [\"{key}\"]\n")).unwrap();
    Server::start(root)
}

/// Runs a command to its end; the most anonymous memory that it had, in MiB.
fn timed(mut command: Command) -> f64 {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
    let watch = MemoryWatch::start(child.id());
    assert!(child.wait().unwrap().success());
    watch.most_mib()
}

fn by_hand(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-r", "--reflink=never"]).arg(from).arg(to).status().unwrap();
    assert!(copied.success());
    let files: Vec<PathBuf> = std::fs::read_dir(to).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(Command::new("sha256sum").args(files).stdout(Stdio::null()).status().unwrap().success());
}

impl Figures {
    fn new() -> Self {
        let (by_hand, synced, exported, imported) = (Runs::new(), Runs::new(), Runs::new(), Runs::new());
        Self { by_hand, synced, exported, imported, memory_mib: 0.0 }
    }

    fn tell(&self, what: &str) {
        let Self { by_hand, synced, exported, imported, memory_mib } = self;
        println!("{what}, cp + sha256sum          {by_hand} s");
        println!("{what}, cp + sha256sum + sync   {synced} s");
        println!("{what}, bundle export           {exported} s");
        println!("{what}, bundle import           {imported} s");
        let (export, import) = (exported.median(), imported.median());
        goal("export against cp + sha256sum, wall", export / by_hand.median(), SLOWER_MAX);
        goal("import against cp + sha256sum, wall", import / by_hand.median(), SLOWER_MAX);
        println!(
            "        with the sync: export {:.3}, import {:.3}",
            export / synced.median(),
            import / synced.median()
        );
        goal("memory of each process that no file backs, MiB", *memory_mib, MEMORY_MAX_MIB);
    }
}
