//! Release gates: what must hold before a release may be published. All findings at once, typed.
//!
//! The gates look at metadata and at bytes that were already observed (sizes and digests of the staged bodies). What
//! this room deliberately does not do: no I/O and no state; it is given what is known and returns what is wrong.

mod artifacts;
mod cabinet;
mod finding;
mod kernel;
mod version;

#[cfg(test)]
mod tests;

pub use artifacts::{Declared, Observed, check_artifacts, media_type_of};
pub use cabinet::{
    CABINET_SIGNATURE, Cabinet, CabinetError, CabinetFile, Folder, Panicked, contain, looks_like_header,
};
pub use finding::Finding;
pub use kernel::{LISTED_MAX, ScanLimits, Scanned, Unread, is_pe};
pub use version::check_version;
