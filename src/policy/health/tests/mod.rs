//! Tests of tallies and verdicts.
