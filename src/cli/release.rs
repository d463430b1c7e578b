mod inspection;
mod manifest;

use serde_json::json;

use super::confirm::{YesArgs, confirm};
use super::connect::ServerArgs;
use super::output::{BOLD, counted, say, say_table, size, state, state_cell, styled};
use super::{CliError, answer, time};
use crate::model::{ProductName, Reason, ReleaseId, Version};

/// List, look at, approve and withdraw releases, and print what publishers sign
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    List(ListArgs),
    Show(ShowArgs),
    Approve(ApproveArgs),
    Withdraw(WithdrawArgs),
    Manifest(manifest::Args),
}

/// List a product's releases, newest first, and then the versions that the gates turned down
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// The product
    product: ProductName,
    #[command(flatten)]
    server: ServerArgs,
}

/// Show a release with its artifacts, what the gates saw in it and what happened to it; or why they turned it down
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// The product
    product: ProductName,
    /// The version
    version: Version,
    #[command(flatten)]
    server: ServerArgs,
}

/// Approve a release, so that devices may see it as the policy decides
#[derive(Debug, clap::Args)]
pub(super) struct ApproveArgs {
    /// The product
    product: ProductName,
    /// The version
    version: Version,
    /// Approve only if the release has this digest: exactly the bytes you looked at
    #[arg(long, value_name = "DIGEST")]
    release: Option<ReleaseId>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Take a release back for good: no device sees it again
///
/// To keep it from some devices, or for a time, use `ringfence hold add` instead.
#[derive(Debug, clap::Args)]
pub(super) struct WithdrawArgs {
    /// The product
    product: ProductName,
    /// The version
    version: Version,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    #[command(flatten)]
    yes: YesArgs,
    #[command(flatten)]
    server: ServerArgs,
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::List(args) => args.run(),
            Self::Show(args) => args.run(),
            Self::Approve(args) => args.run(),
            Self::Withdraw(args) => args.run(),
            Self::Manifest(args) => args.run(),
        }
    }
}

fn path(product: &ProductName, version: &Version) -> String {
    format!("/v1/products/{product}/releases/{version}")
}

impl ListArgs {
    fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let answer = session.get(&format!("/v1/products/{}/releases", self.product))?;
        session.show(answer, |answer::Releases { mut releases }| {
            releases.sort_by_key(|release| match release {
                answer::AnyRelease::Release(release) => (0, std::cmp::Reverse(release.sequence)),
                answer::AnyRelease::Refused(_) => (1, std::cmp::Reverse(0)),
            });
            let rows = releases.into_iter().map(|release| {
                let release = match release {
                    answer::AnyRelease::Release(release) => release,
                    answer::AnyRelease::Refused(refused) => return inspection::row(refused),
                };
                let bytes = release.artifacts.iter().map(|artifact| artifact.size).sum();
                let published = time::shown_or(release.published_at, "-");
                let mut word = release.state.as_str().to_owned();
                if release.barrier {
                    word.push_str(" (barrier)");
                }
                if release.kernel_mode {
                    word.push_str(" (kernel mode)");
                }
                vec![
                    release.version.into(),
                    state_cell(word),
                    release.artifacts.len().to_string().into(),
                    size(bytes).into(),
                    published.into(),
                    release.added_by.into(),
                ]
            });
            let none =
                format!("No releases yet. Publish one: ringfence publish {} VERSION --artifact FILE", self.product);
            say_table(&["version", "state", "artifacts", "size", "published", "publisher"], rows.collect(), &none)
        })
    }
}

impl ShowArgs {
    fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let answer = session.get(&path(&self.product, &self.version))?;
        session.show(answer, |release| match release {
            answer::AnyRelease::Release(release) => said(&release),
            answer::AnyRelease::Refused(refused) => inspection::said_refused(&refused),
        })
    }
}

fn said(release: &answer::Release) -> Result<(), CliError> {
    let name = styled(BOLD, format_args!("{} {}", release.product, release.version));
    let barrier = if release.barrier { ", a barrier" } else { "" };
    say(format_args!("{name}: {}{barrier}, number {}", state(release.state.as_str()), release.sequence))?;
    say(format_args!("  release    {}", release.release))?;
    say(format_args!("  added      {} by {}", time::shown(release.added_at), release.added_by))?;
    if let (Some(at), Some(by)) = (release.approved_at, &release.approved_by) {
        say(format_args!("  approved   {} by {by}", time::shown(at)))?;
    }
    if let Some(at) = release.published_at {
        say(format_args!("  published  {}", time::shown(at)))?;
    }
    if let Some(answer::Withdrawn { at, by, reason }) = &release.withdrawn {
        say(format_args!("  withdrawn  {} by {by}: {reason}", time::shown(*at)))?;
    }
    inspection::said(release.kernel_mode, release.inspection.as_ref())?;
    for artifact in &release.artifacts {
        let answer::Artifact { target, platform, media_type, .. } = artifact;
        say(format_args!("\n  {target}  ({platform}, {}, {media_type})", size(artifact.size)))?;
        say(format_args!("    blake3  {}\n    sha256  {}", artifact.blake3, artifact.sha256))?;
    }
    Ok(())
}

impl ApproveArgs {
    fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let body = self.release.map_or_else(|| json!({}), |release| json!({ "release": release }));
        let answer = session.post(&format!("{}/approve", path(&self.product, &self.version)), &body)?;
        session.show(answer, |release: answer::Release| {
            let word = state(release.state.as_str());
            say(format_args!("{} {} is approved and now {word}.", release.product, release.version))?;
            say(format_args!("Next: ringfence explain DEVICE {}", release.product))
        })
    }
}

impl WithdrawArgs {
    fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let release: answer::Release = session.read(session.get(&path(&self.product, &self.version))?)?;
        let status: answer::Status = session.read(session.get("/v1/status")?)?;
        let what = format!(
            "{} {} (now {}) will be withdrawn for good. All {} are decided anew at once, and none sees it again.",
            release.product,
            release.version,
            release.state.as_str(),
            counted(status.devices, "device"),
        );
        confirm(&what, self.yes)?;
        let withdraw = format!("{}/withdraw", path(&self.product, &self.version));
        let answer = session.post(&withdraw, &json!({ "reason": self.reason }))?;
        session.show(answer, |release: answer::Release| {
            say(format_args!("{} {} is {}.", release.product, release.version, state(release.state.as_str())))
        })
    }
}
