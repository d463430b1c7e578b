//! `defender-vdi`: one new folder for each release, named by a stamp, with the content already unpacked.

use super::platform::{Arch, may_be_windows, windows_arch};
use super::tree::{Part, Tree, file_name, in_order};
use super::{Body, Layout, LayoutProblem, Pick, Planned};
use crate::model::Artifact;

pub(super) struct DefenderVdi;

/// Whether the file is there for what is inside it. Other executables than the full package stand as they are: a delta
/// fits only one base, and would bring the same members.
fn is_archive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "mpam-fe.exe" || name.ends_with(".zip") || name.ends_with(".cab")
}

/// The processor to show, of those that the picks have: a folder holds one release for one processor.
fn choose(picks: &[&Pick<'_>]) -> Option<Arch> {
    picks.iter().flat_map(|pick| &pick.artifacts).filter_map(|artifact| windows_arch(artifact)).min()
}

fn fits(artifact: &Artifact, chosen: Option<Arch>) -> bool {
    match windows_arch(artifact) {
        Some(arch) => chosen == Some(arch),
        None => may_be_windows(artifact),
    }
}

impl Layout for DefenderVdi {
    fn name(&self) -> &'static str {
        "defender-vdi"
    }

    fn about(&self) -> &'static str {
        "security intelligence for virtual desktops: a new {…} folder for each release, its content unpacked"
    }

    fn rollback_limit(&self) -> Option<&'static str> {
        None
    }

    fn plan<'a>(&self, picks: &[Pick<'a>]) -> Result<Vec<Planned<'a>>, Vec<LayoutProblem>> {
        let mut tree = Tree::default();
        let picks = in_order(picks);
        let Some(first) = picks.first() else { return tree.finish() };
        for other in picks.iter().filter(|other| other.product != first.product) {
            let why = format!(
                "a share of this layout shows one product and already shows {}; give this one a share of its own",
                first.product
            );
            tree.refuse(other, None, why);
        }
        let chosen = choose(&picks);
        let shown: Vec<(&Pick<'a>, &'a Artifact)> = picks
            .iter()
            .flat_map(|&pick| pick.artifacts.iter().map(move |&artifact| (pick, artifact)))
            .filter(|(_, artifact)| fits(artifact, chosen))
            .collect();
        let Some(since) = shown.iter().map(|(pick, _)| pick.since).max() else {
            let why = "no artifact fits the layout; publish mpam-fe.exe, or a .zip or .cab with its content";
            tree.refuse(first, None, why);
            return tree.finish();
        };
        let folder = format!("{{00000000-0000-0000-0000-{}}}", since.strftime("%y%m%d%H%M%S"));
        for (pick, artifact) in shown {
            let name = file_name(artifact);
            if is_archive(name) {
                tree.add(pick, &folder, Body::Unpacked(artifact), Part::Of(&folder));
            } else {
                tree.add(pick, &format!("{folder}/{name}"), Body::Artifact(artifact), Part::Of(&folder));
            }
        }
        tree.finish()
    }
}
