//! Which safeguards a policy weakens.

use super::curve::opens_sooner;
use super::weakened::weakened;
use crate::model::policy::Policy;
use crate::model::{BasisPoints, Span, Wave};

const POLICY: &str = r#"
[approve]
intelligence = "anyone"
platform = "other"
[[ring]]
name = "canary"
[[ring]]
name = "broad"
[[group]]
name = "dc"
match = { id = "dc-*" }
ring = "broad"
[[group]]
name = "all"
match = "any"
ring = "canary"
[plan.intelligence]
start = "manual"
watch = "72h"
breaker = "3 halts in 7d"
rollback = { automatic = true, blast_limit = 500, approvals = 1 }
emergency = { bake_times = 0.5, approvers = ["ada", "bo", "chen"], approvals = 3, lasts = "12h" }
[plan.intelligence.canary]
waves = ["20% bake 2h", "100% bake 4h"]
gate = { samples = 100, failures = "2%", silence = "5%", within = "30m", timeout = "24h", metrics = { restarts = "at most 2x", free_mb = "at least 100" } }
[plan.intelligence.broad]
waves = ["100% bake 1h"]
gate = "canary"
promote = "manual"
"#;

fn weaker(changes: &[(&str, &str)]) -> Vec<String> {
    let text = changes.iter().fold(POLICY.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    weakened(&Policy::parse(POLICY).unwrap(), &Policy::parse(&text).unwrap())
}

#[test]
fn each_safeguard_is_told() {
    let cases: &[(&str, &str, &str)] = &[
        (
            "\"20% bake 2h\", \"100% bake 4h\"",
            "\"20% bake 1h\", \"100% bake 2h\"",
            "ring canary of intelligence: bakes 3 hours instead of 6 hours",
        ),
        (
            "\"20% bake 2h\", \"100% bake 4h\"",
            "\"40% bake 2h\", \"100% bake 4h\"",
            "ring canary of intelligence: its first wave takes 40% instead of 20%",
        ),
        (
            "\"20% bake 2h\", \"100% bake 4h\"",
            "\"20% bake 1h\", \"100% bake 5h\"",
            "ring canary of intelligence: its waves open sooner",
        ),
        (
            "failures = \"2%\"",
            "failures = \"5%\"",
            "the gate of ring canary of intelligence lets 5% fail instead of 2%",
        ),
        (
            "silence = \"5%\"",
            "silence = \"6%\"",
            "the gate of ring canary of intelligence lets 6% fall silent instead of 5%",
        ),
        (
            "within = \"30m\"",
            "within = \"1h\"",
            "the gate of ring canary of intelligence waits 1 hour for a report instead of 30 minutes",
        ),
        (
            "timeout = \"24h\"",
            "timeout = \"48h\"",
            "the gate of ring canary of intelligence alerts after 48 hours without a verdict instead of 24 hours",
        ),
        (
            "samples = 100",
            "samples = 80",
            "the gate of ring canary of intelligence asks for 80 healthy devices instead of 100",
        ),
        ("restarts = \"at most 2x\", ", "", "the gate of ring canary of intelligence no longer watches restarts"),
        ("at most 2x", "at most 3x", "the gate of ring canary of intelligence watches restarts within wider bounds"),
        ("at least 100", "at least 90", "the gate of ring canary of intelligence watches free_mb within wider bounds"),
        ("promote = \"manual\"", "promote = \"automatic\"", "ring broad of intelligence no longer waits for a person"),
        ("start = \"manual\"", "start = \"automatic\"", "a rollout of intelligence starts without a person"),
        ("watch = \"72h\"", "watch = \"24h\"", "late failures of intelligence halt for 24 hours instead of 72 hours"),
        (
            "breaker = \"3 halts in 7d\"",
            "",
            "the breaker of intelligence is gone: no number of halts freezes a product",
        ),
        (
            "3 halts in 7d",
            "4 halts in 7d",
            "the breaker of intelligence freezes a product after 4 halts within 1 week instead of 3 halts within 1 week",
        ),
        ("automatic = true", "automatic = false", "a halt of intelligence no longer begins the way back by itself"),
        (
            "blast_limit = 500",
            "blast_limit = 600",
            "a rollback of intelligence needs no confirmation up to 600 devices instead of 500",
        ),
        (", approvals = 1", "", "a rollback of intelligence that a person begins needs 0 approvals instead of 1"),
        ("approvals = 3", "approvals = 2", "an emergency of intelligence needs 2 approvals instead of 3"),
        ("\"chen\"]", "\"chen\", \"dora\"]", "an emergency of intelligence can be approved by dora, too"),
        ("lasts = \"12h\"", "lasts = \"24h\"", "an emergency of intelligence lasts 24 hours instead of 12 hours"),
        (
            "bake_times = 0.5",
            "bake_times = 0.25",
            "ring broad in an emergency of intelligence: bakes 15 minutes instead of 30 minutes",
        ),
        (
            "platform = \"other\"",
            "platform = \"anyone\"",
            "releases of platform may be approved by whoever published them",
        ),
        ("intelligence = \"anyone\"", "intelligence = \"auto\"", "releases of intelligence need no approval any more"),
    ];
    for (from, to, sentence) in cases {
        let said = weaker(&[(from, to)]);
        assert!(said.iter().any(|known| known == sentence), "{from} -> {to}: {said:#?}");
        // The other way round the very same sentence is not true.
        let text = POLICY.replace(from, to);
        let back = weakened(&Policy::parse(&text).unwrap(), &Policy::parse(POLICY).unwrap());
        assert!(!back.iter().any(|known| known == sentence), "{from} <- {to}: {back:#?}");
    }
    assert_eq!(weaker(&[]), Vec::<String>::new());
}

#[test]
fn a_plan_or_a_gate_that_is_gone_is_told() {
    let without = POLICY.split("[plan.intelligence]").next().unwrap();
    let (present, proposed) = (Policy::parse(POLICY).unwrap(), Policy::parse(without).unwrap());
    let gone = "the plan of intelligence is gone: everyone would see a release from its publication on";
    assert_eq!(weakened(&present, &proposed), [gone]);
    assert_eq!(weakened(&proposed, &present), Vec::<String>::new());
    let said = weaker(&[("gate = \"canary\"\n", "")]);
    assert!(said[0].starts_with("the gate of ring broad of intelligence is gone"), "{said:?}");
}

#[test]
fn growing_waves_are_compared_by_what_is_open_when() {
    let wave = |share, over, bake| Wave {
        share: BasisPoints::new(share),
        over: Span::from_secs(over),
        bake: Span::from_secs(bake),
    };
    let (step, slope) = ([wave(10_000, 0, 100)], [wave(10_000, 100, 0)]);
    assert!(opens_sooner(&slope, &step) && !opens_sooner(&step, &slope) && !opens_sooner(&step, &step));
    let (two, early) = ([wave(5_000, 0, 50), wave(10_000, 0, 50)], [wave(5_000, 0, 40), wave(10_000, 0, 60)]);
    assert!(opens_sooner(&two, &early) && !opens_sooner(&early, &two));
}
