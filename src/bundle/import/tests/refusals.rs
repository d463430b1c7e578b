//! What is not taken, and that nothing changes then.

use jiff::SignedDuration;

use super::world::{Given, Running, Site, brought, noise};
use crate::bundle::BundleRefusal;
use crate::bundle::import::{Begun, Brought, ImportError};
use crate::bundle::receipt::Signer;
use crate::bundle::receipt::testing::{only, site_key};
use crate::bundle::testing::TestBundle;
use crate::catalog::testing::actor;
use crate::model::{Blake3Digest, BundleBase, ReceiptOutcome};
use crate::signing::{KeyEntry, SecretKey, introduction};
use crate::sys::clock::Clock as _;

async fn refused(run: &Running, bundle: &TestBundle) -> ImportError {
    let before = run.catalog.snapshot().seq();
    let refused = run.begin(bundle).await.map(drop).unwrap_err();
    assert_eq!(run.catalog.snapshot().seq(), before, "nothing was journaled");
    assert_eq!(run.imports.open_count(), 0, "nothing is kept");
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_is_named() {
    let site = Site::new();
    let run = site.start();
    let body = noise(1, 3_000);
    let good = Given::new(5, &[&body]);
    let mut other_site = Given::new(1, &[&body]);
    other_site.make.site = "plant-8".into();
    let error = refused(&run, &other_site.bundle()).await;
    assert!(matches!(error, ImportError::OtherSite { .. }), "{error}");
    let mut unsigned = good.bundle();
    unsigned.signature.clear();
    let error = refused(&run, &unsigned).await;
    assert!(matches!(error, ImportError::Untrusted(BundleRefusal::Unsigned)), "{error}");
    let mut stranger = Given::new(1, &[&body]);
    stranger.make.secret = SecretKey::from_random([9; 32], *b"stranger");
    let error = refused(&run, &stranger.bundle()).await;
    assert!(matches!(error, ImportError::Untrusted(BundleRefusal::Stranger { .. })), "{error}");
    let mut changed = good.bundle();
    changed.text = changed.text.replace("plant-7", "plant-9");
    let error = refused(&run, &changed).await;
    assert!(matches!(error, ImportError::Untrusted(BundleRefusal::Signature(_))), "{error}");
    run.import(&good.bundle()).await.unwrap();
    for sequence in [4, 5] {
        let mut older = Given::new(sequence, &[&body, b"another"]);
        older.journal.0 = 100;
        let error = refused(&run, &older.bundle()).await;
        assert!(matches!(error, ImportError::Older { applied: 5, .. }), "{error}");
    }
    let mut behind = Given::new(6, &[&body]);
    behind.journal.0 = 44;
    let error = refused(&run, &behind.bundle()).await;
    assert!(matches!(error, ImportError::JournalBehind { .. }), "{error}");
    let mut forked = Given::new(6, &[&body]);
    forked.journal = (45, "another history");
    let error = refused(&run, &forked.bundle()).await;
    assert!(matches!(error, ImportError::Fork { .. }), "{error}");
    assert!(run.shows(&good.bodies));
    // The clock goes ahead, and back: what was once seen stays.
    let created = good.make.created;
    site.world.clock.set(created + SignedDuration::from_hours(31 * 24));
    let error = refused(&run, &Given::new(7, &[&body]).bundle()).await;
    assert!(matches!(error, ImportError::Expired { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_restored_origin_has_left_is_for_an_admin_to_accept() {
    let site = Site::new();
    let (body, next) = (noise(1, 3_000), noise(2, 3_000));
    let forked = Given { journal: (45, "another history"), ..Given::new(6, &[&next]) };
    let bundle = forked.bundle();
    {
        let run = site.start();
        run.import(&Given::new(5, &[&body]).bundle()).await.unwrap();
        let restored = |bundle: &TestBundle| Brought { accepts_restored: true, ..brought(bundle) };
        let no_admin = Brought { may_bind: false, ..restored(&bundle) };
        let error = run.imports.begin(no_admin).await.unwrap_err().error;
        assert!(matches!(error, ImportError::NotYours(_)), "{error}");
        // A medium of an earlier day does not come in by this.
        let older = Given { journal: (30, "before"), ..Given::new(4, &[&next]) };
        let error = run.imports.begin(restored(&older.bundle())).await.unwrap_err().error;
        assert!(matches!(error, ImportError::Older { .. }), "{error}");
        let Begun::Needed(needed) = run.imports.begin(restored(&bundle)).await.unwrap() else { panic!("it is new") };
        for span in needed.spans {
            run.send(&bundle, span).await;
        }
        assert!(run.shows(&[body]));
    }
    // It was said once, and outlives the process.
    let run = site.start();
    run.finish(&bundle).await.unwrap();
    assert!(run.shows(&forked.bodies));
    assert_eq!(run.catalog.snapshot().applied_bundle().unwrap().journal.sequence, 45);
    let back = Given { journal: (44, "another history"), ..Given::new(7, &[&next]) };
    let error = run.begin(&back.bundle()).await.unwrap_err();
    assert!(matches!(error, ImportError::JournalBehind { .. }), "it is asked each time: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_was_seen_counts_though_the_clock_went_back() {
    let site = Site::new();
    let run = site.start();
    let body = noise(1, 3_000);
    let late = site.world.clock.now() + SignedDuration::from_hours(40 * 24);
    site.world.clock.set(late);
    crate::catalog::testing::commit(&run.catalog, vec![crate::catalog::testing::product_added("p")]).await;
    site.world.clock.set(super::world::start());
    let error = refused(&run, &Given::new(1, &[&body]).bundle()).await;
    assert!(matches!(error, ImportError::Expired { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn binding_is_an_admins() {
    let mut site = Site::new();
    (site.options.site, site.options.keys) = (None, Vec::new());
    let run = site.start();
    let given = Given::new(1, &[&noise(1, 3_000)]);
    let bundle = given.bundle();
    let error = refused(&run, &bundle).await;
    assert!(matches!(error, ImportError::NoKey), "{error}");
    let key = Some(given.make.secret.public());
    let no_admin = Brought { key, may_bind: false, ..brought(&bundle) };
    let error = run.imports.begin(no_admin).await.unwrap_err().error;
    assert!(matches!(error, ImportError::NotYours(_)), "{error}");
    let other = Brought { key, site: Some("plant-9".parse().unwrap()), ..brought(&bundle) };
    let error = run.imports.begin(other).await.unwrap_err().error;
    assert!(matches!(error, ImportError::OtherSite { .. }), "{error}");
    let admin = Brought { key, ..brought(&bundle) };
    let Begun::Needed(needed) = run.imports.begin(admin).await.unwrap() else { panic!("it is new") };
    for span in needed.spans {
        run.send(&bundle, span).await;
    }
    run.finish(&bundle).await.unwrap();
    // From now on the bundle's keys count, and no other can be brought.
    run.import(&Given::new(2, &[&noise(2, 100)]).bundle()).await.unwrap();
    let next = Given::new(3, &[&noise(3, 100)]).bundle();
    let key = Some(SecretKey::from_random([9; 32], *b"stranger").public());
    let error = run.imports.begin(Brought { key, ..brought(&next) }).await.unwrap_err().error;
    assert!(matches!(error, ImportError::OtherOrigin(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_replaced_and_never_comes_back() {
    let site = Site::new();
    let run = site.start();
    let (old, new) = (crate::bundle::testing::secret(), SecretKey::from_random([8; 32], *b"the next"));
    run.import(&Given::new(1, &[&noise(1, 100)]).bundle()).await.unwrap();
    let mut rotated = Given::new(2, &[&noise(2, 100)]);
    let added_at = rotated.make.created;
    let vouched = introduction(&new.public(), old.public().id, added_at);
    rotated.make.keys.keys.push(KeyEntry {
        key: new.public(),
        added_at,
        introduced_by: Some(old.public().id),
        introduction: Some(old.sign(vouched.as_bytes(), "the next key")),
        retired_at: None,
    });
    rotated.make.secret = new.clone();
    run.import(&rotated.bundle()).await.unwrap();
    let mut retired = Given::new(3, &[&noise(3, 100)]);
    retired.make.secret = new;
    retired.make.keys = rotated.make.keys.clone();
    retired.make.keys.keys[0].retired_at = Some(added_at);
    run.import(&retired.bundle()).await.unwrap();
    // The old key is in the configuration, and does not count any more.
    let error = refused(&run, &Given::new(4, &[&noise(4, 100)]).bundle()).await;
    assert!(matches!(error, ImportError::Untrusted(BundleRefusal::Retired { .. })), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_together_is_refused_once_its_state_is_here() {
    let site = Site::new();
    let run = site.start();
    let given = Given::new(1, &[&noise(1, 3_000), b"second"]);
    let good = given.bundle();
    let mut manifest = good.manifest.clone();
    let root = manifest.root;
    manifest.base = BundleBase::Assumed { bundle: good.id, root };
    manifest.root = crate::bundle::root_of(&[Blake3Digest::of(b"elsewhere")].into());
    let bad = TestBundle::signed(manifest, good.volumes.clone(), &given.make.secret);
    for span in run.needed(&bad).await.first {
        run.send(&bad, span).await;
    }
    let error = refused(&run, &bad).await;
    assert!(matches!(error, ImportError::Contradiction(_)), "{error}");
    run.import(&good).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_named_and_the_rest_goes_on() {
    let site = Site::new();
    let run = site.start();
    let bodies = [noise(1, 9_000), b"again and again ".repeat(900), noise(3, 300_000)];
    let mut given = Given::new(1, &[&bodies[0], &bodies[1], &bodies[2]]);
    given.make.volume_bytes = 1 << 20;
    let bundle = given.bundle();
    run.needed(&bundle).await;
    for body in &bodies {
        let digest = Blake3Digest::of(body);
        let part = bundle.manifest.objects.iter().find(|object| object.blake3 == digest).unwrap().parts[0];
        let mut bytes = bundle.volumes[0].clone();
        bytes[(part.offset + part.size / 2) as usize] ^= 1;
        let taken = run.take(&bundle, 1, 0, &bytes).await.unwrap();
        assert_eq!(taken.damaged.iter().map(|damaged| damaged.blake3).collect::<Vec<_>>(), [digest]);
        assert!(taken.missing >= 1);
        // Only the first one brings the others.
        let again = run.take(&bundle, 1, 0, &bundle.volumes[0]).await.unwrap();
        assert_eq!((again.taken, again.missing), (1, 0));
        run.imports.abandon(&bundle.id);
        std::fs::remove_file(run.catalog.store().path(&digest)).unwrap();
        run.needed(&bundle).await;
        for other in bodies.iter().map(|body| Blake3Digest::of(body)).filter(|other| *other != digest) {
            assert!(run.catalog.store().path(&other).exists());
        }
        run.take(&bundle, 1, 0, &bundle.volumes[0]).await.unwrap();
        run.imports.abandon(&bundle.id);
        for body in &bodies {
            std::fs::remove_file(run.catalog.store().path(&Blake3Digest::of(body))).unwrap();
        }
        run.needed(&bundle).await;
    }
    let error = run.take(&bundle, 9, 0, b"").await.unwrap_err();
    assert!(matches!(error, ImportError::NoVolume(9)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refusal_has_one_receipt() {
    let site = Site::new();
    let run = site.start();
    let (key, keys) = (site_key(), only(&site_key()));
    let tell = async |run: &Running, bundle: &TestBundle| {
        let refused = run.imports.begin(brought(bundle)).await.unwrap_err().refused.unwrap();
        let signer = Signer { key: &key, keys: &keys };
        run.imports.tell_refused(&actor("ada"), &refused, signer).await.unwrap().unwrap()
    };
    let bundle = |sequence| Given::new(sequence, &[&noise(sequence, 3_000)]).bundle();
    let (one, two) = (bundle(1), bundle(2));
    let late = |hours: i64| super::world::start() + SignedDuration::from_hours(31 * 24 + hours);
    site.world.clock.set(late(0));
    let (first, same) = tokio::join!(tell(&run, &one), tell(&run, &one));
    assert_eq!((&first, first.number, first.outcome), (&same, 1, ReceiptOutcome::Refused));
    let second = tell(&run, &two).await;
    assert_eq!((second.number, second.bundle), (2, Some(two.id)));
    let seq = run.catalog.snapshot().seq();
    // Whatever the time, and however the two come in turn.
    site.world.clock.set(late(5));
    assert_eq!(tell(&run, &one).await, first);
    assert_eq!(tell(&run, &two).await, second);
    drop(run);
    let run = site.start();
    assert_eq!(tell(&run, &two).await, second, "the last one is known after a restart");
    assert_eq!(run.catalog.snapshot().seq(), seq);
    // Once the site serves something else, the refusal is news again; of what is older, it never is.
    let mut fresh = Given::new(3, &[b"fresh"]);
    fresh.make.created = late(5);
    run.import(&fresh.bundle()).await.unwrap();
    assert!(run.imports.begin(brought(&two)).await.unwrap_err().refused.is_none());
    assert_eq!(tell(&run, &bundle(4)).await.number, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_ended_is_told_too() {
    let mut site = Site::new();
    let run = site.start();
    let bundle = Given::new(1, &[b"a body"]).bundle();
    for span in run.needed(&bundle).await.spans {
        run.send(&bundle, span).await;
    }
    site.world.clock.set(super::world::start() + SignedDuration::from_hours(31 * 24));
    let error = run.finish(&bundle).await.unwrap_err();
    assert!(matches!(error, ImportError::Expired { .. }), "{error}");
    assert!(run.imports.refused_at_end(&bundle.id, &error).is_some());
    assert!(run.imports.refused_at_end(&bundle.id, &ImportError::Busy).is_none());
    drop(run);
    // A server that is no site yet is made none by what it refuses.
    site.options.site = None;
    let run = site.start();
    let refused = run.imports.begin(brought(&bundle)).await.unwrap_err().refused.unwrap();
    let (key, keys) = (site_key(), only(&site_key()));
    let told = run.imports.tell_refused(&actor("ada"), &refused, Signer { key: &key, keys: &keys }).await;
    assert_eq!(told.unwrap(), None);
    assert!(run.catalog.snapshot().own_site().is_none());
}
