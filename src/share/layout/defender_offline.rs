//! `defender-offline`: the tree that the Linux and macOS clients read offline security intelligence from.

use std::collections::BTreeMap;

use super::platform::{self, Arch, Os};
use super::tree::{Part, Tree, file_name, in_order};
use super::{Body, Layout, LayoutProblem, Pick, Planned};
use crate::model::{Artifact, ProductName};

const ZIP: &str = "updates.zip";
const MANIFEST: &str = "manifest.json";

pub(super) struct DefenderOffline;

/// What one folder holds.
struct Content<'a> {
    zip: &'a Artifact,
    manifest: Option<&'a Artifact>,
}

const fn os_folder(os: Os) -> Option<&'static str> {
    match os {
        Os::Linux => Some("linux"),
        Os::Mac => Some("mac"),
        Os::Windows => None,
    }
}

const fn arch_folder(arch: Arch) -> Option<&'static str> {
    match arch {
        Arch::X64 => Some("arch_x86_64"),
        Arch::Arm64 => Some("arch_arm64"),
        Arch::X86 => None,
    }
}

fn channel(product: &ProductName) -> &'static str {
    if product.as_str().ends_with("-preview") { "preview" } else { "production" }
}

/// The pick's artifacts by the folder they belong to: `linux/production/arch_x86_64`, with `suffix` after the channel.
fn folders<'a>(pick: &Pick<'a>, suffix: &str) -> BTreeMap<String, Vec<&'a Artifact>> {
    let mut folders: BTreeMap<String, Vec<&'a Artifact>> = BTreeMap::new();
    for &artifact in &pick.artifacts {
        let Some((os, arch)) = platform::parse(&artifact.platform) else { continue };
        if let (Some(os), Some(arch)) = (os_folder(os), arch_folder(arch)) {
            folders.entry(format!("{os}/{}{suffix}/{arch}", channel(pick.product))).or_default().push(artifact);
        }
    }
    folders
}

/// Picks out of a platform's artifacts what its folder needs, or tells which file is missing or unclear, and why.
fn content<'a>(artifacts: &[&'a Artifact]) -> Result<Content<'a>, (&'static str, &'static str)> {
    let named = |wanted: &str| -> Vec<&'a Artifact> {
        artifacts.iter().copied().filter(|artifact| file_name(artifact).eq_ignore_ascii_case(wanted)).collect()
    };
    let is_zip = |artifact: &&&'a Artifact| file_name(artifact).to_ascii_lowercase().ends_with(".zip");
    let mut zips = named(ZIP);
    if zips.is_empty() {
        zips = artifacts.iter().filter(is_zip).copied().collect();
    }
    let zip = match zips.as_slice() {
        [zip] => *zip,
        [] => return Err((ZIP, "the archive is missing; publish updates.zip for this platform in the release")),
        _ => return Err((ZIP, "several archives fit; publish one for this platform and name it updates.zip")),
    };
    match named(MANIFEST).as_slice() {
        [] => Ok(Content { zip, manifest: None }),
        [manifest] => Ok(Content { zip, manifest: Some(manifest) }),
        _ => Err((MANIFEST, "the release has several for this platform; publish one, or none and it is generated")),
    }
}

/// The manifest of a release that brings none. The engine's version is known only from inside the archive, so the
/// release's version stands for it.
fn generated_manifest(pick: &Pick<'_>) -> String {
    let version = pick.release.version();
    format!("{{\"EngineVersion\":\"{version}\",\"DefinitionVersion\":\"{version}\"}}")
}

fn add<'a>(tree: &mut Tree<'a>, pick: &Pick<'a>, folder: &str, content: &Content<'a>) {
    tree.add(pick, &format!("{folder}/{ZIP}"), Body::Artifact(content.zip), Part::Of(folder));
    let manifest = content.manifest.map_or_else(|| Body::Text(generated_manifest(pick)), Body::Artifact);
    tree.add(pick, &format!("{folder}/{MANIFEST}"), manifest, Part::IndexOf(folder));
}

impl Layout for DefenderOffline {
    fn name(&self) -> &'static str {
        "defender-offline"
    }

    fn about(&self) -> &'static str {
        "offline security intelligence for Linux and macOS: updates.zip and manifest.json, the previous ones in _back"
    }

    fn rollback_limit(&self) -> Option<&'static str> {
        None
    }

    fn plan<'a>(&self, picks: &[Pick<'a>]) -> Result<Vec<Planned<'a>>, Vec<LayoutProblem>> {
        let mut tree = Tree::default();
        let mut taken: BTreeMap<String, &ProductName> = BTreeMap::new();
        for pick in in_order(picks) {
            let wanted = folders(pick, "");
            if wanted.is_empty() {
                let why = "no artifact fits the layout; publish updates.zip for linux-x64, linux-arm64, mac-x64 or \
                           mac-arm64";
                tree.refuse(pick, None, why);
            }
            for (folder, artifacts) in wanted {
                let owner = *taken.entry(folder.clone()).or_insert(pick.product);
                if owner != pick.product {
                    let why = format!("{owner} already fills this folder; give one of the two products its own share");
                    tree.refuse(pick, Some(&folder), why);
                    continue;
                }
                match content(&artifacts) {
                    Ok(content) => add(&mut tree, pick, &folder, &content),
                    Err((file, why)) => tree.refuse(pick, Some(&format!("{folder}/{file}")), why),
                }
            }
            // A previous release that cannot fill its folder is left out: it must not keep the present one away.
            let Some(previous) = pick.previous.as_deref() else { continue };
            for (folder, artifacts) in folders(previous, "_back") {
                if let Ok(content) = content(&artifacts) {
                    add(&mut tree, previous, &folder, &content);
                }
            }
        }
        tree.finish()
    }
}
