//! Reading the text of a release's manifest.

use crate::model::{Artifact, Platform, ReleaseManifest};

/// The longest manifest that is read.
pub const MANIFEST_MAX_BYTES: usize = 8 << 20;

/// A text is not the text of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not the text of a release's manifest")]
pub struct NotAManifest;

/// Reads what [`ReleaseManifest::text`] writes, and nothing else.
pub fn parse_manifest(text: &str) -> Result<ReleaseManifest, NotAManifest> {
    if text.len() > MANIFEST_MAX_BYTES {
        return Err(NotAManifest);
    }
    let read = read(text).ok_or(NotAManifest)?;
    if read.text() == text { Ok(read) } else { Err(NotAManifest) }
}

fn read(text: &str) -> Option<ReleaseManifest> {
    let mut lines = text.lines();
    if lines.next() != Some("ringfence release 1") {
        return None;
    }
    let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    let (product, version) = (value("product")?.parse().ok()?, value("version")?.parse().ok()?);
    let barrier = value("barrier")?.parse().ok()?;
    let artifacts = lines.map(artifact).collect::<Option<Vec<_>>>()?;
    Some(ReleaseManifest { product, version, barrier, artifacts })
}

fn artifact(line: &str) -> Option<Artifact> {
    let words: Vec<&str> = line.splitn(7, ' ').collect();
    let ["artifact", platform, size, blake3, sha256, media_type, target] = words[..] else { return None };
    Some(Artifact {
        target: target.parse().ok()?,
        platform: platform.parse::<Platform>().ok()?,
        size: size.parse().ok()?,
        blake3: blake3.parse().ok()?,
        sha256: sha256.parse().ok()?,
        media_type: media_type.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Blake3Digest, Sha256Digest};

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let artifact = |target: &str| Artifact {
            target: target.parse().unwrap(),
            platform: "windows-x64".parse().unwrap(),
            size: 5,
            blake3: Blake3Digest::of(b"bytes"),
            sha256: Sha256Digest::of(b"bytes"),
            media_type: "application/octet-stream".into(),
        };
        let (product, version) = ("av".parse().unwrap(), "1.2".parse().unwrap());
        let artifacts = vec![artifact("a/b.bin"), artifact("c.bin")];
        let manifest = ReleaseManifest { product, version, barrier: true, artifacts };
        let text = manifest.text();
        assert_eq!(parse_manifest(&text), Ok(manifest));
        let climbing = text.replace("a/b.bin", "../b.bin");
        let respelt = text.replace(" 5 ", " 05 ");
        for bad in ["", text.trim_end(), &text[1..], &climbing, &respelt, &text.replace("true", "True")] {
            assert_eq!(parse_manifest(bad), Err(NotAManifest), "{bad}");
        }
    }
}
