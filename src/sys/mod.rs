//! What the operating system does for us and tests must be able to steer: the wall clock, randomness, durable file
//! operations, the data directory's lock, and fault points.
//!
//! Every rename, removal and directory fsync of the project goes through [`durable`], and every reading of the wall
//! clock through [`clock`]. What this room deliberately does not do: it knows no domain word and no path of the data
//! directory but `lock`.

pub mod clock;
pub mod durable;
pub mod fault;
pub mod lock;
pub mod map;
pub mod open_files;
pub mod random;
pub mod tree;
pub mod unnamed;
