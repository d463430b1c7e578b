//! Why a change was refused.

use crate::catalog::{CatalogError, CommitError, ReadOnly};
use crate::journal::JournalError;
use crate::model::policy::PolicyError;
use crate::model::{
    ApplyError, Class, DeviceId, GroupName, KeyId, ProductName, ReleaseId, ReleaseState, ReportError, RingName, Version,
};

/// A refusal: nothing was changed. The text is a whole sentence that says what to do where something can be done.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// There is no such product.
    #[error("there is no product {0}; `ringfence product list` shows them")]
    UnknownProduct(ProductName),
    /// A product of that name exists with the other class.
    #[error("product {product} exists already and is of class {class}; a product's class never changes")]
    OtherClass {
        /// The product.
        product: ProductName,
        /// The class it has.
        class: Class,
    },
    /// There is no such release.
    #[error("{product} has no release {version}; `ringfence release list {product}` shows them")]
    UnknownRelease {
        /// The product.
        product: ProductName,
        /// The version asked for.
        version: Version,
    },
    /// What was approved is not what is there.
    #[error("{product} {version} is release {found}, not {expected}: look at it again before you approve it")]
    OtherRelease {
        /// The product.
        product: ProductName,
        /// The version.
        version: Version,
        /// The manifest digest the approver named.
        expected: ReleaseId,
        /// The manifest digest it has.
        found: ReleaseId,
    },
    /// The publisher may not approve.
    #[error("{product} {version} was published by {publisher}: the policy wants someone else to approve it")]
    OwnRelease {
        /// The product.
        product: ProductName,
        /// The version.
        version: Version,
        /// Who published and tried to approve it.
        publisher: crate::model::Actor,
    },
    /// The release is not in a state in which that can be done.
    #[error("{product} {version} is {}, so it cannot be {wanted}", state.as_str())]
    WrongState {
        /// The product.
        product: ProductName,
        /// The version.
        version: Version,
        /// Where it stands.
        state: ReleaseState,
        /// What was to be done.
        wanted: &'static str,
    },
    /// There is no hold, pin, policy or token of that number.
    #[error("there is no {what} {id}")]
    UnknownId {
        /// The kind of thing.
        what: &'static str,
        /// Its number.
        id: u64,
    },
    /// It ended before.
    #[error("{what} {id} has already ended")]
    Ended {
        /// The kind of thing.
        what: &'static str,
        /// Its number.
        id: u64,
    },
    /// The policy in force defines no such group.
    #[error("the policy has no group {0}; `ringfence policy show` prints it")]
    UnknownGroup(GroupName),
    /// The policy in force defines no such ring.
    #[error("the policy has no ring {0}; `ringfence policy show` prints it")]
    UnknownRing(RingName),
    /// There is no such device.
    #[error("the inventory has no device {0}")]
    UnknownDevice(DeviceId),
    /// No key of that id was ever trusted.
    #[error("there is no trusted key {0}; `ringfence key list` shows them")]
    UnknownKey(KeyId),
    /// The key is trusted already, otherwise than it should be now.
    #[error("key {key} is trusted already, as {name}; revoke it and trust a new one to change that")]
    KeyKnown {
        /// The key.
        key: KeyId,
        /// What it is called.
        name: String,
    },
    /// A revoked key never comes back.
    #[error("key {key} ({name}) was revoked, and a revoked key is never trusted again: make a new one")]
    KeyRevoked {
        /// The key.
        key: KeyId,
        /// What it is called.
        name: String,
    },
    /// A name that people could not read in a list.
    #[error("{text:?} is no name for a key: 1 to 100 printable characters on one line")]
    NotAName {
        /// What was given.
        text: String,
    },
    /// Something ends before it begins.
    #[error("it would end in the past")]
    EndsInThePast,
    /// The policy's text is wrong.
    #[error("the policy cannot be applied:\n{0}")]
    BadPolicy(#[from] PolicyError),
    /// Somebody applied another policy in between.
    #[error("policy {expected} was expected to be in force, but it is {found}: plan again against that")]
    OtherPolicy {
        /// What the caller looked at.
        expected: u64,
        /// What is in force; 0 for none.
        found: u64,
    },
    /// Too much at once.
    #[error("{what}: at most {max} at once")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// An enrolment's code is unknown, used, expired or malformed, or its device is denied: nobody is told which.
    #[error("the code is not valid")]
    BadCode,
    /// A device that gets nothing cannot be given a credential.
    #[error("device {0} is denied; allow it first: ringfence device allow {0}")]
    DeviceDenied(DeviceId),
    /// As many codes as there may be wait to be used.
    #[error("{max} enrolments are open, as many as there may be: wait until some are used or expire")]
    TooManyEnrolments {
        /// How many there may be.
        max: usize,
    },
    /// The device is not denied.
    #[error("device {0} is not denied")]
    NotDenied(DeviceId),
    /// The server could not make randomness.
    #[error("the system gave no random bytes: {0}")]
    Random(std::io::Error),
    /// A key of the origin is left as it is.
    #[error(transparent)]
    OriginKey(#[from] super::OriginKeyRefusal),
    /// A device's report is not taken.
    #[error(transparent)]
    Report(ReportError),
    /// A step of a rollout is not taken.
    #[error(transparent)]
    Rollout(#[from] super::rollouts::RolloutRefusal),
    /// Something below cannot be read or written.
    #[error(transparent)]
    Catalog(CatalogError),
    /// An error in this use case.
    #[error("the change contradicts the present state: {0}")]
    Contradiction(ApplyError),
    /// The journal could not take it.
    #[error(transparent)]
    Journal(JournalError),
    /// Changes are made elsewhere.
    #[error(transparent)]
    ReadOnly(ReadOnly),
}

impl From<CommitError<ControlError>> for ControlError {
    fn from(error: CommitError<ControlError>) -> Self {
        match error {
            CommitError::Refused(refusal) => refusal,
            CommitError::Contradiction(error) => Self::Contradiction(error),
            CommitError::Journal(error) => Self::Journal(error),
            CommitError::ReadOnly(error) => Self::ReadOnly(error),
        }
    }
}
