//! Following an upstream: its journal line by line, its blobs by digest, what its devices said back up.
//!
//! What this room deliberately does not do: it decides nothing (devices are served by the same decisions as at the
//! origin), it writes no event of its own, and it hands out no byte that was not checked against its digest.

mod protocol;
mod upstream;

pub use protocol::{Ask, FORMAT, HOPS_MAX, Hello, JOURNAL_BYTES_MAX, TALLIES_MAX, TalliesReport, WAIT_MAX_S};
pub use upstream::Upstream;
