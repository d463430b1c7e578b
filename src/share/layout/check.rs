//! Whether a set of paths can stand in one tree, on every file system that a share may be on.

use std::collections::HashMap;

use super::{Body, LayoutProblem, Planned};
use crate::model::TargetName;

/// The most files a share may have.
pub const FILES_MAX: usize = 20_000;

/// Why a path cannot stand beside another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Collision {
    /// The same path twice.
    #[error("two files want this path; publish one of them under another name")]
    Twice,
    /// Two spellings of one name.
    #[error("{other} differs from it only in case, and many shares take them for one; spell both alike")]
    Case {
        /// The other spelling, of a file or of a folder.
        other: String,
    },
    /// A file where the other has a folder.
    #[error("{other} cannot be both a file and a folder; rename one of them")]
    FileIsFolder {
        /// The path that would be both.
        other: String,
    },
}

struct Known<'p> {
    spelling: &'p str,
    is_file: bool,
}

/// Paths seen so far, by the key under which a file system that ignores case would find them.
#[derive(Default)]
pub(crate) struct Paths<'p> {
    known: HashMap<String, Known<'p>>,
}

impl<'p> Paths<'p> {
    /// Adds a file, or says why it cannot stand beside those that are there.
    pub(crate) fn add_file(&mut self, path: &'p TargetName) -> Result<(), Collision> {
        self.add_parents(path)?;
        self.add(path.as_str(), true)
    }

    /// Adds a folder, which may be there already.
    pub(crate) fn add_folder(&mut self, path: &'p TargetName) -> Result<(), Collision> {
        self.add_parents(path)?;
        self.add(path.as_str(), false)
    }

    fn add_parents(&mut self, path: &'p TargetName) -> Result<(), Collision> {
        let path = path.as_str();
        path.match_indices('/').try_for_each(|(at, _)| self.add(&path[..at], false))
    }

    fn add(&mut self, spelling: &'p str, is_file: bool) -> Result<(), Collision> {
        let Some(known) = self.known.get(&spelling.to_ascii_lowercase()) else {
            self.known.insert(spelling.to_ascii_lowercase(), Known { spelling, is_file });
            return Ok(());
        };
        match (known.is_file, is_file) {
            _ if known.is_file != is_file => Err(Collision::FileIsFolder { other: known.spelling.to_owned() }),
            _ if known.spelling != spelling => Err(Collision::Case { other: known.spelling.to_owned() }),
            (true, true) => Err(Collision::Twice),
            _ => Ok(()),
        }
    }
}

/// Checks the paths of finished files: when archives are unpacked, those of a plan and of the members together.
pub fn check_paths<'p>(paths: impl IntoIterator<Item = &'p TargetName>) -> Result<(), Vec<LayoutProblem>> {
    let mut seen = Paths::default();
    let mut problems = Vec::new();
    let mut count = 0;
    for path in paths {
        count += 1;
        if let Err(collision) = seen.add_file(path) {
            let path = Some(path.to_string());
            problems.push(LayoutProblem { path, product: None, version: None, why: collision.to_string() });
        }
    }
    check_count(count, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Checks a plan: no path twice, no two that differ only in case (folders too), no file where another has a folder, at
/// most [`FILES_MAX`] files. The members of archives that are still to be unpacked are not known here.
pub fn check_tree(planned: &[Planned<'_>]) -> Result<(), Vec<LayoutProblem>> {
    let mut seen = Paths::default();
    let mut problems = Vec::new();
    for one in planned {
        let added = match one.body {
            Body::Unpacked(_) => seen.add_folder(&one.path),
            _ => seen.add_file(&one.path),
        };
        if let Err(collision) = added {
            problems.push(LayoutProblem::of_planned(one, collision.to_string()));
        }
    }
    check_count(planned.len(), &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn check_count(count: usize, problems: &mut Vec<LayoutProblem>) {
    if count > FILES_MAX {
        let why = format!("the share would have {count} files and may have {FILES_MAX}; split it into several shares");
        problems.push(LayoutProblem { path: None, product: None, version: None, why });
    }
}
