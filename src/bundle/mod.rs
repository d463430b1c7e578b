//! Bundles for offline sites: what is in one, how it is written to a medium and read from one, and the receipts that come
//! back.
//!
//! What this room deliberately does not do: no HTTP, no rule about who may see what (it asks `policy`), and it never
//! changes a medium that it reads.

mod decode;
mod encode;
mod manifest;
mod root;

pub use decode::{
    BASE_PIECE_MAX_BYTES, DecodeError, RATIO_MAX, RATIO_SLACK_BYTES, SEGMENT_MAX_BYTES, WINDOW_LOG_MAX, check_packing,
    decode,
};
pub use encode::{BASES_MAX, EncodeError, EncodeOptions, PackedBody, encode};
pub use manifest::{
    BundleManifest, Encoding, FORMAT, Held, MANIFEST_MAX_BYTES, ManifestError, Object, Packed, Part, Segment, Totals,
    Volume,
};
pub use root::root_of;
