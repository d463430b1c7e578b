//! A receipt as people carry it where no medium goes back: read aloud, typed, or photographed.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::origin::{Origin, SITE, bodies, word};
use super::receipts::manifest;
use crate::support::{Setup, have, skip};

/// What a terminal shows, as a picture in PGM with four dots for each module.
fn picture_of(code: &[&str]) -> Vec<u8> {
    const DOTS: usize = 4;
    let modules = |line: &str, light: [char; 2]| -> Vec<u8> {
        line.chars().map(|block| if light.contains(&block) { 255 } else { 0 }).collect()
    };
    let rows: Vec<Vec<u8>> =
        code.iter().flat_map(|line| [modules(line, ['█', '▀']), modules(line, ['█', '▄'])]).collect();
    let mut picture = format!("P5\n{} {}\n255\n", rows[0].len() * DOTS, rows.len() * DOTS).into_bytes();
    for row in rows {
        let wide: Vec<u8> = row.iter().flat_map(|module| [*module; DOTS]).collect();
        (0..DOTS).for_each(|_| picture.extend_from_slice(&wide));
    }
    picture
}

/// The first receipt of a site is carried on a stick, so that its key is known; the others need none.
#[test]
fn the_text_and_the_code_are_taken_as_they_are_printed() {
    const NAME: &str = "bundles::receipt_forms::the_text_and_the_code_are_taken_as_they_are_printed";
    let origin = Origin::start();
    origin.publish("1.0", &bodies(1, 20_000, 2));
    let site = origin.site(Setup::new(), SITE).start();
    site.cli(&["bundle", "import", word(&origin.export(SITE, "full", 1 << 20))]).ok();
    let shown = site.cli(&["bundle", "receipt", "--last"]).ok().stdout;
    assert!(shown.starts_with("Receipt 1 of site plant-7: bundle 1 is applied\n"), "{shown}");
    for label in ["  version ", "  root ", "  before it ", "  time ", "  signed by ", "  id "] {
        assert!(shown.lines().any(|line| line.starts_with(label)), "{label} is missing from\n{shown}");
    }
    let unknown = site.json(&["bundle", "receipt", "--last"])["short"].as_str().unwrap().to_owned();
    origin.server.cli(&["bundle", "receipt", &unknown]).complains(7, &["bring the whole receipt"]);
    let stick = tempfile::tempdir().unwrap();
    site.cli(&["bundle", "receipt", "--last", "--to", word(stick.path())]).ok();
    origin.server.cli(&["bundle", "receipt", word(stick.path())]).ok();

    // Typed.
    origin.publish("2.0", &bodies(2, 20_000, 2));
    site.cli(&["bundle", "import", word(&origin.export(SITE, "auto", 1 << 20))]).ok();
    let printed = site.cli(&["bundle", "receipt", "--last", "--qr"]).ok().stdout;
    let (code, typed) = printed.split_once("Or type this at the origin").expect("the lines to be typed");
    let typed = typed.split_once('\n').unwrap().1;
    let take_typed = |text: &str| {
        let mut command = origin.server.command(&["bundle", "receipt", "-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        crate::support::Run::finish(child, std::time::Duration::from_secs(60))
    };
    let line = typed.lines().nth(3).unwrap();
    let wrong = if &line[3..4] == "A" { "B" } else { "A" };
    take_typed(&typed.replace(line, &format!("03 {wrong}{}", &line[4..]))).exits(3);
    let run = take_typed(&typed.to_lowercase()).ok();
    assert!(run.stdout.contains("The next bundle starts from bundle 2."), "{}", run.stdout);
    assert_eq!(manifest(&origin.export(SITE, "auto", 1 << 20))["base"]["kind"], "proven");

    // Photographed: from what is printed, by a reader that shares no code with what drew it.
    if !have("zbarimg") {
        return skip(NAME, "zbarimg is not installed, so the code was not read");
    }
    let is_code = |line: &&str| line.contains(['█', '▀', '▄']);
    let code: Vec<&str> = code.lines().filter(is_code).collect();
    let picture = stick.path().join("code.pgm");
    std::fs::write(&picture, picture_of(&code)).unwrap();
    let read = Command::new("zbarimg").args(["--quiet", "--raw"]).arg(&picture).output().unwrap();
    let read = String::from_utf8(read.stdout).unwrap();
    assert!(read.starts_with("RF1:"), "{read}\n{printed}");
    let run = origin.server.cli(&["bundle", "receipt", read.trim_end()]).ok();
    assert!(run.stdout.contains("receipt 2 of site plant-7 was taken before"), "{}", run.stdout);
}
