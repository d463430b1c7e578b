//! What is said of a bundle.

use std::collections::BTreeMap;

use comfy_table::Cell;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::bundle::{Audit, BundleManifest, Survey, VolumeState};
use crate::cli::CliError;
use crate::cli::output::{BOLD, GREEN, RED, YELLOW, counted, grouped, say, say_json, say_table, size, styled};
use crate::cli::time::shown;
use crate::model::{BundleBase, BundleId, PublicKey};

/// How many findings are said on the terminal; `--json` has them all.
const FINDINGS_SAID: usize = 20;

/// Who signed a bundle.
#[derive(Debug)]
pub(super) enum Signer {
    /// Nobody looked.
    Unverified,
    /// A key that counts.
    Verified(PublicKey),
}

/// All that is known of a bundle on a medium.
pub(super) struct Report<'a> {
    pub(super) manifest: &'a BundleManifest,
    pub(super) bundle: BundleId,
    pub(super) signer: Signer,
    pub(super) survey: &'a Survey,
    pub(super) audit: Option<&'a Audit>,
    pub(super) now: Timestamp,
}

#[derive(Debug, Default, serde::Serialize)]
struct Sums {
    objects: u64,
    bytes: u64,
    packed_bytes: u64,
}

impl Report<'_> {
    pub(super) fn print(&self, is_json: bool) -> Result<(), CliError> {
        if is_json {
            return say_json(&self.json());
        }
        for (name, value) in self.lines() {
            say(format_args!("{name:<16} {value}"))?;
        }
        say("")?;
        say_table(&["volume", "size", "parts", "state"], self.volumes(), "No volumes.")?;
        if !self.survey.ignored.is_empty() {
            say(format_args!("\nAlso there, and not of this bundle: {}", self.survey.ignored.join(", ")))?;
        }
        self.audit.map_or(Ok(()), say_audit)
    }

    fn is_expired(&self) -> bool {
        self.manifest.expires <= self.now
    }

    fn encodings(&self) -> BTreeMap<&'static str, Sums> {
        let mut encodings: BTreeMap<&'static str, Sums> = BTreeMap::new();
        for object in &self.manifest.objects {
            let sums = encodings.entry(object.encoding.as_str()).or_default();
            sums.objects += 1;
            sums.bytes += object.size;
            sums.packed_bytes += object.packed.size;
        }
        encodings
    }

    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let manifest = self.manifest;
        let expires = match self.is_expired() {
            true => styled(RED, format_args!("{} (expired)", shown(manifest.expires))),
            false => shown(manifest.expires),
        };
        let signer = match &self.signer {
            Signer::Verified(key) => styled(GREEN, format_args!("key {}, verified", key.id)),
            Signer::Unverified => styled(YELLOW, format_args!("NOT VERIFIED; it says by key {}", manifest.issuer)),
        };
        let groups: Vec<&str> = manifest.groups.iter().map(|group| group.as_str()).collect();
        let totals = manifest.totals;
        let mut lines = vec![
            ("site", styled(BOLD, &manifest.site)),
            ("bundle", self.bundle.to_string()),
            ("sequence", manifest.sequence.to_string()),
            ("starts from", base(&manifest.base)),
            ("made", shown(manifest.created)),
            ("import before", expires),
            ("signed by", signer),
            ("groups", groups.join(", ")),
            ("journal", format!("event {}", manifest.journal.sequence)),
            (
                "objects",
                format!("{}, {}", counted(totals.objects, "object"), packed(totals.bytes, totals.packed_bytes)),
            ),
        ];
        for (encoding, sums) in self.encodings() {
            let said = format!("{}, {}", counted(sums.objects, "object"), packed(sums.bytes, sums.packed_bytes));
            lines.push((indented(encoding), said));
        }
        let held = manifest.held;
        lines.push(("removals", counted(manifest.removals.len() as u64, "object")));
        lines.push(("then holds", format!("{}, {}", counted(held.objects, "object"), size(held.bytes))));
        lines.push(("root", manifest.root.to_string()));
        lines
    }

    fn volumes(&self) -> Vec<Vec<Cell>> {
        let rows = self.manifest.volumes.iter().zip(&self.survey.volumes).map(|(volume, state)| {
            let state = match why(state) {
                Some(why) => format!("{}: {why}", state.as_str().replace('_', " ")),
                None => state.as_str().to_owned(),
            };
            vec![volume.name.clone().into(), size(volume.size).into(), volume.parts.into(), state.into()]
        });
        rows.collect()
    }

    pub(super) fn json(&self) -> Value {
        let manifest = self.manifest;
        let volumes: Vec<Value> = manifest
            .volumes
            .iter()
            .zip(&self.survey.volumes)
            .map(|(volume, state)| {
                json!({
                    "name": volume.name, "size": volume.size, "parts": volume.parts, "state": state.as_str(),
                    "why": why(state),
                })
            })
            .collect();
        let verified = self.audit.map(|audit| {
            json!({
                "whole": audit.whole, "patches": audit.patches, "elsewhere": audit.elsewhere, "bytes": audit.bytes,
                "findings": audit.findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        });
        let signer = match &self.signer {
            Signer::Verified(key) => Some(key),
            Signer::Unverified => None,
        };
        json!({
            "site": manifest.site, "bundle": self.bundle, "sequence": manifest.sequence,
            "previous": manifest.previous, "base": manifest.base, "created": manifest.created,
            "expires": manifest.expires, "expired": self.is_expired(), "issuer": manifest.issuer, "signer": signer,
            "groups": manifest.groups, "journal": manifest.journal, "state": manifest.state, "root": manifest.root,
            "held": manifest.held, "totals": manifest.totals, "encodings": self.encodings(),
            "removals": manifest.removals.len(), "volumes": volumes, "ignored": self.survey.ignored,
            "verified": verified,
        })
    }
}

fn indented(encoding: &str) -> &'static str {
    match encoding {
        "raw" => "  raw",
        "zstd" => "  zstd",
        _ => "  patch",
    }
}

fn packed(bytes: u64, packed_bytes: u64) -> String {
    match bytes == packed_bytes {
        true => size(bytes),
        false => format!("{} packed in {}", size(bytes), size(packed_bytes)),
    }
}

fn base(base: &BundleBase) -> String {
    match base {
        BundleBase::Full => "nothing: everything is in it".to_owned(),
        BundleBase::Proven { receipt, bundle, .. } => {
            format!("what the site proved to hold after bundle {bundle} (receipt {receipt})")
        }
        BundleBase::Assumed { bundle, .. } => {
            format!("what bundle {bundle} brings, which no receipt has acknowledged")
        }
    }
}

/// What more there is to say of a volume's state.
fn why(state: &VolumeState) -> Option<String> {
    match state {
        VolumeState::Present | VolumeState::Missing => None,
        VolumeState::WrongSize { found } => Some(format!("it has {found} bytes, so copy it again")),
        VolumeState::Other(other) => Some(other.to_string()),
        VolumeState::Unreadable(error) => Some(error.to_string()),
    }
}

fn patches(count: u64) -> String {
    match count {
        1 => "1 patch".to_owned(),
        count => format!("{} patches", grouped(count)),
    }
}

fn say_audit(audit: &Audit) -> Result<(), CliError> {
    let read = format!("{} read, {} verified by both digests", size(audit.bytes), counted(audit.whole, "object"));
    let mut line = format!("\nVerified: {read}");
    if audit.patches > 0 {
        line.push_str(&format!(", {} as packed", patches(audit.patches)));
    }
    if audit.elsewhere > 0 {
        line.push_str(&format!(", {} partly in volumes that are not here", counted(audit.elsewhere, "object")));
    }
    say(line)?;
    for finding in audit.findings.iter().take(FINDINGS_SAID) {
        say(styled(RED, finding))?;
    }
    match audit.findings.len().checked_sub(FINDINGS_SAID) {
        Some(more) if more > 0 => say(format_args!("and {more} more; --json has them all")),
        _ => Ok(()),
    }
}
