//! Filling: bringing in, before anybody asks, what the devices here may get now.
//!
//! What this module deliberately does not do: it removes nothing. What it leaves out (what was published before, and
//! nobody is meant to have any more) is pulled through when somebody who may have it asks.

mod order;
mod rate;
mod run;
mod standing;
#[cfg(test)]
mod tests;

pub use order::{desired, object_of};
pub use run::{FillOptions, Filler};
pub use standing::{FillStanding, FillState};
