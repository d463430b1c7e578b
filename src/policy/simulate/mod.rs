//! Simulated rollouts: a fleet that checks in, a release that may be bad, and the same decisions as the server's.
//!
//! A journal in memory gets real events, [`next_steps`](super::rollout::next_steps) moves the rollout over real
//! [`Health`](super::health::Health) tallies, and a device has the release once a real decision says so at its
//! check-in. Only the devices and their fates are made up, from a seed: the same scenario always ends the same way.
//!
//! What this module deliberately does not do: it reads no file and no clock, starts no thread (a caller may lend some
//! through [`Crew`]), draws no chart, and holds no second opinion on who may see a release.

mod bins;
mod crew;
mod fate;
mod fleet;
mod ledger;
mod random;
mod roster;
mod rules;
mod run;
mod scenario;
#[cfg(test)]
mod tests;
mod wake;
mod world;

pub use crew::{Alone, CheckIn, Crew};
pub use fleet::{Fleet, FleetGroup};
pub use rules::{RULES, Rule};
pub use run::{HaltSeen, OpeningSeen, Run};
pub use scenario::{Fault, Poison, Scenario, SimulateError, Upsets};
pub use world::simulate;
