//! Random changes of every kind, each made to fit the snapshot it comes upon.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::Snapshot;
use crate::model::{
    Actor, ApprovalRule, Artifact, BasisPoints, Blake3Digest, Class, Device, Event, Evidence, GateFinding, HaltCause,
    HoldScope, KeyId, Plan, Platform, ProductName, Promote, PublicKey, Release, ReleaseManifest, RingPlan, Role,
    Rollout, RolloutChange, RolloutKind, RolloutStep, Sha256Digest, ShareFile, ShareName, Shown, Span, TargetName,
    TokenScope, Wave,
};

/// A change to be made; the numbers choose among what there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    kind: u8,
    first: u8,
    second: u8,
    third: u8,
}

/// Kinds of changes: one for each kind of event.
const KINDS: u8 = 32;

/// Up to `max` changes, in an order that gives most of them something to work on.
pub(crate) fn changes(max: usize) -> impl Strategy<Value = Vec<Change>> {
    let kind = prop_oneof![3 => 0u8..2, 4 => 0u8..KINDS];
    let change = (kind, any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(kind, first, second, third)| Change {
        kind,
        first,
        second,
        third,
    });
    proptest::collection::vec(change, 1..max)
}

impl Change {
    /// Its events on this snapshot; none where it finds nothing to change.
    pub(crate) fn events(self, snapshot: &Snapshot, now: Timestamp) -> Vec<Event> {
        let Self { kind, first, second, third } = self;
        let product = nth(snapshot.products(), first).map(|product| product.product().name.clone());
        let events = match (kind, product) {
            (0, _) => add_product(snapshot, first),
            (6, _) => nth(snapshot.holds(), first)
                .filter(|hold| hold.lifted.is_none())
                .map(|hold| Event::HoldLifted { hold: hold.id, reason: parse("over") }),
            (8, _) => nth(snapshot.pins(), first)
                .filter(|pin| pin.removed.is_none())
                .map(|pin| Event::PinRemoved { pin: pin.id, reason: parse("über – done") }),
            (9, _) => Some(policy(first, second)),
            (10, _) => {
                Some(Event::DevicesImported { devices: (0..1 + first % 3).map(|n| device(n, second)).collect() })
            }
            (11, _) => Some(Event::DevicesRemoved { devices: vec![parse(&format!("device-{}", first % 4))] }),
            (12, _) => Some(token(snapshot, first, second, now)),
            (13, _) => nth(snapshot.tokens(), first)
                .filter(|token| token.revoked.is_none())
                .map(|token| Event::TokenRevoked { token: token.id }),
            (18, _) => switch_share(snapshot, first, second, third, now),
            (28..=31, _) => super::random_sites::event(snapshot, (kind, first, second, third), now),
            (20..=27, _) => security(snapshot, kind, first, second, now),
            (_, None) => add_product(snapshot, first),
            (14, Some(product)) => plan_rollout(snapshot, &product, second, third, now),
            (15, Some(product)) => change_rollout(snapshot, &product, second, third),
            (16, Some(product)) => freeze(snapshot, product, true),
            (17, Some(product)) => freeze(snapshot, product, false),
            (1, Some(product)) => return add_release(snapshot, &product, second, third),
            (19, Some(product)) => Some(refusal(product, second)),
            (5, Some(product)) => Some(hold(product, second, third, now)),
            (7, Some(product)) => Some(Event::PinAdded {
                group: parse(["a", "b"][usize::from(second % 2)]),
                product,
                version: parse(&third.to_string()),
                reason: parse("kept"),
            }),
            (_, Some(product)) => change_release(snapshot, &product, kind, second),
        };
        events.into_iter().collect()
    }
}

fn add_product(snapshot: &Snapshot, first: u8) -> Option<Event> {
    let product: ProductName = parse(["p", "p.q", "p-q", "zz"][usize::from(first % 4)]);
    let class = Class::ALL[usize::from(first % 2)];
    snapshot.product(&product).is_none().then_some(Event::ProductAdded { product, class })
}

/// A release, approved and published at once or left a draft.
fn add_release(snapshot: &Snapshot, product: &ProductName, version: u8, third: u8) -> Vec<Event> {
    let Some(known) = snapshot.product(product) else { return Vec::new() };
    let version = parse(&format!("1.{version}.0"));
    if known.by_version(&version).is_some() {
        return Vec::new();
    }
    let artifact = |number: u8| {
        let body = [number; 3];
        Artifact {
            target: parse(&format!("f-{number}")),
            platform: Platform::any(),
            size: 3,
            blake3: Blake3Digest::of(&body),
            sha256: Sha256Digest::of(&body),
            media_type: "application/octet-stream".into(),
        }
    };
    let artifacts = (third % 4..=third % 4 + third % 2).map(artifact).collect();
    let manifest = ReleaseManifest { product: product.clone(), version, barrier: third.is_multiple_of(5), artifacts };
    let (release, sequence) = (manifest.id(), known.next_sequence());
    let approval = [ApprovalRule::Auto, ApprovalRule::Anyone, ApprovalRule::Other][usize::from(third % 3)];
    let mut events = vec![Event::ReleaseAdded { release, sequence, manifest, approval }];
    if approval == ApprovalRule::Auto {
        events.push(Event::ReleaseApproved { product: product.clone(), release });
        events.push(Event::ReleasePublished { product: product.clone(), release });
    }
    events
}

fn change_release(snapshot: &Snapshot, product: &ProductName, kind: u8, second: u8) -> Option<Event> {
    let release: &Release = nth(snapshot.product(product)?.releases().iter(), second)?;
    let (product, id) = (product.clone(), release.id);
    match kind {
        2 if release.approved.is_none() => Some(Event::ReleaseApproved { product, release: id }),
        3 if release.published_at.is_none() => Some(Event::ReleasePublished { product, release: id }),
        4 if release.withdrawn.is_none() => {
            Some(Event::ReleaseWithdrawn { product, release: id, reason: parse("\"bad\" \\ worse") })
        }
        _ => None,
    }
}

fn plan_rollout(snapshot: &Snapshot, product: &ProductName, second: u8, third: u8, now: Timestamp) -> Option<Event> {
    let release = nth(snapshot.product(product)?.releases().iter(), second)?;
    let wave = |share| Wave { share: BasisPoints::new(share), over: Span::NONE, bake: Span::from_secs(60) };
    let ring = |name| RingPlan {
        ring: parse(name),
        waves: vec![wave(2_500), wave(10_000)],
        gate: None,
        promote: Promote::Automatic,
    };
    let plan = Plan { rings: vec![ring("r"), ring("s")], ..Plan::default() };
    let rollout = match third % 3 {
        0 => RolloutKind::Release,
        1 => RolloutKind::Rollback {
            from: release.sequence + 1,
            groups: Default::default(),
            devices: 7,
            automatic: true,
        },
        _ => RolloutKind::Expedite {
            criteria: parse("an attack is under way"),
            pinned_groups: Default::default(),
            approvers: ["ada".to_owned(), "bo".to_owned()].into(),
            approvals_needed: 2,
            expires_at: now + SignedDuration::from_hours(1),
        },
    };
    let (product, salt) = (product.clone(), format!("salt-{}", third % 2));
    Some(Event::RolloutPlanned { product, release: release.id, rollout, plan, salt, reason: None })
}

/// A step that fits one of the product's rollouts.
fn change_rollout(snapshot: &Snapshot, product: &ProductName, second: u8, third: u8) -> Option<Event> {
    let rollout = nth(snapshot.product(product)?.rollouts().iter(), second)?;
    let reason = || parse("because");
    let ring = parse(["r", "s"][usize::from(second % 2)]);
    let history = &rollout.rings()[rollout.plan.ring(&ring)?];
    let (opened, passed) = (history.opened.len() as u32, history.passed.len() as u32);
    let evidence = Evidence { offered: u64::from(third), ..Evidence::default() };
    let change = match third % 9 {
        0 => RolloutChange::Started,
        1 | 2 => RolloutChange::WaveOpened { ring, wave: opened, devices: 3, rated: Default::default() },
        3 => RolloutChange::WavePassed { ring, wave: passed, evidence },
        4 => RolloutChange::Paused { reason: reason() },
        5 => RolloutChange::Halted { cause: HaltCause::Failures, reason: reason(), evidence },
        6 => RolloutChange::Resumed { reason: reason() },
        7 => RolloutChange::Completed,
        _ => RolloutChange::Superseded { by: rollout.id + 1 },
    };
    let step = RolloutStep { seq: 0, at: snapshot.time()?, by: Actor::system(), change: change.clone() };
    let fits = Rollout::clone(rollout).push(step).is_ok();
    fits.then(|| Event::RolloutChanged { product: product.clone(), rollout: rollout.id, change })
}

fn freeze(snapshot: &Snapshot, product: ProductName, begins: bool) -> Option<Event> {
    let is_frozen = snapshot.product(&product)?.freezes().iter().any(|freeze| freeze.reset.is_none());
    let reason = parse("three halts");
    match (begins, is_frozen) {
        (true, false) => Some(Event::ProductFrozen { product, reason }),
        (false, true) => Some(Event::ProductReset { product, reason }),
        _ => None,
    }
}

fn hold(product: ProductName, second: u8, third: u8, now: Timestamp) -> Event {
    let scope = match second % 4 {
        0 => HoldScope::Everyone,
        1 => HoldScope::Group(parse("a")),
        2 => HoldScope::Ring(parse("r")),
        _ => HoldScope::Devices(serde_json::from_str(r#"{"any":[{"tag":"t"},{"id":"d*"}]}"#).unwrap()),
    };
    let version = (second >= 100).then(|| parse(&format!("1.{third}.0")));
    let expires_at = (third >= 100).then(|| now + SignedDuration::from_secs(i64::from(third)));
    Event::HoldAdded { product, version, scope, reason: parse("why not"), expires_at }
}

fn policy(first: u8, second: u8) -> Event {
    let (keep, defer) = (first % 3, second % 5);
    let text = format!(
        "# {second}\n[[ring]]\nname = \"r\"\n[[group]]\nname = \"a\"\nmatch = {{ tag = \"t\" }}\nring = \"r\"\n\
         keep = \"N-{}\"\ndefer = \"{defer}h\"\n[[group]]\nname = \"b\"\nmatch = \"any\"\nring = \"r\"\n",
        keep + 1
    );
    Event::PolicyApplied { digest: Blake3Digest::of(text.as_bytes()), text }
}

fn device(number: u8, second: u8) -> Device {
    let tags = if second.is_multiple_of(2) { r#""t""# } else { "" };
    let platform = if second.is_multiple_of(3) { r#""platform":"linux-x64","# } else { "" };
    let json = format!(
        r#"{{"id":"device-{number}",{platform}"tags":[{tags}],"attributes":{{"place":"Zürich \"{}\""}}}}"#,
        second % 4
    );
    serde_json::from_str(&json).unwrap()
}

fn token(snapshot: &Snapshot, first: u8, second: u8, now: Timestamp) -> Event {
    let scope = if first.is_multiple_of(2) {
        TokenScope::Device(parse("device-1"))
    } else {
        let reach = if first < 100 { r#"{"products":["p*"]}"# } else { "{}" };
        let reach = serde_json::from_str(reach).unwrap();
        TokenScope::Person { actor: parse("ada"), role: Role::ALL[usize::from(second % 5)], reach }
    };
    let hash = Blake3Digest::of(&snapshot.seq().to_le_bytes());
    let expires_at = (second >= 128).then(|| now + SignedDuration::from_secs(i64::from(second)));
    Event::TokenCreated { scope, hash, expires_at }
}

/// A switch that puts, removes and forgets some of four paths.
fn switch_share(snapshot: &Snapshot, first: u8, second: u8, third: u8, now: Timestamp) -> Option<Event> {
    let share: ShareName = parse(["s", "t"][usize::from(first % 2)]);
    let known = snapshot.share(&share);
    let after = known.map_or(now, |share| now.max(share.switch.at));
    let at = Timestamp::from_second(after.as_second() + 1).ok()?;
    let active = |path: &TargetName| known.and_then(|share| share.paths().get(path)).map(|path| path.active.is_some());
    let file = |number: u8| {
        let body = [number, second];
        ShareFile {
            path: parse(&format!("d/f-{number}")),
            size: 2,
            blake3: Blake3Digest::of(&body),
            sha256: Sha256Digest::of(&body),
            media_type: "text/plain".into(),
            product: parse("p"),
            sequence: u64::from(second),
            set: ["", "d"][usize::from(number % 2)].into(),
            last: number == 3,
        }
    };
    let chosen = |shift: u8| (0..4).filter(move |number| (third >> ((number + shift) % 8)) & 1 == 1).map(file);
    let put: Vec<_> = chosen(0).collect();
    let others = |is_active: bool| {
        let paths = chosen(4).map(|file| file.path).filter(|path| !put.iter().any(|file| file.path == *path));
        paths.filter(|path| active(path) == Some(is_active)).collect()
    };
    let (removed, forgotten) = (others(true), others(false));
    let shows = vec![Shown {
        product: parse("p"),
        version: parse(&format!("1.{second}")),
        sequence: u64::from(second),
        platform: (first >= 128).then(Platform::any),
        since: at,
    }];
    Some(Event::ShareSwitched { share, at, layout: parse("plain"), shows, put, removed, forgotten })
}

/// A version that the gates turn down.
fn refusal(product: ProductName, second: u8) -> Event {
    let finding = GateFinding { gate: "digests".into(), target: Some("f-1".into()), text: "not \"those\"".into() };
    Event::ReleaseRefused { product, version: parse(&format!("1.{second}.0")), findings: vec![finding] }
}

/// Enrolments, denials and keys.
fn security(snapshot: &Snapshot, kind: u8, first: u8, second: u8, now: Timestamp) -> Option<Event> {
    let device = || parse(&format!("device-{}", first % 4));
    let key = |byte: u8| PublicKey { id: KeyId([byte % 8; 8]), bytes: [byte; 32] };
    let reason = || parse("because");
    match kind {
        20 => {
            let hash = Blake3Digest::of(&snapshot.seq().to_be_bytes());
            let ended = snapshot.enrolments().filter(|known| !known.is_open_at(now)).map(|known| known.id).collect();
            let expires_at = now + SignedDuration::from_secs(i64::from(second));
            Some(Event::EnrolmentCreated { device: device(), hash, expires_at, forgotten: ended })
        }
        21 => nth(snapshot.enrolments(), first)
            .map(|known| Event::EnrolmentUsed { enrolment: known.id, certificate: (second > 99).then(|| "ab".into()) }),
        22 => Some(Event::DeviceDenied { device: device(), reason: reason() }),
        23 => nth(snapshot.denials(), first)
            .map(|denial| Event::DeviceAllowed { device: denial.device.clone(), reason: reason() }),
        24 => {
            let (key, name) = (key(first), "vendor \u{e9}".to_owned());
            let products = serde_json::from_str(r#"["p*"]"#).unwrap();
            let is_known = snapshot.trusted_keys().iter().any(|known| known.key.id == key.id);
            (!is_known).then_some(Event::KeyTrusted { key, name, products })
        }
        25 => nth(snapshot.trusted_keys().iter(), first)
            .filter(|known| known.revoked.is_none())
            .map(|known| Event::KeyRevoked { key: known.key.id, reason: reason() }),
        26 => {
            let (key, newest) = (key(first), snapshot.origin_keys().last());
            let introduced_by = newest.map(|newest| newest.key.id);
            let introduction = newest.map(|_| "untrusted comment: \n".to_owned());
            let is_known = snapshot.origin_keys().iter().any(|known| known.key.id == key.id);
            (!is_known).then_some(Event::OriginKeyAdded { key, introduced_by, introduction })
        }
        _ => nth(snapshot.origin_keys().iter(), first)
            .map(|known| Event::OriginKeyRetired { key: known.key.id, reason: reason() }),
    }
}

pub(super) fn nth<T>(mut items: impl ExactSizeIterator<Item = T>, number: u8) -> Option<T> {
    let count = items.len().max(1);
    items.nth(usize::from(number) % count)
}

pub(super) fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}
