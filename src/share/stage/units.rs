//! What switches in one step, and in which order. Pure.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::compare::{Action, Work};
use super::found::Found;
use super::manifest::Manifest;

/// Files that switch together, or after each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A directory that belongs to one set alone: it is prepared whole. The indices are those of [`Work::items`].
    Whole {
        /// The directory.
        dir: PathBuf,
        /// Whether there is one to swap with.
        is_there: bool,
        /// All files of the set.
        items: Vec<usize>,
    },
    /// Fixed names, one by one in this order: payload first, indexes last. Only those that change.
    Each(Vec<usize>),
}

/// What the file system of the directory can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Abilities {
    pub(super) links: bool,
    pub(super) exchange: bool,
}

/// Which set has a directory to itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner<'a> {
    One(&'a str),
    Several,
}

/// The units of everything that has to be put or stamped: lone payload, then the sets, then lone indexes.
pub(super) fn units(work: &Work<'_>, found: &Found, manifest: Option<&Manifest>, can: Abilities) -> Vec<Unit> {
    let claims = claims(work, found, manifest);
    let owners = owners(&claims);
    let mut sets: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, item) in work.items.iter().enumerate() {
        sets.entry(&item.file.set).or_default().push(index);
    }
    let mut alone = sets.remove("").unwrap_or_default();
    alone.retain(|index| work.items[*index].action != Action::Keep);
    let (last, first): (Vec<usize>, Vec<usize>) = alone.into_iter().partition(|index| work.items[*index].file.last);
    let mut units: Vec<Unit> = first.into_iter().map(|index| Unit::Each(vec![index])).collect();
    for (set, items) in sets {
        let changed: Vec<usize> = items.iter().copied().filter(|i| work.items[*i].action != Action::Keep).collect();
        if changed.is_empty() {
            continue;
        }
        let whole = whole(set, work, found, &claims, &owners, can)
            // One file in a directory that is there is one rename; a new directory appears whole.
            .filter(|(_, is_there)| !is_there || changed.len() > 1 || goes(set, work, &claims));
        match whole.filter(|_| changed.iter().any(|index| work.items[*index].action == Action::Put)) {
            Some((dir, is_there)) => units.push(Unit::Whole { dir, is_there, items }),
            None => units.push(Unit::Each(in_order(changed, work))),
        }
    }
    units.extend(last.into_iter().map(|index| Unit::Each(vec![index])));
    units
}

fn in_order(mut items: Vec<usize>, work: &Work<'_>) -> Vec<usize> {
    items.sort_by_key(|index| work.items[*index].file.last);
    items
}

/// Each path that a set wants or has, with the set.
fn claims<'a>(work: &Work<'a>, found: &Found, manifest: Option<&'a Manifest>) -> Vec<(&'a Path, &'a str)> {
    let wanted = work.items.iter().map(|item| (Path::new(item.file.path.as_str()), item.file.set.as_str()));
    let kept =
        work.retired.iter().map(|(retired, _)| (Path::new(retired.file.path.as_str()), retired.file.set.as_str()));
    let records = manifest.into_iter().flat_map(|manifest| &manifest.files);
    let had = records.map(|file| (Path::new(file.path.as_str()), file.set.as_str()));
    wanted.chain(kept).chain(had.filter(|(path, _)| found.live.contains_key(*path))).collect()
}

fn owners<'a>(claims: &[(&'a Path, &'a str)]) -> HashMap<&'a Path, Owner<'a>> {
    let mut owners = HashMap::new();
    for (path, set) in claims {
        let claim = if set.is_empty() { Owner::Several } else { Owner::One(set) };
        for dir in path.ancestors().skip(1) {
            let owner = owners.entry(dir).or_insert(claim);
            if *owner != claim {
                *owner = Owner::Several;
            }
        }
    }
    owners
}

/// Whether a file of the set goes away in this run: two names that change.
fn goes(set: &str, work: &Work<'_>, claims: &[(&Path, &str)]) -> bool {
    let going: std::collections::HashSet<&Path> = work.remove.iter().map(PathBuf::as_path).collect();
    claims.iter().any(|(path, owner)| *owner == set && going.contains(path))
}

/// The largest directory that is the set's alone, and whether it is there, if it can be switched in one step.
fn whole(
    set: &str,
    work: &Work<'_>,
    found: &Found,
    claims: &[(&Path, &str)],
    owners: &HashMap<&Path, Owner<'_>>,
    can: Abilities,
) -> Option<(PathBuf, bool)> {
    let root = Path::new("");
    let mut common: Option<&Path> = None;
    for (path, _) in claims.iter().filter(|(_, owner)| *owner == set) {
        common = match common {
            None => path.parent(),
            Some(dir) => dir.ancestors().find(|dir| path.starts_with(dir)),
        };
    }
    let alone = |dir: &Path| dir != root && owners.get(dir) == Some(&Owner::One(set));
    let dir = common.filter(|dir| alone(dir))?.ancestors().take_while(|dir| alone(dir)).last()?;
    let is_obstacle = work.obstacles.iter().any(|obstacle| dir.starts_with(obstacle));
    let is_there = found.dirs.contains(dir) && !is_obstacle;
    (!is_there || can.links && can.exchange).then(|| (dir.to_owned(), is_there))
}
