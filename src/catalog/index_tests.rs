//! The index: what is replayed, what is noticed, what is written anew; and the bodies it answers from.

use std::sync::Arc;

use super::testing::{World, actor, commit, parse, product_added, release_added};
use super::{Catalog, CatalogError};
use crate::model::testing::dump;
use crate::model::{Artifact, Event, HoldScope};
use crate::store::{BlobRecord, BlobStore as _, IndexOrigin};

fn hold(product: &str) -> Event {
    let (product, reason) = (parse(product), parse("why"));
    Event::HoldAdded { product, version: None, scope: HoldScope::Everyone, reason, expires_at: None }
}

/// A product with a release of two bodies, one of them small, and a hold.
async fn fill(catalog: &Arc<Catalog>) -> Vec<Artifact> {
    commit(catalog, vec![product_added("p")]).await;
    let release = release_added(catalog, "p", "1.0", &[b"small", b"longer than sixteen bytes"]).await;
    commit(catalog, vec![release, hold("p")]).await;
    artifacts(catalog)
}

fn artifacts(catalog: &Catalog) -> Vec<Artifact> {
    catalog.snapshot().product(&parse("p")).unwrap().releases()[0].manifest.artifacts.clone()
}

/// The whole content of the index's trees but the position of the reports.
fn index_content(catalog: &Catalog) -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let mut content = Vec::new();
    for name in ["catalog", "blobs", "sha256"] {
        for entry in &catalog.index.tree(name).unwrap() {
            let (key, value) = entry.unwrap();
            content.push((name.to_owned(), key.to_vec(), value.to_vec()));
        }
    }
    content
}

#[tokio::test]
async fn a_current_index_replays_nothing_and_a_missing_one_everything() {
    let world = World::new();
    let (catalog, recovery) = world.open();
    assert_eq!((recovery.index, recovery.rewritten, recovery.replayed), (IndexOrigin::New, None, 0));
    fill(&catalog).await;
    let (before, content) = (dump(&catalog.snapshot()), index_content(&catalog));
    drop(catalog);
    let (catalog, recovery) = world.open();
    assert_eq!((recovery.index, recovery.rewritten, recovery.replayed), (IndexOrigin::Existing, None, 0));
    assert_eq!(dump(&catalog.snapshot()), before);
    drop(catalog);
    std::fs::remove_dir_all(&world.options.index_dir).unwrap();
    let (catalog, recovery) = world.open();
    assert_eq!((recovery.index, recovery.replayed), (IndexOrigin::New, 3));
    assert!(recovery.rewritten.is_some());
    assert_eq!(dump(&catalog.snapshot()), before);
    assert_eq!(index_content(&catalog), content, "a rebuilt index is the one that grew, byte for byte");
}

#[tokio::test]
async fn an_index_that_is_behind_catches_up() {
    let world = World::new();
    let catalog = world.catalog();
    commit(&catalog, vec![product_added("p")]).await;
    drop(catalog);
    let old = world.save_index("old");
    let catalog = world.catalog();
    let release = release_added(&catalog, "p", "1.0", &[b"small"]).await;
    commit(&catalog, vec![release, hold("p")]).await;
    let (before, content) = (dump(&catalog.snapshot()), index_content(&catalog));
    drop(catalog);
    world.restore_index(&old);
    let (catalog, recovery) = world.open();
    assert_eq!((recovery.replayed, recovery.rewritten), (2, None));
    assert_eq!(dump(&catalog.snapshot()), before);
    assert_eq!(index_content(&catalog), content);
}

/// The index of a first start, before any event, comes back after a crash that lost its later writes.
#[tokio::test]
async fn an_index_from_before_the_first_event_loses_nothing() {
    let world = World::new();
    drop(world.catalog());
    let empty = world.save_index("empty");
    let catalog = world.catalog();
    fill(&catalog).await;
    let (before, content) = (dump(&catalog.snapshot()), index_content(&catalog));
    drop(catalog);
    world.restore_index(&empty);
    for _ in 0..2 {
        let catalog = world.catalog();
        assert_eq!(dump(&catalog.snapshot()), before);
        assert_eq!(index_content(&catalog), content);
    }
}

#[tokio::test]
async fn damaged_missing_and_older_records_are_noticed() {
    let world = World::new();
    let catalog = world.catalog();
    fill(&catalog).await;
    let tree = catalog.index.tree("catalog").unwrap();
    let old: Vec<_> = tree.iter().map(Result::unwrap).collect();
    let holds = |key: &[u8]| key[0] == b'h';
    let (hold_key, old_hold) = old.iter().find(|(key, _)| holds(key)).cloned().unwrap();
    commit(&catalog, vec![Event::HoldLifted { hold: 3, reason: parse("fixed") }]).await;
    let (before, content) = (dump(&catalog.snapshot()), index_content(&catalog));
    let meta = tree.get(b"m").unwrap().unwrap();
    drop((tree, catalog));
    let mut flipped = old_hold.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    type Damage<'a> = Box<dyn Fn(&sled::Tree) + 'a>;
    let damages: [(&str, Damage<'_>); 8] = [
        ("missing", Box::new(|tree| drop(tree.remove(&hold_key).unwrap()))),
        ("older", Box::new(|tree| drop(tree.insert(&hold_key, &old_hold).unwrap()))),
        ("damaged", Box::new(|tree| drop(tree.insert(&hold_key, &*flipped).unwrap()))),
        ("empty", Box::new(|tree| drop(tree.insert(&hold_key, b"").unwrap()))),
        ("added", Box::new(|tree| drop(tree.insert(b"zz", b"").unwrap()))),
        (
            "meta of another schema",
            Box::new(|tree| drop(tree.insert(b"m", &[b"\x02", &meta[1..]].concat()[..]).unwrap())),
        ),
        ("no meta", Box::new(|tree| drop(tree.remove(b"m").unwrap()))),
        ("all gone", Box::new(|tree| tree.clear().unwrap())),
    ];
    for (name, damage) in damages {
        let catalog = world.catalog();
        damage(&catalog.index.tree("catalog").unwrap());
        drop(catalog);
        let (catalog, recovery) = world.open();
        assert!(recovery.rewritten.is_some(), "{name} was not noticed");
        assert_eq!(recovery.replayed, 4, "{name}");
        assert_eq!(dump(&catalog.snapshot()), before, "{name}");
        assert_eq!(index_content(&catalog), content, "{name}");
    }
}

#[tokio::test]
async fn a_foreign_journal_is_not_served_until_somebody_says_so() {
    let (world, mut other) = (World::new(), World::new());
    fill(&world.catalog()).await;
    let catalog = other.catalog();
    // As long as the other and longer: neither the position nor the head of the index is in it.
    commit(&catalog, ["a", "b", "c", "d"].map(product_added).to_vec()).await;
    let before = dump(&catalog.snapshot());
    drop(catalog);
    let foreign = world.save_index("foreign");
    let index = other.options.index_dir.clone();
    std::fs::remove_dir_all(&index).unwrap();
    std::fs::rename(foreign, index).unwrap();
    let error = other.try_open().map(drop).unwrap_err();
    assert!(matches!(error, CatalogError::JournalRewritten { .. }), "{error}");
    other.options.is_index_ignored = true;
    let (catalog, recovery) = other.open();
    assert_eq!(recovery.replayed, 4);
    assert_eq!(dump(&catalog.snapshot()), before);
    assert_eq!(catalog.indexed_blobs().unwrap(), 0, "blobs of the other journal are forgotten");
}

#[tokio::test]
async fn a_journal_that_lost_events_is_not_served() {
    let mut world = World::new();
    fill(&world.catalog()).await;
    let segment = world.options.journal_dir.join("00000001.jsonl");
    let text = std::fs::read_to_string(&segment).unwrap();
    let kept: Vec<&str> = text.split_inclusive('\n').take(2).collect();
    std::fs::write(&segment, kept.concat()).unwrap();
    let error = world.try_open().map(drop).unwrap_err();
    assert!(matches!(error, CatalogError::JournalCutShort { seq: 3 }), "{error}");
    assert!(error.to_string().contains("event 3") && error.to_string().contains("store rebuild"), "{error}");
    // The loss can be accepted, as the message says.
    world.options.is_index_ignored = true;
    let (catalog, _) = world.open();
    assert_eq!(catalog.snapshot().seq(), 2);
    drop(catalog);
    world.options.is_index_ignored = false;
    assert_eq!(world.open().1.replayed, 0);
}

#[tokio::test]
async fn small_bodies_come_from_the_index_and_large_ones_from_their_file() {
    let world = World::new();
    let catalog = world.catalog();
    let artifacts = fill(&catalog).await;
    let (small, large) = (&artifacts[0], &artifacts[1]);
    assert_eq!(catalog.body(&small.blake3, small.size).unwrap().unwrap(), "small");
    assert_eq!(catalog.body(&large.blake3, large.size).unwrap().unwrap(), "longer than sixteen bytes");
    assert!(catalog.blob_index.get(&small.blake3).unwrap().unwrap().inline.is_some());
    assert_eq!(catalog.blob_index.get(&large.blake3).unwrap().unwrap().inline, None);
    for artifact in &artifacts {
        catalog.store().remove_unless(&artifact.blake3, &|_| false).unwrap();
    }
    assert_eq!(catalog.body(&small.blake3, small.size).unwrap().unwrap(), "small", "needs no file");
    assert_eq!(catalog.body(&large.blake3, large.size).unwrap(), None);
    catalog.forget_blob(&small.blake3);
    assert_eq!(catalog.body(&small.blake3, small.size).unwrap(), None);
    assert_eq!(catalog.indexed_blobs().unwrap(), 1);
}

#[tokio::test]
async fn wrong_inline_bytes_are_never_served() {
    let world = World::new();
    let catalog = world.catalog();
    let small = fill(&catalog).await.remove(0);
    let wrong = BlobRecord { size: 5, sha256: small.sha256, inline: Some("SMALL".into()) };
    catalog.blob_index.put(&small.blake3, &wrong).unwrap();
    assert_eq!(catalog.body(&small.blake3, small.size).unwrap().unwrap(), "small", "the file is right and is served");
    catalog.index.tree("blobs").unwrap().insert(small.blake3.as_bytes(), b"nonsense").unwrap();
    assert_eq!(catalog.body(&small.blake3, small.size).unwrap().unwrap(), "small");
    catalog.blob_index.put(&small.blake3, &wrong).unwrap();
    catalog.store().remove_unless(&small.blake3, &|_| false).unwrap();
    assert_eq!(catalog.body(&small.blake3, small.size).unwrap(), None);
}

#[tokio::test]
async fn a_rebuild_while_serving_writes_all_records_again() {
    let world = World::new();
    let catalog = world.catalog();
    fill(&catalog).await;
    let content = index_content(&catalog);
    for name in ["catalog", "blobs", "sha256"] {
        catalog.index.tree(name).unwrap().clear().unwrap();
    }
    assert_eq!(catalog.rebuild_index().unwrap(), 2);
    assert_eq!(index_content(&catalog), content);
    let committed = catalog.commit(&actor("a"), |_, _| Ok::<_, &str>(vec![product_added("q")])).await.unwrap();
    let before = dump(&committed.snapshot);
    drop((committed, catalog));
    let (catalog, recovery) = world.open();
    assert_eq!((recovery.replayed, recovery.rewritten), (0, None));
    assert_eq!(dump(&catalog.snapshot()), before);
}
