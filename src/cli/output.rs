//! What people read: sentences, tables, sizes; colours on a terminal only. Standard output carries the answer, standard
//! error everything said beside it.

use std::fmt::Display;
use std::io::Write as _;

use clap::builder::styling::{AnsiColor, Style};
use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use serde_json::Value;

use super::CliError;

pub(super) const RED: Style = AnsiColor::Red.on_default().bold();
pub(super) const GREEN: Style = AnsiColor::Green.on_default().bold();
pub(super) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(super) const BOLD: Style = Style::new().bold();

/// A text in a style. The style is taken away again where the output is no terminal.
pub(super) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{}", style.render_reset())
}

/// Prints a line of the answer.
///
/// # Errors
/// Standard output is gone.
pub(super) fn say(text: impl Display) -> Result<(), CliError> {
    writeln!(anstream::stdout(), "{text}")?;
    Ok(())
}

/// Prints the answer as JSON.
///
/// # Errors
/// Standard output is gone.
pub(super) fn say_json(value: &Value) -> Result<(), CliError> {
    say(format_args!("{value:#}"))
}

/// Prints text as it is, without a line's end of its own.
///
/// # Errors
/// Standard output is gone.
pub(super) fn say_raw(bytes: &[u8]) -> Result<(), CliError> {
    std::io::stdout().lock().write_all(bytes)?;
    Ok(())
}

/// Says something beside the answer. Nobody can be told when standard error is gone.
pub(super) fn note(text: impl Display) {
    writeln!(anstream::stderr(), "{text}").ok();
}

/// Prints an error's text as it is.
pub(super) fn complain(text: &str) {
    write!(anstream::stderr(), "{text}").ok();
}

/// Prints rows under headings, or a sentence when there are none.
///
/// # Errors
/// Standard output is gone.
pub(super) fn say_table<C: Into<Cell>>(headings: &[&str], rows: Vec<Vec<C>>, none: &str) -> Result<(), CliError> {
    if rows.is_empty() { say(none) } else { say(table(headings, rows)) }
}

/// Aligned columns without lines, so that they can be cut and searched. A cell carries its style beside its text
/// ([`state_cell`]): escape sequences in the text would be counted into the column's width.
pub(super) fn table<C: Into<Cell>>(headings: &[&str], rows: Vec<Vec<C>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().map(|heading| heading.to_uppercase()).collect::<Vec<_>>());
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A number with its thousands apart: `4,812`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 device`, `4,812 devices`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A size for people: `12.3 MiB`.
pub(super) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// A digest, short: enough to tell it from others by eye.
pub(super) fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

/// A state as a table's cell, coloured as [`state`] colours it. `text` begins with the state's word.
pub(super) fn state_cell(text: String) -> Cell {
    let word = text.split(' ').next().unwrap_or_default();
    let color = match word {
        "published" | "active" | "completed" => Some(Color::Green),
        "draft" | "approved" | "exposing" | "baking" | "evaluating" | "paused" | "awaiting" => Some(Color::Yellow),
        "withdrawn" | "revoked" | "halted" | "frozen" | "denied" | "refused" => Some(Color::Red),
        _ => None,
    };
    let cell = Cell::new(&text);
    match color {
        Some(color) => cell.fg(color),
        None => cell,
    }
}

/// A word of the answer, coloured by what it means.
pub(super) fn state(word: &str) -> String {
    match word {
        "published" | "active" | "completed" => styled(GREEN, word),
        "draft" | "approved" | "exposing" | "baking" | "evaluating" | "paused" | "awaiting approval" => {
            styled(YELLOW, word)
        }
        "withdrawn" | "revoked" | "halted" | "frozen" | "refused" => styled(RED, word),
        _ => word.to_owned(),
    }
}
