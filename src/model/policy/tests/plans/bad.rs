//! Every bad plan, and what is said of it.

/// What is put into a good plan on its second line, and the findings.
pub(super) const BAD: &[(&str, &str)] = &[
    (r#"colour = "red""#, ""),
    (r#"brod = { waves = ["100%"] }"#, ""),
    (r#"broad = ["100%"]"#, ""),
    (r#"canary = { }"#, ""),
    (r#"canary = { wave = ["100%"] }"#, ""),
    (r#"canary = { waves = "100%" }"#, ""),
    (r#"canary = { waves = [] }"#, ""),
    (
        r#"canary = { waves = ["1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%"] }"#,
        "",
    ),
    (r#"canary = { waves = [5] }"#, ""),
    (r#"canary = { waves = ["20"] }"#, ""),
    (r#"canary = { waves = ["120%"] }"#, ""),
    (r#"canary = { waves = ["100% bake"] }"#, ""),
    (r#"canary = { waves = ["100% bake 1"] }"#, ""),
    (r#"canary = { waves = ["100% bake 1h over 2h"] }"#, ""),
    (r#"canary = { waves = ["100% over 1h over 2h"] }"#, ""),
    (r#"canary = { waves = ["all"] }"#, ""),
    (r#"canary = { waves = [""] }"#, ""),
    (r#"canary = { waves = ["0%", "100%"] }"#, ""),
    (r#"canary = { waves = ["20% bake 1h", "20% bake 1h", "100% bake 1h"] }"#, ""),
    (r#"canary = { waves = ["20% bake 2h", "100% bake 1h"] }"#, ""),
    (r#"canary = { waves = ["20% bake 2h", "100%"] }"#, ""),
    (r#"canary = { waves = ["20% bake 2h", "90% bake 2h"] }"#, ""),
    (r#"strategy = "purple""#, ""),
    (
        r#"strategy = "blue-green"
canary = { waves = ["20% bake 1h", "100% bake 2h"] }"#,
        "",
    ),
    (
        r#"strategy = "blue-green"
canary = { waves = ["100% over 1h bake 2h"] }"#,
        "",
    ),
    (r#"start = "later""#, ""),
    (r#"watch = "soon""#, ""),
    (r#"watch = 72"#, ""),
    (r#"canary = { waves = ["100%"], promote = "sometimes" }"#, ""),
    (r#"canary = { waves = ["100%"], gate = 5 }"#, ""),
    (r#"canary = { waves = ["100%"], gate = "Kanary" }"#, ""),
    (r#"canary = { waves = ["100%"], gate = "brod" }"#, ""),
    (r#"canary = { waves = ["100%"], gate = "canary" }"#, ""),
    (r#"canary = { waves = ["100%"], gate = "broad" }"#, ""),
    (
        r#"canary = { waves = ["100%"], gate = "broad" }
broad = { waves = ["100%"], gate = "canary" }"#,
        "",
    ),
    (r#"canary = { waves = ["100%"], gate = { } }"#, ""),
    (r#"canary = { waves = ["100%"], gate = { samples = 0, failures = "1%" } }"#, ""),
    (r#"canary = { waves = ["100%"], gate = { samples = 100001, failures = "1%" } }"#, ""),
    (r#"canary = { waves = ["100%"], gate = { samples = 1.5, failures = "1%" } }"#, ""),
    (r#"canary = { waves = ["100%"], gate = { samples = nan, failures = "1%" } }"#, ""),
    (r#"canary = { waves = ["100%"], gate = { samples = "20", failures = "1%" } }"#, ""),
    (r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "0%" } }"#, ""),
    (r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "100%" } }"#, ""),
    (r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "0.001%" } }"#, ""),
    (r#"canary = { waves = ["100%"], gate = { samples = 20, failures = 1 } }"#, ""),
    (r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", silence = "0%" } }"#, ""),
    (r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", within = "0h" } }"#, ""),
    (r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", within = "4h", timeout = "2h" } }"#, ""),
    (r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", sample = 5 } }"#, ""),
    (r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = "restarts" } }"#, ""),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = { Restarts = "at most 2x" } } }"#,
        "",
    ),
    (r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = { restarts = 2 } } }"#, ""),
    (r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = { restarts = "2x" } } }"#, ""),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = { restarts = "at most 0x" } } }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = { restarts = "at least 0" } } }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = { restarts = "5x to 2x" } } }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = { restarts = "2 to 5x" } } }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = { restarts = "at most 1.0005" } } }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100%"], gate = { samples = 20, failures = "1%", metrics = { m0 = "at most 1", m1 = "at most 1", m2 = "at most 1", m3 = "at most 1", m4 = "at most 1", m5 = "at most 1", m6 = "at most 1", m7 = "at most 1", m8 = "at most 1", m9 = "at most 1", m10 = "at most 1", m11 = "at most 1", m12 = "at most 1", m13 = "at most 1", m14 = "at most 1", m15 = "at most 1", m16 = "at most 1" } } }"#,
        "",
    ),
    (r#"breaker = "often""#, ""),
    (r#"breaker = "0 halts in 7d""#, ""),
    (r#"breaker = "101 halts in 7d""#, ""),
    (r#"breaker = "3 halts in 0d""#, ""),
    (r#"breaker = "3 halts in a week""#, ""),
    (r#"rollback = true"#, ""),
    (r#"rollback = { auto = true }"#, ""),
    (r#"rollback = { automatic = "yes" }"#, ""),
    (r#"rollback = { waves = ["50%"] }"#, ""),
    (r#"rollback = { waves = ["10% bake 2h", "20% bake 1h", "100%"] }"#, ""),
    (r#"rollback = { blast_limit = -1 }"#, ""),
    (r#"rollback = { blast_limit = 1e10 }"#, ""),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { bake_times = 0.5 }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { bake_times = 0, approvers = ["a", "b"] }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { bake_times = 1.1, approvers = ["a", "b"] }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { bake_times = "half", approvers = ["a", "b"] }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { approvers = ["a"] }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { approvers = ["a", "b"], approvals = 3 }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { approvers = ["a", "b"], approvals = 1 }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { approvers = ["a", "b"], approvals = 11 }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { approvers = ["a", "b", "a"] }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { approvers = ["a", "b c"] }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { approvers = "a" }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { lasts = "0h", approvers = ["a", "b"] }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { out_of_band = "yes", approvers = ["a", "b"] }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { waves_from = "drivers", approvers = ["a", "b"] }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { waves_from = "platform", approvers = ["a", "b"] }"#,
        "",
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { faster = true, approvers = ["a", "b"] }"#,
        "",
    ),
    (r#"emergency = { approvers = ["a", "b"] }"#, ""),
];

/// Whole plans, and the findings.
pub(super) const BETWEEN: &[(&str, &str)] = &[
    (
        r#"[plan]
fast = true
"#,
        "",
    ),
    (
        r#"[plan]
intelligence = 5
"#,
        "",
    ),
    (
        r#"[plan.drivers]
"#,
        "",
    ),
    (
        r#"[plan.intelligence]
"#,
        "",
    ),
    (
        r#"[plan.intelligence]
canary = { waves = ["100%"] }
"#,
        "",
    ),
    (
        r#"[plan.platform]
canary = { waves = ["100%"] }
broad = { waves = ["100%"] }
last = { waves = ["100%"], gate = { samples = 1, failures = "1%" } }
"#,
        "",
    ),
    (
        r#"[plan.platform]
canary = { waves = ["100%"], gate = { samples = 1, failures = "1%" } }
broad = { waves = ["100%"] }
last = { waves = ["100%"], gate = "canary" }
"#,
        "",
    ),
    (
        r#"[plan.platform]
canary = { waves = ["100%"] }
broad = { waves = ["100%"] }
last = { waves = ["100%"] }
emergency = { waves_from = "intelligence", approvers = ["a", "b"] }
[plan.intelligence]
canary = { waves = ["100%"], gate = { samples = 1, failures = "1%" } }
broad = { waves = ["100%"] }
"#,
        "",
    ),
];
