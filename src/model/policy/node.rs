//! One tree for TOML and JSON, each value with its line, so that a reader can go on after a mistake and find them all.

use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Findings;

/// A value and the line it stands on; 0 in JSON, which has none.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

/// What a reader of a policy tells apart.
#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
    /// Whole numbers, too: those of a policy are far below 2^53.
    Number(f64),
    Flag(bool),
    /// Anything that no key of a policy takes, with its name.
    Other(&'static str),
}

impl Node {
    /// Reads a TOML document. Syntax errors become findings; there is no tree then.
    pub(super) fn from_toml(text: &str, findings: &mut Findings) -> Option<Self> {
        let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let line = |offset: usize| starts.partition_point(|start| *start <= offset);
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let at = error.span().map_or(1, |span| line(span.start));
            findings.add(at, format!("this is not TOML: {}", one_line(error.message())));
        }
        errors.is_empty().then(|| Self { line: 1, value: table(document.get_ref(), &line) })
    }

    /// The same tree from JSON.
    pub(super) fn from_json(json: serde_json::Value) -> Self {
        let value = match json {
            serde_json::Value::String(text) => Value::Text(text),
            serde_json::Value::Array(items) => Value::List(items.into_iter().map(Self::from_json).collect()),
            serde_json::Value::Object(entries) => {
                Value::Table(entries.into_iter().map(|(key, value)| (key, Self::from_json(value))).collect())
            }
            serde_json::Value::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::Bool(flag) => Value::Flag(flag),
            serde_json::Value::Null => Value::Other("null"),
        };
        Self { line: 0, value }
    }

    /// The text, or a finding that says where one was expected.
    pub(super) fn text(&self, what: &str, findings: &mut Findings) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            other => {
                findings.add(self.line, format!("{what} is a text in quotes, not {}", other.kind()));
                None
            }
        }
    }

    /// The number, or a finding. What TOML calls a number and is none (`nan`), or is too large, fits no range.
    pub(super) fn number(&self, what: &str, findings: &mut Findings) -> Option<f64> {
        match &self.value {
            Value::Number(number) => Some(*number),
            other => {
                findings.add(self.line, format!("{what} is a number without quotes, not {}", other.kind()));
                None
            }
        }
    }

    /// The whole number in this range, or a finding.
    pub(super) fn whole(&self, what: &str, range: RangeInclusive<u32>, findings: &mut Findings) -> Option<u32> {
        let number = self.number(what, findings)?;
        let (low, high) = (*range.start(), *range.end());
        if number.fract() == 0.0 && number >= f64::from(low) && number <= f64::from(high) {
            return Some(number as u32);
        }
        findings.add(self.line, format!("{what} is a whole number from {low} to {high}"));
        None
    }

    /// `true` or `false`, or a finding.
    pub(super) fn flag(&self, what: &str, findings: &mut Findings) -> Option<bool> {
        match &self.value {
            Value::Flag(flag) => Some(*flag),
            other => {
                findings.add(self.line, format!("{what} is true or false, not {}", other.kind()));
                None
            }
        }
    }

    /// The elements, or a finding.
    pub(super) fn list(&self, what: &str, findings: &mut Findings) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            other => {
                findings.add(self.line, format!("{what} is a list, not {}", other.kind()));
                None
            }
        }
    }

    /// The entries, or a finding.
    pub(super) fn table(&self, what: &str, findings: &mut Findings) -> Option<&[(String, Node)]> {
        match &self.value {
            Value::Table(entries) => Some(entries),
            other => {
                findings.add(self.line, format!("{what} is a table, not {}", other.kind()));
                None
            }
        }
    }

    /// The entries where it is a table; what it is instead is another reader's finding.
    pub(super) fn entries(&self) -> Option<&[(String, Node)]> {
        match &self.value {
            Value::Table(entries) => Some(entries),
            _ => None,
        }
    }

    /// As [`Node::table`] for a table with these keys only: any other is a finding.
    pub(super) fn fields(&self, what: &str, keys: &[&str], findings: &mut Findings) -> Option<&[(String, Node)]> {
        let entries = self.table(what, findings)?;
        for (key, node) in entries {
            if !keys.contains(&key.as_str()) {
                let key: String = key.chars().take(80).collect();
                findings.add(node.line, format!("{what} has no key {key:?}; its keys are {}", keys.join(", ")));
            }
        }
        Some(entries)
    }

    /// The text, parsed; a text that does not parse is a finding in the words of its error.
    pub(super) fn parse<T>(&self, what: &str, findings: &mut Findings) -> Option<T>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        match self.text(what, findings)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                findings.add(self.line, format!("{what}: {error}"));
                None
            }
        }
    }
}

impl Value {
    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Number(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::Other(kind) => kind,
        }
    }
}

/// The entry of this key.
pub(super) fn field<'a>(entries: &'a [(String, Node)], key: &str) -> Option<&'a Node> {
    entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
}

fn table(table: &DeTable<'_>, line: &dyn Fn(usize) -> usize) -> Value {
    // The key's line: a table made by dotted keys has no place of its own.
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        (key.get_ref().to_string(), node(line(key.span().start), value, line))
    };
    Value::Table(table.iter().map(entry).collect())
}

fn node(at: usize, value: &Spanned<DeValue<'_>>, line: &dyn Fn(usize) -> usize) -> Node {
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| node(line(item.span().start), item, line)).collect())
        }
        DeValue::Table(entries) => table(entries, line),
        DeValue::Integer(number) => {
            Value::Number(i64::from_str_radix(number.as_str(), number.radix()).map_or(f64::NAN, |whole| whole as f64))
        }
        DeValue::Float(number) => Value::Number(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(_) => Value::Other("a date"),
    };
    Node { line: at, value }
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}
