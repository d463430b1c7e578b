//! Device reports: once each, over restarts and lost indexes, and for as long as they are kept.

use std::time::Duration;

use jiff::SignedDuration;

use super::testing::{World, parse};
use super::{Catalog, DeviceStatus, ReportOutcome};
use crate::model::{Report, ReportEvent};
use crate::sys::clock::Clock as _;

fn report(world: &World, id: &str, version: &str, event: ReportEvent) -> Report {
    Report {
        id: parse(id),
        device: parse("d"),
        product: parse("p"),
        version: parse(version),
        event,
        received_at: world.clock.now(),
        at: None,
        code: Some("0x80070643".into()),
        metrics: Default::default(),
    }
}

fn outcome(recorded: usize, repeated: usize) -> ReportOutcome {
    ReportOutcome { recorded, repeated }
}

fn status(catalog: &Catalog) -> Option<DeviceStatus> {
    catalog.device_status(&parse("d"), &parse("p")).unwrap()
}

fn lines(world: &World) -> usize {
    let files = std::fs::read_dir(&world.options.reports_dir).unwrap();
    files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap().lines().count()).sum()
}

#[tokio::test]
async fn a_report_counts_once_even_after_a_restart() {
    let world = World::new();
    let catalog = world.catalog();
    let one = || report(&world, "r1", "1.0", ReportEvent::Installed);
    assert_eq!(catalog.record_reports(vec![one(), one()]).await.unwrap(), outcome(1, 1));
    assert_eq!(catalog.record_reports(vec![one()]).await.unwrap(), outcome(0, 1));
    assert_eq!(catalog.record_reports(Vec::new()).await.unwrap(), outcome(0, 0));
    let other_device = Report { device: parse("e"), ..one() };
    assert_eq!(catalog.record_reports(vec![other_device]).await.unwrap(), outcome(1, 0));
    drop(catalog);
    let catalog = world.catalog();
    assert_eq!(catalog.record_reports(vec![one()]).await.unwrap(), outcome(0, 1));
    drop(catalog);
    // The lines alone tell the same.
    std::fs::remove_dir_all(&world.options.index_dir).unwrap();
    let catalog = world.catalog();
    assert_eq!(catalog.record_reports(vec![one()]).await.unwrap(), outcome(0, 1));
    assert_eq!(status(&catalog).unwrap().version, parse("1.0"));
    assert_eq!(lines(&world), 2);
}

#[tokio::test]
async fn the_status_is_what_the_newest_conclusive_report_said() {
    let world = World::new();
    let catalog = world.catalog();
    assert_eq!(status(&catalog), None);
    let record = async |catalog: &Catalog, id: &str, version: &str, event| {
        world.clock.advance(SignedDuration::from_secs(1));
        catalog.record_reports(vec![report(&world, id, version, event)]).await.unwrap();
        status(catalog).map(|status| (status.version.to_string(), status.event))
    };
    assert_eq!(record(&catalog, "r1", "1.0", ReportEvent::Offered).await, None);
    assert_eq!(record(&catalog, "r2", "1.0", ReportEvent::Fetched).await, None);
    let installed = Some(("1.0".to_owned(), ReportEvent::Installed));
    assert_eq!(record(&catalog, "r3", "1.0", ReportEvent::Installed).await, installed);
    assert_eq!(record(&catalog, "r4", "2.0", ReportEvent::Fetched).await, installed);
    let failed = Some(("2.0".to_owned(), ReportEvent::Failed));
    assert_eq!(record(&catalog, "r5", "2.0", ReportEvent::Failed).await, failed);
    // An old one that comes again does not count as the newest.
    assert_eq!(record(&catalog, "r3", "1.0", ReportEvent::Installed).await, failed);
    let before = status(&catalog);
    drop(catalog);
    assert_eq!(status(&world.catalog()), before);
    std::fs::remove_dir_all(&world.options.index_dir).unwrap();
    assert_eq!(status(&world.catalog()), before);
}

#[tokio::test]
async fn an_index_ahead_of_the_lines_or_behind_them_is_brought_in_line() {
    let world = World::new();
    let catalog = world.catalog();
    let report = |id: &str| report(&world, id, "1.0", ReportEvent::Healthy);
    catalog.record_reports(vec![report("r1")]).await.unwrap();
    drop(catalog);
    let behind = world.save_index("behind");
    let catalog = world.catalog();
    catalog.record_reports(vec![report("r2")]).await.unwrap();
    drop(catalog);
    world.restore_index(&behind);
    let catalog = world.catalog();
    assert_eq!(catalog.record_reports(vec![report("r1"), report("r2")]).await.unwrap(), outcome(0, 2));
    drop(catalog);
    // The index saw a line that never became durable: its report is new.
    let segment = std::fs::read_dir(&world.options.reports_dir).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.split_inclusive('\n').next().unwrap()).unwrap();
    let catalog = world.catalog();
    assert_eq!(catalog.record_reports(vec![report("r1"), report("r2")]).await.unwrap(), outcome(1, 1));
    assert_eq!(lines(&world), 2);
}

#[tokio::test]
async fn a_line_cut_off_by_a_crash_is_dropped_and_can_come_again() {
    let world = World::new();
    let catalog = world.catalog();
    let report = |id: &str| report(&world, id, "1.0", ReportEvent::Healthy);
    catalog.record_reports(vec![report("r1"), report("r2")]).await.unwrap();
    drop(catalog);
    let segment = std::fs::read_dir(&world.options.reports_dir).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &text[..text.len() - 5]).unwrap();
    let catalog = world.catalog();
    assert_eq!(catalog.record_reports(vec![report("r1"), report("r2")]).await.unwrap(), outcome(1, 1));
    assert_eq!(lines(&world), 2);
}

#[tokio::test]
async fn what_is_older_than_it_is_kept_goes_and_the_status_stays() {
    let mut world = World::new();
    // One line a segment. Times of writing are the file system's, so the clock has to show the present.
    world.options.reports.segment_max_bytes = 1;
    world.options.reports.keep_for = Duration::from_secs(3_600);
    world.clock.set(crate::sys::clock::SystemClock.now());
    let catalog = world.catalog();
    let report = |id: &str| report(&world, id, "1.0", ReportEvent::Installed);
    for id in ["r1", "r2", "r3"] {
        catalog.record_reports(vec![report(id)]).await.unwrap();
    }
    let oldest = report("r1");
    assert_eq!(catalog.remove_expired_reports().unwrap(), 0);
    world.clock.advance(SignedDuration::from_hours(2));
    let before = status(&catalog);
    let removed = catalog.remove_expired_reports().unwrap();
    assert!(removed >= 2, "only {removed} of three segments were removed");
    assert_eq!(catalog.remove_expired_reports().unwrap(), 0);
    assert_eq!(status(&catalog), before, "what a device last said outlives the report");
    assert_eq!(lines(&world), 3 - removed as usize);
    // As documented: what comes again that late is new.
    assert_eq!(catalog.record_reports(vec![oldest.clone()]).await.unwrap(), outcome(1, 0));
    drop(catalog);
    assert_eq!(world.catalog().record_reports(vec![oldest.clone()]).await.unwrap(), outcome(0, 1));
}
