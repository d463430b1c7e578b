//! The shares of a running server: watches what each should show, and switches it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::targets::{TargetReport, Targets};
use crate::catalog::Catalog;
use crate::model::ShareName;

/// Keeps every share of the policy at what its group's decisions say.
pub struct Shares {
    catalog: Arc<Catalog>,
    problems: Mutex<BTreeMap<ShareName, Vec<String>>>,
    targets: Targets,
}

impl Shares {
    /// Over this catalog.
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog, problems: Mutex::default(), targets: Targets::default() }
    }

    /// The catalog it watches.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Why a share does not show what its group gets, each as one sentence; empty where it does.
    pub fn problems(&self, share: &ShareName) -> Vec<String> {
        let problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        problems.get(share).cloned().unwrap_or_default()
    }

    /// Takes a stager's word on one of a share's targets.
    pub fn note_target(&self, share: &ShareName, report: TargetReport) {
        self.targets.note(share, report);
    }

    /// The last word on each of a share's targets.
    pub fn targets(&self, share: &ShareName) -> Vec<TargetReport> {
        self.targets.of(share)
    }
}
