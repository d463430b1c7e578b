//! curl: whole bodies, ranges, resumption, dates, entity tags.

use std::process::Command;

use super::{DEVICE, assert_same, client, published};
use crate::support::tools::need;

fn curl() -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--max-time", "120", "--header", DEVICE]);
    command
}

#[test]
fn every_version_downloads_whole() {
    need!("real::curl::every_version_downloads_whole", "curl");
    let all = published("real::curl");
    for body in &all.bodies {
        let file = all.target("whole");
        client(curl().arg("--output").arg(&file).arg(all.url(body)));
        assert_same(&file, body);
    }
}

#[test]
fn a_download_resumes_where_it_was_cut() {
    need!("real::curl::a_download_resumes_where_it_was_cut", "curl");
    let all = published("real::curl");
    let (body, file) = (all.largest(), all.target("resumed"));
    std::fs::write(&file, &body.bytes()[..100_001]).unwrap();
    client(curl().args(["--continue-at", "-", "--output"]).arg(&file).arg(all.url(body)));
    assert_same(&file, body);
    // The whole file is there already: the server answers 416 with `bytes */N`, and curl is content with that, unless
    // it is told to fail on every status from 400 on.
    let mut again = Command::new("curl");
    again.args(["--silent", "--show-error", "--header", DEVICE, "--continue-at", "-", "--write-out", "%{http_code}"]);
    let again = client(again.arg("--output").arg(&file).arg(all.url(body)));
    assert_eq!(again.stdout, "416");
    assert_same(&file, body);
}

#[test]
fn ranges_are_cut_where_asked() {
    need!("real::curl::ranges_are_cut_where_asked", "curl");
    let all = published("real::curl");
    let body = all.largest();
    let bytes = body.bytes();
    let last = bytes.len() - 1;
    for (range, expected) in [
        ("0-0", &bytes[..1]),
        ("100-199", &bytes[100..200]),
        ("-17", &bytes[last - 16..]),
        (&*format!("{last}-"), &bytes[last..]),
        ("5-99999999999999999999", &bytes[5..]),
    ] {
        let file = all.target("range");
        let run = client(
            curl().args(["--range", range, "--write-out", "%{http_code}", "--output"]).arg(&file).arg(all.url(body)),
        );
        assert_eq!(run.stdout, "206", "{range}");
        assert!(std::fs::read(&file).unwrap() == expected, "{range}");
    }
}

#[test]
fn an_unchanged_body_is_not_sent_again() {
    need!("real::curl::an_unchanged_body_is_not_sent_again", "curl");
    let all = published("real::curl");
    let (body, file, tag) = (&all.bodies[0], all.target("tagged"), all.target("etag"));
    let url = all.url(body);
    client(curl().arg("--etag-save").arg(&tag).arg("--output").arg(&file).arg(&url));
    let code = |extra: &[&std::ffi::OsStr]| {
        let other = all.target("again");
        let run = client(curl().args(extra).args(["--write-out", "%{http_code}", "--output"]).arg(&other).arg(&url));
        run.stdout
    };
    assert_eq!(code(&["--etag-compare".as_ref(), tag.as_os_str()]), "304");
    std::fs::write(&tag, "\"another\"\n").unwrap();
    assert_eq!(code(&["--etag-compare".as_ref(), tag.as_os_str()]), "200");
    assert_eq!(code(&["--time-cond".as_ref(), "1 Jan 1990".as_ref()]), "200");
}

#[test]
fn head_tells_the_size() {
    need!("real::curl::head_tells_the_size", "curl");
    let all = published("real::curl");
    let body = all.largest();
    let run = client(curl().args(["--head", "--range", "0-9"]).arg(all.url(body)));
    let length = format!("content-length: {}", body.bytes().len());
    assert!(run.stdout.to_lowercase().contains(&length), "{}", run.stdout);
    assert!(run.stdout.starts_with("HTTP/1.1 200"), "HEAD ignores Range: {}", run.stdout);
}
