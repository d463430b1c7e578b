//! The part of checking a policy that only this room can do.

use super::layout::{layout, layouts};
use crate::model::policy::{Finding, Policy, PolicyError};

/// Reads a policy that a person wants to put in force: as [`Policy::parse`], and every share's layout must be one that
/// this version knows. A policy from the journal is read without this, so that a layout that was renamed since blocks
/// only its shares.
pub fn read_policy(text: &str) -> Result<Policy, PolicyError> {
    let policy = Policy::parse(text)?;
    let unknown = policy.shares().iter().filter(|share| layout(share.layout()).is_none());
    let findings = unknown.map(|share| {
        let known: Vec<_> = layouts().iter().map(|layout| layout.name()).collect();
        let (name, unknown, known) = (share.name(), share.layout(), known.join(", "));
        Finding {
            line: share.line(),
            message: format!("share \"{name}\" has layout \"{unknown}\", which is unknown; the layouts are {known}"),
        }
    });
    PolicyError::of(findings.collect()).map_or(Ok(policy), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_must_be_known() {
        let policy = |layout: &str| {
            format!(
                "[[ring]]\nname = \"r\"\n[[group]]\nname = \"g\"\nmatch = \"any\"\nring = \"r\"\n\n[[share]]\n\
                 name = \"s\"\ngroup = \"g\"\nlayout = \"{layout}\"\nproducts = [\"p\"]\n"
            )
        };
        assert!(read_policy(&policy("plain")).is_ok());
        let error = read_policy(&policy("plane")).unwrap_err().to_string();
        assert!(error.starts_with("line 8: share \"s\" has layout \"plane\", which is unknown; the layouts are plain"));
    }
}
