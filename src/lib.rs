//! Ringfence: stores every version of every update once, decides for each device which version it may see now, and
//! hands it out. `ARCHITECTURE.md` is the map.

pub mod cli;
pub mod client;
pub mod config;
pub mod model;
