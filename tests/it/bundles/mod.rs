//! Bundles from an origin to its offline sites, over a directory that is carried.

mod export;
pub(crate) mod full;
mod import;
mod kill;
mod kill_exports;
mod media;
mod origin;
mod python;
mod receipt_forms;
mod receipts;
mod refused;
