//! What is wrong with the sources, each finding with its place and its remedy.

use crate::sources::Source;
use crate::strip::{is_word, item_end};
use crate::table::{FILE_LINES_MAX, FUNCTION_LINES_MAX, IMPURE, ROOMS, Room, WORDS};

/// Checks every source against the table.
pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        check_opening(source, &mut findings);
        check_sizes(source, &mut findings);
        check_words(source, &mut findings);
        if source.room() == "lib" {
            continue;
        }
        match ROOMS.iter().find(|room| room.name == source.room()) {
            Some(room) => {
                check_doors(source, room, &mut findings);
                check_purity(source, room, &mut findings);
            }
            None => findings.push(format!(
                "{}:1: room `{}` is not in the table: give it a line in tests/architecture/table.rs and a paragraph in \
                 ARCHITECTURE.md",
                source.path,
                source.room()
            )),
        }
    }
    findings
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}

fn check_opening(source: &Source, findings: &mut Vec<String>) {
    if source.path.ends_with("/mod.rs") && !source.text.starts_with("//!") {
        findings.push(format!("{}:1: a mod.rs opens with `//!`: say what the room is and what it is not", source.path));
    }
}

fn check_sizes(source: &Source, findings: &mut Vec<String>) {
    let lines = source.text.lines().count();
    if lines > FILE_LINES_MAX {
        findings.push(format!("{}:1: {lines} lines, at most {FILE_LINES_MAX}: split it by idea", source.path));
    }
    for at in words(&source.code, "fn") {
        let end = item_end(&source.code, at);
        let lines = source.code[at..end].matches('\n').count() + 1;
        let name: String = source.code[at + 2..]
            .trim_start()
            .chars()
            .take_while(char::is_ascii)
            .take_while(|c| is_word(*c as u8))
            .collect();
        // Without a name it is a function pointer's type.
        if lines > FUNCTION_LINES_MAX && !name.is_empty() {
            findings.push(format!(
                "{}:{}: `{name}` has {lines} lines, at most {FUNCTION_LINES_MAX}: name its steps",
                source.path,
                line_of(&source.code, at)
            ));
        }
    }
}

/// Where `word` stands as a whole word, or as a whole path.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let first_is_word = is_word(word.as_bytes()[0]);
        let before = at.checked_sub(1).map(|before| bytes[before]);
        let after = bytes.get(at + word.len()).copied();
        let last_is_word = word.as_bytes().last().copied().is_some_and(is_word);
        let inside_a_word = first_is_word && before.is_some_and(is_word) || last_is_word && after.is_some_and(is_word);
        !inside_a_word
    })
}

/// Whether the word at `at` names a field or a method (`.hyper`), or is one module's own (`self::sled`).
fn is_member(code: &str, at: usize) -> bool {
    code[..at].ends_with('.')
}

fn check_words(source: &Source, findings: &mut Vec<String>) {
    for rule in WORDS {
        let may = rule.only_in.iter().any(|place| *place == source.room() || *place == source.path);
        if may {
            continue;
        }
        for at in words(&source.code, rule.word) {
            if is_member(&source.code, at) {
                continue;
            }
            let line = line_of(&source.code, at);
            findings.push(format!("{}:{line}: `{}` does not belong here: {}", source.path, rule.word, rule.remedy));
        }
    }
}

fn check_purity(source: &Source, room: &Room, findings: &mut Vec<String>) {
    if !room.pure {
        return;
    }
    // What WORDS already bars from the room is not told twice.
    for word in IMPURE.iter().filter(|word| !WORDS.iter().any(|rule| rule.word == **word)) {
        for at in words(&source.code, word) {
            let line = line_of(&source.code, at);
            findings.push(format!(
                "{}:{line}: `{word}` in a pure room: {} takes values and returns values; do this in the room that calls it",
                source.path, room.name
            ));
        }
    }
}

/// The rooms that a file names, as (place, room).
fn rooms_named(source: &Source) -> Vec<(usize, String)> {
    let code = &source.code;
    let mut named = Vec::new();
    for root in ["crate::", "ringfence::"] {
        for at in words(code, root).filter(|at| !code[..*at].ends_with("::")) {
            named.extend(heads(&code[at + root.len()..]).into_iter().map(|head| (at, head)));
        }
    }
    let climb = "super::".repeat(source.depth());
    for at in words(code, &climb).filter(|at| !code[..*at].ends_with("::")) {
        named.extend(heads(&code[at + climb.len()..]).into_iter().map(|head| (at, head)));
    }
    named
}

/// The first identifiers of a path: of each branch, if it opens with a brace.
fn heads(path: &str) -> Vec<String> {
    let ident = |text: &str| text.chars().take_while(|c| is_word(*c as u8)).collect::<String>();
    if !path.starts_with('{') {
        return vec![ident(path)];
    }
    let group = &path[1..item_end(path, 0).saturating_sub(1).max(1)];
    let mut depth = 0;
    let branches = group.split(|c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    branches.map(|branch| ident(branch.trim())).filter(|head| !head.is_empty()).collect()
}

fn check_doors(source: &Source, room: &Room, findings: &mut Vec<String>) {
    for (at, named) in rooms_named(source) {
        let is_room = ROOMS.iter().any(|room| room.name == named);
        if !is_room || named == room.name || room.may_use.contains(&named.as_str()) {
            continue;
        }
        findings.push(format!(
            "{}:{}: uses `{named}`, but {} may use {}: move the code to a room that may, or pass the value in",
            source.path,
            line_of(&source.code, at),
            room.name,
            if room.may_use.is_empty() { "no other room".to_owned() } else { room.may_use.join(", ") }
        ));
    }
}
