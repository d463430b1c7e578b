//! Bundles for offline sites: what is in one, how it is written to a medium and read from one, and the receipts that come
//! back.
//!
//! What this room deliberately does not do: no HTTP, no rule about who may see what (it asks `policy`), and it never
//! changes a medium that it reads.

mod line;
mod manifest;
pub mod receipt;
pub mod receive;
mod root;
pub mod standing;

pub use manifest::{
    BundleManifest, Encoding, FORMAT, Held, MANIFEST_MAX_BYTES, ManifestError, Object, Packed, Part, Segment, Totals,
    Volume,
};
pub use root::root_of;
