//! The policy as written by admins: rings, groups, pins, deferrals; parsed once from TOML into checked values.
//!
//! What this module deliberately does not do: decide. That is the `policy` room's.
use serde::{Deserialize, Serialize};

/// placeholder: replaced by the policy helper
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predicate;
/// placeholder
#[derive(Debug, Clone)]
pub struct Policy;
/// placeholder
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("x")]
pub struct PolicyError;
impl Policy {
    /// placeholder
    pub fn parse(_: &str) -> Result<Self, PolicyError> {
        Ok(Self)
    }
}
