//! Plans: what is understood, and every finding with its line.

mod bad;
mod bad_gates;
mod timing;

use bad::{BAD, BETWEEN};
use bad_gates::BAD_GATES;
use proptest::prelude::*;

use super::findings;
use crate::model::policy::Policy;
use crate::model::{BasisPoints, Bound, Class, Plan, Promote, RingName, RollbackPlan, Span, Strategy};

/// Three rings with groups; nobody but requests without identity is in the last one for platform.
const GROUPS: &str = r#"[[ring]]
name = "canary"
[[ring]]
name = "broad"
[[ring]]
name = "last"
[[group]]
name = "first"
match = { tag = "canary" }
ring = "canary"
[[group]]
name = "everyone"
match = "any"
ring = "broad"
[[group]]
name = "unidentified"
ring = { intelligence = "broad", platform = "last" }
"#;

const GOOD: &str = r#"
[plan.intelligence]
broad = { waves = ["10% over 4h bake 1h", "100% bake 1h"], gate = "canary", promote = "manual" }
canary.waves = ["100% bake 6h"]
canary.gate = { samples = 20, failures = "2%", metrics = { restarts = "at most 2x", rate = "0.25x to 5x", free_mb = "at least 100", cpu = "1 to 2.5" } }
breaker = "3 halts in 7d"
rollback = { automatic = true, waves = ["10% bake 10m", "100%"], blast_limit = 5000 }
emergency = { bake_times = 0.05, approvers = ["alice@corp", "bo@corp", "chen@corp"], lasts = "12h" }

[plan.platform]
strategy = "blue-green"
start = "manual"
watch = "7d"
canary = { waves = ["100% bake 24h"], gate = { samples = 1, failures = "0.5%", silence = "3%", within = "4h" } }
broad = { waves = ["100%"] }
last = { waves = ["100%"], promote = "manual" }
emergency = { approvers = ["alice@corp", "bo@corp", "chen@corp"], approvals = 3, out_of_band = true }
"#;

fn secs(text: &str) -> u64 {
    text.parse::<Span>().unwrap().as_secs()
}

fn with(plans: &str) -> String {
    format!("{GROUPS}{plans}")
}

fn times(plan: &Plan) -> Vec<(u16, u64, u64)> {
    let waves = plan.rings.iter().flat_map(|ring| &ring.waves);
    waves.map(|wave| (wave.share.get(), wave.over.as_secs(), wave.bake.as_secs())).collect()
}

#[test]
fn a_good_plan_is_understood() {
    let policy = Policy::parse(&with(GOOD)).unwrap();
    let plan = policy.plan(Class::Intelligence).unwrap();
    let rings: Vec<_> = plan.plan.rings.iter().map(|ring| ring.ring.as_str()).collect();
    assert_eq!(rings, ["canary", "broad"], "in the order of the rings, not of the text");
    assert_eq!(times(&plan.plan), [(10_000, 0, secs("6h")), (1_000, secs("4h"), secs("1h")), (10_000, 0, secs("1h"))]);
    let gate = plan.plan.rings[0].gate.as_ref().unwrap();
    assert_eq!(plan.plan.rings[1].gate.as_ref(), Some(gate));
    assert_eq!((gate.samples, gate.failures, gate.silence), (20, BasisPoints::new(200), BasisPoints::new(500)));
    assert_eq!((gate.within.as_secs(), gate.timeout.as_secs()), (secs("2h"), secs("12h")));
    let band = |name: &str| {
        let band = gate.metrics.iter().find(|band| band.metric.as_str() == name).unwrap();
        (band.low, band.high)
    };
    assert_eq!(band("restarts"), (None, Some(Bound::TimesMilli(2_000))));
    assert_eq!(band("rate"), (Some(Bound::TimesMilli(250)), Some(Bound::TimesMilli(5_000))));
    assert_eq!(band("free_mb"), (Some(Bound::Milli(100_000)), None));
    assert_eq!(band("cpu"), (Some(Bound::Milli(1_000)), Some(Bound::Milli(2_500))));
    assert_eq!(
        plan.plan.rings.iter().map(|ring| ring.promote).collect::<Vec<_>>(),
        [Promote::Automatic, Promote::Manual]
    );
    let breaker = plan.breaker.unwrap();
    assert_eq!((breaker.halts, breaker.within.as_secs()), (3, secs("7d")));
    assert_eq!((plan.plan.rollback.automatic, plan.plan.rollback.blast_limit), (true, 5_000));
    assert!(plan.plan.rollback.waves[1].bake.is_none());
    assert_eq!((plan.start, plan.plan.watch.as_secs()), (Promote::Automatic, secs("72h")));
}

#[test]
fn the_other_class_has_its_own_and_the_defaults() {
    let policy = Policy::parse(&with(GOOD)).unwrap();
    let plan = policy.plan(Class::Platform).unwrap();
    assert_eq!((plan.start, plan.plan.strategy), (Promote::Manual, Strategy::BlueGreen));
    assert_eq!((plan.breaker, plan.plan.watch.as_secs()), (None, secs("7d")));
    assert_eq!(plan.plan.rollback, RollbackPlan::default());
    assert_eq!(plan.plan.rings[0].gate.as_ref().unwrap().timeout.as_secs(), secs("16h"), "four times within");
    let none = Policy::parse(GROUPS).unwrap();
    assert!(Class::ALL.into_iter().all(|class| none.plan(class).is_none()));
}

#[test]
fn an_emergency_has_the_same_waves_and_gates_with_shorter_times() {
    let policy = Policy::parse(&with(GOOD)).unwrap();
    let plan = policy.plan(Class::Intelligence).unwrap();
    let emergency = plan.emergency.as_ref().unwrap();
    assert_eq!(times(&emergency.plan), [(10_000, 0, 1_080), (1_000, 720, 180), (10_000, 0, 180)]);
    for (fast, slow) in emergency.plan.rings.iter().zip(&plan.plan.rings) {
        assert_eq!((&fast.gate, fast.promote), (&slow.gate, Promote::Automatic));
    }
    assert_eq!((emergency.approvals_needed, emergency.approvers.len()), (2, 3));
    assert_eq!((emergency.lasts.as_secs(), emergency.out_of_band), (secs("12h"), false));

    let borrowed = GOOD.replace("bake_times = 0.05", "waves_from = \"platform\", bake_times = 0.333");
    let policy = Policy::parse(&with(&borrowed)).unwrap();
    let plan = policy.plan(Class::Intelligence).unwrap();
    let emergency = plan.emergency.as_ref().unwrap();
    assert_eq!(times(&emergency.plan)[0], (10_000, 0, 28_772), "28771.2, rounded up");
    assert_eq!(emergency.plan.watch, plan.plan.watch);
    assert_eq!(emergency.plan.rollback, plan.plan.rollback);
    assert_eq!(policy.plan(Class::Platform).unwrap().emergency.as_ref().unwrap().approvals_needed, 3);
}

#[test]
fn rings_and_their_groups() {
    let policy = Policy::parse(GROUPS).unwrap();
    let rings = |class| policy.rings_of(class).map(RingName::as_str).collect::<Vec<_>>();
    assert_eq!(rings(Class::Intelligence), ["canary", "broad"]);
    assert_eq!(rings(Class::Platform), ["canary", "broad", "last"]);
    let broad: RingName = "broad".parse().unwrap();
    let groups = |class| policy.groups_in_ring(&broad, class).map(|group| group.name().as_str()).collect::<Vec<_>>();
    assert_eq!(groups(Class::Intelligence), ["everyone", "unidentified"]);
    assert_eq!(groups(Class::Platform), ["everyone"]);
}

/// A plan that is good but for what `change` puts into it, on the first line after the groups.
fn bad(change: &str) -> Vec<String> {
    let rest: String = ["canary", "broad"]
        .iter()
        .filter(|ring| !change.contains(&format!("{ring} = ")))
        .map(|ring| format!("{ring} = {{ waves = [\"100% bake 1h\"] }}\n"))
        .collect();
    findings(&with(&format!("[plan.intelligence]\n{change}\n{rest}")))
}

#[test]
fn everything_that_can_be_wrong_with_a_plan() {
    for (change, expected) in BAD.iter().chain(BAD_GATES) {
        assert_eq!(bad(change).join("\n"), *expected, "{change}");
    }
}

#[test]
fn everything_that_can_be_wrong_between_plans() {
    for (plans, expected) in BETWEEN {
        assert_eq!(findings(&with(plans)).join("\n"), *expected, "{plans}");
    }
}

#[test]
fn a_ring_is_not_named_like_a_key_of_a_plan() {
    let text = with(GOOD).replace("\"last\"", "\"watch\"").replace("last = ", "# ");
    assert_eq!(findings(&text), ["line 5: ring \"watch\" has the name of a key of a plan; give the ring another name"]);
    assert!(Policy::parse(&GROUPS.replace("\"last\"", "\"watch\"")).is_ok(), "without a plan any name will do");
}

#[test]
fn a_group_with_a_mistake_is_no_mistake_of_the_plan() {
    let text = with(GOOD).replace("ring = \"canary\"", "ring = \"canry\"");
    assert_eq!(findings(&text).len(), 1);
}

proptest! {
    #[test]
    fn any_plan_is_understood_or_refused(text in "(\\[plan\\.(intelligence|platform)\\]\n|(canary|broad|last|emergency|rollback)(\\.(waves|gate|approvers))? = (\\{ (waves|gate|samples|failures|bake_times|approvers) = .{0,12} \\}|\\[\"[0-9%a-z ]{0,12}\"\\]|\"(canary|broad|last)\"|-?[0-9.]{1,20}|nan|inf|true)\n|.{0,9}\n){0,10}") {
        if let Err(error) = Policy::parse(&with(&text)) {
            prop_assert!(!error.findings().is_empty());
            prop_assert!(error.findings().iter().all(|found| found.line >= 1 && !found.message.contains('\n')));
        }
    }

    #[test]
    fn any_wave_is_understood_or_refused(wave in "[0-9]{1,3}(\\.[0-9]{1,3})?%?( (over|bake) [0-9]{1,22}[wdhmsx]){0,3}", high in "(at most |at least |[0-9.x]{1,6} to )?[0-9.]{1,24}x?") {
        let waves = format!("[plan.intelligence]\nbroad = {{ waves = [\"100%\"] }}\ncanary = {{ waves = [\"{wave}\", \"100% bake 365d\"], gate = {{ samples = 1, failures = \"1%\", metrics = {{ m = \"{high}\" }} }} }}\n");
        if let Ok(policy) = Policy::parse(&with(&waves)) {
            let first = &policy.plan(Class::Intelligence).unwrap().plan.rings[0];
            prop_assert!(first.waves[0].share < first.waves[1].share);
            prop_assert!(policy.sentences().iter().all(|sentence| sentence.ends_with('.')));
        }
    }
}
