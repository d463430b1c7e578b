//! A plan while a layout makes it: files and problems are collected, so that all problems are told at once.

use std::cmp::Reverse;

use super::{Body, LayoutProblem, Pick, Planned, check_tree};
use crate::model::{Artifact, TargetName};

/// The most bytes of a generated text.
const TEXT_BYTES_MAX: usize = 4096;

/// How a file belongs to a set.
pub(super) enum Part<'s> {
    /// A file of the set.
    Of(&'s str),
    /// The set's index, which is switched after the others.
    IndexOf(&'s str),
    /// A file that switches alone.
    Alone,
}

#[derive(Default)]
pub(super) struct Tree<'a> {
    planned: Vec<Planned<'a>>,
    problems: Vec<LayoutProblem>,
}

impl<'a> Tree<'a> {
    /// Plans `body` at `path`. A path that cannot be written everywhere becomes a problem.
    pub(super) fn add(&mut self, pick: &Pick<'a>, path: &str, body: Body<'a>, part: Part<'_>) {
        let target: TargetName = match path.parse() {
            Ok(target) => target,
            Err(error) => {
                let why = format!("the layout cannot make that path ({error}); publish it under a shorter name");
                return self.refuse(pick, Some(path), why);
            }
        };
        if matches!(&body, Body::Text(text) if text.len() > TEXT_BYTES_MAX) {
            return self.refuse(pick, Some(path), format!("its generated text is longer than {TEXT_BYTES_MAX} bytes"));
        }
        let (set, last) = match part {
            Part::Of(set) => (set.to_owned(), false),
            Part::IndexOf(set) => (set.to_owned(), true),
            Part::Alone => (String::new(), false),
        };
        let (product, sequence) = (pick.product, pick.release.sequence);
        self.planned.push(Planned { path: target, body, product, sequence, set, last });
    }

    /// Notes why a pick cannot be shown.
    pub(super) fn refuse(&mut self, pick: &Pick<'_>, path: Option<&str>, why: impl Into<String>) {
        self.problems.push(LayoutProblem::of_pick(pick, path.map(str::to_owned), why));
    }

    /// The plan in order of path. One product's picks may bring the same bytes to the same path, for several platforms;
    /// they count once.
    pub(super) fn finish(mut self) -> Result<Vec<Planned<'a>>, Vec<LayoutProblem>> {
        let key = |one: &Planned<'a>| (one.path.clone(), one.product.clone(), one.body.key(), Reverse(one.sequence));
        self.planned.sort_by_cached_key(key);
        self.planned.dedup_by(|b, a| a.path == b.path && a.product == b.product && a.body.key() == b.body.key());
        if self.problems.is_empty() {
            return check_tree(&self.planned).map(|()| self.planned);
        }
        self.problems.sort();
        self.problems.dedup();
        Err(self.problems)
    }
}

/// The last component of an artifact's path.
pub(super) fn file_name(artifact: &Artifact) -> &str {
    let target = artifact.target.as_str();
    target.rsplit_once('/').map_or(target, |(_, name)| name)
}

/// The picks in an order of their own, so that a plan and its problems do not depend on the caller's.
pub(super) fn in_order<'p, 'a>(picks: &'p [Pick<'a>]) -> Vec<&'p Pick<'a>> {
    let mut ordered: Vec<&Pick<'a>> = picks.iter().collect();
    ordered.sort_by_key(|pick| (pick.product, pick.platform, pick.release.sequence));
    ordered
}
