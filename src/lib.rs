//! Ringfence: stores every version of every update once, decides for each device which version it may see now, and
//! hands it out. `ARCHITECTURE.md` is the map.

pub mod app;
pub mod bundle;
pub mod catalog;
pub mod cli;
pub mod client;
pub mod config;
pub mod control;
pub mod gate;
pub mod journal;
pub mod mirror;
pub mod model;
pub mod policy;
pub mod publish;
pub mod serve;
pub mod share;
pub mod signing;
pub mod store;
pub mod sys;
pub mod telemetry;
