//! Layouts: which file of which release stands at which path of a share, as pure plans.
//!
//! A layout is one small file with one type that implements [`Layout`]; `docs/layouts.md` says how to add one. What
//! this module deliberately does not do: no I/O, no clock, and no look into an artifact's bytes. A plan names what is
//! to be unpacked or generated; `derive` does it.

mod apt;
mod check;
mod clamav;
mod defender_offline;
mod defender_vdi;
mod defender_windows;
mod pick;
mod plain;
mod platform;
mod problem;
mod suricata;
#[cfg(test)]
mod tests;
mod tree;

pub use check::{Collision, FILES_MAX, check_paths, check_tree};
pub use pick::{Body, Pick, Planned};
pub use problem::LayoutProblem;

pub(crate) use check::Paths;

use crate::model::LayoutName;

/// The shape of a share's tree: a pure rule from picks to paths.
pub trait Layout: Sync {
    /// Its name in the policy.
    fn name(&self) -> &'static str;

    /// One line that tells a person what it is for.
    fn about(&self) -> &'static str;

    /// Which clients of this layout ignore an older version whatever the share shows, as a sentence; none when all of
    /// them take it.
    fn rollback_limit(&self) -> Option<&'static str>;

    /// The tree for these picks, in order of path, or everything that stands in its way. A tree that is returned has
    /// passed [`check_tree`]. The order of the picks makes no difference.
    fn plan<'a>(&self, picks: &[Pick<'a>]) -> Result<Vec<Planned<'a>>, Vec<LayoutProblem>>;
}

/// Every layout, in the order in which they are listed to people.
static LAYOUTS: &[&dyn Layout] = &[
    &plain::Plain,
    &defender_windows::DefenderWindows,
    &defender_vdi::DefenderVdi,
    &defender_offline::DefenderOffline,
    &clamav::Clamav,
    &suricata::Suricata,
    &apt::Apt,
];

/// Every layout there is.
pub fn layouts() -> &'static [&'static dyn Layout] {
    LAYOUTS
}

/// The layout of this name.
pub fn layout(name: &LayoutName) -> Option<&'static dyn Layout> {
    LAYOUTS.iter().copied().find(|layout| layout.name() == name.as_str())
}
