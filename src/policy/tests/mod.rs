//! Decisions: single rules by hand, and random histories against the oracle.

mod elsewhere;
mod exposure;
pub(crate) mod histories;
mod plans;
mod precedence;
mod properties;
mod rollouts;
mod rules;
mod sample;
mod sites;
