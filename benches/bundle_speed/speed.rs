//! A bundle's way to a medium and into an empty site, against `cp` and `sha256sum` of the same bytes, with and without
//! a `sync`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::MEMORY_MAX_MIB;
use super::places::{Took, origin as empty_origin, run as watched, site};
use super::support::server::{Server, scratch};
use super::support::stats::{Runs, goal};
use super::support::{files, repeats};

/// What is carried: how many files, and how long each is.
const CASES: [(&str, u64, u64); 2] = [("4 files of 256 MiB", 4, 256 << 20), ("1,000 files of 64 KiB", 1_000, 64 << 10)];
/// Ours may take this many times as long: 0.7 of the speed.
const SLOWER_MAX: f64 = 1.0 / 0.7;

/// Measures; the most memory of any of the processes that no file backs.
pub(crate) fn run() -> f64 {
    let mut most_mib: f64 = 0.0;
    for (what, count, bytes) in CASES {
        let dir = scratch();
        let origin = origin(&dir.path().join("origin"), dir.path(), count, bytes);
        let mut figures = Figures::new();
        for round in 0..repeats(5) {
            run_once(dir.path(), &origin, round, &mut figures);
        }
        figures.tell(what);
        most_mib = most_mib.max(figures.memory_mib);
    }
    most_mib
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
    let server = empty_origin(root);
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

fn run_once(dir: &Path, origin: &Server, round: usize, figures: &mut Figures) {
    let (medium, copy) = (dir.join("medium"), dir.join("copy"));
    let to = medium.display().to_string();
    let export = origin.command(&["bundle", "export", "--site", "plant", "--since", "full", "--to", &to]);
    let exported_s = figures.note(&watched(export, Some(origin)));
    figures.exported.add(exported_s);

    let site = site(&dir.join(format!("site-{round}")), origin);
    let imported_s = figures.note(&watched(site.command(&["bundle", "import", &to]), Some(&site)));
    figures.imported.add(imported_s);
    site.stop();

    let begun = Instant::now();
    by_hand(&medium, &copy);
    figures.by_hand.add(begun.elapsed().as_secs_f64());
    assert!(Command::new("sync").arg("-f").arg(&copy).status().unwrap().success());
    figures.synced.add(begun.elapsed().as_secs_f64());
    // The sites stay until the end: ext4 passes over each inode that was freed in the last seconds before it takes another,
    // so an import just after a site's thousands of files were removed takes several times as long.
    for path in [medium, copy] {
        std::fs::remove_dir_all(path).unwrap();
    }
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

    /// Notes what a command and its server had; how long it took.
    fn note(&mut self, took: &Took) -> f64 {
        for memory in [took.command, took.server] {
            self.memory_mib = self.memory_mib.max(memory.anonymous_mib);
        }
        took.wall_s
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
