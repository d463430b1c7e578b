//! Bundles for offline sites: what is in one, how it is written to a medium and read from one, and the receipts that come
//! back.
//!
//! What this room deliberately does not do: no HTTP, no rule about who may see what (it asks `policy`), and it never
//! changes a medium that it reads.

mod manifest;
mod root;
mod scope;

pub use manifest::{
    BundleManifest, Encoding, FORMAT, Held, MANIFEST_MAX_BYTES, ManifestError, Object, Packed, Part, Segment, Totals,
    Volume,
};
pub use root::root_of;
pub use scope::{Scope, ScopeError, Terms, carried_of, scope};
