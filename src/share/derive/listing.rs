//! What an archive's directory says, checked before a byte is unpacked.

use super::{DeriveError, UnpackLimits};
use crate::model::TargetName;
use crate::share::layout::Paths;

/// A member as the directory names it.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: TargetName,
    pub(super) size: u64,
}

/// A member's name as a path that is safe everywhere.
pub(super) fn parse_name(name: &str) -> Result<TargetName, DeriveError> {
    name.parse().map_err(|source| DeriveError::BadName { source })
}

pub(super) fn check_count(count: usize, limits: &UnpackLimits) -> Result<(), DeriveError> {
    let max = limits.members_max;
    if count > max { Err(DeriveError::TooManyMembers { count, max }) } else { Ok(()) }
}

/// Checks all members together: how much they are, and whether they can stand in one folder.
pub(super) fn check(listed: &[&Listed], archive_bytes: u64, limits: &UnpackLimits) -> Result<(), DeriveError> {
    if listed.is_empty() {
        return Err(DeriveError::Empty);
    }
    let bytes = listed.iter().fold(0_u64, |sum, one| sum.saturating_add(one.size));
    if bytes > limits.total_bytes_max {
        return Err(DeriveError::TooLarge { bytes, max: limits.total_bytes_max });
    }
    if bytes > archive_bytes.saturating_mul(limits.ratio_max) {
        return Err(DeriveError::RatioTooHigh { bytes, archive_bytes, ratio_max: limits.ratio_max });
    }
    let mut paths = Paths::default();
    for one in listed {
        let collides = |source| DeriveError::Collides { member: one.name.clone(), source };
        paths.add_file(&one.name).map_err(collides)?;
    }
    Ok(())
}
