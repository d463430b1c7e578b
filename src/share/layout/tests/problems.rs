//! Every reason why a layout refuses what was picked.

use super::*;

#[test]
fn nothing_for_the_platform() {
    let release = release("tools", "1.2", &["linux-x64 tool"]);
    let empty = [pick(&release, None, Vec::new())];
    let texts: Vec<String> =
        layouts().iter().map(|layout| format!("{}: {}", layout.name(), problems(layout.name(), &empty))).collect();
    insta::assert_snapshot!(texts.join("\n"), @r"
    plain: tools 1.2: the release has no artifact for the share's platform; publish one
    defender-windows: tools 1.2: no artifact fits the layout; publish mpam-fe.exe for windows-x64, windows-x86 or windows-arm64, or below x64/, x86/ or arm64/
    defender-vdi: tools 1.2: no artifact fits the layout; publish mpam-fe.exe, or a .zip or .cab with its content
    defender-offline: tools 1.2: no artifact fits the layout; publish updates.zip for linux-x64, linux-arm64, mac-x64 or mac-arm64
    clamav: tools 1.2: the release has no artifact for the share's platform; publish a database
    suricata: tools 1.2: no artifact fits the layout; publish a .rules.tar.gz, .tar.gz, .rules or .zip
    apt: tools 1.2: the repository has no Release and no InRelease; publish dists/SUITE/InRelease, or Release beside the packages of a flat repository
    ");
}

#[test]
fn no_picks_are_an_empty_tree() {
    for layout in layouts() {
        assert_eq!(layout.plan(&[]), Ok(Vec::new()), "{}", layout.name());
    }
}

#[test]
fn plain_collisions() {
    let one = release("one", "1", &["any same", "any Folder/a", "any file"]);
    let two = release("two", "2", &["any same", "any folder/b", "any file/below"]);
    let both: Vec<_> = picks(&one).into_iter().chain(picks(&two)).collect();
    insta::assert_snapshot!(problems("plain", &both), @r"
    file/below: two: file cannot be both a file and a folder; rename one of them
    folder/b: two: Folder differs from it only in case, and many shares take them for one; spell both alike
    same: two: two files want this path; publish one of them under another name
    ");
}

#[test]
fn the_same_file_of_two_platforms_counts_once() {
    let mut release = release("tools", "1", &["linux-x64 same", "windows-x64 same"]);
    let (blake3, sha256) = (release.manifest.artifacts[0].blake3, release.manifest.artifacts[0].sha256);
    (release.manifest.artifacts[1].blake3, release.manifest.artifacts[1].sha256) = (blake3, sha256);
    assert_eq!(tree("plain", &picks(&release)), "same = same [tools]");
}

#[test]
fn windows_without_the_full_package() {
    let release = release("defender", "1.2", &["windows-x64 mpam-d.exe", "windows-x86 mpam-fe.exe"]);
    insta::assert_snapshot!(problems("defender-windows", &picks(&release)), @"x64/mpam-fe.exe: defender 1.2: the full package is missing; publish mpam-fe.exe for windows-x64 in the release");
    let other = self::release("tools", "1.2", &["linux-x64 x64/mpam-fe.exe"]);
    let text = problems("defender-windows", &picks(&other));
    assert!(text.starts_with("tools 1.2: no artifact fits the layout"), "{text}");
}

#[test]
fn vdi_with_two_products() {
    let (one, two) = (release("one", "1", &["any mpam-fe.exe"]), release("two", "2", &["any mpam-fe.exe"]));
    let both: Vec<_> = picks(&two).into_iter().chain(picks(&one)).collect();
    insta::assert_snapshot!(problems("defender-vdi", &both), @"two 2: a share of this layout shows one product and already shows one; give this one a share of its own");
}

#[test]
fn vdi_with_two_files_of_one_name() {
    let release = release("one", "1", &["any a/readme.txt", "any b/readme.txt"]);
    insta::assert_snapshot!(problems("defender-vdi", &picks(&release)), @"{00000000-0000-0000-0000-261121123456}/readme.txt: one: two files want this path; publish one of them under another name");
}

#[test]
fn offline_without_or_with_too_many_files() {
    let release = release(
        "mdatp",
        "1.2",
        &[
            "linux-x64 manifest.json",
            "linux-arm64 a.zip",
            "linux-arm64 b.zip",
            "mac-x64 updates.zip",
            "mac-x64 a/manifest.json",
            "mac-x64 b/manifest.json",
        ],
    );
    insta::assert_snapshot!(problems("defender-offline", &picks(&release)), @r"
    linux/production/arch_arm64/updates.zip: mdatp 1.2: several archives fit; publish one for this platform and name it updates.zip
    linux/production/arch_x86_64/updates.zip: mdatp 1.2: the archive is missing; publish updates.zip for this platform in the release
    mac/production/arch_x86_64/manifest.json: mdatp 1.2: the release has several for this platform; publish one, or none and it is generated
    ");
}

#[test]
fn offline_with_two_products_in_one_channel() {
    let (one, two) = (release("one", "1", &["linux-x64 updates.zip"]), release("two", "2", &["linux-x64 updates.zip"]));
    let both: Vec<_> = picks(&two).into_iter().chain(picks(&one)).collect();
    insta::assert_snapshot!(problems("defender-offline", &both), @"linux/production/arch_x86_64: two 2: one already fills this folder; give one of the two products its own share");
}

#[test]
fn a_previous_release_that_does_not_fit_keeps_nothing_away() {
    let (present, before) =
        (release("one", "2", &["linux-x64 updates.zip"]), release("one", "1", &["linux-x64 readme"]));
    let mut all = picks(&present);
    all[0].previous = picks(&before).pop().map(Box::new);
    assert!(!tree("defender-offline", &all).contains("_back"));
}

#[test]
fn clamav_with_other_names() {
    let release = release("clamav", "1", &["any dialy.cvd", "any README", "any db/.cvd", "any main.cvd.exe"]);
    let text = problems("clamav", &picks(&release));
    let paths: Vec<&str> = text.lines().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(paths, ["README", "db/.cvd", "dialy.cvd", "main.cvd.exe"]);
    insta::assert_snapshot!(text.lines().next().unwrap(), @"README: clamav 1: ClamAV reads no file of that name (main, daily or bytecode with .cvd or .cld; .cdiff, .sign, or a custom database such as .ndb); leave it out of the release or rename it");
}

#[test]
fn suricata_with_a_name_that_leaves_no_room_for_its_md5() {
    let target = format!("{}.zip", "r".repeat(235));
    let release = release("rules", "1", &[&format!("any {target}")]);
    let text = problems("suricata", &picks(&release));
    assert!(text.contains("the layout cannot make that path") && text.contains("at most 240 characters"), "{text}");
}

#[test]
fn apt_without_a_start() {
    let no_start = release("tools", "1", &["any dists/stable/Release.gpg", "any dists/old/InRelease"]);
    insta::assert_snapshot!(problems("apt", &picks(&no_start)), @"dists/stable/InRelease: tools 1: the suite has no InRelease and no Release; publish one of them with its indexes");
    let no_suite = release("tools", "1", &["any dists/Release"]);
    insta::assert_snapshot!(problems("apt", &picks(&no_suite)), @"dists: tools 1: no suite lies below it; publish dists/SUITE/InRelease");
}

#[test]
fn too_many_files() {
    let targets: Vec<String> = (0..=FILES_MAX).map(|number| format!("any f{number}")).collect();
    let release = release("many", "1", &targets.iter().map(String::as_str).collect::<Vec<_>>());
    insta::assert_snapshot!(problems("plain", &picks(&release)), @"the share would have 20001 files and may have 20000; split it into several shares");
}

#[test]
fn finished_paths_are_checked_with_their_members() {
    let paths: Vec<crate::model::TargetName> = ["f/a", "f/A", "f"].iter().map(|path| path.parse().unwrap()).collect();
    let texts: Vec<String> = check_paths(&paths).unwrap_err().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(texts.join("\n"), @r"
    f/A: f/a differs from it only in case, and many shares take them for one; spell both alike
    f: f cannot be both a file and a folder; rename one of them
    ");
    assert_eq!(check_paths(&paths[..1]), Ok(()));
}
