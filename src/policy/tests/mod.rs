//! Decisions: single rules by hand, and random histories against the oracle.

mod histories;
mod plans;
mod properties;
mod rules;
mod sample;
