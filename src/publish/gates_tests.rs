//! Publications before the gates: what is refused, what is noted, and what of it is remembered.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;

use super::testing::{Desk, LIMITS, release};
use super::*;
use crate::catalog::testing::{POLICY, World, actor, parse};
use crate::control::{add_product, apply_policy, revoke_key, trust_key};
use crate::gate::testing::{driver, stored_zip};
use crate::gate::{Finding, NewSignature};
use crate::model::{Actor, Class, Event, Inspection, KernelKind, Refusal};
use crate::signing::SecretKey;

async fn upload(desk: &Desk, who: &Actor, body: Vec<u8>) -> UploadId {
    let uploads = desk.publisher.uploads();
    let id = uploads.create(who, body.len() as u64).await.unwrap();
    uploads.append(who, &id, 0, Full::new(Bytes::from(body))).await.unwrap();
    id
}

async fn publish(desk: &Desk, product: &str, version: &str, body: Vec<u8>) -> Result<Published, PublishError> {
    let ada = actor("ada");
    let id = upload(desk, &ada, body).await;
    desk.publisher.publish(&ada, release(product, version, &[("file", &id)])).await
}

fn gates(result: Result<Published, PublishError>) -> Vec<&'static str> {
    match result {
        Err(PublishError::Findings { findings, .. }) => findings.iter().map(Finding::gate).collect(),
        other => panic!("{other:?}"),
    }
}

fn refusals(desk: &Desk, product: &str) -> Vec<Refusal> {
    desk.catalog.snapshot().product(&parse(product)).unwrap().refusals().to_vec()
}

fn inspection(desk: &Desk, product: &str, version: &str) -> Inspection {
    let snapshot = desk.catalog.snapshot();
    let release = snapshot.product(&parse(product)).unwrap().by_version(&parse(version)).cloned().unwrap();
    release.inspection.clone().unwrap()
}

#[tokio::test]
async fn kernel_mode_code_stops_intelligence_and_is_noted_of_platform() {
    let desk = Desk::new().await;
    let body = stored_zip(&[("x64/flt.bin", &driver()), ("readme", b"text")]);
    assert_eq!(gates(publish(&desk, "intel", "1.0", body.clone()).await), ["kernel_mode"]);
    let refused = refusals(&desk, "intel");
    assert_eq!((refused.len(), refused[0].refused.by.clone()), (1, actor("ada")));
    assert_eq!(refused[0].findings[0].target.as_deref(), Some("file"));
    assert!(refused[0].findings[0].text.starts_with("file, in it x64/flt.bin: a Windows driver"), "{refused:?}");
    let driver = publish(&desk, "driver", "1.0", body).await.unwrap().release;
    assert!(driver.has_kernel_mode());
    let seen = inspection(&desk, "driver", "1.0");
    assert_eq!((seen.bodies, seen.kernel_mode.len()), (3, 1));
    assert_eq!((seen.kernel_mode[0].inside.as_str(), seen.kernel_mode[0].kind), ("x64/flt.bin", KernelKind::PeDriver));
    let plain = publish(&desk, "intel", "1.0", b"signatures".to_vec()).await.unwrap().release;
    assert!(!plain.has_kernel_mode() && plain.inspection.is_some());
    assert_eq!(refusals(&desk, "intel"), [], "what was published is refused no more");
}

#[tokio::test]
async fn what_cannot_be_looked_through_stops_intelligence_alone() {
    let desk = Desk::new().await;
    let cut_short = stored_zip(&[("a", b"text")])[..40].to_vec();
    assert_eq!(gates(publish(&desk, "intel", "1.0", cut_short.clone()).await), ["archive"]);
    let opaque = b"LZIP\x01and so on".to_vec();
    assert_eq!(gates(publish(&desk, "intel", "1.0", opaque.clone()).await), ["archive"]);
    for (version, body) in [("1.0", cut_short), ("2.0", opaque)] {
        publish(&desk, "driver", version, body).await.unwrap();
        let notes = inspection(&desk, "driver", version).notes;
        assert!(notes.len() == 1 && notes[0].gate == "archive", "{notes:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_journaled_once_until_its_reasons_change() {
    let desk = Desk::with_limits(UploadLimits { open_max: 32, ..LIMITS }).await;
    publish(&desk, "intel", "2.0", b"two".to_vec()).await.unwrap();
    let seq = desk.catalog.snapshot().seq();
    for _ in 0..3 {
        assert_eq!(gates(publish(&desk, "intel", "1.0", b"one".to_vec()).await), ["version"]);
    }
    assert_eq!(desk.catalog.snapshot().seq(), seq + 1);
    let all = gates(publish(&desk, "intel", "1.0", driver()).await);
    assert_eq!(all, ["version", "kernel_mode"], "all at once");
    assert_eq!(desk.catalog.snapshot().seq(), seq + 2);
    assert_eq!(refusals(&desk, "intel").len(), 1, "the last one of each version");
    // Of a version that exists nothing is journaled: it is what it is.
    let ada = actor("ada");
    let id = upload(&desk, &ada, b"other".to_vec()).await;
    let mut lying = release("intel", "2.0", &[("file", &id)]);
    lying.artifacts[0].declared.size = Some(1);
    assert_eq!(gates(desk.publisher.publish(&ada, lying).await), ["digests"]);
    assert_eq!(desk.catalog.snapshot().seq(), seq + 2);
}

#[tokio::test]
async fn what_the_gates_saw_stands_in_the_same_commit() {
    let desk = Desk::new().await;
    let before = desk.catalog.snapshot().seq();
    publish(&desk, "intel", "1.0", b"one".to_vec()).await.unwrap();
    // Added, inspected, approved, published.
    assert_eq!(desk.catalog.snapshot().seq(), before + 4);
}

#[tokio::test]
async fn signatures_are_required_where_the_policy_says_so() {
    let desk = Desk::new().await;
    let policy = format!("{POLICY}[signature]\nplatform = \"required\"\n");
    apply_policy(&desk.catalog, &actor("ada"), policy, None).await.unwrap();
    publish(&desk, "intel", "1.0", b"unsigned".to_vec()).await.unwrap();
    assert_eq!(gates(publish(&desk, "driver", "1.0", b"body".to_vec()).await), ["signature"]);
    let (old, new) = (SecretKey::from_random([1; 32], [1; 8]), SecretKey::from_random([2; 32], [2; 8]));
    let ada = actor("ada");
    let signed = async |version: &str, key: &SecretKey| {
        let id = upload(&desk, &ada, b"body".to_vec()).await;
        let signature = NewSignature { target: None, text: key.sign(b"body", "c") };
        let release = release("driver", version, &[("file", &id)]);
        desk.publisher.publish(&ada, NewRelease { signatures: vec![signature], ..release }).await
    };
    assert_eq!(gates(signed("1.0", &old).await), ["signature"], "nobody trusts it yet");
    trust_key(&desk.catalog, &ada, old.public(), "old".into(), vec![]).await.unwrap();
    signed("1.0", &old).await.unwrap();
    assert_eq!(inspection(&desk, "driver", "1.0").signatures[0].key, old.public().id);
    // Rotation: the new one is trusted before the old one is revoked.
    trust_key(&desk.catalog, &ada, new.public(), "new".into(), vec![]).await.unwrap();
    signed("2.0", &old).await.unwrap();
    revoke_key(&desk.catalog, &ada, old.public().id, parse("rotated")).await.unwrap();
    assert_eq!(gates(signed("3.0", &old).await), ["signature"]);
    signed("3.0", &new).await.unwrap();
    let again = trust_key(&desk.catalog, &ada, old.public(), "old".into(), vec![]).await;
    assert!(matches!(again, Err(crate::control::ControlError::KeyRevoked { .. })), "{again:?}");
    let same = trust_key(&desk.catalog, &ada, new.public(), "new".into(), vec![]).await.unwrap();
    assert_eq!(same.name, "new");
    let other = trust_key(&desk.catalog, &ada, new.public(), "renamed".into(), vec![]).await;
    assert!(matches!(other, Err(crate::control::ControlError::KeyKnown { .. })), "{other:?}");
}

#[tokio::test]
async fn names_must_fit_every_share_that_shows_the_product() {
    let desk = Desk::new().await;
    let share = "[[share]]\nname = \"av\"\ngroup = \"all\"\nlayout = \"clamav\"\nproducts = [\"intel\"]\n";
    apply_policy(&desk.catalog, &actor("ada"), format!("{POLICY}{share}"), None).await.unwrap();
    let result = publish(&desk, "intel", "1.0", b"text".to_vec()).await;
    assert_eq!(gates(result), ["names"]);
    let ada = actor("ada");
    let id = upload(&desk, &ada, b"text".to_vec()).await;
    desk.publisher.publish(&ada, release("intel", "1.0", &[("daily.ndb", &id)])).await.unwrap();
    publish(&desk, "driver", "1.0", b"text".to_vec()).await.unwrap();
}

/// Says what it is told to say, and keeps what it was asked.
#[derive(Default)]
struct Scanner {
    asked: Mutex<Vec<(String, usize, bool)>>,
}

impl GateCommands for Scanner {
    fn run<'a>(&'a self, subject: &'a Subject) -> std::pin::Pin<Box<dyn Future<Output = CommandOutcome> + Send + 'a>> {
        let body = &subject.bodies[0];
        self.asked.lock().unwrap().push((subject.version.to_string(), body.bytes.len(), body.file.is_some()));
        let is_bad = body.bytes.starts_with(b"bad");
        let findings = is_bad.then(|| Finding::Command("the gate command turned it down".into())).into_iter().collect();
        Box::pin(std::future::ready(CommandOutcome { command_ms: Some(7), findings, ..CommandOutcome::default() }))
    }
}

#[tokio::test]
async fn the_command_is_asked_about_bytes_as_declared_and_only_once() {
    let world = World::new();
    let catalog = world.catalog();
    apply_policy(&catalog, &actor("ada"), POLICY.to_owned(), None).await.unwrap();
    add_product(&catalog, &actor("ada"), &parse("intel"), Class::Intelligence).await.unwrap();
    let scanner = Arc::new(Scanner::default());
    let options = GateOptions { commands: Some(scanner.clone()), ..GateOptions::default() };
    let uploads = Uploads::new(catalog.store().clone(), LIMITS);
    let publisher = Arc::new(Publisher::new(catalog.clone(), uploads, 8, options));
    let desk = Desk { world, catalog, publisher };
    assert_eq!(gates(publish(&desk, "intel", "1.0", b"bad one".to_vec()).await), ["command"]);
    publish(&desk, "intel", "1.0", b"good".to_vec()).await.unwrap();
    assert_eq!(inspection(&desk, "intel", "1.0").command_ms, Some(7));
    // Published already, so there is nothing to ask; not what was declared, so nobody is to be asked.
    assert!(!publish(&desk, "intel", "1.0", b"good".to_vec()).await.unwrap().is_new);
    let ada = actor("ada");
    let id = upload(&desk, &ada, b"good".to_vec()).await;
    let mut lying = release("intel", "2.0", &[("file", &id)]);
    lying.artifacts[0].declared.size = Some(1);
    assert_eq!(gates(desk.publisher.publish(&ada, lying).await), ["digests"]);
    let asked = scanner.asked.lock().unwrap().clone();
    assert_eq!(asked, [("1.0".into(), 7, true), ("1.0".into(), 4, true)]);
}

/// A crash may keep the release without what the gates saw: publishing it again does the rest.
#[tokio::test]
async fn an_inspection_that_a_crash_cut_off_is_made_again() {
    let desk = Desk::new().await;
    let added = crate::catalog::testing::release_added(&desk.catalog, "intel", "1.0", &[b"body"]).await;
    assert!(matches!(added, Event::ReleaseAdded { .. }));
    crate::catalog::testing::commit(&desk.catalog, vec![added]).await;
    let ada = actor("ada");
    let id = upload(&desk, &ada, b"body".to_vec()).await;
    desk.publisher.publish(&ada, release("intel", "1.0", &[("file-0", &id)])).await.unwrap();
    assert_eq!(inspection(&desk, "intel", "1.0").bodies, 1);
}
