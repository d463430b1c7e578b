//! The rooms of ARCHITECTURE.md and their doors, checked on the sources. When the design changes, change `table.rs` in
//! the same commit, with the reason.

#[path = "architecture/evidence.rs"]
mod evidence;
#[path = "architecture/findings.rs"]
mod findings;
#[path = "architecture/sources.rs"]
mod sources;
#[path = "architecture/strip.rs"]
mod strip;
#[path = "architecture/supply.rs"]
mod supply;
#[path = "architecture/table.rs"]
mod table;

use findings::check;
use sources::{Source, read_sources};

/// Fails with every finding at once, each with its place and its remedy.
fn report(findings: &[String]) {
    assert!(findings.is_empty(), "\n\n{}\n\n{} findings\n", findings.join("\n"), findings.len());
}

#[test]
fn every_room_keeps_to_its_doors() {
    let sources = read_sources();
    assert!(sources.len() > 10, "only {} sources were found: the check looks in the wrong place", sources.len());
    report(&check(&sources));
}

#[test]
fn only_allowed_licences_crates_and_sources_are_linked() {
    report(&supply::check_workspace());
}

#[test]
fn every_threat_names_tests_that_exist() {
    let page = std::fs::read_to_string("docs/security.md").expect("docs/security.md is there");
    report(&evidence::check(&page, &evidence::read_places()));
}

#[test]
fn a_test_that_is_not_there_is_found() {
    let text = "#[test]\nfn real() {}\n\n\n\n\n\n\n\nfn helper() {}\n";
    let places = [evidence::Place { name: "it::lies".into(), text: text.into() }];
    let page = |proof: &str| {
        format!("# S\n\n## Threats\n\n| threat | control | tests |\n|---|---|---|\n| t | c | {proof} |\n")
    };
    for (proof, finding) in [
        ("`it::lies::gone`", "`it::lies::gone` is no test"),
        ("`it::lies::helper`", "`it::lies::helper` is no test"),
        ("`it::other::real`", "`it::other::real` is no test"),
        ("none", "the threat \"t\" has no test"),
        ("`it::lies::real`", "hardly any test is named"),
    ] {
        let found = evidence::check(&page(proof), &places);
        assert!(found.iter().any(|line| line.contains(finding)), "{proof}: {found:#?}");
    }
    let many = "`it::lies::real` ".repeat(20);
    assert_eq!(evidence::check(&page(&many), &places), Vec::<String>::new());
}

/// A source of room `room` for the self-tests below.
fn source(path: &str, text: &str) -> Source {
    Source::new(path.into(), text.into(), &[])
}

fn findings_in(path: &str, text: &str) -> Vec<String> {
    check(&[source(path, text)])
}

#[test]
fn an_import_upward_is_found() {
    for text in [
        "use crate::store::Blobs;\n",
        "use crate::{model::Digest, store::Blobs};\n",
        "use super::super::store::Blobs;\n",
        "fn f() { crate::store::open(); }\n",
    ] {
        let found = findings_in("src/policy/rings.rs", text);
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
        assert!(found[0].starts_with("src/policy/rings.rs:1: "), "{found:#?}");
        assert!(found[0].contains("policy may use model"), "{found:#?}");
    }
    assert!(findings_in("src/policy/rings.rs", "use crate::model::Digest;\nuse super::decide;\n").is_empty());
}

#[test]
fn a_room_that_is_not_in_the_table_is_found() {
    let found = findings_in("src/cellar/wine.rs", "fn f() {}\n");
    assert!(found[0].contains("room `cellar` is not in the table"), "{found:#?}");
}

#[test]
fn forbidden_words_are_found_where_they_are_forbidden() {
    for (path, text) in [
        ("src/policy/rings.rs", "async fn f() {}\n"),
        ("src/policy/rings.rs", "use std::fs;\n"),
        ("src/gate/kernel.rs", "fn f() { std::env::var(\"X\"); }\n"),
        ("src/model/event.rs", "use tokio::sync::watch;\n"),
        ("src/publish/mod.rs", "//! x\nuse hyper::Request;\n"),
        ("src/serve/offer.rs", "use sled::Tree;\n"),
        ("src/serve/offer.rs", "fn f() { println!(\"x\"); }\n"),
        ("src/journal/segment.rs", "fn f() { std::fs::rename(a, b); }\n"),
        ("src/journal/segment.rs", "fn f() { let now = Timestamp::now(); }\n"),
        ("src/catalog/project.rs", "use http::StatusCode;\n"),
        ("src/app/run.rs", "use clap::Parser;\n"),
        ("src/store/map.rs", "fn f() { unsafe { g() } }\n"),
        ("src/store/layout.rs", "fn f() { g().unwrap(); }\n"),
    ] {
        assert_eq!(findings_in(path, text).len(), 1, "{path}: {text}: {:#?}", findings_in(path, text));
    }
}

#[test]
fn words_in_comments_strings_and_tests_do_not_count() {
    let text = r##"//! No tokio here, and no std::fs.
/// Not `crate::store` either. /* hyper */
const A: &str = "use hyper; \" sled"; // clap
const B: &str = r#"unsafe " async"#;
const C: char = '"';
/* outer /* tokio */ sled */
fn lifetime<'a>(x: &'a str) -> &'a str { x }
#[cfg(test)]
use tokio::test;
#[cfg(test)]
mod tests {
    use std::fs;
    #[tokio::test]
    async fn f() { fs::rename("a", "b").unwrap(); let c = '}'; let d = "}"; }
}
"##;
    let found = findings_in("src/policy/rings.rs", text);
    assert!(found.is_empty(), "{found:#?}");
    let after = format!("{text}fn late() {{ std::fs::read(x); }}\n");
    assert_eq!(findings_in("src/policy/rings.rs", &after).len(), 1, "what follows the tests is checked again");
}

#[test]
fn a_file_declared_under_cfg_test_is_a_test() {
    for declared in ["mod sweep;", "#[path = \"sweep.rs\"]\nmod tests;"] {
        let parent = source("src/policy/mod.rs", &format!("//! Rings.\n#[cfg(test)]\n{declared}\n"));
        let excluded = parent.test_files();
        let child = Source::new("src/policy/sweep.rs".into(), "use std::fs;\n".into(), &excluded);
        assert!(check(&[parent, child]).is_empty(), "{declared}");
    }
}

#[test]
fn sizes_and_openings_are_checked() {
    assert!(findings_in("src/policy/mod.rs", "mod rings;\n")[0].contains("opens with `//!`"));
    let long = "const A: u8 = 0;\n".repeat(401);
    assert!(findings_in("src/policy/rings.rs", &long)[0].contains("401 lines"));
    let function = format!("fn long() {{\n{}}}\n", "    step();\n".repeat(71));
    assert!(findings_in("src/policy/rings.rs", &function)[0].contains("`long` has 73 lines"));
    let fine = format!("fn fine() {{\n{}}}\n", "    step();\n".repeat(68));
    assert!(findings_in("src/policy/rings.rs", &fine).is_empty());
}

#[test]
fn a_bad_licence_crate_or_source_is_found() {
    let allow = ["MIT".to_owned(), "Apache-2.0".to_owned(), "Unicode-3.0".to_owned()];
    for good in
        ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(MIT OR GPL-3.0) AND Unicode-3.0", "MIT OR GPL-2.0 AND ISC"]
    {
        assert!(supply::licence_allowed(good, &allow), "{good}");
    }
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND Unlicense", ""] {
        assert!(!supply::licence_allowed(bad, &allow), "{bad}");
    }
}
