//! The vocabulary of Ringfence: every domain word as a validated type, and the pure projection of the journal.
//!
//! Text from outside is parsed here once; a value of one of these types is always well-formed, so no other room
//! checks it again. What this room deliberately does not do: no I/O, no clock, no randomness, no async, no HTTP. Time
//! is always an argument.

mod actor;
mod basis_points;
mod device;
mod digest;
mod enrolment;
mod event;
mod event_kind;
mod hold;
mod inspection;
mod key;
mod name;
mod pin;
pub mod policy;
mod product;
mod reach;
mod release;
mod report;
mod rollout;
mod share;
mod site;
mod snapshot;
mod span;
mod target;
#[cfg(test)]
pub mod testing;
mod token;
mod version;

pub use actor::{Actor, Reason};
pub use basis_points::{BasisPoints, BasisPointsError};
pub use device::{AttributeName, Device, DeviceHistory, Tag};
pub use digest::{Blake3Digest, DigestError, Sha256Digest};
pub use enrolment::{Denial, Enrolment, EnrolmentId};
pub use event::{Event, EventRecord};
pub use hold::{Hold, HoldId, HoldScope};
pub use inspection::{Authenticode, GateFinding, Inspection, KernelContent, KernelKind, Refusal, VerifiedSignature};
pub use key::{KeyId, OriginKey, PublicKey, TrustedKey};
pub use name::{DeviceId, GroupName, LayoutName, NameError, Platform, ProductName, RingName, ShareName, SiteName};
pub use pin::{Pin, PinId};
pub use product::{ApprovalRule, Class, Product, SignatureRule};
pub use reach::{NameGlob, Reach};
pub use release::{Artifact, Release, ReleaseId, ReleaseManifest, ReleaseState, Stamp};
pub use report::{METRICS_MAX, MetricValue, Report, ReportError, ReportEvent, ReportId};
pub use rollout::{
    Bound, End, Evidence, Freeze, Gate, GateSignal, HaltCause, MetricBand, MetricName, Opening, Plan, Promote,
    RingHistory, RingPlan, RollbackPlan, Rollout, RolloutChange, RolloutId, RolloutKind, RolloutStep, Stop, Strategy,
    Wave,
};
pub use share::{ActiveFile, RetiredFile, Share, ShareFile, SharePath, ShareSwitch, Shown};
pub use site::{
    AppliedBundle, BundleBase, BundleId, Export, GivenReceipt, JournalPlace, ObjectRef, OwnSite, ReceiptId,
    ReceiptOutcome, RingTally, SiteContent, SitePolicy, SiteProduct, SiteRecord, SiteVersion, TakenReceipt,
};
pub use snapshot::{AppliedPolicy, ApplyError, ProductReleases, ShareParts, Snapshot, SnapshotParts};
pub use span::{Span, SpanError};
pub use target::{TargetName, TargetNameError};
pub use token::{Role, Token, TokenId, TokenListener, TokenScope, TokenUse};
pub use version::{Version, VersionError};
