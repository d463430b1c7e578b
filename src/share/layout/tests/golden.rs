//! One tree for each layout.
