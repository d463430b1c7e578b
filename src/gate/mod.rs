//! Release gates: what must hold before a release may be published. All findings at once, typed.
//!
//! The gates look at metadata, at sizes and digests that were already observed, and at the staged bytes themselves. What
//! this room deliberately does not do: no I/O and no state; it is given what is known and returns what is wrong. It runs
//! no command and reads no share: whoever asks the gates does.

mod artifacts;
mod authenticode;
mod cabinet;
mod finding;
mod kernel;
mod signature;
mod version;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use kernel::tests::build as testing;

pub use artifacts::{Declared, Observed, check_artifacts, media_type_of};
pub use authenticode::{Signed, authenticode_digest_of};
pub use cabinet::{
    CABINET_SIGNATURE, Cabinet, CabinetError, CabinetFile, Folder, Panicked, contain, looks_like_header,
};
pub use finding::Finding;
pub use kernel::{LISTED_MAX, ScanLimits, Scanned, Unread, is_pe};
pub use signature::{CoveredBody, NewSignature, SIGNATURES_MAX, SignatureFinding, Signatures, check_signatures};
pub use version::check_version;
