//! Whatever the upstream sends: what is read is right, or an error.

use std::time::Duration;

use proptest::prelude::*;

use super::source::{TestSource, Turn, body};
use super::*;
use crate::store::BlobStore as _;

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => Just(Turn::Right),
        2 => Just(Turn::WrongByte),
        1 => (0..1_000_u64).prop_map(Turn::Short),
        1 => Just(Turn::Long),
        2 => (0..1_000_u64).prop_map(Turn::Breaks),
        1 => (0..1_000_u64).prop_map(Turn::Stalls),
        1 => Just(Turn::Away),
        1 => Just(Turn::NotThere),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_read_is_right_or_an_error(
        size in prop_oneof![0..2_000_usize, 900_000..5_000_000_usize],
        turns in proptest::collection::vec(turn(), 0..24),
        ranges in proptest::collection::vec((0..5_000_000_u64, 1..3_000_000_u64), 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut source = TestSource::default();
            let truth = body(size as u64, size);
            let object = source.add(truth.clone());
            let mirror = Arc::new(Mirror::of(source, PullOptions::default()));
            *mirror.source.turns.lock().unwrap() = turns.into();
            let mut readers = tokio::task::JoinSet::new();
            for (start, length) in ranges {
                let (mirror, truth) = (mirror.clone(), truth.clone());
                let start = start.min(object.size);
                let end = (start + length).min(object.size);
                readers.spawn(async move {
                    let (bytes, error) = mirror.read(object, start..end).await;
                    let whole = &truth[start as usize..end as usize];
                    assert!(whole.starts_with(&bytes), "wrong bytes were given out");
                    assert!(error.is_some() || bytes.len() == whole.len());
                });
            }
            while let Some(reader) = readers.join_next().await {
                reader.unwrap();
            }
            if let Some(stored) = mirror.store.open(&object.blake3, object.size).unwrap() {
                assert_eq!(stored.bytes, truth);
            }
            // Once it tells the truth again, the blob comes in.
            mirror.source.turns.lock().unwrap().clear();
            tokio::time::sleep(Duration::from_secs(60)).await;
            let pull = mirror.pulls.pull(object, Urgency::Background).unwrap();
            pull.complete().await.unwrap();
            assert_eq!(mirror.store.open(&object.blake3, object.size).unwrap().unwrap().bytes, truth);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_lies_is_blamed_and_nothing_wrong_is_served() {
    for (what, lie) in [("list", 0), ("group", 1)] {
        let mut source = TestSource::default();
        let truth = body(30, 3 << 20);
        let object = source.add(truth.clone());
        let mirror = Mirror::of(source, PullOptions::default());
        let turns = std::iter::repeat_n(Turn::Right, lie);
        *mirror.source.turns.lock().unwrap() = turns.collect();
        *mirror.source.always.lock().unwrap() = Some(Turn::WrongByte);
        let (bytes, error) = mirror.read(object, 1 << 20..object.size).await;
        assert!(matches!(error, Some(PullError::Wrong(_))), "{what}: {error:?}");
        assert!(truth[1 << 20..].starts_with(&bytes) && bytes.len() < 2 << 20, "{what}: {} bytes", bytes.len());
        let blame = mirror.pulls.figures().last_blame().unwrap();
        assert!(blame.what.contains(what), "{blame:?}");
        assert_eq!(mirror.store.size(&object.blake3).unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn one_wrong_answer_is_forgiven() {
    for lie in 0..2 {
        let mut source = TestSource::default();
        let truth = body(31, 3 << 20);
        let object = source.add(truth.clone());
        let mirror = Mirror::of(source, PullOptions::default());
        let turns = std::iter::repeat_n(Turn::Right, lie).chain([Turn::WrongByte]);
        *mirror.source.turns.lock().unwrap() = turns.collect();
        let (bytes, error) = mirror.read(object, 0..object.size).await;
        assert!(error.is_none(), "{error:?}");
        assert!(bytes == truth);
        assert_eq!(mirror.pulls.figures().last_blame(), None);
        assert_eq!(mirror.pulls.figures().counts().wrong_groups, 1);
    }
}
