//! A journal from a backup: what it lacks was acknowledged, so a start refuses it until somebody accepts the loss.

use std::fs;

use crate::support::server::ringfence;
use crate::support::{Run, TestServer};

/// A stopped server, with the journal as it was two events earlier.
fn stopped_server() -> (TestServer, Vec<u8>) {
    let mut server = TestServer::start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    assert!(server.stop().success());
    let older = fs::read(segment(&server)).unwrap();
    server.start_again();
    server.as_admin().try_publish("feed", "1.0", b"body").unwrap().expect(201);
    assert!(server.stop().success());
    (server, older)
}

fn segment(server: &TestServer) -> std::path::PathBuf {
    server.data().join("journal/00000001.jsonl")
}

fn offline(server: &TestServer, words: &[&str]) -> Run {
    Run::of(ringfence().args(words).arg("--data").arg(server.data()))
}

/// The start is refused with exit code 8 and the advice; so is every offline command but the rebuild, which accepts.
fn is_refused_until_accepted(server: &mut TestServer, words: &[&str]) {
    let failure = server.try_start_again().unwrap_err();
    assert!(failure.contains("exit status: 8"), "{failure}");
    for word in [words, &["store rebuild", "backup"]].concat() {
        assert!(failure.contains(word), "it lacks {word:?}: {failure}");
    }
    offline(server, &["store", "stats"]).complains(8, words);
    offline(server, &["store", "rebuild"]).ok();
    server.start_again();
    assert_eq!(server.offered_version("device-1", "feed"), None, "the release is lost, as was accepted");
    server.cli(&["journal", "verify"]).ok();
    server.as_admin().try_publish("feed", "1.0", b"body").unwrap().expect(201);
    assert_eq!(server.offered_version("device-1", "feed").as_deref(), Some("1.0"));
}

#[test]
fn an_older_journal_is_refused_until_the_loss_is_accepted() {
    let (mut server, older) = stopped_server();
    fs::write(segment(&server), older).unwrap();
    is_refused_until_accepted(&mut server, &["ends before event"]);
}

#[test]
fn a_journal_cut_inside_an_acknowledged_line_is_refused_too() {
    let (mut server, _) = stopped_server();
    let whole = fs::read(segment(&server)).unwrap();
    fs::write(segment(&server), &whole[..whole.len() - 10]).unwrap();
    let failure = server.try_start_again().unwrap_err();
    assert!(failure.contains("exit status: 8") && failure.contains("ends before event"), "{failure}");
    assert_eq!(fs::read(segment(&server)).unwrap().len(), whole.len() - 10, "nothing was changed");
    fs::write(segment(&server), whole).unwrap();
    server.start_again();
    assert_eq!(server.offered_version("device-1", "feed").as_deref(), Some("1.0"));
}

#[test]
fn another_journal_is_refused_until_it_is_accepted() {
    let (mut server, older) = stopped_server();
    // A history of its own from the backup on: longer than the one that was lost.
    let index = server.data().join("index");
    let kept = server.data().join("index-kept");
    fs::rename(&index, &kept).unwrap();
    fs::write(segment(&server), older).unwrap();
    server.start_again();
    for product in ["a", "b", "c", "d", "e"] {
        server.cli(&["product", "add", product, "--class", "platform"]).ok();
    }
    assert!(server.stop().success());
    fs::remove_dir_all(&index).unwrap();
    fs::rename(&kept, &index).unwrap();
    is_refused_until_accepted(&mut server, &["another event"]);
}
