//! wget: whole bodies, and `-c` after it was killed in the middle of a body.

use std::process::Command;
use std::time::{Duration, Instant};

use super::{DEVICE, assert_same, client, published};
use crate::support::tools::need;

fn wget() -> Command {
    let mut command = Command::new("wget");
    command.args(["--quiet", "--tries=1", "--timeout=60", "--header", DEVICE, "--output-document"]);
    command
}

#[test]
fn every_version_downloads_whole() {
    need!("real::wget::every_version_downloads_whole", "wget");
    let all = published("real::wget");
    for body in &all.bodies {
        let file = all.target("whole");
        client(wget().arg(&file).arg(all.url(body)));
        assert_same(&file, body);
    }
}

#[test]
fn a_killed_download_continues() {
    need!("real::wget::a_killed_download_continues", "wget");
    let all = published("real::wget");
    let (body, file) = (all.largest(), all.target("killed"));
    let size = std::fs::metadata(&body.file).unwrap().len();
    // So slowly that this test may sleep for seconds on a busy machine, and the body is not whole yet.
    let mut running = wget().arg(&file).args(["--limit-rate=100k"]).arg(all.url(body)).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while std::fs::metadata(&file).map_or(0, |file| file.len()) < 50_000 {
        assert!(Instant::now() < until, "wget wrote nothing");
        std::thread::sleep(Duration::from_millis(5));
    }
    running.kill().unwrap();
    running.wait().unwrap();
    let cut = std::fs::metadata(&file).unwrap().len();
    assert!(cut < size, "the body was whole before wget was killed: limit its rate further");
    client(wget().arg(&file).arg("--continue").arg(all.url(body)));
    assert_same(&file, body);
}
