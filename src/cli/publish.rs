use std::io::Read as _;
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::json;

use super::connect::ServerArgs;
use super::output::{BOLD, counted, say, size, state, styled};
use super::{CliError, answer, upload};
use crate::model::{ApprovalRule, Platform, ProductName, ReleaseState, TargetName, Version};
use crate::signing::SIGNATURE_MAX_BYTES;

/// Publish a version: send its files, then make them one release
///
/// The files are sent to the server one after the other; a broken connection is taken up where it broke. Then they
/// become one release, wholly or not at all. The same version with the same bytes again is a success that says so;
/// with other bytes it is refused: take a higher version.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringfence publish defender-intelligence 1.427.3.0 --artifact mpam-fe.exe
  ringfence publish defender-intelligence 1.427.3.0 \\
      --artifact windows-x64:x64/mpam-fe.exe=out/x64.exe \\
      --artifact windows-x86:x86/mpam-fe.exe=out/x86.exe")]
pub(super) struct Args {
    /// The product, added before
    product: ProductName,
    /// Dotted numbers such as 1.427.3.0, above the product's newest
    version: Version,
    /// A file of the release: a file's path alone is published under the file's name
    #[arg(long = "artifact", value_name = "[[PLATFORM:]TARGET=]FILE", required = true)]
    artifacts: Vec<ArtifactArg>,
    /// What the artifacts without a platform of their own run on, for example windows-x64 [default: any]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// A minisign signature by a trusted key: over the release's manifest (see `ringfence release manifest`), over the
    /// only artifact, or with TARGET= over that artifact
    #[arg(long = "signature", value_name = "[TARGET=]FILE")]
    signatures: Vec<SignatureArg>,
    /// Devices must install this release before any later one
    #[arg(long)]
    barrier: bool,
    /// Allow a version below the product's newest
    #[arg(long)]
    allow_older: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// One `--artifact`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ArtifactArg {
    pub(super) target: TargetName,
    pub(super) platform: Option<Platform>,
    pub(super) file: PathBuf,
}

impl FromStr for ArtifactArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, file)) = text.split_once('=') else {
            let file = PathBuf::from(text);
            let name = file.file_name().and_then(|name| name.to_str()).ok_or("this is no file's path")?;
            let target =
                name.parse().map_err(|error| format!("{error}; name it yourself: --artifact TARGET={text}"))?;
            return Ok(Self { target, platform: None, file });
        };
        if file.is_empty() {
            return Err("after '=' comes the file's path".to_owned());
        }
        let (platform, target) = match name.split_once(':') {
            Some((platform, target)) => {
                (Some(platform.parse::<Platform>().map_err(|error| error.to_string())?), target)
            }
            None => (None, name),
        };
        Ok(Self { target: target.parse().map_err(|error| format!("{error}"))?, platform, file: file.into() })
    }
}

/// One `--signature`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignatureArg {
    target: Option<TargetName>,
    file: PathBuf,
}

impl FromStr for SignatureArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (target, file) = match text.split_once('=') {
            Some((target, file)) => (Some(target.parse().map_err(|error| format!("{error}"))?), file),
            None => (None, text),
        };
        if file.is_empty() {
            return Err("the signature file's path is missing".to_owned());
        }
        Ok(Self { target, file: file.into() })
    }
}

impl SignatureArg {
    /// As the server takes it.
    fn read(&self) -> Result<serde_json::Value, CliError> {
        let failed = |cause: std::io::Error| CliError::Failed(format!("{}: {cause}", self.file.display()));
        let mut text = String::new();
        let file = std::fs::File::open(&self.file).map_err(failed)?;
        file.take(SIGNATURE_MAX_BYTES as u64 + 1).read_to_string(&mut text).map_err(failed)?;
        match &self.target {
            Some(target) => Ok(json!({ "target": target, "signature": text })),
            None => Ok(json!({ "signature": text })),
        }
    }
}

impl Args {
    pub(super) fn run(self) -> Result<(), CliError> {
        self.check()?;
        let signatures = self.signatures.iter().map(SignatureArg::read).collect::<Result<Vec<_>, _>>()?;
        let session = self.server.session()?;
        // Asked before gigabytes are sent for nothing; an unknown product is the server's own refusal.
        session.get(&format!("/v1/products/{}/releases", self.product))?;
        let mut artifacts = Vec::with_capacity(self.artifacts.len());
        for ArtifactArg { target, platform, file } in &self.artifacts {
            let uploaded = upload::send(&session, file)?;
            let mut artifact = json!({ "target": target, "upload": uploaded.id, "size": uploaded.size });
            if let Some(platform) = platform.as_ref().or(self.platform.as_ref()) {
                artifact["platform"] = json!(platform);
            }
            if let Some(blake3) = uploaded.blake3 {
                artifact["blake3"] = json!(blake3);
            }
            artifacts.push(artifact);
        }
        let body = json!({
            "version": self.version, "barrier": self.barrier, "allow_older": self.allow_older, "artifacts": artifacts,
            "signatures": signatures,
        });
        let answer = session.post_patiently(&format!("/v1/products/{}/releases", self.product), &body)?;
        session.show(answer, |release| said(&release))
    }

    /// Finds what is wrong before anything is sent.
    fn check(&self) -> Result<(), CliError> {
        let mut seen = std::collections::BTreeSet::new();
        for ArtifactArg { target, platform, file } in &self.artifacts {
            let platform = platform.as_ref().or(self.platform.as_ref());
            if !seen.insert((target.case_fold(), platform)) {
                return Err(CliError::Usage(format!("{target} is given twice for one platform")));
            }
            let metadata =
                std::fs::metadata(file).map_err(|cause| CliError::Failed(format!("{}: {cause}", file.display())))?;
            if !metadata.is_file() {
                return Err(CliError::Failed(format!("{}: it is not a file", file.display())));
            }
        }
        Ok(())
    }
}

fn said(release: &answer::Release) -> Result<(), CliError> {
    let answer::Release { product, version, state: stands, .. } = release;
    let name = styled(BOLD, format_args!("{product} {version}"));
    let bytes: u64 = release.artifacts.iter().map(|artifact| artifact.size).sum();
    let files = format!("{}, {}", counted(release.artifacts.len() as u64, "artifact"), size(bytes));
    if release.already_published {
        say(format_args!("{name} was there already, with the same bytes ({files}): nothing changed."))?;
    } else {
        say(format_args!("{name} is stored ({files})."))?;
    }
    say(format_args!("  release  {}", release.release))?;
    say(format_args!("  state    {}", state(stands.as_str())))?;
    if release.kernel_mode {
        say("  kernel   it brings code that runs in a kernel, as every offer of it says")?;
    }
    let next = match (stands, release.approval) {
        (ReleaseState::Draft, ApprovalRule::Other) => {
            format!("Next, by someone else than {}: ringfence release approve {product} {version}", release.added_by)
        }
        (ReleaseState::Draft, _) => format!("Next: ringfence release approve {product} {version}"),
        (ReleaseState::Approved, _) => "It is approved, and no device sees it yet.".to_owned(),
        (ReleaseState::Published, _) => {
            format!("Devices see it as the policy decides: ringfence explain DEVICE {product}")
        }
        (ReleaseState::Withdrawn, _) => "It was withdrawn: no device sees it. Publish a higher version.".to_owned(),
    };
    say(next)
}
