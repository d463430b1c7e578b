//! Random histories of one product.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::model::testing::TestJournal;
use crate::model::{
    Actor, BasisPoints, Class, Event, Evidence, HaltCause, HoldScope, Plan, ProductName, Promote, ReleaseId, RingPlan,
    Rollout, RolloutChange, RolloutKind, RolloutStep, Span, Version, Wave,
};

/// Every event and every end, of a window or between ticks, too, lies on a whole hour from here: ten in the evening.
pub(crate) const START: i64 = 1_699_999_200;

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Wait(u8),
    /// A release of this version, for this platform; a barrier or not; left a draft or not.
    Release(u8, &'static str, bool, bool),
    /// The n-th release, counted round.
    Publish(u8),
    Withdraw(u8),
    /// This version (0: all), whom, for how many hours (0: no end).
    Hold(u8, u8, u8),
    Lift(u8),
    Pin(&'static str, u8),
    Unpin(u8),
    /// keep, deferral in hours, text pin (0: none), sees the product, ring and calendar of group a.
    Policy(u8, u8, u8, bool, (&'static str, &'static str)),
    /// Tagged or not, platform or not; or removed.
    Device(bool, Option<&'static str>),
    Remove,
    /// Plans a rollout of the n-th release: its kind, its salt.
    Plan(u8, u8, u8),
    /// A step of the n-th rollout.
    Roll(u8, u8),
    /// Freezes the product, or resets it.
    Freeze,
}

/// What a group may say of its pace; the oracle knows these by heart.
const CALENDARS: [&str; 4] = [
    "",
    "cadence = \"every 3h from 2023-01-01T00:00 UTC\"\n",
    "window = [\"daily 02:00-05:00 UTC\"]\n",
    "cadence = \"every 3h from 2023-01-01T00:00 UTC\"\nwindow = [\"daily 02:00-05:00 UTC\"]\n",
];

fn step() -> impl Strategy<Value = Step> {
    let platform = prop_oneof![Just("any"), Just("x"), Just("y")];
    let group = prop_oneof![Just("a"), Just("b")];
    let ring = prop_oneof![Just("r"), Just("s")];
    let calendar = proptest::sample::select(CALENDARS.to_vec());
    prop_oneof![
        4 => (1u8..4).prop_map(Step::Wait),
        6 => (1u8..8, platform, prop::bool::weighted(0.2), prop::bool::weighted(0.2)).prop_map(|(v, p, b, d)| Step::Release(v, p, b, d)),
        1 => any::<u8>().prop_map(Step::Publish),
        1 => any::<u8>().prop_map(Step::Withdraw),
        2 => (prop_oneof![1 => Just(0u8), 4 => 1u8..8], 0u8..4, 0u8..5).prop_map(|(v, s, h)| Step::Hold(v, s, h)),
        1 => any::<u8>().prop_map(Step::Lift),
        1 => (group, 1u8..8).prop_map(|(g, v)| Step::Pin(g, v)),
        1 => any::<u8>().prop_map(Step::Unpin),
        2 => (0u8..3, 0u8..4, prop_oneof![4 => Just(0u8), 1 => 1u8..8], prop::bool::weighted(0.9), (ring, calendar))
            .prop_map(|(k, d, p, s, r)| Step::Policy(k, d, p, s, r)),
        1 => (any::<bool>(), prop_oneof![Just(None), Just(Some("x")), Just(Some("y"))]).prop_map(|(t, p)| Step::Device(t, p)),
        1 => Just(Step::Remove),
        5 => (any::<u8>(), 0u8..6, 0u8..4).prop_map(|(n, k, s)| Step::Plan(n, k, s)),
        9 => (any::<u8>(), 0u8..14).prop_map(|(n, c)| Step::Roll(n, c)),
        1 => Just(Step::Freeze),
    ]
}

/// A history that starts with a product and a policy, so that most of it says something.
pub(crate) fn history() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..32)
}

pub(crate) fn product() -> ProductName {
    "p".parse().unwrap()
}

pub(crate) fn version(n: u8) -> Version {
    n.to_string().parse().unwrap()
}

fn policy(keep: u8, defer: u8, pin: u8, sees: bool, (ring, calendar): (&str, &str)) -> String {
    let keep = if keep == 0 { "N".into() } else { format!("N-{keep}") };
    let pin = if pin == 0 { String::new() } else { format!("pin.p = \"{pin}\"\n") };
    let products = if sees { "" } else { "products = [\"q\"]\n" };
    let pin = if sees { pin } else { String::new() };
    let other = if ring == "r" { "s" } else { "r" };
    format!(
        "[[ring]]\nname = \"r\"\n[[ring]]\nname = \"s\"\ndefer = \"1h\"\n\
         [[group]]\nname = \"a\"\nmatch = {{ tag = \"t\" }}\nring = \"{ring}\"\nkeep = \"{keep}\"\ndefer = \"{defer}h\"\n{calendar}{pin}{products}\
         [[group]]\nname = \"b\"\nmatch = \"any\"\nring = \"{other}\"\n"
    )
}

/// Plays a history; steps that cannot be taken are left out.
pub(crate) fn play(steps: &[Step]) -> TestJournal {
    let mut journal = TestJournal::new(Timestamp::from_second(START).unwrap());
    journal
        .product("p", Class::Platform)
        .policy(&policy(0, 1, 0, true, ("r", "")))
        .devices(&[r#"{"id":"d","tags":["t"]}"#]);
    for step in steps {
        take(&mut journal, step);
    }
    journal
}

fn take(journal: &mut TestJournal, step: &Step) {
    let reason = || "why not".parse().unwrap();
    let known = journal.snapshot().product(&product()).unwrap().clone();
    let nth = |n: u8| known.releases().get(usize::from(n) % known.releases().len().max(1)).cloned();
    match *step {
        Step::Wait(hours) => {
            journal.advance(i64::from(hours) * 3_600);
        }
        Step::Release(v, platform, barrier, draft) if known.by_version(&version(v)).is_none() => {
            let release = journal.draft("p", &v.to_string(), &[platform], barrier);
            if !draft {
                journal.push(Event::ReleasePublished { product: product(), release });
            }
        }
        Step::Release(..) => {}
        Step::Publish(n) => {
            if let Some(release) =
                nth(n).filter(|release| release.published_at.is_none() && release.withdrawn.is_none())
            {
                journal.push(Event::ReleasePublished { product: product(), release: release.id });
            }
        }
        Step::Withdraw(n) => {
            if let Some(release) = nth(n).filter(|release| release.withdrawn.is_none()) {
                journal.push(Event::ReleaseWithdrawn { product: product(), release: release.id, reason: reason() });
            }
        }
        Step::Hold(v, scope, hours) => {
            let end = journal.now() + SignedDuration::from_hours(i64::from(hours));
            journal.push(Event::HoldAdded {
                product: product(),
                version: (v > 0).then(|| version(v)),
                scope: scopes(scope),
                reason: reason(),
                expires_at: (hours > 0).then_some(end),
            });
        }
        Step::Lift(n) => {
            let holds: Vec<_> = known.holds().iter().filter(|hold| hold.lifted.is_none()).collect();
            if let Some(hold) = holds.get(usize::from(n) % holds.len().max(1)) {
                journal.push(Event::HoldLifted { hold: hold.id, reason: reason() });
            }
        }
        Step::Pin(group, v) => {
            let group = group.parse().unwrap();
            journal.push(Event::PinAdded { group, product: product(), version: version(v), reason: reason() });
        }
        Step::Unpin(n) => {
            let pins: Vec<_> = known.pins().iter().filter(|pin| pin.removed.is_none()).collect();
            if let Some(pin) = pins.get(usize::from(n) % pins.len().max(1)) {
                journal.push(Event::PinRemoved { pin: pin.id, reason: reason() });
            }
        }
        Step::Policy(keep, defer, pin, sees, pace) => {
            journal.policy(&policy(keep, defer, pin, sees, pace));
        }
        Step::Device(tagged, platform) => {
            let tags = if tagged { r#""t""# } else { "" };
            let platform = platform.map(|name| format!(r#","platform":"{name}""#)).unwrap_or_default();
            journal.devices(&[&format!(r#"{{"id":"d","tags":[{tags}]{platform}}}"#)]);
        }
        Step::Plan(n, kind, salt) => {
            let release = nth(n).map(|release| (release.id, release.sequence));
            if let Some(event) = release.and_then(|release| plan(journal, release, kind, salt)) {
                journal.push(event);
            }
        }
        Step::Roll(n, change) => {
            if let Some(event) = roll(journal, n, change) {
                journal.push(event);
            }
        }
        Step::Freeze => {
            let is_frozen = known.freezes().iter().any(|freeze| freeze.reset.is_none());
            let (product, reason) = (product(), reason());
            journal.push(match is_frozen {
                true => Event::ProductReset { product, reason },
                false => Event::ProductFrozen { product, reason },
            });
        }
        Step::Remove => {
            journal.push(Event::DevicesRemoved { devices: vec!["d".parse().unwrap()] });
        }
    }
}

fn scopes(n: u8) -> HoldScope {
    match n {
        0 => HoldScope::Everyone,
        1 => HoldScope::Group("a".parse().unwrap()),
        2 => HoldScope::Ring("r".parse().unwrap()),
        _ => HoldScope::Devices(serde_json::from_str(r#"{"tag":"t"}"#).unwrap()),
    }
}

/// Every half hour from before the first event to after the last end.
pub(crate) fn moments(journal: &TestJournal) -> Vec<Timestamp> {
    let end = journal.now() + SignedDuration::from_hours(6);
    let mut moment = Timestamp::from_second(START - 1_800).unwrap();
    let mut moments = Vec::new();
    while moment <= end {
        moments.push(moment);
        moment += SignedDuration::from_mins(30);
    }
    moments
}

/// A rollout of two rings with waves that grow over hours.
fn plan(journal: &TestJournal, (release, sequence): (ReleaseId, u64), kind: u8, salt: u8) -> Option<Event> {
    let wave = |share, hours: u64| Wave {
        share: BasisPoints::new(share),
        over: Span::from_secs(hours * 3_600),
        bake: Span::NONE,
    };
    let ring = |name: &str| RingPlan {
        ring: name.parse().unwrap(),
        waves: vec![wave(3_000, 0), wave(6_000, 2), wave(10_000, 3)],
        gate: None,
        promote: Promote::Automatic,
    };
    let plan = Plan { rings: vec![ring("r"), ring("s")], ..Plan::default() };
    let group = |name: &str| std::iter::once(name.parse().unwrap()).collect();
    let rollout = match kind {
        0..=2 => RolloutKind::Release,
        3 => RolloutKind::Expedite {
            criteria: "an attack".parse().unwrap(),
            pinned_groups: if salt == 0 { group("a") } else { Default::default() },
            approvers: Default::default(),
            approvals_needed: 2,
            expires_at: journal.now() + SignedDuration::from_hours(4),
        },
        _ => RolloutKind::Rollback {
            from: sequence + u64::from(salt),
            groups: if kind == 4 { Default::default() } else { group("a") },
            devices: 1,
            automatic: false,
        },
    };
    let salt = format!("salt {salt}");
    Some(Event::RolloutPlanned { product: product(), release, rollout, plan, salt, reason: None })
}

/// A step of a rollout, if it fits.
fn roll(journal: &TestJournal, n: u8, change: u8) -> Option<Event> {
    let known = journal.snapshot().product(&product())?;
    let rollout = known.rollouts().get(usize::from(n) % known.rollouts().len().max(1))?;
    let index = usize::from(n) % 2;
    let ring = rollout.plan.rings[index].ring.clone();
    let wave = rollout.rings()[index].opened.len() as u32;
    let reason = || "because".parse().unwrap();
    let evidence = Evidence::default();
    let change = match change {
        0..=6 => RolloutChange::WaveOpened { ring, wave, devices: 9, rated: Default::default() },
        7 => RolloutChange::Completed,
        8 => RolloutChange::Paused { reason: reason() },
        9 => RolloutChange::Halted { cause: HaltCause::Person, reason: reason(), evidence },
        10 | 11 => RolloutChange::Resumed { reason: reason() },
        12 => RolloutChange::Superseded { by: rollout.id + 1 },
        _ => RolloutChange::RolledBack { by: rollout.id + 1 },
    };
    let step = RolloutStep { seq: 0, at: journal.now(), by: Actor::system(), change: change.clone() };
    let fits = Rollout::clone(rollout).push(step).is_ok();
    fits.then(|| Event::RolloutChanged { product: product(), rollout: rollout.id, change })
}
