use std::io::IsTerminal as _;
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::of_medium;
use super::report::{Report, Signer};
use crate::bundle::{
    Audit, BundleManifest, BundleRefusal, ManifestError, Medium, OriginTrust, Survey, VolumeState, audit, verify,
};
use crate::cli::CliError;
use crate::cli::key::read_key;
use crate::cli::local;
use crate::cli::output::{YELLOW, counted, note, styled};
use crate::model::{BundleId, PublicKey};

const NO_KEY: &str = "without the origin's public key nobody can say whose bundle this is: `ringfence key show` prints \
                      it at the origin; give it with --key, or look at what the bundle claims with --unverified";

/// Say what a bundle is, and whether it is the origin's; with --verify also whether every byte of it is
///
/// It needs no server, only the origin's public key, and never changes the medium. The key is what `ringfence key show`
/// prints at the origin; a newer key that it vouches for is as good. What a patch gives can only be seen at the site,
/// where its base is: of patches only the packed bytes are verified.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 8 says that a volume is damaged, or another bundle's, or with --verify missing; 10 that the bundle is not the
origin's.

Examples:
  ringfence bundle inspect /media/stick/plant-7-0012 --key origin.pub
  ringfence bundle inspect . --key RWRlbmRsZXMx… --verify")]
pub(in crate::cli) struct Args {
    /// The directory with BUNDLE.json, BUNDLE.sig and the volumes
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The origin's public key, or its file; may be given several times
    #[arg(long = "key", value_name = "KEY|FILE")]
    keys: Vec<String>,
    /// Show what the bundle claims without verifying that an origin signed it
    #[arg(long, conflicts_with_all = ["keys", "verify"])]
    unverified: bool,
    /// Read all volumes that are here, and verify every part, and every body that can be made without the site
    #[arg(long)]
    verify: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self) -> Result<(), CliError> {
        if self.keys.is_empty() && !self.unverified {
            return Err(CliError::Usage(NO_KEY.to_owned()));
        }
        let keys = self.keys.iter().map(|key| read_key(key)).collect::<Result<Vec<_>, _>>()?;
        let medium = Medium::open(&self.dir).map_err(of_medium)?;
        let (manifest, bundle, signer) = self.read(&medium, keys)?;
        let survey = medium.survey(&manifest);
        let audit = self.verify.then(|| self.audit(&medium, &manifest, &survey));
        let report =
            Report { manifest: &manifest, bundle, signer, survey: &survey, audit: audit.as_ref(), now: local::now() };
        report.print(self.json)?;
        refuse_damage(&survey, audit.as_ref())
    }

    fn read(&self, medium: &Medium, keys: Vec<PublicKey>) -> Result<(BundleManifest, BundleId, Signer), CliError> {
        let text = medium.manifest().map_err(of_medium)?;
        if self.unverified {
            let text = String::from_utf8(text)
                .map_err(|_| of_manifest(&ManifestError::Malformed { why: "it is no text".into() }))?;
            let (manifest, bundle) = BundleManifest::parse(&text).map_err(|error| of_manifest(&error))?;
            note(styled(
                YELLOW,
                "NOT VERIFIED: anybody may have written this bundle. Give the origin's key with --key.",
            ));
            return Ok((manifest, bundle, Signer::Unverified));
        }
        let signature = medium.signature().map_err(of_medium)?;
        let verified = verify(&text, signature.as_deref(), &OriginTrust::in_keys(keys));
        let (manifest, bundle, signer) = verified.map_err(|refusal| of_refusal(&refusal))?;
        Ok((manifest, bundle, Signer::Verified(signer)))
    }

    fn audit(&self, medium: &Medium, manifest: &BundleManifest, survey: &Survey) -> Audit {
        let is_shown = !self.json && std::io::stderr().is_terminal();
        let bar = if is_shown { bar(manifest.totals.volume_bytes) } else { ProgressBar::hidden() };
        let audit = audit(medium, manifest, &survey.volumes, |bytes| bar.inc(bytes));
        bar.finish_and_clear();
        audit
    }
}

fn bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
    let template = "verifying {bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Fails where something is not as it should be. Volumes that are only not here are nothing to complain about, unless
/// all were to be read.
fn refuse_damage(survey: &Survey, audit: Option<&Audit>) -> Result<(), CliError> {
    let count = |is: fn(&VolumeState) -> bool| survey.volumes.iter().filter(|state| is(state)).count() as u64;
    let missing = count(|state| *state == VolumeState::Missing);
    let present = count(|state| *state == VolumeState::Present);
    let wrong = survey.volumes.len() as u64 - missing - present;
    let found = audit.map_or(0, |audit| audit.findings.len() as u64);
    let missing = if audit.is_some() { missing } else { 0 };
    if wrong + found + missing == 0 {
        return Ok(());
    }
    let mut what = Vec::new();
    if wrong > 0 {
        what.push(format!("{} not as signed", counted(wrong, "volume")));
    }
    if missing > 0 {
        what.push(format!("{} missing", counted(missing, "volume")));
    }
    if found > 0 {
        what.push(counted(found, "finding"));
    }
    Err(CliError::Damage(format!("the bundle is not whole here: {}", what.join(", "))))
}

fn of_manifest(error: &ManifestError) -> CliError {
    CliError::Input(error.to_string())
}

fn of_refusal(refusal: &BundleRefusal) -> CliError {
    match refusal {
        BundleRefusal::Manifest(error) => of_manifest(error),
        refusal => CliError::NotBelieved(refusal.to_string()),
    }
}
