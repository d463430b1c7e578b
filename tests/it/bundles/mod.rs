//! Bundles from an origin to its offline sites, over a directory that is carried.

mod export;
mod import;
mod kill;
mod media;
mod origin;
mod python;
mod receipt_forms;
mod receipts;
mod refused;
