//! What an honest upstream makes of it: one transfer, the right order, and going on after breaks.

use std::time::Duration;

use tokio::time::Instant;

use super::source::{TestSource, Turn, body};
use super::*;
use crate::model::Sha256Digest;
use crate::store::BlobStore as _;

const MIB: usize = 1 << 20;

#[tokio::test(start_paused = true)]
async fn blobs_of_all_lengths_come_in_whole() {
    let mut source = TestSource::default();
    let sizes = [0, 1, 1_000, MIB - 1, MIB, MIB + 1, 2 * MIB, 9 * MIB + 17];
    let bodies: Vec<_> = sizes.iter().map(|size| body(*size as u64, *size)).collect();
    let objects: Vec<_> = bodies.iter().map(|body| source.add(body.clone())).collect();
    let mirror = Mirror::of(source, PullOptions::default());
    for (object, body) in objects.iter().zip(&bodies) {
        let (bytes, error) = mirror.read(*object, 0..object.size).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!(bytes, body[..], "{} bytes", object.size);
        mirror.pulls.pull(*object, Urgency::OnDemand).unwrap().complete().await.unwrap();
        assert_eq!(mirror.store.open(&object.blake3, object.size).unwrap().unwrap().bytes, *body);
    }
    assert_eq!(mirror.source.sent(), sizes.iter().sum::<usize>() as u64, "each byte was sent once");
    assert_eq!((mirror.partials(), mirror.pulls.under_way()), (0, (0, 0)));
    assert_eq!(mirror.pulls.figures().counts().completed, sizes.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn five_hundred_readers_cause_one_transfer() {
    let mut source = TestSource::paced(4_000_000);
    let truth = body(1, 20 * MIB);
    let object = source.add(truth.clone());
    let mirror = Arc::new(Mirror::of(source, PullOptions::default()));
    let mut readers = tokio::task::JoinSet::new();
    for reader in 0..500_u64 {
        let (mirror, truth) = (mirror.clone(), truth.clone());
        readers.spawn(async move {
            tokio::time::sleep(Duration::from_millis(reader * 3)).await;
            let start = if reader % 2 == 0 { 0 } else { reader * 40_000 };
            let (bytes, error) = mirror.read(object, start..object.size).await;
            assert!(error.is_none(), "{error:?}");
            assert!(bytes == truth[start as usize..], "reader {reader} got other bytes");
        });
    }
    while let Some(reader) = readers.join_next().await {
        reader.unwrap();
    }
    assert_eq!(mirror.pulls.figures().counts().waiters, 0);
    let (sent, size) = (mirror.source.sent(), object.size);
    // A range makes room for what somebody waits for, which costs what of it was on its way: a piece each time.
    assert!((size..size + size / 20).contains(&sent), "{sent} bytes were sent for a blob of {size}");
    assert_eq!(mirror.source.lists.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn the_end_is_there_before_the_rest_for_who_waits_for_it() {
    let mut source = TestSource::paced(1 << 20);
    let object = source.add(body(2, 100 * MIB));
    let mirror = Mirror::of(source, PullOptions::default());
    let background = mirror.pulls.pull(object, Urgency::Background).unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begun = Instant::now();
    let (bytes, error) = mirror.read(object, object.size - 10..object.size).await;
    assert!(error.is_none() && bytes.len() == 10);
    assert!(begun.elapsed() < Duration::from_secs(4), "the end came after {:?}", begun.elapsed());
    assert!(background.failure().is_none());
    assert!(!background.has_all());
}

#[tokio::test(start_paused = true)]
async fn a_broken_transfer_goes_on_where_it_broke() {
    let mut source = TestSource::default();
    let truth = body(3, 16 * MIB);
    let object = source.add(truth.clone());
    let mirror = Mirror::of(source, PullOptions::default());
    let breaks = [Turn::Right].into_iter().chain((0..40).map(|turn| match turn % 3 {
        0 => Turn::Breaks(30 + turn * 7),
        1 => Turn::Stalls(50),
        _ => Turn::Short(90),
    }));
    *mirror.source.turns.lock().unwrap() = breaks.collect();
    let (bytes, error) = mirror.read(object, 0..object.size).await;
    assert!(error.is_none(), "{error:?}");
    assert!(bytes == truth);
    assert_eq!(mirror.source.sent(), object.size, "nothing is sent twice");
    assert!(mirror.pulls.figures().counts().broken_ranges >= 40);
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_with_what_is_there() {
    let mut source = TestSource::paced(1 << 20);
    let truth = body(4, 40 * MIB);
    let object = source.add(truth.clone());
    let mirror = Mirror::of(source, PullOptions::default());
    let pull = mirror.pulls.pull(object, Urgency::Background).unwrap();
    pull.ready(0..5 << 20).await.unwrap();
    mirror.stop.cancel();
    assert!(matches!(pull.complete().await, Err(PullError::Stopped)));
    drop(pull);
    let first = mirror.source.sent();
    assert!(first >= 5 << 20);
    let Mirror { store, pulls, dir, .. } = mirror;
    // What still runs on a blocking thread must not write into the next life's file.
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop((store, pulls));
    let mut source = TestSource::default();
    source.add(truth.clone());
    let mirror = Mirror::at(dir, source, PullOptions::default());
    let (bytes, error) = mirror.read(object, 0..object.size).await;
    assert!(error.is_none(), "{error:?}");
    assert!(bytes == truth);
    let second = mirror.source.sent();
    assert!(second <= object.size - (5 << 20), "{second} of {} bytes were sent again", object.size);
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_is_away_is_said_soon_and_asked_again_later() {
    let mut source = TestSource::default();
    let (small, large) = (source.add(body(5, 1_000)), source.add(body(6, 3 * MIB)));
    let mirror = Mirror::of(source, PullOptions::default());
    *mirror.source.always.lock().unwrap() = Some(Turn::Away);
    for object in [small, large] {
        let begun = Instant::now();
        let pull = mirror.pulls.pull(object, Urgency::OnDemand).unwrap();
        assert!(matches!(pull.begun().await, Err(PullError::Away(_))));
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        // Everybody else is told the same without a new attempt.
        let before = mirror.source.ranges.lock().unwrap().len();
        assert!(matches!(mirror.pulls.pull(object, Urgency::OnDemand), Err(PullError::Away(_))));
        assert_eq!(mirror.source.ranges.lock().unwrap().len(), before);
    }
    *mirror.source.always.lock().unwrap() = None;
    tokio::time::sleep(Duration::from_secs(3)).await;
    for object in [small, large] {
        assert_eq!(mirror.read(object, 0..object.size).await.0.len() as u64, object.size);
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_blob_is_replaced() {
    let mut source = TestSource::default();
    let truth = body(7, 5_000);
    let object = source.add(truth.clone());
    let mirror = Mirror::of(source, PullOptions::default());
    mirror.pulls.pull(object, Urgency::OnDemand).unwrap().complete().await.unwrap();
    let path = mirror.store.path(&object.blake3);
    for damage in [&truth[..4_999], &body(8, 5_000)[..]] {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, damage).unwrap();
        // A fresh look: what was mapped before stays readable, and right.
        let store = Arc::new(FsBlobs::open(mirror.dir.path(), &FsBlobsOptions::default()).unwrap());
        let places = (store, mirror.dir.path().join("partial"));
        let stop = CancellationToken::new();
        let options = PullOptions::default();
        let pulls = Pulls::new(mirror.source.clone(), places, options, Arc::new(SystemClock), stop);
        let pull = pulls.pull(object, Urgency::OnDemand).unwrap();
        pull.ready(0..object.size).await.unwrap();
        assert_eq!(pull.bytes(0..object.size).unwrap().unwrap(), truth);
        pull.complete().await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), truth);
    }
}

#[tokio::test(start_paused = true)]
async fn a_blob_with_another_sha256_is_not_taken() {
    let mut source = TestSource::default();
    let object = ObjectRef { sha256: Sha256Digest::of(b"another"), ..source.add(body(9, 3 * MIB)) };
    let mirror = Mirror::of(source, PullOptions::default());
    let pull = mirror.pulls.pull(object, Urgency::Background).unwrap();
    assert!(matches!(pull.complete().await, Err(PullError::Wrong(_))));
    assert_eq!(mirror.store.size(&object.blake3).unwrap(), None);
    assert_eq!(mirror.pulls.figures().last_blame().unwrap().blob, object.blake3);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_are_under_way() {
    let mut source = TestSource::paced(1_000);
    let objects: Vec<_> = (0..4).map(|seed| source.add(body(10 + seed, 10_000))).collect();
    let mirror = Mirror::of(source, PullOptions { partial_max: 3, waiters_max: 2, ..PullOptions::default() });
    let pulls: Vec<_> =
        objects[..3].iter().map(|object| mirror.pulls.pull(*object, Urgency::OnDemand).unwrap()).collect();
    assert!(matches!(mirror.pulls.pull(objects[3], Urgency::OnDemand), Err(PullError::Busy(3))));
    let readings: Vec<_> = (0..2).map(|_| mirror.pulls.read(&pulls[0], 0..10).unwrap()).collect();
    assert!(matches!(mirror.pulls.read(&pulls[0], 0..10), Err(PullError::Busy(2))));
    drop(readings);
    mirror.pulls.read(&pulls[0], 0..10).unwrap();
    for pull in pulls {
        pull.complete().await.unwrap();
    }
    mirror.pulls.pull(objects[3], Urgency::OnDemand).unwrap().complete().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn filling_waits_for_its_window_and_devices_do_not() {
    let mut source = TestSource::default();
    let (filled, asked) = (source.add(body(20, 3 * MIB)), source.add(body(21, 3 * MIB)));
    let mirror = Mirror::of(source, PullOptions::default());
    mirror.pulls.open_background(false);
    let filled = mirror.pulls.pull(filled, Urgency::Background).unwrap();
    assert_eq!(mirror.read(asked, 0..asked.size).await.0.len() as u64, asked.size);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((mirror.source.sent(), filled.has_all()), (3 << 20, false));
    mirror.pulls.open_background(true);
    filled.complete().await.unwrap();
}
