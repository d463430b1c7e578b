//! Publishing: all of it or nothing, once, in order, and who wins.

use super::testing::{Desk, release};
use super::{NewRelease, PublishError, UploadError};
use crate::catalog::testing::{actor, commit, parse, release_added};
use crate::control::withdraw_release;
use crate::gate::Finding;
use crate::model::{Actor, Blake3Digest, Event, ReleaseState};
use crate::store::BlobStore as _;

fn state(desk: &Desk, product: &str, version: &str) -> Option<ReleaseState> {
    let snapshot = desk.catalog.snapshot();
    let release = snapshot.product(&parse(product)).and_then(|product| product.by_version(&parse(version)).cloned());
    release.map(|release| release.state_at(desk.catalog.now()))
}

fn finding<T: std::fmt::Debug>(result: Result<T, PublishError>) -> Finding {
    match result {
        Err(PublishError::Findings { mut findings, .. }) if findings.len() == 1 => findings.remove(0),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_approval_rule_decides_what_publishing_makes() {
    let desk = Desk::new().await;
    let intel = desk.publish("ada", "intel", "1.0", "new signatures").await.unwrap();
    assert!(intel.is_new);
    assert_eq!(state(&desk, "intel", "1.0"), Some(ReleaseState::Published));
    // Approved by the rule, on behalf of whoever published.
    assert_eq!(intel.release.approved.as_ref().unwrap().by, actor("ada"));
    let driver = desk.publish("ada", "driver", "1.0", "a driver").await.unwrap();
    assert_eq!(state(&desk, "driver", "1.0"), Some(ReleaseState::Draft));
    assert_eq!((driver.release.sequence, driver.release.approved.clone()), (1, None));
    assert_eq!(desk.publisher.uploads().open_count(), 0, "uploads are used up");
}

#[tokio::test]
async fn the_same_again_is_a_success_that_changes_nothing() {
    let desk = Desk::new().await;
    let first = desk.publish("ada", "intel", "1.0", "body").await.unwrap();
    let seq = desk.catalog.snapshot().seq();
    // By anybody, and however the version is spelled the same.
    let again = desk.publish("bob", "intel", "1.0", "body").await.unwrap();
    assert!(!again.is_new);
    assert_eq!(again.release, first.release);
    assert_eq!(desk.catalog.snapshot().seq(), seq);
}

#[tokio::test]
async fn a_version_never_changes_its_content_and_never_comes_back() {
    let desk = Desk::new().await;
    let first = desk.publish("ada", "intel", "1.0", "body").await.unwrap();
    let seq = desk.catalog.snapshot().seq();
    let error = desk.publish("ada", "intel", "1.0", "other").await.unwrap_err();
    assert!(matches!(&error, PublishError::OtherContent { found, .. } if *found == first.release.id), "{error}");
    assert_eq!(desk.catalog.snapshot().seq(), seq);
    withdraw_release(&desk.catalog, &actor("ada"), &parse("intel"), &parse("1.0"), parse("bad")).await.unwrap();
    let error = desk.publish("ada", "intel", "1.0", "body").await.unwrap_err();
    assert!(matches!(error, PublishError::Withdrawn { .. }), "{error}");
    let error = desk.publish("ada", "intel", "1.0", "other").await.unwrap_err();
    assert!(matches!(error, PublishError::OtherContent { .. }), "{error}");
    assert_eq!(state(&desk, "intel", "1.0"), Some(ReleaseState::Withdrawn));
}

#[tokio::test]
async fn a_version_that_is_not_newer_is_refused_unless_meant() {
    let desk = Desk::new().await;
    desk.publish("ada", "intel", "2.0", "two").await.unwrap();
    let ada = actor("ada");
    let upload = desk.upload(&ada, "one").await;
    let older = || release("intel", "1.0", &[("file", &upload)]);
    let found = finding(desk.publisher.publish(&ada, older()).await);
    assert_eq!(found, Finding::NotNewer { version: parse("1.0"), newest: parse("2.0") });
    // The upload is as it was, so nothing has to be sent again.
    let meant = NewRelease { is_older_allowed: true, ..older() };
    assert!(desk.publisher.publish(&ada, meant).await.unwrap().is_new);
    // A withdrawn version is no measure.
    withdraw_release(&desk.catalog, &ada, &parse("intel"), &parse("2.0"), parse("bad")).await.unwrap();
    assert!(desk.publish("ada", "intel", "1.5", "one and a half").await.unwrap().is_new);
}

#[tokio::test]
async fn findings_leave_the_uploads_usable_and_the_store_empty() {
    let desk = Desk::new().await;
    let ada = actor("ada");
    let (one, two) = (desk.upload(&ada, "one").await, desk.upload(&ada, "two").await);
    let mut lying = release("intel", "1.0", &[("a", &one), ("b", &two)]);
    lying.artifacts[1].declared.size = Some(4);
    lying.artifacts[1].declared.blake3 = Some(Blake3Digest::of(b"else"));
    let result = desk.publisher.publish(&ada, lying).await;
    let Err(PublishError::Findings { findings, .. }) = result else { panic!("{result:?}") };
    assert_eq!(findings.len(), 2, "all of them at once: {findings:?}");
    let found = finding(desk.publisher.publish(&ada, release("intel", "1.0", &[])).await);
    assert_eq!(found, Finding::NoArtifacts);
    assert_eq!(state(&desk, "intel", "1.0"), None);
    for body in ["one", "two"] {
        assert!(desk.catalog.store().size(&Blake3Digest::of(body.as_bytes())).unwrap().is_none(), "{body}");
    }
    let sound = release("intel", "1.0", &[("b", &two), ("a", &one)]);
    let published = desk.publisher.publish(&ada, sound).await.unwrap().release;
    let targets: Vec<_> = published.manifest.artifacts.iter().map(|artifact| artifact.target.as_str()).collect();
    assert_eq!(targets, ["a", "b"], "in their order, however they were named");
}

#[tokio::test]
async fn a_release_with_one_bad_upload_is_not_published_at_all() {
    let desk = Desk::new().await;
    let ada = actor("ada");
    let (whole, half) = (desk.upload(&ada, "one").await, desk.publisher.uploads().create(&ada, 5).await.unwrap());
    let result = desk.publisher.publish(&ada, release("intel", "1.0", &[("a", &whole), ("b", &half)])).await;
    let Err(PublishError::Upload(UploadError::Incomplete { id, offset: 0, length: 5 })) = &result else {
        panic!("{result:?}")
    };
    assert_eq!(*id, half);
    assert_eq!(state(&desk, "intel", "1.0"), None);
    let unknown = parse("0123456789abcdef0123456789abcdef");
    let result = desk.publisher.publish(&ada, release("intel", "1.0", &[("a", &whole), ("b", &unknown)])).await;
    assert!(matches!(result, Err(PublishError::Upload(UploadError::Unknown(_)))), "{result:?}");
    let result = desk.publisher.publish(&ada, release("nothing", "1.0", &[("a", &whole)])).await;
    assert!(matches!(result, Err(PublishError::UnknownProduct(_))), "{result:?}");
    // The whole one was let go each time.
    assert!(desk.publisher.publish(&ada, release("intel", "1.0", &[("a", &whole)])).await.unwrap().is_new);
}

#[tokio::test(start_paused = true)]
async fn one_upload_for_two_artifacts_is_refused_at_once() {
    let desk = Desk::new().await;
    let ada = actor("ada");
    let upload = desk.upload(&ada, "body").await;
    let started = tokio::time::Instant::now();
    let result = desk.publisher.publish(&ada, release("intel", "1.0", &[("a", &upload), ("b", &upload)])).await;
    assert!(matches!(&result, Err(PublishError::UploadTwice(id)) if *id == upload), "{result:?}");
    assert_eq!(started.elapsed(), std::time::Duration::ZERO, "it does not wait for itself");
    assert!(desk.publisher.publish(&ada, release("intel", "1.0", &[("a", &upload)])).await.unwrap().is_new);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_upload_is_used_once_by_whoever_is_first() {
    for _ in 0..10 {
        let desk = Desk::new().await;
        let ada = actor("ada");
        let upload = desk.upload(&ada, "body").await;
        let (first, second) = tokio::join!(
            desk.publisher.publish(&ada, release("intel", "1.0", &[("f", &upload)])),
            desk.publisher.publish(&ada, release("intel", "1.0", &[("f", &upload)])),
        );
        let (won, lost) = if first.is_ok() { (first, second) } else { (second, first) };
        assert!(won.unwrap().is_new);
        // Busy where the disk takes longer than one waits for another.
        let is_lost = matches!(&lost, Err(PublishError::Upload(UploadError::Unknown(id))) if *id == upload)
            || matches!(&lost, Err(PublishError::Upload(UploadError::Busy)));
        assert!(is_lost, "{lost:?}");
    }
}

/// A crash keeps a prefix of the events; publishing the same again does the rest.
#[tokio::test]
async fn an_automatic_approval_that_a_crash_cut_off_is_completed() {
    for (version, is_approved) in [("1.0", false), ("2.0", true)] {
        let desk = Desk::new().await;
        let added = release_added(&desk.catalog, "intel", version, &[b"body"]).await;
        let Event::ReleaseAdded { release: id, .. } = added else { panic!("{added:?}") };
        let mut events = vec![added];
        if is_approved {
            events.push(Event::ReleaseApproved { product: parse("intel"), release: id });
        }
        commit(&desk.catalog, events).await;
        let ada = actor("ada");
        let upload = desk.upload(&ada, "body").await;
        let again = release("intel", version, &[("file-0", &upload)]);
        let published = desk.publisher.publish(&ada, again).await.unwrap();
        assert_eq!((published.release.id, published.is_new), (id, false));
        assert_eq!(state(&desk, "intel", version), Some(ReleaseState::Published), "approved: {is_approved}");
        let by = &published.release.approved.as_ref().unwrap().by;
        assert_eq!(*by, actor(if is_approved { "tester" } else { "ada" }));
    }
}

#[tokio::test]
async fn without_a_policy_nothing_is_approved_by_itself() {
    let world = crate::catalog::testing::World::new();
    let catalog = world.catalog();
    crate::control::add_product(&catalog, &actor("ada"), &parse("p"), crate::model::Class::Intelligence).await.unwrap();
    let uploads = super::Uploads::new(catalog.store().clone(), super::testing::LIMITS);
    let publisher =
        std::sync::Arc::new(super::Publisher::new(catalog.clone(), uploads, 8, super::GateOptions::default()));
    let desk = Desk { world, catalog, publisher };
    let published = desk.publish("ada", "p", "1.0", "body").await.unwrap();
    assert_eq!(published.release.approval, crate::model::ApprovalRule::Other);
    assert_eq!(state(&desk, "p", "1.0"), Some(ReleaseState::Draft));
}

async fn race(bodies: [&'static str; 2]) -> (Desk, [Result<super::Published, PublishError>; 2]) {
    let desk = Desk::new().await;
    let people: [Actor; 2] = [actor("ada"), actor("bob")];
    let [one, two] = [desk.upload(&people[0], bodies[0]).await, desk.upload(&people[1], bodies[1]).await];
    let (first, second) = tokio::join!(
        desk.publisher.publish(&people[0], release("intel", "1.0", &[("f", &one)])),
        desk.publisher.publish(&people[1], release("intel", "1.0", &[("f", &two)])),
    );
    (desk, [first, second])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_who_publish_one_version_at_once_one_wins() {
    for _ in 0..10 {
        let (desk, results) = race(["one", "two"]).await;
        let winners: Vec<_> = results.iter().flatten().collect();
        assert_eq!(winners.len(), 1, "{results:?}");
        assert!(winners[0].is_new);
        let lost = results.iter().find_map(|result| result.as_ref().err()).unwrap();
        assert!(matches!(lost, PublishError::OtherContent { .. }), "{lost}");
        assert_eq!(desk.catalog.snapshot().product(&parse("intel")).unwrap().releases().len(), 1);
        let (desk, results) = race(["same", "same"]).await;
        let new = results.iter().filter(|result| result.as_ref().unwrap().is_new).count();
        assert_eq!(new, 1, "{results:?}");
        assert_eq!(desk.catalog.snapshot().product(&parse("intel")).unwrap().releases().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_who_goes_away_gets_all_or_nothing() {
    let desk = Desk::new().await;
    let ada = actor("ada");
    let upload = desk.upload(&ada, "body").await;
    let publishing = desk.publisher.publish(&ada, release("intel", "1.0", &[("f", &upload)]));
    let mut publishing = Box::pin(publishing);
    let _ = std::future::poll_fn(|context| std::task::Poll::Ready(publishing.as_mut().poll(context).is_ready())).await;
    drop(publishing);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while state(&desk, "intel", "1.0") != Some(ReleaseState::Published) {
        assert!(std::time::Instant::now() < deadline, "it was never published");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn what_was_published_is_there_after_a_restart() {
    let desk = Desk::new().await;
    let release = desk.publish("ada", "intel", "1.0", "a body of more than sixteen bytes").await.unwrap().release;
    let Desk { world, catalog, publisher } = desk;
    drop((catalog, publisher));
    let catalog = world.catalog();
    let snapshot = catalog.snapshot();
    assert_eq!(**snapshot.product(&parse("intel")).unwrap().by_id(&release.id).unwrap(), *release);
    let artifact = &release.manifest.artifacts[0];
    assert_eq!(catalog.body(&artifact.blake3, artifact.size).unwrap().unwrap(), "a body of more than sixteen bytes");
}
