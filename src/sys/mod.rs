//! What only the operating system can do: durable files, locks, unnamed files and mappings.

pub mod durable;
pub mod map;
pub mod unnamed;
