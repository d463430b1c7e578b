//! The projection of the journal: immutable snapshots for readers, the sled index, and the one way to change anything.
//!
//! Every change is a [`Catalog::commit`]: its events are built against the newest state, appended and fsynced to the
//! journal, put into the index, and only then seen by readers and acknowledged. The index saves replaying the journal
//! at start; it is written behind the journal and is rebuilt whenever it disagrees.
//!
//! What this room deliberately does not do: it knows no rule of any use case (those build the events), makes no
//! decision, and keeps no body (the store does).

mod bodies;
mod census;
mod commit;
mod elsewhere;
mod error;
mod follow;
mod health;
mod offers;
mod open;
mod projection;
mod record;
mod recount;
mod reports;
mod sum;
mod token_uses;
mod touched;
mod watched;

#[cfg(test)]
mod index_tests;
#[cfg(test)]
mod offers_tests;
#[cfg(test)]
mod recount_tests;
#[cfg(test)]
mod reports_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use census::CensusKey;
pub use commit::{Catalog, Committed};
pub use error::{CatalogError, CommitError, FollowError, ReadOnly};
pub use open::{CatalogOptions, Recovery};
pub use reports::{DeviceStatus, ReportOutcome, ReportsOptions};
pub use token_uses::TokenUses;
pub use watched::counted_rollouts;
