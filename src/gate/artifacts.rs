//! Gates on the set of artifacts: declared against observed, and names that fit every file system.

use std::collections::HashMap;

use super::Finding;
use crate::model::{Blake3Digest, Platform, Sha256Digest, TargetName};

/// What the publisher said of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its path.
    pub target: TargetName,
    /// What it runs on.
    pub platform: Platform,
    /// Its length in bytes, if declared.
    pub size: Option<u64>,
    /// Its BLAKE3 digest, if declared.
    pub blake3: Option<Blake3Digest>,
    /// Its SHA-256 digest, if declared.
    pub sha256: Option<Sha256Digest>,
}

/// What was measured on the bytes that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// Length in bytes.
    pub size: u64,
    /// BLAKE3.
    pub blake3: Blake3Digest,
    /// SHA-256.
    pub sha256: Sha256Digest,
}

/// Everything that is wrong with a set of artifacts; nothing if they may be published. `max` bounds their number, and
/// with it the length of the manifest's journal line.
pub fn check_artifacts(artifacts: &[(Declared, Observed)], max: usize) -> Vec<Finding> {
    if artifacts.is_empty() {
        return vec![Finding::NoArtifacts];
    }
    if artifacts.len() > max {
        return vec![Finding::TooManyArtifacts { count: artifacts.len(), max }];
    }
    let mut findings = Vec::new();
    for (declared, observed) in artifacts {
        check_bytes(declared, observed, &mut findings);
    }
    check_names(artifacts.iter().map(|(declared, _)| declared), &mut findings);
    findings
}

/// The media type by the target's last extension, `application/octet-stream` where it tells nothing. Fixed by the name,
/// so that the same artifacts always make the same manifest.
pub fn media_type_of(target: &TargetName) -> String {
    mime_guess::from_path(target.as_str()).first_or_octet_stream().essence_str().to_owned()
}

fn check_bytes(declared: &Declared, observed: &Observed, findings: &mut Vec<Finding>) {
    let target = &declared.target;
    if let Some(size) = declared.size.filter(|size| *size != observed.size) {
        findings.push(Finding::SizeDiffers { target: target.clone(), declared: size, observed: observed.size });
    }
    let blake3 = declared.blake3.filter(|digest| *digest != observed.blake3);
    let sha256 = declared.sha256.filter(|digest| *digest != observed.sha256);
    let differing = [
        blake3.map(|digest| ("blake3", digest.to_hex(), observed.blake3.to_hex())),
        sha256.map(|digest| ("sha256", digest.to_hex(), observed.sha256.to_hex())),
    ];
    for (algorithm, declared, observed) in differing.into_iter().flatten() {
        findings.push(Finding::DigestDiffers { target: target.clone(), algorithm, declared, observed });
    }
}

fn check_names<'a>(artifacts: impl Iterator<Item = &'a Declared> + Clone, findings: &mut Vec<Finding>) {
    // By folded path: the first spelling, and the platforms it was seen for.
    let mut seen: HashMap<String, (&TargetName, Vec<&Platform>)> = HashMap::new();
    for Declared { target, platform, .. } in artifacts.clone() {
        let (first, platforms) = seen.entry(target.case_fold()).or_insert_with(|| (target, Vec::new()));
        if *first != target {
            findings.push(Finding::CaseCollision { first: (*first).clone(), second: target.clone() });
        } else if platforms.contains(&platform) {
            findings.push(Finding::Duplicate { target: target.clone(), platform: platform.clone() });
        }
        platforms.push(platform);
    }
    for Declared { target, .. } in artifacts {
        let folded = target.case_fold();
        let parents = folded.match_indices('/').map(|(at, _)| &folded[..at]);
        if let Some((file, _)) = parents.filter_map(|parent| seen.get(parent)).next() {
            findings.push(Finding::FileIsFolder { file: (*file).clone(), below: target.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(target: &str, platform: &str) -> (Declared, Observed) {
        let (blake3, sha256) = (Blake3Digest::of(b"x"), Sha256Digest::of(b"x"));
        let target = target.parse().unwrap();
        let platform = platform.parse().unwrap();
        (Declared { target, platform, size: None, blake3: None, sha256: None }, Observed { size: 1, blake3, sha256 })
    }

    #[test]
    fn a_sound_set_has_no_findings() {
        let set = [
            artifact("x64/mpam-fe.exe", "windows-x64"),
            artifact("x64/mpam-fe.exe", "windows-arm64"),
            artifact("x86/a", "any"),
        ];
        assert_eq!(check_artifacts(&set, 10), []);
    }

    #[test]
    fn all_findings_come_at_once() {
        let (mut lying, observed) = artifact("a", "any");
        lying.size = Some(2);
        lying.sha256 = Some(Sha256Digest::of(b"y"));
        let set = [
            (lying, observed),
            artifact("A", "any"),
            artifact("b", "any"),
            artifact("b", "any"),
            artifact("b/c", "any"),
        ];
        let kinds: Vec<_> = check_artifacts(&set, 10)
            .into_iter()
            .map(|finding| match finding {
                Finding::SizeDiffers { .. } => "size",
                Finding::DigestDiffers { .. } => "digest",
                Finding::CaseCollision { .. } => "case",
                Finding::Duplicate { .. } => "duplicate",
                Finding::FileIsFolder { .. } => "folder",
                other => panic!("{other}"),
            })
            .collect();
        assert_eq!(kinds, ["size", "digest", "case", "duplicate", "folder"]);
    }

    #[test]
    fn an_empty_release_is_refused() {
        assert_eq!(check_artifacts(&[], 10), [Finding::NoArtifacts]);
    }
}
