//! Bundles for offline sites: what is in one, how it is written to a medium and read from one, and the receipts that come
//! back.
//!
//! What this room deliberately does not do: no HTTP, no rule about who may see what (it asks `policy`), and it never
//! changes a medium that it reads.

mod audit;
#[cfg(test)]
mod audit_tests;
mod check;
#[cfg(test)]
mod check_tests;
mod decode;
mod encode;
mod export;
mod import;
mod line;
mod manifest;
mod medium;
#[cfg(test)]
mod python_tests;
pub mod receipt;
pub mod receive;
mod root;
mod scope;
#[cfg(test)]
pub(crate) mod sim_tests;
pub mod standing;
#[cfg(test)]
pub(crate) mod testing;
mod trust;
#[cfg(test)]
mod trust_tests;
mod volume;
mod writer;

pub use audit::{Audit, FINDINGS_MAX, Finding, audit};
pub use check::{GROUPS_MAX, OBJECTS_MAX, SEGMENTS_MAX};
pub use decode::{
    BASE_PIECE_MAX_BYTES, DecodeError, RATIO_MAX, RATIO_SLACK_BYTES, SEGMENT_MAX_BYTES, WINDOW_LOG_MAX, check_packing,
    decode,
};
pub use encode::{BASES_MAX, EncodeError, EncodeOptions, PackedBody, encode};
pub use export::{
    ExportError, ExportRequest, ExportSession, Exporter, IDLE_TIMEOUT, Issuer, SESSIONS_MAX, Since, VolumeStream,
    Waiting,
};
pub use import::{
    Begun, Brought, Damaged, Finished, IMPORTS_OPEN_MAX, ImportError, ImportOptions, Imports, Needed, NeededSpan,
    NotBegun, Refused, Taken,
};
pub use manifest::{
    BundleManifest, Encoding, FORMAT, Held, MANIFEST_MAX_BYTES, ManifestError, Object, Packed, Part, STATE_MAX_BYTES,
    Segment, Totals, Volume,
};
pub use medium::{MANIFEST_NAME, Medium, MediumError, MediumFile, SIGNATURE_NAME, Survey, VolumeState};
pub use root::root_of;
pub use scope::{Scope, ScopeError, Terms, carried_of, scope};
pub use trust::{BundleRefusal, OriginTrust, verify};
pub use volume::{
    LIST_HEAD_BYTES, Layout, ListHead, NotThisVolume, PART_MAX_BYTES, PARTS_MAX, PackedObject, Piece, PlanError,
    SIZE_MAX_BYTES, Span, VOLUME_MIN_BYTES, VOLUMES_MAX, VolumeOf, VolumePlan, check_list, volume_name, volume_number,
};
pub use writer::{BundleWriter, VolumeWriter, WriteError};
