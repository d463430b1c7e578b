//! Every bad gate, and what is said of it.

/// What is put into a good plan on its second line, and the findings.
pub(super) const BAD_GATES: &[(&str, &str)] = &[
    (
        r#"canary = { wave = ["100%"] }"#,
        r#"line 19: plan.intelligence.canary has no key "wave"; its keys are waves, gate, promote
line 19: plan.intelligence.canary has no waves; write waves = ["100% bake 1h"] for all at once"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = 5 }"#,
        r#"line 19: plan.intelligence.canary, gate is a table such as { samples = 20, failures = "1%" } or the name of the ring whose gate it shares, not a number"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = "Kanary" }"#,
        r#"line 19: plan.intelligence.canary, gate: "Kanary" is not a ring name: 1 to 64 lower-case letters, digits and inner '.', '_' or '-'"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = "brod" }"#,
        r#"line 19: plan.intelligence.canary, gate: ring "brod" is not in the plan; its rings are canary, broad"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = "canary" }"#,
        r#"line 19: plan.intelligence.canary, gate: it names its own ring; write samples and failures, or name another ring"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = "broad" }"#,
        r#"line 19: plan.intelligence.canary, gate: ring "broad" has no gate of which it could be the same"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = "broad" }
broad = { waves = ["100%"], gate = "canary" }"#,
        r#"line 19: plan.intelligence.canary, gate: the gates name each other in a circle: canary, broad, canary
line 20: plan.intelligence.broad, gate: the gates name each other in a circle: broad, canary, broad"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { } }"#,
        r#"line 19: plan.intelligence.canary, gate has no failures; a gate says samples and failures
line 19: plan.intelligence.canary, gate has no samples; a gate says samples and failures"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 0, failures = "1%" } }"#,
        r#"line 19: plan.intelligence.canary, gate, samples is a whole number from 1 to 100000"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 100001, failures = "1%" } }"#,
        r#"line 19: plan.intelligence.canary, gate, samples is a whole number from 1 to 100000"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 1.5, failures = "1%" } }"#,
        r#"line 19: plan.intelligence.canary, gate, samples is a whole number from 1 to 100000"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = nan, failures = "1%" } }"#,
        r#"line 19: plan.intelligence.canary, gate, samples is a whole number from 1 to 100000"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = "20", failures = "1%" } }"#,
        r#"line 19: plan.intelligence.canary, gate, samples is a number without quotes, not a text"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "0%" } }"#,
        r#"line 19: plan.intelligence.canary, gate, failures is more than 0% and less than 100%: at 0% no gate could pass"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "100%" } }"#,
        r#"line 19: plan.intelligence.canary, gate, failures is more than 0% and less than 100%: at 100% no gate could fail"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "0.001%" } }"#,
        r#"line 19: plan.intelligence.canary, gate, failures: "0.001%" is not a share: write a percentage from 0% to 100% with at most two decimals, for example 20% or 0.5%"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = 1 } }"#,
        r#"line 19: plan.intelligence.canary, gate, failures is a text in quotes, not a number"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", silence = "0%" } }"#,
        r#"line 19: plan.intelligence.canary, gate, silence is more than 0% and less than 100%: at 0% no gate could pass"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", within = "0h" } }"#,
        r#"line 19: plan.intelligence.canary, gate, within is more than 0s"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", within = "4h", timeout = "2h" } }"#,
        r#"line 19: plan.intelligence.canary, gate: the timeout of 2h is shorter than within, 4h: it would alert before a silent device can be told from a slow one"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", sample = 5 } }"#,
        r#"line 19: plan.intelligence.canary, gate has no key "sample"; its keys are samples, failures, silence, within, timeout, metrics"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = "restarts" } }"#,
        r#"line 19: plan.intelligence.canary, gate, metrics is a table, not a text"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = { Restarts = "at most 2x" } } }"#,
        r#"line 19: plan.intelligence.canary, gate, metrics: "Restarts" is not a metric name: 1 to 40 lower-case letters, digits and '_'"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = { restarts = 2 } } }"#,
        r#"line 19: plan.intelligence.canary, gate, metrics.restarts is a text in quotes, not a number"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = { restarts = "2x" } } }"#,
        r#"line 19: plan.intelligence.canary, gate, metrics.restarts: "2x" is not a band: write "at most 2x", "at least 100" or "0.2x to 5x"; x means times the previous release's"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = { restarts = "at most 0x" } } }"#,
        r#"line 19: plan.intelligence.canary, gate, metrics.restarts: "at most 0x" is not a band: a multiple is more than 0x"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = { restarts = "at least 0" } } }"#,
        r#"line 19: plan.intelligence.canary, gate, metrics.restarts: "at least 0" is not a band: nothing is less than 0; leave the metric out"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = { restarts = "5x to 2x" } } }"#,
        r#"line 19: plan.intelligence.canary, gate, metrics.restarts: "5x to 2x" is not a band: the first bound is below the second"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = { restarts = "2 to 5x" } } }"#,
        r#"line 19: plan.intelligence.canary, gate, metrics.restarts: "2 to 5x" is not a band: both bounds are multiples (0.2x to 5x), or neither is (10 to 500)"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = { restarts = "at most 1.0005" } } }"#,
        r#"line 19: plan.intelligence.canary, gate, metrics.restarts: "at most 1.0005" is not a band: a bound is a number up to 10^12 with at most three decimals"#,
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = { m0 = "at most 1", m1 = "at most 1", m2 = "at most 1", m3 = "at most 1", m4 = "at most 1", m5 = "at most 1", m6 = "at most 1", m7 = "at most 1", m8 = "at most 1", m9 = "at most 1", m10 = "at most 1", m11 = "at most 1", m12 = "at most 1", m13 = "at most 1", m14 = "at most 1", m15 = "at most 1", m16 = "at most 1" } } }"#,
        r#"line 19: plan.intelligence.canary, gate, metrics has 17 metrics; at most 16 are allowed"#,
    ),
];
