//! From a parser's error or a key's name to a line of the file and a sentence for people.

use std::path::Path;

use toml::de::DeTable;

use super::error::ConfigError;

/// Turns the TOML reader's error into one sentence with the line; an unknown key also gets the nearest known one.
pub(super) fn explain(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let table = error.span().map(|span| table_at(text, span.start));
    let message = match unknown_key(error.message()) {
        Some((key, known)) => {
            let place = match table.as_deref() {
                None | Some("") => "at the top level".to_owned(),
                Some(table) => format!("in [{table}]"),
            };
            let hint = nearest(key, &known).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            format!("unknown key {key:?} {place}{hint}")
        }
        None => error.message().lines().collect::<Vec<_>>().join(" ").replace('`', "\""),
    };
    match error.span() {
        Some(span) => ConfigError::Line { path: path.to_owned(), line: line_at(text, span.start), message },
        None => ConfigError::Whole { path: path.to_owned(), message },
    }
}

/// The line, from 1, of a byte offset.
fn line_at(text: &str, offset: usize) -> usize {
    let end = offset.min(text.len());
    text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The name of the table whose header comes last before the offset; empty before the first one.
fn table_at(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let header = before.lines().rev().map(str::trim).find_map(|line| line.strip_prefix('['));
    header
        .and_then(|rest| rest.split(']').next())
        .map(|name| name.trim_matches('[').trim().to_owned())
        .unwrap_or_default()
}

/// Takes serde's sentence about an unknown field apart: the field, and the fields it expected.
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, rest) = rest.split_once('`')?;
    Some((key, rest.split('`').skip(1).step_by(2).collect()))
}

/// The known key that is most like the given one, if any is like it at all.
fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let limit = (key.len() / 3).max(2);
    known.iter().map(|name| (distance(key, name), *name)).filter(|(d, _)| *d <= limit).min().map(|(_, name)| name)
}

/// Optimal string alignment: the number of insertions, deletions, replacements and swaps of neighbours between two
/// words.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=right.len()).collect();
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let differs = usize::from(left[i - 1] != right[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + differs);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

/// The line, from 1, on which a dotted key stands; the nearest table's above it if the key itself is absent. A number
/// is a place in a list, from 0.
pub(super) fn line_of(text: &str, key: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut found = None;
    let mut parts = key.split('.').peekable();
    while let Some(part) = parts.next() {
        let Some((name, value)) = table.iter().find(|(name, _)| name.get_ref().as_ref() == part) else { break };
        found = Some(line_at(text, name.span().start));
        let mut value = value;
        if let Some(index) = parts.peek().and_then(|part| part.parse::<usize>().ok()) {
            let Some(element) = value.get_ref().as_array().and_then(|list| list.get(index)) else { break };
            parts.next();
            found = Some(line_at(text, element.span().start));
            value = element;
        }
        match value.get_ref().as_table() {
            Some(inner) => table = inner,
            None => break,
        }
    }
    found
}
