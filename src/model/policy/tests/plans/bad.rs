//! Every bad plan, and what is said of it.

/// What is put into a good plan on its second line, and the findings.
pub(super) const BAD: &[(&str, &str)] = &[
    (
        r#"colour = "red""#,
        r#"line 19: plan.intelligence names ring "colour", which is not defined; the rings are canary, broad, last; its other keys are strategy, start, watch, breaker, rollback, emergency"#,
    ),
    (
        r#"brod = { waves = ["100%"] }"#,
        r#"line 19: plan.intelligence names ring "brod", which is not defined; the rings are canary, broad, last; its other keys are strategy, start, watch, breaker, rollback, emergency"#,
    ),
    (
        r#"broad = ["100%"]"#,
        r#"line 19: plan.intelligence.broad has no waves; write waves = ["100% bake 1h"] for all at once
line 19: plan.intelligence.broad is a table, not a list"#,
    ),
    (
        r#"canary = { }"#,
        r#"line 19: plan.intelligence.canary has no waves; write waves = ["100% bake 1h"] for all at once"#,
    ),
    (r#"canary = { waves = "100%" }"#, r#"line 19: plan.intelligence.canary, waves is a list, not a text"#),
    (r#"canary = { waves = [] }"#, r#"line 19: plan.intelligence.canary, waves has 0 waves; write 1 to 50"#),
    (
        r#"canary = { waves = ["1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%", "1%"] }"#,
        r#"line 19: plan.intelligence.canary, waves has 51 waves; write 1 to 50"#,
    ),
    (r#"canary = { waves = [5] }"#, r#"line 19: plan.intelligence.canary, waves is a text in quotes, not a number"#),
    (
        r#"canary = { waves = ["20"] }"#,
        r#"line 19: plan.intelligence.canary, waves: "20" is not a wave: "20" is not a share: write a percentage from 0% to 100% with at most two decimals, for example 20% or 0.5%"#,
    ),
    (
        r#"canary = { waves = ["120%"] }"#,
        r#"line 19: plan.intelligence.canary, waves: "120%" is not a wave: "120%" is not a share: write a percentage from 0% to 100% with at most two decimals, for example 20% or 0.5%"#,
    ),
    (
        r#"canary = { waves = ["100% bake"] }"#,
        r#"line 19: plan.intelligence.canary, waves: "100% bake" is not a wave: write a share and its times, such as "20% bake 1h", "40% over 4h bake 1h" or "100%""#,
    ),
    (
        r#"canary = { waves = ["100% bake 1"] }"#,
        r#"line 19: plan.intelligence.canary, waves: "100% bake 1" is not a wave: "1" is not a length of time: write a number and a unit (w, d, h, m, s), largest first, for example 48h or 1d12h"#,
    ),
    (
        r#"canary = { waves = ["100% bake 1h over 2h"] }"#,
        r#"line 19: plan.intelligence.canary, waves: "100% bake 1h over 2h" is not a wave: write a share and its times, such as "20% bake 1h", "40% over 4h bake 1h" or "100%""#,
    ),
    (
        r#"canary = { waves = ["100% over 1h over 2h"] }"#,
        r#"line 19: plan.intelligence.canary, waves: "100% over 1h over 2h" is not a wave: write a share and its times, such as "20% bake 1h", "40% over 4h bake 1h" or "100%""#,
    ),
    (
        r#"canary = { waves = ["all"] }"#,
        r#"line 19: plan.intelligence.canary, waves: "all" is not a wave: "all" is not a share: write a percentage from 0% to 100% with at most two decimals, for example 20% or 0.5%"#,
    ),
    (
        r#"canary = { waves = [""] }"#,
        r#"line 19: plan.intelligence.canary, waves: "" is not a wave: write a share and its times, such as "20% bake 1h", "40% over 4h bake 1h" or "100%""#,
    ),
    (
        r#"canary = { waves = ["0%", "100%"] }"#,
        r#"line 19: plan.intelligence.canary, waves: 0% does not follow 0%; shares include the waves before and must grow"#,
    ),
    (
        r#"canary = { waves = ["20% bake 1h", "20% bake 1h", "100% bake 1h"] }"#,
        r#"line 19: plan.intelligence.canary, waves: 20% does not follow 20%; shares include the waves before and must grow"#,
    ),
    (
        r#"canary = { waves = ["20% bake 2h", "100% bake 1h"] }"#,
        r#"line 19: plan.intelligence.canary, waves: bake 1h does not follow bake 2h; a later wave bakes at least as long as the one before"#,
    ),
    (
        r#"canary = { waves = ["20% bake 2h", "100%"] }"#,
        r#"line 19: plan.intelligence.canary, waves: bake 0s does not follow bake 2h; a later wave bakes at least as long as the one before"#,
    ),
    (
        r#"canary = { waves = ["20% bake 2h", "90% bake 2h"] }"#,
        r#"line 19: plan.intelligence.canary, waves: the last wave is 90%: the rest would never get the release; end with "100% bake 2h""#,
    ),
    (r#"strategy = "purple""#, r#"line 19: plan.intelligence.strategy is "canary" or "blue-green""#),
    (
        r#"strategy = "blue-green"
canary = { waves = ["20% bake 1h", "100% bake 2h"] }"#,
        r#"line 20: plan.intelligence.canary, waves: the strategy blue-green changes a whole ring in one step: write one wave without over, such as "100% bake 2h""#,
    ),
    (
        r#"strategy = "blue-green"
canary = { waves = ["100% over 1h bake 2h"] }"#,
        r#"line 20: plan.intelligence.canary, waves: the strategy blue-green changes a whole ring in one step: write one wave without over, such as "100% bake 2h""#,
    ),
    (r#"start = "later""#, r#"line 19: plan.intelligence.start is "automatic" or "manual""#),
    (
        r#"watch = "soon""#,
        r#"line 19: plan.intelligence.watch: "soon" is not a length of time: write a number and a unit (w, d, h, m, s), largest first, for example 48h or 1d12h"#,
    ),
    (r#"watch = 72"#, r#"line 19: plan.intelligence.watch is a text in quotes, not a number"#),
    (
        r#"canary = { waves = ["100%"], promote = "sometimes" }"#,
        r#"line 19: plan.intelligence.canary, promote is "automatic" or "manual""#,
    ),
    (
        r#"breaker = "often""#,
        r#"line 19: plan.intelligence.breaker: "often" is not understood; write for example "3 halts in 7d""#,
    ),
    (r#"breaker = "0 halts in 7d""#, r#"line 19: plan.intelligence.breaker: the number of halts is 1 to 100"#),
    (r#"breaker = "101 halts in 7d""#, r#"line 19: plan.intelligence.breaker: the number of halts is 1 to 100"#),
    (r#"breaker = "3 halts in 0d""#, r#"line 19: plan.intelligence.breaker: halts are counted within more than 0s"#),
    (
        r#"breaker = "3 halts in a week""#,
        r#"line 19: plan.intelligence.breaker: "3 halts in a week" is not understood; write for example "3 halts in 7d""#,
    ),
    (r#"rollback = true"#, r#"line 19: plan.intelligence.rollback is a table, not true or false"#),
    (
        r#"rollback = { auto = true }"#,
        r#"line 19: plan.intelligence.rollback has no key "auto"; its keys are automatic, waves, blast_limit, approvals"#,
    ),
    (
        r#"rollback = { automatic = "yes" }"#,
        r#"line 19: plan.intelligence.rollback, automatic is true or false, not a text"#,
    ),
    (
        r#"rollback = { waves = ["50%"] }"#,
        r#"line 19: plan.intelligence.rollback, waves: the last wave is 50%: the rest would never get the release; end with "100%""#,
    ),
    (
        r#"rollback = { waves = ["10% bake 2h", "20% bake 1h", "100%"] }"#,
        r#"line 19: plan.intelligence.rollback, waves: bake 1h does not follow bake 2h; a later wave bakes at least as long as the one before"#,
    ),
    (
        r#"rollback = { blast_limit = -1 }"#,
        r#"line 19: plan.intelligence.rollback, blast_limit is a whole number from 0 to 1000000000"#,
    ),
    (
        r#"rollback = { approvals = 11 }"#,
        r#"line 19: plan.intelligence.rollback, approvals is a whole number from 0 to 10"#,
    ),
    (
        r#"rollback = { blast_limit = 1e10 }"#,
        r#"line 19: plan.intelligence.rollback, blast_limit is a whole number from 0 to 1000000000"#,
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { bake_times = 0.5 }"#,
        r#"line 20: plan.intelligence.emergency has no approvers; name the people who may approve an emergency"#,
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { bake_times = 0, approvers = ["a", "b"] }"#,
        r#"line 20: plan.intelligence.emergency, bake_times is more than 0 and at most 1, such as 0.25 for a quarter of the times"#,
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { bake_times = 1.1, approvers = ["a", "b"] }"#,
        r#"line 20: plan.intelligence.emergency, bake_times is more than 0 and at most 1, such as 0.25 for a quarter of the times"#,
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { bake_times = "half", approvers = ["a", "b"] }"#,
        r#"line 20: plan.intelligence.emergency, bake_times is a number without quotes, not a text"#,
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { approvers = ["a"] }"#,
        r#"line 20: plan.intelligence.emergency, approvers names 1 of the 2 people who must approve; name at least 2"#,
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { approvers = ["a", "b"], approvals = 3 }"#,
        r#"line 20: plan.intelligence.emergency, approvers names 2 of the 3 people who must approve; name at least 3"#,
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { approvers = ["a", "b"], approvals = 1 }"#,
        r#"line 20: plan.intelligence.emergency, approvals is a whole number from 2 to 10"#,
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { approvers = ["a", "b"], approvals = 11 }"#,
        r#"line 20: plan.intelligence.emergency, approvals is a whole number from 2 to 10"#,
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { approvers = ["a", "b", "a"] }"#,
        r#"line 20: plan.intelligence.emergency, approvers names a twice"#,
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { approvers = ["a", "b c"] }"#,
        r#"line 20: plan.intelligence.emergency, approvers: "b c" is not a name of an actor: 1 to 160 printable characters without spaces"#,
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { approvers = "a" }"#,
        r#"line 20: plan.intelligence.emergency, approvers is a list, not a text"#,
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { lasts = "0h", approvers = ["a", "b"] }"#,
        r#"line 20: plan.intelligence.emergency, lasts is more than 0s"#,
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { out_of_band = "yes", approvers = ["a", "b"] }"#,
        r#"line 20: plan.intelligence.emergency, out_of_band is true or false, not a text"#,
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { waves_from = "drivers", approvers = ["a", "b"] }"#,
        r#"line 20: plan.intelligence.emergency, waves_from is "intelligence" or "platform""#,
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { waves_from = "platform", approvers = ["a", "b"] }"#,
        r#"line 20: plan.intelligence.emergency, waves_from: there is no [plan.platform]"#,
    ),
    (
        r#"canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "1%" } }
emergency = { faster = true, approvers = ["a", "b"] }"#,
        r#"line 20: plan.intelligence.emergency has no key "faster"; its keys are waves_from, bake_times, approvers, approvals, lasts, out_of_band"#,
    ),
    (
        r#"emergency = { approvers = ["a", "b"] }"#,
        r#"line 19: plan.intelligence.emergency: no gate stands before its last wave, so that nothing could stop it; give the plan's first ring a gate"#,
    ),
];

/// Whole plans, and the findings.
pub(super) const BETWEEN: &[(&str, &str)] = &[
    (
        r#"[plan]
fast = true
"#,
        r#"line 19: plan has no key "fast"; its keys are intelligence, platform"#,
    ),
    (
        r#"[plan]
intelligence = 5
"#,
        r#"line 19: plan.intelligence is a table, not a number"#,
    ),
    (
        r#"[plan.drivers]
"#,
        r#"line 18: plan has no key "drivers"; its keys are intelligence, platform"#,
    ),
    (
        r#"[plan.intelligence]
"#,
        r#"line 18: plan.intelligence has no ring "broad", in which group "everyone" is: releases would never reach it; add broad = { waves = ["100% bake 1h"] }
line 18: plan.intelligence has no ring "canary", in which group "first" is: releases would never reach it; add canary = { waves = ["100% bake 1h"] }"#,
    ),
    (
        r#"[plan.intelligence]
canary = { waves = ["100%"] }
"#,
        r#"line 18: plan.intelligence has no ring "broad", in which group "everyone" is: releases would never reach it; add broad = { waves = ["100% bake 1h"] }"#,
    ),
    (
        r#"[plan.platform]
canary = { waves = ["100%"] }
broad = { waves = ["100%"] }
last = { waves = ["100%"], gate = { samples = 1, failures = "1%" } }
"#,
        r#"line 21: plan.platform.last, gate: it can never pass: only requests without identity are in ring "last", and they never report; leave the gate out, or write promote = "manual" in its place"#,
    ),
    (
        r#"[plan.platform]
canary = { waves = ["100%"], gate = { samples = 1, failures = "1%" } }
broad = { waves = ["100%"] }
last = { waves = ["100%"], gate = "canary" }
"#,
        r#"line 21: plan.platform.last, gate: it can never pass: only requests without identity are in ring "last", and they never report; leave the gate out, or write promote = "manual" in its place"#,
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
        r#"line 22: plan.platform.emergency, waves_from: plan.intelligence has no ring "last", in which devices get platform: an emergency would not reach them"#,
    ),
];
