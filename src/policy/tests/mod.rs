//! Decisions: single rules by hand, and random histories against the oracle.

mod histories;
mod plans;
mod precedence;
mod properties;
mod rollouts;
mod rules;
mod sample;
