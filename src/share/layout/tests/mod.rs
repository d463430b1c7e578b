//! Golden trees, every problem, and what holds for any release.

mod golden;
mod golden_sets;
mod problems;
mod properties;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::*;
use crate::model::{ApprovalRule, Artifact, Blake3Digest, Platform, Release, ReleaseManifest, Sha256Digest, Stamp};

/// A release whose artifacts are given as `PLATFORM TARGET`, with the target (and the version) as the bytes.
fn release(product: &str, version: &str, artifacts: &[&str]) -> Release {
    let artifact = |line: &&str| {
        let (platform, target) = line.split_once(' ').unwrap();
        let body = format!("{version} {line}");
        Artifact {
            target: target.parse().unwrap(),
            platform: platform.parse().unwrap(),
            size: body.len() as u64,
            blake3: Blake3Digest::of(body.as_bytes()),
            sha256: Sha256Digest::of(body.as_bytes()),
            media_type: "application/octet-stream".to_owned(),
        }
    };
    let artifacts = artifacts.iter().map(artifact).collect();
    let (product, version) = (product.parse().unwrap(), version.parse().unwrap());
    let manifest = ReleaseManifest { product, version, barrier: false, artifacts };
    let added = Stamp { at: Timestamp::UNIX_EPOCH, by: "tester".parse().unwrap() };
    Release {
        id: manifest.id(),
        sequence: 7,
        manifest,
        added,
        approval: ApprovalRule::Auto,
        approved: None,
        published_at: None,
        withdrawn: None,
        inspection: None,
    }
}

/// A pick for each platform that the release has artifacts for, as a share without a platform of its own makes them.
fn picks(release: &Release) -> Vec<Pick<'_>> {
    let mut by_platform: BTreeMap<&Platform, Vec<&Artifact>> = BTreeMap::new();
    for artifact in &release.manifest.artifacts {
        by_platform.entry(&artifact.platform).or_default().push(artifact);
    }
    by_platform.into_iter().map(|(platform, artifacts)| pick(release, Some(platform), artifacts)).collect()
}

fn pick<'a>(release: &'a Release, platform: Option<&'a Platform>, artifacts: Vec<&'a Artifact>) -> Pick<'a> {
    let since = "2026-11-21T12:34:56Z".parse().unwrap();
    Pick { product: &release.manifest.product, release, platform, artifacts, previous: None, since }
}

fn named(layout_name: &str) -> &'static dyn Layout {
    layout(&layout_name.parse().unwrap()).unwrap()
}

/// A plan as lines: path, body, set, and whether it comes last. Digests are those of the test's own bodies.
fn lines(planned: &[Planned<'_>]) -> String {
    let line = |one: &Planned<'_>| {
        let body = match &one.body {
            Body::Artifact(artifact) => format!("= {}", artifact.target),
            Body::Text(text) => format!("text {text}"),
            Body::Md5Of(artifact) => format!("md5 of {}", artifact.target),
            Body::Unpacked(artifact) => format!("members of {}", artifact.target),
        };
        let last = if one.last { ", last" } else { "" };
        format!("{} {body} [{}{last}]", one.path, one.set)
    };
    planned.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn tree(layout_name: &str, picks: &[Pick<'_>]) -> String {
    lines(&named(layout_name).plan(picks).unwrap())
}

fn problems(layout_name: &str, picks: &[Pick<'_>]) -> String {
    let problems = named(layout_name).plan(picks).unwrap_err();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn layouts_have_unique_names_and_are_found_by_them() {
    let names: Vec<&str> = layouts().iter().map(|layout| layout.name()).collect();
    assert_eq!(names, ["plain", "defender-windows", "defender-vdi", "defender-offline", "clamav", "suricata", "apt"]);
    for name in names {
        assert_eq!(named(name).name(), name);
        assert!(!named(name).about().is_empty());
    }
    assert!(layout(&"unheard-of".parse().unwrap()).is_none());
}

#[test]
fn the_layouts_whose_clients_ignore_a_rollback_say_so() {
    let limited: Vec<&str> =
        layouts().iter().filter(|layout| layout.rollback_limit().is_some()).map(|layout| layout.name()).collect();
    assert_eq!(limited, ["clamav", "apt"]);
}
