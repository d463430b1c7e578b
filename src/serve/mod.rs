//! The serving room: turns requests into answers. What needs no socket lives in [`http`].

pub mod http;
