//! What a long body takes of memory on its way: as it is, as a frame, as a patch, and two patches at once.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::MEMORY_MAX_MIB;
use super::at_once::import_at_once;
use super::places::{Took, key_of, origin, run as watched, site};
use super::support::files;
use super::support::process::Memory;
use super::support::server::{Server, scratch};
use super::support::stats::goal;

const MIB: u64 = 1 << 20;
/// How long each body is: `RINGFENCE_BENCH_MIB`, otherwise 600 MiB.
fn body_bytes() -> u64 {
    let asked = std::env::var("RINGFENCE_BENCH_MIB").ok().and_then(|text| text.parse::<u64>().ok());
    asked.unwrap_or(600) * MIB
}

/// Measures; the most memory that any of the processes had.
pub(crate) fn run() -> f64 {
    let length = body_bytes();
    let dir = scratch();
    let origin = origin(&dir.path().join("origin"));
    let site = site(&dir.path().join("site"), &origin);
    let mut road = Road { dir: dir.path(), origin, site, number: 0, most_mib: 0.0 };
    for product in ["noise", "text"] {
        road.origin.json(&["product", "add", product, "--class", "intelligence"]);
    }
    let [noise, text, next] = ["noise.bin", "text.bin", "next.bin"].map(|name| dir.path().join(name));

    files::write_random(&noise, length, 1);
    road.publish("noise", "1", &noise);
    road.carry("as it is");

    write_text(&text, length);
    road.publish("text", "1", &text);
    road.carry("as a frame");

    // Another 300,000 bytes before it, and a few of each 5 MiB.
    change(&noise, &next, 300_000, 5 * MIB, 1_000);
    road.publish("noise", "2", &next);
    road.carry("as a patch");
    std::fs::rename(&next, &noise).unwrap();

    // So much that is new that sending takes its time.
    change(&noise, &next, 0, 16 * MIB, 5 * MIB);
    road.publish("noise", "3", &next);
    change(&text, &next, 0, 16 * MIB, 2 * MIB);
    road.publish("text", "2", &next);
    road.carry_at_once("two patches at once");
    goal("memory of each process, pages of files included, MiB", road.most_mib, MEMORY_MAX_MIB);
    road.most_mib
}

/// The way from an origin to its site and back.
struct Road<'a> {
    dir: &'a Path,
    origin: Server,
    site: Server,
    number: u32,
    most_mib: f64,
}

impl Road<'_> {
    fn publish(&self, product: &str, version: &str, file: &Path) {
        self.origin.publish(product, version, file);
    }

    /// What is new goes over, the receipt comes back.
    fn carry(&mut self, how: &str) {
        let medium = self.export(how, &[]);
        let took = watched(self.site.command(&["bundle", "import", &medium]), Some(&self.site));
        self.tell(how, "import", &took);
        self.inspect(how, &medium);
        self.come_back(&medium);
    }

    /// The same, with all volumes sent to the site at the same time.
    fn carry_at_once(&mut self, how: &str) {
        // Room for the longer of the two.
        let medium = self.export(how, &["--volume-size", &format!("{}MiB", body_bytes() / MIB * 2 / 5)]);
        let begun = Instant::now();
        let (volumes, server) = import_at_once(&self.site, Path::new(&medium));
        let took = Took { wall_s: begun.elapsed().as_secs_f64(), command: Memory::default(), server };
        self.tell(how, &format!("import, {volumes} volumes"), &took);
    }

    fn export(&mut self, how: &str, more: &[&str]) -> String {
        self.number += 1;
        let medium = self.dir.join(format!("medium-{}", self.number)).display().to_string();
        let words = [&["bundle", "export", "--site", "plant", "--to", &medium], more].concat();
        let took = watched(self.origin.command(&words), Some(&self.origin));
        self.tell(how, "export", &took);
        let manifest = std::fs::read(Path::new(&medium).join("BUNDLE.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        for object in manifest["objects"].as_array().unwrap() {
            println!(
                "        an object of {} bytes: {}, {} bytes, {} part(s)",
                object["size"],
                object["encoding"].as_str().unwrap(),
                object["packed"]["size"],
                object["parts"].as_array().unwrap().len()
            );
        }
        medium
    }

    /// Reading it all, beside `sha256sum` of the same files.
    fn inspect(&mut self, how: &str, medium: &str) {
        let key = key_of(&self.origin);
        let words = ["bundle", "inspect", medium, "--key", &key, "--verify"];
        let took = watched(self.origin.command(&words), None);
        let files: Vec<_> = std::fs::read_dir(medium).unwrap().map(|entry| entry.unwrap().path()).collect();
        let begun = Instant::now();
        assert!(Command::new("sha256sum").args(files).stdout(Stdio::null()).status().unwrap().success());
        let by_hand_s = begun.elapsed().as_secs_f64();
        self.tell(how, "inspect --verify", &took);
        println!("        {:.2} of the time of sha256sum ({by_hand_s:.2} s)", took.wall_s / by_hand_s);
    }

    fn come_back(&self, medium: &str) {
        let receipts = self.dir.join(format!("receipts-{}", self.number)).display().to_string();
        std::fs::create_dir(&receipts).unwrap();
        let run = |mut command: Command| {
            assert!(command.stdout(Stdio::null()).stderr(Stdio::inherit()).status().unwrap().success(), "{command:?}");
        };
        run(self.site.command(&["bundle", "receipt", "--to", &receipts]));
        run(self.origin.command(&["bundle", "receipt", &receipts, "--site-key", &key_of(&self.site)]));
        std::fs::remove_dir_all(medium).unwrap();
    }

    fn tell(&mut self, how: &str, step: &str, took: &Took) {
        println!("{how}, {step}: {:.2} s", took.wall_s);
        for (who, memory) in [("the command", took.command), ("the server ", took.server)] {
            if memory.all_mib > 0.0 {
                println!("        {who} {memory}");
            }
            self.most_mib = self.most_mib.max(memory.all_mib);
        }
    }
}

/// Bytes of which each says half as much: digits.
fn write_text(path: &Path, length: u64) {
    files::write_random(path, length / 2, 99);
    let noise = std::fs::read(path).unwrap();
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    for byte in noise {
        let digits = b"0123456789abcdef";
        file.write_all(&[digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]).unwrap();
    }
    file.into_inner().unwrap().sync_all().unwrap();
}

/// Copies a file with `before` new bytes at its beginning, and `fresh` new ones at the end of every `of` bytes.
fn change(from: &Path, to: &Path, before: u64, of: u64, fresh: u64) {
    let noise = to.with_extension("noise");
    files::write_random(&noise, before + fresh * (std::fs::metadata(from).unwrap().len() / of + 1), 7 + fresh);
    let mut noise_left = BufReader::with_capacity(1 << 20, File::open(&noise).unwrap());
    let mut old = BufReader::with_capacity(1 << 20, File::open(from).unwrap());
    let mut file = BufWriter::with_capacity(1 << 20, File::create(to).unwrap());
    std::io::copy(&mut noise_left.by_ref().take(before), &mut file).unwrap();
    loop {
        let kept = std::io::copy(&mut old.by_ref().take(of - fresh), &mut file).unwrap();
        let gone = std::io::copy(&mut old.by_ref().take(fresh), &mut std::io::sink()).unwrap();
        std::io::copy(&mut noise_left.by_ref().take(gone), &mut file).unwrap();
        if kept + gone < of {
            break;
        }
    }
    file.into_inner().unwrap().sync_all().unwrap();
    std::fs::remove_file(noise).unwrap();
}
