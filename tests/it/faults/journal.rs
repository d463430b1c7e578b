//! The journal: a cut last line is set aside, anything else that is wrong is refused with its place.

use std::fs;
use std::io::Write as _;

use crate::support::bodies::Random;
use crate::support::server::ringfence;
use crate::support::{Run, TestServer, is_full_tier, seed};

fn server_with_history() -> TestServer {
    let server = TestServer::start();
    for number in 0..8 {
        server.cli(&["product", "add", &format!("product-{number}"), "--class", "intelligence"]).ok();
    }
    server
}

fn segment(server: &TestServer) -> std::path::PathBuf {
    server.data().join("journal/00000001.jsonl")
}

fn verify_offline(server: &TestServer, head: Option<&str>) -> Run {
    let mut command = ringfence();
    command.args(["journal", "verify", "--data"]).arg(server.data());
    command.args(head.iter().flat_map(|head| ["--head", head]));
    Run::of(&mut command)
}

/// The head as it would be noted elsewhere.
fn head(server: &TestServer) -> String {
    let head = server.api("GET", "/v1/journal/head", None).expect(200).json();
    format!("{}:{}", head["seq"], head["hash"].as_str().unwrap())
}

#[test]
fn every_line_is_what_the_protocol_says() {
    let server = server_with_history();
    let text = fs::read_to_string(segment(&server)).unwrap();
    let mut prev = "0".repeat(64);
    for (number, line) in text.lines().enumerate() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(json["seq"], number as u64 + 1);
        assert_eq!(json["prev"], prev);
        // The last one: an event may have a hash of its own.
        let (covered, _) = line.rsplit_once(",\"hash\":").unwrap();
        let hash = blake3::hash(covered.as_bytes()).to_hex().to_string();
        assert_eq!(json["hash"], hash, "line {}", number + 1);
        prev = hash;
    }
    assert!(head(&server).ends_with(&prev));
    let shown = server.json(&["journal", "show"]);
    assert_eq!(shown["events"].as_array().unwrap().len(), text.lines().count());
}

#[test]
fn a_cut_last_line_is_set_aside_and_named() {
    let mut server = server_with_history();
    let noted = head(&server);
    server.kill();
    let cut = br#"{"seq":99,"time":"2026-11-"#;
    fs::File::options().append(true).open(segment(&server)).unwrap().write_all(cut).unwrap();
    server.start_again();
    server.cli(&["journal", "verify", "--head", &noted]).ok();
    let torn: Vec<_> = fs::read_dir(server.data().join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("torn-")))
        .collect();
    assert_eq!(torn.len(), 1);
    assert_eq!(fs::read(&torn[0]).unwrap(), cut);
    let name = torn[0].file_name().unwrap().to_string_lossy().into_owned();
    assert!(server.log().contains(&name), "{}", server.log());
}

#[test]
fn every_edit_is_found() {
    let mut random = Random(seed("faults::journal::every_edit_is_found"));
    let mut server = server_with_history();
    let noted = head(&server);
    assert!(server.stop().success());
    verify_offline(&server, Some(&noted)).ok();
    let good = fs::read(segment(&server)).unwrap();
    let lines: Vec<&[u8]> = good.split_inclusive(|byte| *byte == b'\n').collect();
    let rounds = if is_full_tier() { 10_000 } else { 60 };
    for round in 0..rounds {
        let line = usize::try_from(random.below(lines.len() as u64)).unwrap();
        let mut edited = lines.clone();
        let mut changed = lines[line].to_vec();
        match random.below(4) {
            0 => {
                let at = usize::try_from(random.below(changed.len() as u64 - 1)).unwrap();
                changed[at] ^= 1 << random.below(7);
                edited[line] = &changed;
            }
            1 => drop(edited.remove(line)),
            2 => edited.swap(line, (line + 1) % lines.len()),
            _ => edited.truncate(line),
        }
        fs::write(segment(&server), edited.concat()).unwrap();
        let run = verify_offline(&server, Some(&noted));
        assert_eq!(run.code, 8, "round {round}, line {}: {}{}", line + 1, run.stdout, run.stderr);
    }
    fs::write(segment(&server), &good).unwrap();
    verify_offline(&server, Some(&noted)).ok();
}

#[test]
fn a_server_does_not_start_on_an_edited_journal() {
    let mut server = server_with_history();
    assert!(server.stop().success());
    let good = fs::read_to_string(segment(&server)).unwrap();
    fs::write(segment(&server), good.replacen("product-3", "product-4", 1)).unwrap();
    // Even where the index would let it skip the journal's beginning.
    fs::remove_dir_all(server.data().join("index")).unwrap();
    let failure = server.try_start_again().unwrap_err();
    assert!(failure.contains("00000001.jsonl") && failure.contains("line"), "{failure}");
    fs::write(segment(&server), good).unwrap();
    server.start_again();
}
