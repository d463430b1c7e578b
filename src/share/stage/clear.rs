//! After the switch: what is no longer wanted goes.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::StageError;
use super::compare::Work;
use super::error::Context;
use super::found::Found;
use super::publish::{is_busy, set_aside};
use super::tree::HOME;
use super::units::Unit;
use crate::sys::tree::Root;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Cleared {
    pub(super) removed: u64,
    /// Open somewhere: the next run tries again.
    pub(super) requeued: Vec<PathBuf>,
}

/// Removes everything that the comparison has found unwanted, by way of a name that no reader looks at.
pub(super) fn clear(
    root: &Root,
    context: &Context<'_>,
    work: &Work<'_>,
    found: &Found,
    units: &[Unit],
) -> Result<Cleared, StageError> {
    let wanted = wanted_inodes(root, work, found);
    // What lay in them has gone with them.
    let mut swapped: Vec<&Path> = units.iter().filter_map(swapped_dir).collect();
    swapped.extend(work.obstacles.iter().map(PathBuf::as_path));
    let mut cleared = Cleared::default();
    let mut unsynced = BTreeSet::new();
    for path in &work.remove {
        if swapped.iter().any(|dir| path.starts_with(dir)) {
            cleared.removed += 1;
            continue;
        }
        // Where case does not count, the unwanted name may be the wanted file.
        if found.live.get(path).is_some_and(|there| wanted.contains(&(there.seen.inode, fold(path)))) {
            continue;
        }
        match set_aside(root, path) {
            Ok(_) => cleared.removed += 1,
            Err(error) if is_busy(&error) => cleared.requeued.push(path.clone()),
            Err(error) => return Err(context.failed(path, "removed", error)),
        }
        unsynced.insert(path.parent().unwrap_or(Path::new("")));
    }
    cleared.removed += work.obstacles.len() as u64;
    for dir in unsynced {
        match root.sync_dir(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(context.failed(dir, "made durable", error));
            }
            _ => {}
        }
    }
    Ok(cleared)
}

fn swapped_dir(unit: &Unit) -> Option<&Path> {
    match unit {
        Unit::Whole { dir, is_there: true, .. } => Some(dir),
        _ => None,
    }
}

fn fold(path: &Path) -> String {
    path.to_string_lossy().to_ascii_lowercase()
}

/// The wanted files whose name differs only in case from one that is to go, as they are now.
fn wanted_inodes(root: &Root, work: &Work<'_>, found: &Found) -> HashSet<(u64, String)> {
    let going: HashSet<String> =
        work.remove.iter().filter(|path| found.live.contains_key(*path)).map(|path| fold(path)).collect();
    let wanted =
        work.items.iter().map(|item| Path::new(item.file.path.as_str())).filter(|path| going.contains(&fold(path)));
    wanted.filter_map(|path| Some((root.look(path).ok()??.inode, fold(path)))).collect()
}

/// Removes directories without a file in them, the deepest first.
pub(super) fn remove_empty_dirs(root: &Root, work: &Work<'_>, found: &Found) {
    let kept = work.retired.iter().map(|(retired, _)| &retired.file.path);
    let files = work.items.iter().map(|item| &item.file.path).chain(kept);
    let needed: HashSet<&Path> = files.flat_map(|path| Path::new(path.as_str()).ancestors().skip(1)).collect();
    for dir in found.dirs.iter().rev().filter(|dir| !needed.contains(dir.as_path())) {
        // One that is not empty holds what could not be removed.
        let _ = root.remove_dir(dir);
    }
}

/// Removes what only this run needed, and what earlier ones could not remove. What is still open somewhere stays for
/// the next run.
pub(super) fn tidy(root: &Root, leftovers: &[PathBuf], keep_previous: bool) {
    for leftover in leftovers {
        let _ = root.remove_all(leftover);
    }
    let home = Path::new(HOME);
    let _ = root.remove_all(&home.join("retired"));
    if !keep_previous {
        let _ = root.remove_all(&home.join("previous"));
    }
    let own = |name: &str| name.starts_with("manifest.") && name.ends_with(".tmp");
    for (name, _) in root.list(home).unwrap_or_default() {
        if own(&name.to_string_lossy()) {
            let _ = root.remove(&home.join(name));
        }
    }
}
