//! Golden trees, every problem, and what holds for any release.

mod golden;
