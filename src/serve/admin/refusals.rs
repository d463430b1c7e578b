//! How refusals of the rooms below look over HTTP: one place, one exhaustive match an error, no wildcard arm. What
//! failed on the server's side is logged here, once, and told to nobody.

use std::fmt::Display;

use http::{HeaderName, HeaderValue, StatusCode};

use crate::bundle::receipt::GiveError;
use crate::bundle::receive::ReceiptRefusal;
use crate::bundle::{EncodeError, ExportError, ImportError, ScopeError};
use crate::catalog::{CommitError, ReadOnly};
use crate::control::rollouts::RolloutRefusal;
use crate::control::{ControlError, OriginKeyRefusal};
use crate::gate::Finding;
use crate::journal::JournalError;
use crate::publish::{PublishError, UploadError};
use crate::serve::problem::Problem;
use crate::store::{IntakeError, StoreError};
use crate::sys::durable::is_full;

/// Where an upload has to go on.
pub(super) static UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        use ControlError as E;
        let status = match &error {
            E::UnknownProduct(_) | E::UnknownRelease { .. } | E::UnknownId { .. } | E::UnknownDevice(_) => {
                StatusCode::NOT_FOUND
            }
            E::UnknownKey(_) => StatusCode::NOT_FOUND,
            E::OtherClass { .. }
            | E::OtherRelease { .. }
            | E::WrongState { .. }
            | E::Ended { .. }
            | E::KeyKnown { .. }
            | E::KeyRevoked { .. } => StatusCode::CONFLICT,
            E::DeviceDenied(_) | E::NotDenied(_) | E::TooManyEnrolments { .. } => StatusCode::CONFLICT,
            E::NotAName { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            E::OtherPolicy { .. } => StatusCode::PRECONDITION_FAILED,
            E::OwnRelease { .. } | E::BadCode => StatusCode::FORBIDDEN,
            E::UnknownGroup(_) | E::UnknownRing(_) | E::EndsInThePast | E::BadPolicy(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            E::Rollout(refusal) => rollout_refused(refusal),
            E::TooMany { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            E::OriginKey(refusal) => origin_key_refused(refusal),
            E::Report(_) => StatusCode::UNPROCESSABLE_ENTITY,
            E::Random(_) | E::Contradiction(_) | E::Catalog(_) => return failed(&error),
            E::Journal(journal) => return journal_failed(journal),
            E::ReadOnly(read_only) => return elsewhere(read_only),
        };
        Self::with_detail(status, error.to_string())
    }
}

fn rollout_refused(refusal: &RolloutRefusal) -> StatusCode {
    use RolloutRefusal as R;
    match refusal {
        R::NotApprover { .. } | R::OwnRollback(_) => StatusCode::FORBIDDEN,
        R::Unconfirmed { .. } => StatusCode::PRECONDITION_FAILED,
        R::NoPlan { .. } | R::NoEmergency(_) | R::ShortCriteria(_) | R::BadSource | R::BadTarget { .. } => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        R::Draft { .. }
        | R::Unstaged { .. }
        | R::WrongState { .. }
        | R::Frozen { .. }
        | R::NotFrozen(_)
        | R::NothingOut(_)
        | R::NoTarget { .. }
        | R::ApprovedTwice(_)
        | R::NoApproval(_)
        | R::Expired(_)
        | R::NoGate(_) => StatusCode::CONFLICT,
    }
}

fn origin_key_refused(refusal: &OriginKeyRefusal) -> StatusCode {
    use OriginKeyRefusal as R;
    match refusal {
        R::Unknown(_) => StatusCode::NOT_FOUND,
        R::Retired(_) | R::InUse(_) | R::Unusable(_) | R::OtherKey(_) | R::Credential => StatusCode::CONFLICT,
        // The sentence names the file, which an admin has to mend.
        R::NotWritten { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<UploadError> for Problem {
    fn from(error: UploadError) -> Self {
        use UploadError as E;
        let detail = error.to_string();
        match &error {
            E::Unknown(_) => Self::with_detail(StatusCode::NOT_FOUND, detail),
            E::TooLarge { .. } | E::TooLong { .. } => Self::with_detail(StatusCode::PAYLOAD_TOO_LARGE, detail),
            E::TooMany { .. } => Self::try_again(60, &detail),
            E::WrongOffset { expected, .. } => {
                let expected = HeaderValue::from(*expected);
                Self::with_detail(StatusCode::CONFLICT, detail).header(UPLOAD_OFFSET.clone(), expected)
            }
            E::Busy | E::Incomplete { .. } => Self::with_detail(StatusCode::CONFLICT, detail),
            E::Interrupted { .. } => Self::with_detail(StatusCode::REQUEST_TIMEOUT, detail),
            E::Store(store) => store_failed(store),
            E::Random(_) => failed(&error),
        }
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        use PublishError as E;
        match error {
            E::UnknownProduct(_) => Self::with_detail(StatusCode::NOT_FOUND, error.to_string()),
            E::Upload(upload) => upload.into(),
            E::UploadTwice(_) => Self::with_detail(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
            E::Findings { ref findings, .. } => {
                let told = findings.iter().map(Finding::record).collect();
                Self::with_detail(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).with_findings(told)
            }
            E::OtherContent { .. } | E::Withdrawn { .. } => Self::with_detail(StatusCode::CONFLICT, error.to_string()),
            E::Store(store) => store_failed(&store),
            E::Contradiction(_) => failed(&error),
            E::Journal(journal) => journal_failed(&journal),
            E::ReadOnly(read_only) => elsewhere(&read_only),
        }
    }
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        use ExportError as E;
        let status = match &error {
            E::Scope(ScopeError::NoGroup(_) | ScopeError::TooMuch) => StatusCode::UNPROCESSABLE_ENTITY,
            E::Scope(ScopeError::NoPolicy | ScopeError::Unreadable) => StatusCode::CONFLICT,
            E::StateTooLong { .. } | E::GroupTwice(_) | E::Plan(_) | E::Manifest(_) => StatusCode::UNPROCESSABLE_ENTITY,
            E::TooMany => return Self::try_again(60, &error.to_string()),
            E::Overtaken { .. } | E::AskedAgain { .. } | E::IsSite | E::Missing { .. } => StatusCode::CONFLICT,
            E::Store(store) | E::Intake(IntakeError::Store(store)) => return store_failed(store),
            E::Spool { cause, .. } | E::Encode(EncodeError::Spool { cause, .. }) if is_full(cause) => {
                tracing::error!(%error, "no space for an export");
                return Self::with_detail(StatusCode::INSUFFICIENT_STORAGE, "there is no space left on the server");
            }
            E::Intake(IntakeError::Mismatch { .. } | IntakeError::TooLong { .. })
            | E::Intake(IntakeError::Short { .. } | IntakeError::Read { .. })
            | E::Encode(_)
            | E::Spool { .. }
            | E::Contradiction(_) => return failed(&error),
            E::Journal(journal) => return journal_failed(journal),
            E::ReadOnly(read_only) => return elsewhere(read_only),
        };
        Self::with_detail(status, error.to_string())
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        use ImportError as E;
        let detail = error.to_string();
        let said = |status| Self::with_detail(status, detail.clone());
        match error {
            E::NotYours(_) => said(StatusCode::FORBIDDEN),
            E::NotOpen(_) | E::NoVolume(_) => said(StatusCode::NOT_FOUND),
            E::Untrusted(_) => said(StatusCode::UNPROCESSABLE_ENTITY).of_type("urn:ringfence:untrusted"),
            E::Contradiction(_) => said(StatusCode::UNPROCESSABLE_ENTITY),
            E::BaseMissing { ids, .. } => said(StatusCode::CONFLICT).with_missing(ids),
            E::Partial { missing, .. } => said(StatusCode::CONFLICT).with_missing(missing),
            E::NoKey
            | E::OtherOrigin(_)
            | E::OtherSite { .. }
            | E::Expired { .. }
            | E::Older { .. }
            | E::JournalBehind { .. }
            | E::Fork { .. }
            | E::TooMany { .. } => said(StatusCode::CONFLICT),
            E::NoSpace { .. } => said(StatusCode::INSUFFICIENT_STORAGE),
            E::Busy => Self::try_again(1, &detail),
            E::Store(store) => store_failed(&store),
            E::Io(cause) if is_full(&cause) => {
                tracing::error!(error = detail, "no space for an import");
                Self::with_detail(StatusCode::INSUFFICIENT_STORAGE, "there is no space left on the server")
            }
            E::Io(cause) => failed(&cause),
            E::Rejected(error) => failed(&error),
            E::Journal(journal) => journal_failed(&journal),
            E::ReadOnly(read_only) => elsewhere(&read_only),
        }
    }
}

impl From<CommitError<ReceiptRefusal>> for Problem {
    fn from(error: CommitError<ReceiptRefusal>) -> Self {
        match &error {
            CommitError::Refused(refusal) => receipt_refused(refusal),
            CommitError::Contradiction(_) => failed(&error),
            CommitError::Journal(journal) => journal_failed(journal),
            CommitError::ReadOnly(read_only) => elsewhere(read_only),
        }
    }
}

impl From<ReceiptRefusal> for Problem {
    fn from(refusal: ReceiptRefusal) -> Self {
        receipt_refused(&refusal)
    }
}

fn receipt_refused(refusal: &ReceiptRefusal) -> Problem {
    use ReceiptRefusal as R;
    let status = match refusal {
        R::Receipt(_) | R::Short(_) | R::Signature(_) => StatusCode::UNPROCESSABLE_ENTITY,
        R::UnknownSite(_) => StatusCode::NOT_FOUND,
        R::OtherKey { .. } | R::OtherThanPolicy { .. } | R::UnknownKey { .. } | R::Old { .. } => StatusCode::CONFLICT,
        R::NotJudged => return failed(refusal),
    };
    Problem::with_detail(status, refusal.to_string())
}

impl From<GiveError> for Problem {
    fn from(error: GiveError) -> Self {
        match &error {
            GiveError::Store(store) => store_failed(store),
            GiveError::OtherSite { .. } => Self::with_detail(StatusCode::CONFLICT, error.to_string()),
            GiveError::Commit(commit) => match commit {
                CommitError::Refused(changing) => Self::try_again(1, &changing.to_string()),
                CommitError::Contradiction(_) => failed(&error),
                CommitError::Journal(journal) => journal_failed(journal),
                CommitError::ReadOnly(read_only) => elsewhere(read_only),
            },
        }
    }
}

/// Changes are made at the origin, whose address the sentence has.
pub(super) fn elsewhere(error: &ReadOnly) -> Problem {
    Problem::with_detail(StatusCode::CONFLICT, error.to_string()).of_type("urn:ringfence:read-only")
}

fn store_failed(error: &StoreError) -> Problem {
    match error {
        // Says nothing of the server but what the client has to wait for.
        StoreError::NoSpace { .. } => {
            tracing::error!(%error, "no space for an upload");
            Problem::with_detail(StatusCode::INSUFFICIENT_STORAGE, "there is no space left on the server")
        }
        StoreError::ReadOnly { .. }
        | StoreError::NotDurable { .. }
        | StoreError::Io { .. }
        | StoreError::Corrupt { .. }
        | StoreError::IndexLocked { .. }
        | StoreError::Index { .. } => failed(error),
    }
}

/// Whether the journal took the change is known only where it was refused for want of space or time.
fn journal_failed(error: &JournalError) -> Problem {
    match error {
        JournalError::NoSpace { .. } => {
            tracing::error!(%error, "no space in the journal");
            Problem::with_detail(StatusCode::INSUFFICIENT_STORAGE, "there is no space left on the server")
        }
        JournalError::Backlog { .. } => {
            tracing::error!(%error, "the journal is behind");
            Problem::try_again(5, "the server's disk is behind; nothing was changed")
        }
        JournalError::TooLong { .. } => Problem::with_detail(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        JournalError::Io { .. }
        | JournalError::MissingSegment { .. }
        | JournalError::EmptySegment { .. }
        | JournalError::Broken { .. }
        | JournalError::Foreign { .. }
        | JournalError::Rejected { .. }
        | JournalError::SnapshotMismatch { .. }
        | JournalError::HeadMismatch { .. }
        | JournalError::NotOneLine
        | JournalError::NotJson(_)
        | JournalError::NeverQueued { .. }
        | JournalError::Failed { .. } => failed(error),
    }
}

/// The server's own failure: logged, not told.
pub(super) fn failed(error: &dyn Display) -> Problem {
    tracing::error!(%error, "a request failed");
    Problem::internal()
}
