//! Following an upstream: its journal line by line, its blobs by digest, what its devices said back up.
//!
//! What this room deliberately does not do: it decides nothing (devices are served by the same decisions as at the
//! origin), it writes no event of its own, and it hands out no byte that was not checked against its digest.

mod elsewhere;
mod fill;
mod follow;
mod kept;
mod lines;
#[allow(clippy::module_inception, reason = "the mirror itself")]
mod mirror;
mod protocol;
mod pull;
mod push;
mod relay;
#[cfg(test)]
mod sim_tests;
mod source;
mod standing;
mod statements;
#[cfg(test)]
mod tests;
mod trouble;
mod trust;
mod upstream;

pub use elsewhere::{Elsewhere, ElsewhereError};
pub use fill::{FillOptions, FillStanding, FillState, Filler, desired, object_of};
pub use mirror::{Mirror, MirrorOptions, TakeTokenKey};
pub use protocol::{Ask, FORMAT, HOPS_MAX, Hello, JOURNAL_BYTES_MAX, TALLIES_MAX, TalliesReport, WAIT_MAX_S};
pub use pull::{Blame, Pull, PullCounts, PullError, PullFigures, PullOptions, Pulls, Reading, Urgency};
pub use relay::{Relay, RelayError};
pub use source::{BlobSource, RangeBody, SourceError, SourceFuture};
pub use standing::{Alarm, AlarmKind, Doing, LastWord, MissingBlobs, Standing};
pub use trust::Doubt;
pub use upstream::{Upstream, UpstreamAddress, UpstreamTrust};
