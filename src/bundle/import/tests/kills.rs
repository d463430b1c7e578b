//! What is kept over a restart.

use super::world::{Given, Site, noise};
use crate::catalog::testing::commit;
use crate::model::Blake3Digest;
use crate::store::{BlobStore as _, Removal};

#[tokio::test(flavor = "multi_thread")]
async fn an_import_goes_on_after_a_restart_and_no_sweep_touches_it() {
    let site = Site::new();
    let run = site.start();
    let (one, two) = (noise(1, 50_000), noise(2, 3_000));
    let bundle = Given::new(1, &[&one, &two]).bundle();
    let needed = run.needed(&bundle).await;
    run.send(&bundle, needed.spans[0]).await;
    let left = run.needed(&bundle).await.missing_objects;
    let (catalog, imports) = (run.catalog, run.imports);
    drop((catalog, imports));

    let run = site.start();
    assert_eq!(run.imports.open_count(), 1);
    let needed = run.needed(&bundle).await;
    assert_eq!(needed.missing_objects, left);
    for object in &bundle.manifest.objects {
        assert!(!matches!(run.catalog.store().remove(&object.blake3).unwrap(), Removal::Removed(_)));
    }
    for span in needed.spans {
        run.send(&bundle, span).await;
    }
    run.finish(&bundle).await.unwrap();
    assert!(run.shows(&[one, two]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_half_written_is_removed_at_the_start() {
    let site = Site::new();
    let bundle = Given::new(1, &[&noise(1, 50_000)]).bundle();
    site.start().needed(&bundle).await;
    let dir = site.options.dir.join(bundle.id.to_string());
    std::fs::remove_file(dir.join("trust.json")).unwrap();
    std::fs::create_dir(site.options.dir.join("stray")).unwrap();
    let run = site.start();
    assert_eq!(run.imports.open_count(), 0);
    assert_eq!(std::fs::read_dir(&site.options.dir).unwrap().count(), 0);
    run.import(&bundle).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_overtaken_is_removed_at_the_start() {
    let site = Site::new();
    let run = site.start();
    let (first, second) = (Given::new(1, &[&noise(1, 500)]).bundle(), Given::new(2, &[&noise(2, 500)]).bundle());
    run.import(&second).await.unwrap();
    drop(run);
    let dir = site.options.dir.join(first.id.to_string());
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("BUNDLE.json"), &first.text).unwrap();
    std::fs::write(dir.join("BUNDLE.sig"), &first.signature).unwrap();
    std::fs::write(dir.join("trust.json"), r#"{"keys":[],"retired":[]}"#).unwrap();
    let run = site.start();
    assert_eq!(run.imports.open_count(), 0);
    assert!(!dir.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_missing_under_way_is_found_before_anything_is_visible() {
    let site = Site::new();
    let run = site.start();
    let (one, two) = (noise(1, 5_000), noise(2, 3_000));
    let bundle = Given::new(1, &[&one, &two]).bundle();
    for span in run.needed(&bundle).await.spans {
        run.send(&bundle, span).await;
    }
    std::fs::remove_file(run.catalog.store().path(&Blake3Digest::of(&one))).unwrap();
    let before = run.catalog.snapshot().seq();
    let refused = run.finish(&bundle).await.unwrap_err();
    assert!(refused.to_string().contains(&Blake3Digest::of(&one).to_hex()), "{refused}");
    assert_eq!(run.catalog.snapshot().seq(), before);
    run.import(&bundle).await.unwrap();
    assert!(run.shows(&[one, two]));
    // The site's own events go on.
    let reports = commit(&run.catalog, Vec::new()).await;
    assert!(reports.records.is_empty());
}
