//! What holds for any release.

use proptest::prelude::*;

use super::*;

const PLATFORMS: [&str; 9] = [
    "any",
    "windows-x64",
    "windows-x86",
    "windows-arm64",
    "linux-x64",
    "linux-arm64",
    "mac-x64",
    "macos-aarch64",
    "windows",
];
const NAMES: [&str; 20] = [
    "mpam-fe.exe",
    "MPAM-FE.exe",
    "mpam-d.exe",
    "nis_full.exe",
    "updates.zip",
    "manifest.json",
    "main.cvd",
    "daily.cld",
    "my.ndb",
    "x.sign",
    "emerging.rules.tar.gz",
    "emerging.rules.tar.gz.md5",
    "Release",
    "InRelease",
    "Packages",
    "Packages.xz",
    "a_1.deb",
    "README",
    "readme",
    "content.cab",
];
const FOLDERS: [&str; 11] = [
    "",
    "x64/",
    "x86/",
    "X64/",
    "dists/stable/",
    "dists/",
    "dists/stable/main/",
    "pool/",
    "README/",
    "a/b/c/",
    "flat/",
];

/// Releases of a few products, with names that mean something to a layout, in folders that may collide.
fn releases() -> impl Strategy<Value = Vec<Release>> {
    let artifact = (0..PLATFORMS.len(), 0..FOLDERS.len(), 0..NAMES.len())
        .prop_map(|(platform, folder, name)| format!("{} {}{}", PLATFORMS[platform], FOLDERS[folder], NAMES[name]));
    let one =
        (0_usize..3, 1_u32..4, prop::collection::btree_set(artifact, 0..6)).prop_map(|(product, version, lines)| {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            release(["one", "two", "two-preview"][product], &version.to_string(), &lines)
        });
    prop::collection::vec(one, 0..3)
}

fn all_picks(releases: &[Release]) -> Vec<Pick<'_>> {
    let mut all: Vec<Pick<'_>> = releases.iter().flat_map(picks).collect();
    let previous = all.first().cloned();
    if let (Some(last), Some(previous)) = (all.last_mut(), previous) {
        last.previous = Some(Box::new(previous));
    }
    all
}

proptest! {
    #[test]
    fn a_plan_is_a_sound_tree_or_problems(releases in releases(), which in 0..LAYOUTS.len()) {
        let picks = all_picks(&releases);
        match LAYOUTS[which].plan(&picks) {
            Ok(planned) => {
                prop_assert_eq!(check_tree(&planned), Ok(()));
                prop_assert!(planned.is_sorted_by_key(|one| &one.path));
                for one in &planned {
                    let path = std::path::Path::new(one.path.as_str());
                    prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
                    prop_assert!(!one.last || !one.set.is_empty(), "an index belongs to a set: {:?}", one);
                }
            }
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    prop_assert!(!problem.why.is_empty());
                }
            }
        }
    }

    #[test]
    fn the_order_of_picks_makes_no_difference(releases in releases(), which in 0..LAYOUTS.len(), turn in 0_usize..8) {
        let mut picks = all_picks(&releases);
        let before = LAYOUTS[which].plan(&picks);
        prop_assert_eq!(&before, &LAYOUTS[which].plan(&picks));
        picks.reverse();
        let turn = turn % picks.len().max(1);
        picks.rotate_left(turn);
        // Two picks of one product and platform with the same sequence are no order that a share can have.
        let mut keys: Vec<_> = picks.iter().map(|pick| (pick.product, pick.platform)).collect();
        keys.sort();
        keys.dedup();
        if keys.len() == picks.len() {
            prop_assert_eq!(before, LAYOUTS[which].plan(&picks));
        }
    }
}
