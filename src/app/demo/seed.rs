//! The demo's history: a policy, devices, a week of releases, a hold, and what the devices reported.

use std::path::Path;

use bytes::Bytes;
use http_body_util::Full;
use jiff::SignedDuration;

use super::clock::DemoClock;
use super::content::{KnownFiles, this_program};
use crate::app::{AppError, Core};
use crate::control::{self, NewHold};
use crate::gate::Declared;
use crate::model::{
    Actor, AttributeName, Class, Device, HoldScope, Platform, ProductName, Reason, Report, ReportEvent, Tag,
    TargetName, Version,
};
use crate::policy::{Requester, decide};
use crate::publish::{NewArtifact, NewRelease};
use crate::sys::clock::{Clock as _, SystemClock};

/// The product of class `intelligence`.
pub(super) const INTELLIGENCE: &str = "demo-intelligence";
/// The product of class `platform`.
pub(super) const PLATFORM: &str = "demo-agent";
/// Versions of the intelligence product, and how many hours ago each was published.
const INTELLIGENCE_RELEASES: [(&str, i64); 5] =
    [("1.427.1.0", 144), ("1.427.2.0", 72), ("1.427.3.0", 30), ("1.427.4.0", 3), ("1.427.5.0", 0)];
/// Versions of the platform product, and how many hours ago each was published.
const PLATFORM_RELEASES: [(&str, i64); 3] = [("4.18.1", 192), ("4.18.2", 96), ("4.18.3", 2)];
/// Simulated devices of each kind: id prefix, tag, department.
const DEVICES: [(&str, Option<&str>, Option<&str>, usize); 5] = [
    ("canary", Some("canary"), None, 20),
    ("dev", None, Some("development"), 60),
    ("dc", None, None, 4),
    ("pos", None, None, 40),
    ("laptop", None, Some("sales"), 200),
];

/// Makes the demo's history in an empty data directory.
pub(super) async fn seed(core: &Core, clock: &DemoClock, policy: &str) -> Result<(), AppError> {
    let now = SystemClock.now();
    let ago = |hours: i64| now - SignedDuration::from_hours(hours);
    let (publisher, approver) = (actor("pat")?, actor("alex")?);
    clock.set(Some(ago(200)));
    control::apply_policy(&core.catalog, &publisher, policy.to_owned(), None).await?;
    control::import_devices(&core.catalog, &publisher, devices()?).await?;
    let (intelligence, platform) = (name(INTELLIGENCE)?, name(PLATFORM)?);
    control::add_product(&core.catalog, &publisher, &intelligence, Class::Intelligence).await?;
    control::add_product(&core.catalog, &publisher, &platform, Class::Platform).await?;

    let known = KnownFiles::collect(Path::new("/usr/bin")).map_err(AppError::demo)?;
    let program = this_program().map_err(AppError::demo)?;
    let steps = INTELLIGENCE_RELEASES.len();
    let mut releases: Vec<(i64, &ProductName, &str, Files)> = Vec::new();
    for (step, (version, hours)) in INTELLIGENCE_RELEASES.iter().enumerate() {
        releases.push((*hours, &intelligence, version, vec![("known-files.hsb", known.version(step + 1, steps))]));
    }
    for (version, hours) in PLATFORM_RELEASES {
        let notes = Bytes::from(format!(
            "demo-agent {version}\n\nThe program is the same, these notes are new:\nonly they take space.\n"
        ));
        releases.push((hours, &platform, version, vec![("ringfence", program.clone()), ("RELEASE-NOTES.txt", notes)]));
    }
    releases.sort_by_key(|(hours, ..)| std::cmp::Reverse(*hours));
    for (hours, product, version, files) in releases {
        clock.set(Some(ago(hours)));
        let version: Version = version.parse().map_err(AppError::demo)?;
        publish(core, &publisher, product, &version, files).await?;
        if *product == platform {
            control::approve_release(&core.catalog, &approver, product, &version, None).await?;
        }
    }
    clock.set(None);
    hold_at_terminals(core, &approver, &platform).await?;
    report_installed(core, [&intelligence, &platform]).await
}

/// Artifacts to be: target and bytes.
type Files = Vec<(&'static str, Bytes)>;

async fn publish(
    core: &Core,
    publisher: &Actor,
    product: &ProductName,
    version: &Version,
    files: Files,
) -> Result<(), AppError> {
    let mut artifacts = Vec::new();
    for (target, bytes) in files {
        let uploads = core.publisher.uploads();
        let upload = uploads.create(publisher, bytes.len() as u64).await.map_err(AppError::demo)?;
        uploads.append(publisher, &upload, 0, Full::new(bytes)).await.map_err(AppError::demo)?;
        let target: TargetName = target.parse().map_err(AppError::demo)?;
        let declared = Declared { target, platform: Platform::any(), size: None, blake3: None, sha256: None };
        artifacts.push(NewArtifact { declared, upload });
    }
    let (product, version) = (product.clone(), version.clone());
    let release =
        NewRelease { product, version, is_barrier: false, is_older_allowed: false, artifacts, signatures: Vec::new() };
    core.publisher.publish(publisher, release).await.map_err(AppError::demo)?;
    Ok(())
}

async fn hold_at_terminals(core: &Core, author: &Actor, product: &ProductName) -> Result<(), AppError> {
    let hold = NewHold {
        product: product.clone(),
        version: Some(parse("4.18.2")?),
        scope: HoldScope::Group(parse("payment-terminals")?),
        reason: parse::<Reason>("card reader driver not certified yet")?,
        expires_at: None,
    };
    control::add_hold(&core.catalog, author, hold).await?;
    Ok(())
}

/// Every simulated device fetches and installs what is decided for it.
async fn report_installed(core: &Core, products: [&ProductName; 2]) -> Result<(), AppError> {
    let (snapshot, now) = (core.catalog.snapshot(), core.catalog.now());
    let mut reports = Vec::new();
    for (id, _) in snapshot.devices() {
        for product in products {
            let requester = Requester { device: Some(id), address: None, platform: None, current: None };
            let Some(release) = decide(&snapshot, &requester, product, now).release else { continue };
            reports.push(Report {
                id: parse(&format!("demo-{product}"))?,
                device: id.clone(),
                product: product.clone(),
                version: release.version().clone(),
                event: ReportEvent::Installed,
                received_at: now,
                at: None,
                code: None,
                metrics: Default::default(),
            });
        }
    }
    core.catalog.record_reports(reports).await.map_err(AppError::demo)?;
    Ok(())
}

fn devices() -> Result<Vec<Device>, AppError> {
    let mut devices = Vec::new();
    for (prefix, tag, department, count) in DEVICES {
        for index in 1..=count {
            let mut device: Device = Device {
                id: parse(&format!("{prefix}-{index:03}"))?,
                platform: None,
                tags: Default::default(),
                attributes: Default::default(),
            };
            if let Some(tag) = tag {
                device.tags.insert(parse::<Tag>(tag)?);
            }
            if let Some(department) = department {
                device.attributes.insert(parse::<AttributeName>("department")?, department.to_owned());
            }
            devices.push(device);
        }
    }
    Ok(devices)
}

fn parse<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(text: &str) -> Result<T, AppError> {
    text.parse().map_err(AppError::demo)
}

fn actor(text: &str) -> Result<Actor, AppError> {
    parse(text)
}

fn name(text: &str) -> Result<ProductName, AppError> {
    parse(text)
}

/// Whether a kept data directory has its history already.
pub(super) fn is_seeded(core: &Core) -> bool {
    core.catalog.snapshot().products().len() > 0
}
