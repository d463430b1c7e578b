//! The pure core: which release a device may see now, by which rule, and until when that holds.
//!
//! A decision walks the steps of the design in order; each has a number, and numbers that no rule has are kept free.
//! `view` gathers what one device is subject to, `walk` goes down the releases, `words` and `trace` say why.
//!
//! What this room deliberately does not do: no I/O, no clock, no randomness, no caches. The same snapshot, requester,
//! product and time always give the same decision.

mod bucket;
mod decide;
mod decision;
mod download;
pub mod health;
#[cfg(test)]
mod oracle;
mod pace;
mod plan;
mod requester;
pub mod rollout;
mod share;
pub mod simulate;
mod site;
mod steps;
#[cfg(test)]
pub(crate) mod tests;
mod trace;
mod view;
mod walk;
mod words;

pub use bucket::{bucket, salt};
pub use decide::{decide, decide_in_group, decide_quiet};
pub use decision::{Decision, Outcome, Rule, TraceLine};
pub use download::may_download;
pub use plan::{GroupChange, PolicyPlan, VersionChange, plan_change};
pub use requester::{Requester, group_of};
pub use share::{ShareDecision, decide_for_share, may_stay_shown};
pub use site::{SiteDecision, decide_for_site, rollbacks_for};
