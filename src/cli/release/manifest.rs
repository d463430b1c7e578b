use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde_json::json;
use sha2::Digest as _;

use crate::cli::CliError;
use crate::cli::output::{say_json, say_raw};
use crate::cli::publish::ArtifactArg;
use crate::gate::media_type_of;
use crate::model::{Artifact, Blake3Digest, Platform, ProductName, ReleaseManifest, Sha256Digest, Version};

/// Print the text that a publisher signs for a whole release
///
/// Reads the files and asks no server. Give the same product, version, artifacts, platform and barrier as to
/// `ringfence publish`; the names of the files make no difference, their targets do.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  ringfence release manifest acme-driver 2.1 --artifact acme.cab > acme-2.1.manifest
  minisign -S -s publisher.key -m acme-2.1.manifest
  ringfence publish acme-driver 2.1 --artifact acme.cab --signature acme-2.1.manifest.minisig")]
pub(in crate::cli) struct Args {
    /// The product
    product: ProductName,
    /// The version
    version: Version,
    /// A file of the release, as for `ringfence publish`
    #[arg(long = "artifact", value_name = "[[PLATFORM:]TARGET=]FILE", required = true)]
    artifacts: Vec<ArtifactArg>,
    /// What the artifacts without a platform of their own run on [default: any]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// Devices must install this release before any later one
    #[arg(long)]
    barrier: bool,
    /// Print the manifest and the release's digest as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        let Self { product, version, artifacts, platform, barrier, json: is_json } = self;
        let platform = platform.unwrap_or_else(Platform::any);
        let artifacts = artifacts.into_iter().map(|ArtifactArg { target, platform: own, file }| {
            let (size, blake3, sha256) =
                digests(&file).map_err(|cause| CliError::Failed(format!("{}: {cause}", file.display())))?;
            let media_type = media_type_of(&target);
            let platform = own.unwrap_or_else(|| platform.clone());
            Ok(Artifact { target, platform, size, blake3, sha256, media_type })
        });
        let mut artifacts = artifacts.collect::<Result<Vec<Artifact>, CliError>>()?;
        artifacts.sort_by(|a, b| (&a.target, &a.platform).cmp(&(&b.target, &b.platform)));
        let twice =
            artifacts.windows(2).find(|two| two[0].target == two[1].target && two[0].platform == two[1].platform);
        if let Some([artifact, _]) = twice {
            return Err(CliError::Usage(format!("{} is given twice for one platform", artifact.target)));
        }
        let manifest = ReleaseManifest { product, version, barrier, artifacts };
        if is_json {
            return say_json(&json!({ "release": manifest.id(), "manifest": manifest.text() }));
        }
        say_raw(manifest.text().as_bytes())
    }
}

fn digests(file: &Path) -> std::io::Result<(u64, Blake3Digest, Sha256Digest)> {
    let mut file = File::open(file)?;
    let (mut blake3, mut sha256, mut size) = (blake3::Hasher::new(), sha2::Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        blake3.update(&buffer[..count]);
        sha256.update(&buffer[..count]);
        size += count as u64;
    }
    let blake3 = Blake3Digest::from_bytes(*blake3.finalize().as_bytes());
    Ok((size, blake3, Sha256Digest::from_bytes(sha256.finalize().into())))
}
