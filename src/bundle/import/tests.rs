//! Imports into a catalog in a temporary directory, of bundles made in memory.

mod kills;
mod orders;
mod refusals;
mod world;
