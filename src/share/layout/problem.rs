//! Why a share cannot be planned.

use std::fmt;

use super::{Pick, Planned};
use crate::model::{ProductName, Version};

/// One reason why a layout cannot show what was picked. Its text is one sentence that names the path, the product and
/// the version as far as they are known, and says what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LayoutProblem {
    /// The path in the share, or that of the artifact that does not fit.
    pub path: Option<String>,
    /// The product whose release does not fit.
    pub product: Option<ProductName>,
    /// The version of that release.
    pub version: Option<Version>,
    /// What is wrong and what to do about it.
    pub why: String,
}

impl LayoutProblem {
    pub(super) fn of_pick(pick: &Pick<'_>, path: Option<String>, why: impl Into<String>) -> Self {
        let (product, version) = (pick.product.clone(), pick.release.version().clone());
        Self { path, product: Some(product), version: Some(version), why: why.into() }
    }

    pub(super) fn of_planned(planned: &Planned<'_>, why: impl Into<String>) -> Self {
        let path = Some(planned.path.to_string());
        Self { path, product: Some(planned.product.clone()), version: None, why: why.into() }
    }
}

impl fmt::Display for LayoutProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{path}: ")?;
        }
        match (&self.product, &self.version) {
            (Some(product), Some(version)) => write!(f, "{product} {version}: ")?,
            (Some(product), None) => write!(f, "{product}: ")?,
            (None, _) => {}
        }
        f.write_str(&self.why)
    }
}

impl std::error::Error for LayoutProblem {}
