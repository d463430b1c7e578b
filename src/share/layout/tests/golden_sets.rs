//! Trees of the layouts with generated files and sets: `defender-offline` and `apt`.

use super::*;

#[test]
fn defender_offline() {
    let production = release(
        "mdatp",
        "1.427.3.0",
        &[
            "linux-x64 linux/updates.zip",
            "linux-aarch64 arm.zip",
            "macos-arm64 mac/updates.zip",
            "macos-arm64 mac/manifest.json",
        ],
    );
    let preview = release("mdatp-preview", "1.427.9.0", &["linux-amd64 updates.zip", "windows-x64 updates.zip"]);
    let before = release("mdatp", "1.427.2.0", &["linux-x86_64 old/updates.zip"]);
    let mut all: Vec<_> = picks(&production).into_iter().chain(picks(&preview)).collect();
    all.retain(|pick| pick.platform.unwrap().as_str() != "windows-x64");
    for pick in &mut all {
        if pick.platform.unwrap().as_str() == "linux-x64" {
            pick.previous = picks(&before).pop().map(Box::new);
        }
    }
    insta::assert_snapshot!(tree("defender-offline", &all), @r#"
    linux/preview/arch_x86_64/manifest.json text {"EngineVersion":"1.427.9.0","DefinitionVersion":"1.427.9.0"} [linux/preview/arch_x86_64, last]
    linux/preview/arch_x86_64/updates.zip = updates.zip [linux/preview/arch_x86_64]
    linux/production/arch_arm64/manifest.json text {"EngineVersion":"1.427.3.0","DefinitionVersion":"1.427.3.0"} [linux/production/arch_arm64, last]
    linux/production/arch_arm64/updates.zip = arm.zip [linux/production/arch_arm64]
    linux/production/arch_x86_64/manifest.json text {"EngineVersion":"1.427.3.0","DefinitionVersion":"1.427.3.0"} [linux/production/arch_x86_64, last]
    linux/production/arch_x86_64/updates.zip = linux/updates.zip [linux/production/arch_x86_64]
    linux/production_back/arch_x86_64/manifest.json text {"EngineVersion":"1.427.2.0","DefinitionVersion":"1.427.2.0"} [linux/production_back/arch_x86_64, last]
    linux/production_back/arch_x86_64/updates.zip = old/updates.zip [linux/production_back/arch_x86_64]
    mac/production/arch_arm64/manifest.json = mac/manifest.json [mac/production/arch_arm64, last]
    mac/production/arch_arm64/updates.zip = mac/updates.zip [mac/production/arch_arm64]
    "#);
}

/// The tree with `<digest of TARGET>` for digests, so that a reader sees which file a by-hash name stands for.
fn apt_tree(release: &Release) -> String {
    let mut tree = tree("apt", &picks(release));
    for artifact in &release.manifest.artifacts {
        tree = tree.replace(&artifact.sha256.to_hex(), &format!("<digest of {}>", artifact.target));
    }
    let mut lines: Vec<&str> = tree.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[test]
fn apt() {
    let release = release(
        "tools",
        "2026.11.21",
        &[
            "any dists/stable/InRelease",
            "any dists/stable/Release",
            "any dists/stable/Release.gpg",
            "any dists/stable/main/binary-amd64/Packages.xz",
            "any dists/stable/main/binary-amd64/Release",
            "any dists/stable/main/by-hash/SHA256/abc",
            "any pool/main/t/tool_1.0-1~deb12u1_amd64.deb",
            "any key.gpg",
        ],
    );
    insta::assert_snapshot!(apt_tree(&release), @r"
    dists/stable/InRelease = dists/stable/InRelease [dists, last]
    dists/stable/Release = dists/stable/Release [dists, last]
    dists/stable/Release.gpg = dists/stable/Release.gpg [dists, last]
    dists/stable/main/binary-amd64/Packages.xz = dists/stable/main/binary-amd64/Packages.xz [dists]
    dists/stable/main/binary-amd64/Release = dists/stable/main/binary-amd64/Release [dists, last]
    dists/stable/main/binary-amd64/by-hash/SHA256/<digest of dists/stable/main/binary-amd64/Packages.xz> = dists/stable/main/binary-amd64/Packages.xz [dists]
    dists/stable/main/by-hash/SHA256/abc = dists/stable/main/by-hash/SHA256/abc [dists]
    key.gpg = key.gpg [dists]
    pool/main/t/tool_1.0-1~deb12u1_amd64.deb = pool/main/t/tool_1.0-1~deb12u1_amd64.deb []
    ");
}

#[test]
fn a_flat_apt_repository() {
    let at_root = release("tools", "1", &["any Release", "any Packages.gz", "any tool_1_all.deb"]);
    insta::assert_snapshot!(apt_tree(&at_root), @r"
    Packages.gz = Packages.gz [dists]
    Release = Release [dists, last]
    by-hash/SHA256/<digest of Packages.gz> = Packages.gz [dists]
    tool_1_all.deb = tool_1_all.deb []
    ");
    let deeper =
        release("tools", "1", &["any apt/x/InRelease", "any apt/x/Packages", "any apt/x/debs/t.deb", "any Packages"]);
    insta::assert_snapshot!(apt_tree(&deeper), @r"
    Packages = Packages [dists]
    apt/x/InRelease = apt/x/InRelease [dists, last]
    apt/x/Packages = apt/x/Packages [dists]
    apt/x/by-hash/SHA256/<digest of apt/x/Packages> = apt/x/Packages [dists]
    apt/x/debs/t.deb = apt/x/debs/t.deb []
    ");
}

#[test]
fn equal_indexes_of_a_folder_share_one_by_hash_name() {
    let mut release =
        release("tools", "1", &["any dists/s/Release", "any dists/s/main/Packages", "any dists/s/main/Sources"]);
    let (blake3, sha256) = (release.manifest.artifacts[1].blake3, release.manifest.artifacts[1].sha256);
    (release.manifest.artifacts[2].blake3, release.manifest.artifacts[2].sha256) = (blake3, sha256);
    let picks = picks(&release);
    let planned = named("apt").plan(&picks).unwrap();
    assert_eq!(planned.iter().filter(|one| one.path.as_str().contains("by-hash")).count(), 1);
}
