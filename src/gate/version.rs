//! The version gate.

use super::Finding;
use crate::model::{Release, Version};

/// A release's version must be above every other of its product that was not withdrawn, unless the publisher marked
/// it as older on purpose. `releases` are the product's, in any order.
pub fn check_version<'a>(
    version: &Version,
    releases: impl Iterator<Item = &'a Release>,
    is_older_allowed: bool,
) -> Option<Finding> {
    if is_older_allowed {
        return None;
    }
    let newest = releases.filter(|release| release.withdrawn.is_none()).map(Release::version).max()?;
    (version <= newest).then(|| Finding::NotNewer { version: version.clone(), newest: newest.clone() })
}
