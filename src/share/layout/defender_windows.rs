//! `defender-windows`: the folder tree that Windows clients read security intelligence from.

use std::collections::BTreeMap;

use super::platform::{Arch, windows_arch};
use super::tree::{Part, Tree, file_name, in_order};
use super::{Body, Layout, LayoutProblem, Pick, Planned};

/// The full package, without which a client of that processor has nothing to start from.
const FULL: &str = "mpam-fe.exe";
/// What a client looks for in the folder of its processor.
const NAMES: [&str; 3] = [FULL, "mpam-d.exe", "nis_full.exe"];

pub(super) struct DefenderWindows;

impl Layout for DefenderWindows {
    fn name(&self) -> &'static str {
        "defender-windows"
    }

    fn about(&self) -> &'static str {
        "security intelligence for Windows: x64/, x86/ and arm64/ with mpam-fe.exe, mpam-d.exe and nis_full.exe"
    }

    fn rollback_limit(&self) -> Option<&'static str> {
        None
    }

    fn plan<'a>(&self, picks: &[Pick<'a>]) -> Result<Vec<Planned<'a>>, Vec<LayoutProblem>> {
        let mut tree = Tree::default();
        // For each folder one of its picks, and whether the full package is there.
        let mut folders: BTreeMap<Arch, (&Pick<'a>, bool)> = BTreeMap::new();
        for pick in in_order(picks) {
            let mut fits_any = false;
            for &artifact in &pick.artifacts {
                let Some(arch) = windows_arch(artifact) else { continue };
                let named = |name: &&str| name.eq_ignore_ascii_case(file_name(artifact));
                let Some(name) = NAMES.into_iter().find(named) else { continue };
                fits_any = true;
                folders.entry(arch).or_insert((pick, false)).1 |= name == FULL;
                let folder = arch.windows_folder();
                tree.add(pick, &format!("{folder}/{name}"), Body::Artifact(artifact), Part::Of(folder));
            }
            if !fits_any {
                let why = "no artifact fits the layout; publish mpam-fe.exe for windows-x64, windows-x86 or \
                           windows-arm64, or below x64/, x86/ or arm64/";
                tree.refuse(pick, None, why);
            }
        }
        for (arch, (pick, has_full)) in folders {
            if !has_full {
                let folder = arch.windows_folder();
                let why = format!("the full package is missing; publish {FULL} for windows-{folder} in the release");
                tree.refuse(pick, Some(&format!("{folder}/{FULL}")), why);
            }
        }
        tree.finish()
    }
}
