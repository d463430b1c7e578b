//! TEMPORARY
use crate::model::{Class, ProductName, Span};
use jiff::Timestamp;
#[derive(Debug, Clone)]
pub struct Cadence;
impl Cadence {
    pub fn last_tick(&self, _: Timestamp) -> Option<Timestamp> {
        None
    }
    pub fn next_tick(&self, _: Timestamp) -> Option<Timestamp> {
        None
    }
}
#[derive(Debug, Clone)]
pub struct Windows;
impl Windows {
    pub fn is_open(&self, _: Timestamp) -> bool {
        true
    }
    pub fn next_open(&self, _: Timestamp) -> Option<Timestamp> {
        None
    }
    pub fn closes_at(&self, _: Timestamp) -> Option<Timestamp> {
        None
    }
}
#[derive(Debug, Clone)]
pub struct Rate;
impl Rate {
    pub fn devices(&self) -> u32 {
        1
    }
    pub fn period_secs(&self) -> u64 {
        1
    }
}
impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("x")
    }
}
#[derive(Debug, Clone)]
pub struct Staleness {
    pub after: Span,
    pub relaxes: bool,
}
impl super::Group {
    pub fn has_rate(&self) -> bool {
        false
    }
    pub fn cadence(&self, _: &ProductName, _: Class) -> Option<&Cadence> {
        None
    }
    pub fn windows(&self) -> Option<&Windows> {
        None
    }
    pub fn rate(&self, _: &ProductName, _: Class) -> Option<&Rate> {
        None
    }
    pub fn staleness(&self, _: &ProductName, _: Class) -> Option<&Staleness> {
        None
    }
}
