//! What is wrong with a policy text: everything at once, each with its line.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong with a policy text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The line it stands on, from 1.
    pub line: usize,
    /// What is wrong, as one sentence.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// Everything that is wrong with a policy text, in order of line; at least one finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    findings: Vec<Finding>,
}

impl PolicyError {
    /// For findings that are made after reading; `None` where there are none.
    pub fn of(mut findings: Vec<Finding>) -> Option<Self> {
        findings.sort();
        findings.dedup();
        (!findings.is_empty()).then_some(Self { findings })
    }

    /// The findings, lowest line first.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.findings.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyError {}

/// Collects findings while a text is read.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// The most that are kept: past this, a text is not a policy with mistakes but something else.
    const MAX: usize = 1_000;

    /// Adds one.
    pub(super) fn add(&mut self, line: usize, message: impl Into<String>) {
        if self.0.len() < Self::MAX {
            self.0.push(Finding { line, message: message.into() });
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// `value` where nothing was found.
    pub(super) fn or<T>(mut self, value: T) -> Result<T, PolicyError> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort();
        self.0.dedup();
        Err(PolicyError { findings: self.0 })
    }
}
