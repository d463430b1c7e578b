//! Following an upstream: its journal line by line, its blobs by digest, what its devices said back up.
//!
//! What this room deliberately does not do: it decides nothing (devices are served by the same decisions as at the
//! origin), it writes no event of its own, and it hands out no byte that was not checked against its digest.

mod fill;
mod pull;
mod source;

pub use fill::{FillOptions, FillStanding, FillState, Filler, desired};
pub use pull::{Blame, Pull, PullCounts, PullError, PullFigures, PullOptions, Pulls, Reading, Urgency};
pub use source::{BlobSource, RangeBody, SourceError, SourceFuture};
