//! Whatever the order, whatever comes twice: the same end, and nothing before it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use proptest::prelude::*;

use super::world::{Given, Site, noise};
use crate::bundle::import::{Begun, ImportError};
use crate::model::BundleId;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_site_and_then_an_increment() {
    let site = Site::new();
    let run = site.start();
    let (one, two) = (noise(1, 40_000), b"the same again, ".repeat(400));
    let first = Given::new(1, &[&one, &two]);
    let bundle = first.bundle();
    let needed = run.needed(&bundle).await;
    assert_eq!(needed.missing_objects, 3);
    assert!(!needed.first.is_empty(), "the state tells the rest");
    let refused = run.finish(&bundle).await.unwrap_err();
    assert!(matches!(refused, ImportError::Partial { count: 3, .. }), "{refused}");
    let done = run.import(&bundle).await.unwrap();
    assert!(!done.was_applied && run.shows(&first.bodies));
    assert_eq!(done.root, Some(bundle.manifest.root));
    assert!(matches!(run.begin(&bundle).await.unwrap(), Begun::Applied(again) if again.was_applied));
    assert_eq!(run.imports.open_count(), 0);
    assert_eq!(std::fs::read_dir(&site.options.dir).unwrap().count(), 0);

    let three = noise(3, 100_000);
    let second = Given::new(2, &[&two, &three]).over(&[&two]);
    let increment = second.bundle();
    let needed = run.needed(&increment).await;
    assert_eq!(needed.missing_objects, 2, "what the site has does not come again");
    assert!(run.shows(&first.bodies), "nothing is visible early");
    run.import(&increment).await.unwrap();
    assert!(run.shows(&second.bodies));
    let own = run.catalog.snapshot().own_site().cloned().unwrap();
    assert_eq!(own.applied.as_ref().unwrap().0.bundle, increment.id);
    // A site changes nothing itself any more.
    let events = vec![crate::catalog::testing::product_added("own")];
    let by = crate::catalog::testing::actor("ada");
    let refused = run.catalog.commit(&by, |_, _| Ok::<_, std::convert::Infallible>(events)).await.unwrap_err();
    assert!(refused.to_string().starts_with("this server is the offline site plant-7"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_was_skipped_is_no_obstacle_if_its_base_is_here() {
    let site = Site::new();
    let run = site.start();
    let (one, two, three) = (noise(1, 5_000), noise(2, 5_000), noise(3, 5_000));
    run.import(&Given::new(1, &[&one]).bundle()).await.unwrap();
    let third = Given::new(3, &[&one, &three]).over(&[&one]);
    run.import(&third.bundle()).await.unwrap();
    assert!(run.shows(&third.bodies));
    // And one whose base never came names what is missing, by id.
    let fourth = Given::new(4, &[&one, &two, &three]).over(&[&one, &two, &three]).bundle();
    let needed = run.needed(&fourth).await;
    for span in needed.first {
        run.send(&fourth, span).await;
    }
    let refused = run.begin(&fourth).await.unwrap_err();
    let missing = crate::model::Blake3Digest::of(&two);
    assert!(matches!(&refused, ImportError::BaseMissing { ids, count: 1 } if *ids == [missing]), "{refused}");
    assert!(run.shows(&third.bodies));
    assert_eq!(run.imports.open_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_objects_and_two_senders_at_once() {
    let site = Site::new();
    let run = site.start();
    let bodies: Vec<Vec<u8>> = (0..1_500).map(|seed| noise(seed, 300 + seed as usize % 700)).collect();
    let all: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
    let mut given = Given::new(1, &all);
    given.make.volume_bytes = 256 * 1024;
    let bundle = given.bundle();
    let spans = run.needed(&bundle).await.spans;
    assert!(spans.len() > 3 && spans.len() == bundle.volumes.len(), "parts that lie together are one piece");
    for two in spans.chunks(2) {
        let both = two.iter().map(|span| run.send(&bundle, *span));
        futures_join(both).await;
    }
    run.finish(&bundle).await.unwrap();
    assert!(run.shows(&bodies));
}

async fn futures_join(all: impl Iterator<Item = impl Future<Output = crate::bundle::import::Taken>>) {
    let mut all: Vec<_> = all.collect();
    match all.len() {
        2 => {
            let (second, first) = (all.pop().unwrap(), all.pop().unwrap());
            tokio::join!(first, second);
        }
        _ => {
            for one in all {
                one.await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_goes_away_while_parts_are_put_together_leaves_the_way_to_the_next() {
    let site = Site::new();
    let run = site.start();
    let given = Given::new(1, &[&noise(1, 50_000)]);
    let bundle = given.bundle();
    let spans = run.needed(&bundle).await.spans;
    assert!(spans.len() > 2, "the body is in several parts");
    for span in spans {
        let bytes = bundle.volumes[span.volume as usize - 1][span.offset as usize..][..span.size as usize].to_vec();
        let stuck = Stuck(Some(bytes.into()));
        let taking = run.imports.take(&bundle.id, span.volume, span.offset, stuck);
        tokio::time::timeout(Duration::from_millis(300), taking).await.unwrap_err();
    }
    let needed = run.needed(&bundle).await;
    assert!(needed.missing_objects > 0 && !needed.spans.is_empty(), "{needed:?}");
    for span in needed.spans {
        run.send(&bundle, span).await;
    }
    run.finish(&bundle).await.unwrap();
    assert!(run.shows(&given.bodies));
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_came_by_themselves_are_put_together_by_whoever_sends_them_again() {
    let site = Site::new();
    let run = site.start();
    let given = Given::new(1, &[&noise(1, 50_000)]);
    let bundle = given.bundle();
    let needed = run.needed(&bundle).await;
    // As the threads leave them whose sender went away, after the next one was told what to send.
    let session = run.imports.session(&bundle.id).unwrap();
    let split: Vec<_> = bundle.manifest.objects.iter().filter(|object| object.parts.len() > 1).collect();
    assert_eq!(split.len(), 1, "the body is in several parts");
    for (number, part) in split[0].parts.iter().enumerate() {
        let bytes = &bundle.volumes[part.volume as usize - 1][part.offset as usize..][..part.size as usize];
        std::fs::write(session.part_path(split[0], number), bytes).unwrap();
    }
    for span in needed.spans {
        run.send(&bundle, span).await;
    }
    run.finish(&bundle).await.unwrap();
    assert!(run.shows(&given.bodies));
}

/// A body that gives these bytes and then nothing, not even its end.
struct Stuck(Option<Bytes>);

impl Body for Stuck {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        self.0.take().map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_large_body_is_unpacked_at_a_time_and_the_others_wait() {
    let site = Site::new();
    let run = site.start();
    // The second of them is packed.
    let bodies = [noise(1, 100), b"the same again, ".repeat(40_000)];
    let mut given = Given::new(1, &[&bodies[0], &bodies[1]]);
    given.make.volume_bytes = 1 << 20;
    let bundle = given.bundle();
    let spans = run.needed(&bundle).await.spans;
    let turn = run.imports.unpacking.clone().acquire_owned().await.unwrap();
    let sending = async {
        for span in spans {
            run.send(&bundle, span).await;
        }
    };
    let mut sending = Box::pin(sending);
    tokio::time::timeout(Duration::from_millis(300), &mut sending).await.unwrap_err();
    drop(turn);
    sending.await;
    run.finish(&bundle).await.unwrap();
    assert!(run.shows(&given.bodies));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_imports_are_open_at_most_and_one_can_be_given_up() {
    let site = Site::new();
    let run = site.start();
    let bundles: Vec<_> = (1..=3).map(|sequence| Given::new(sequence, &[&noise(sequence, 900)]).bundle()).collect();
    run.needed(&bundles[0]).await;
    run.needed(&bundles[1]).await;
    let refused = run.begin(&bundles[2]).await.unwrap_err();
    assert!(matches!(&refused, ImportError::TooMany { open } if open.len() == 2), "{refused}");
    assert!(run.imports.abandon(&bundles[0].id));
    assert!(!run.imports.abandon(&BundleId(crate::model::Blake3Digest::of(b"none"))));
    run.import(&bundles[2]).await.unwrap();
    // The second could not be ended any more.
    assert_eq!(run.imports.open_count(), 0);
    let refused = run.take(&bundles[1], 1, 0, b"x").await.unwrap_err();
    assert!(matches!(refused, ImportError::NotOpen(_)), "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Volumes in any order, some of them twice, some damaged or cut at first, with restarts between them.
    #[test]
    fn volumes_come_in_any_order_again_and_again(
        sizes in prop::collection::vec(1usize..60_000, 1..8),
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0u8..5, any::<prop::sample::Index>()), 0..20),
    ) {
        runtime().block_on(async move {
            let site = Site::in_memory();
            let mut run = site.start();
            let bodies: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(seed, size)| noise(seed as u64, *size)).collect();
            let all: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
            let bundle = Given::new(1, &all).bundle();
            run.needed(&bundle).await;
            for (volume, how, place) in steps {
                let index = volume.index(bundle.volumes.len());
                let mut bytes = bundle.volumes[index].clone();
                let place = place.index(bytes.len());
                match how {
                    0 => bytes.truncate(place),
                    1 => bytes[place] ^= 0x10,
                    2 => {
                        drop(run);
                        run = site.start();
                        prop_assert_eq!(run.imports.open_count(), 1, "a restart finds it again");
                    }
                    _ => {}
                }
                let number = u32::try_from(index).unwrap() + 1;
                // From the beginning, or from anywhere.
                let (offset, bytes) = if how == 3 { (place, &bytes[place..]) } else { (0, &bytes[..]) };
                run.take(&bundle, number, offset as u64, bytes).await.unwrap();
                let is_whole = run.finish(&bundle).await.is_ok();
                prop_assert_eq!(run.shows(&bodies), is_whole);
                if is_whole {
                    return Ok(());
                }
            }
            run.import(&bundle).await.unwrap();
            prop_assert!(run.shows(&bodies));
            Ok(())
        })?;
    }
}
