//! The application: builds the components from the settings, runs them, and ends them in order.
//!
//! What this room deliberately does not do: it parses no arguments, prints nothing, and holds no rule; every rule lives
//! in the room it is about.

mod alert_command;
mod alerts;
#[cfg(test)]
mod alerts_tests;
mod backend;
mod background;
mod bootstrap;
#[cfg(test)]
mod bootstrap_tests;
mod core;
pub mod demo;
mod enrolment_ca;
#[cfg(test)]
mod enrolment_ca_tests;
mod error;
mod figures;
mod gate_command;
mod gate_process;
#[cfg(test)]
mod gate_process_tests;
mod keeper;
mod offline;
mod origin_key;
#[cfg(test)]
mod origin_key_tests;
mod rollout_figures;
mod run;
mod service;
mod share_alerts;
#[cfg(test)]
mod share_alerts_tests;
mod share_figures;
mod site_alerts;
#[cfg(test)]
mod site_alerts_tests;
mod site_figures;
pub mod stager;
mod ticker;
mod tls;
mod wiring;

pub use self::core::Core;
pub use error::AppError;
pub use offline::{JournalTask, StoreTask, journal_offline, store_offline};
pub use run::{Bound, serve};
pub use service::SocketsError;
pub use tls::check_tls;
