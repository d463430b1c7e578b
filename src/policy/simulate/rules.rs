//! Published rules of other systems, written as policies: the same simulator replays them.

/// A rule of another system.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// What it is called here.
    pub name: &'static str,
    policy: &'static str,
    /// The share of the devices in each group, as fractions of 1; those left over are in the last one.
    pub shares: &'static [(&'static str, f64)],
    /// How long after the publication the first wave begins, in minutes.
    pub start_after_minutes: u64,
}

impl Rule {
    /// The policy for a fleet of this size: its thresholds are shares of groups, ours are numbers of devices.
    pub fn policy_for(&self, devices: u64) -> String {
        let samples = |share: f64| ((devices as f64 * share) as u64).clamp(1, SAMPLES_MAX).to_string();
        self.policy.replace("HALF-OF-FIRST", &samples(0.05)).replace("HALF-OF-SECOND", &samples(0.15))
    }
}

/// The most samples that a gate may ask for.
const SAMPLES_MAX: u64 = 100_000;

/// The rules, least careful first.
pub const RULES: &[Rule] = &[
    Rule { name: "no staging", policy: NO_STAGING, shares: &[("everyone", 1.0)], start_after_minutes: 0 },
    Rule { name: "48 h linear", policy: LINEAR, shares: &[("everyone", 1.0)], start_after_minutes: 0 },
    Rule {
        name: "pilot of 500, then 3 h",
        policy: PILOT,
        shares: &[("first", 0.000_5), ("everyone", 1.0)],
        start_after_minutes: 0,
    },
    Rule {
        name: "early access 5 %, then 4 h",
        policy: EARLY_ACCESS,
        shares: &[("first", 0.05), ("everyone", 1.0)],
        start_after_minutes: 0,
    },
    Rule {
        name: "groups of 10/30/60 %, thresholds",
        policy: THRESHOLDS,
        shares: &[("first", 0.1), ("second", 0.3), ("everyone", 1.0)],
        start_after_minutes: 0,
    },
    Rule { name: "Bottlerocket's waves", policy: BOTTLEROCKET, shares: &[("everyone", 1.0)], start_after_minutes: 60 },
];

/// Everyone at once.
const NO_STAGING: &str = r#"
[[ring]]
name = "all"
[[group]]
name = "everyone"
match = "any"
ring = "all"
"#;

/// As apt's phased updates, but evenly: each device from a moment of its own within two days.
const LINEAR: &str = r#"
[[ring]]
name = "all"
[[group]]
name = "everyone"
match = "any"
ring = "all"
[plan.intelligence]
all = { waves = ["100% over 48h"] }
"#;

/// A small group first, by the clock alone.
const PILOT: &str = r#"
[[ring]]
name = "first"
[[ring]]
name = "all"
[[group]]
name = "first"
match = { tag = "first" }
ring = "first"
[[group]]
name = "everyone"
match = "any"
ring = "all"
[plan.intelligence]
first = { waves = ["100% bake 3h"] }
all = { waves = ["100%"] }
"#;

/// A larger group first, by the clock alone.
const EARLY_ACCESS: &str = r#"
[[ring]]
name = "first"
[[ring]]
name = "all"
[[group]]
name = "first"
match = { tag = "first" }
ring = "first"
[[group]]
name = "everyone"
match = "any"
ring = "all"
[plan.intelligence]
first = { waves = ["100% bake 4h"] }
all = { waves = ["100%"] }
"#;

/// Three groups by thresholds, as hawkBit's rollout groups: the next one begins once half of a group has succeeded, and
/// everything stops once a tenth of it has failed. A device that never answers is no error there.
const THRESHOLDS: &str = r#"
[[ring]]
name = "first"
[[ring]]
name = "second"
[[ring]]
name = "third"
[[group]]
name = "first"
match = { tag = "first" }
ring = "first"
[[group]]
name = "second"
match = { tag = "second" }
ring = "second"
[[group]]
name = "everyone"
match = "any"
ring = "third"
[plan.intelligence]
first = { waves = ["100%"], gate = { samples = HALF-OF-FIRST, failures = "10%", silence = "99.99%", within = "7d", timeout = "30d" } }
second = { waves = ["100%"], gate = { samples = HALF-OF-SECOND, failures = "10%", silence = "99.99%", within = "7d", timeout = "30d" } }
third = { waves = ["100%"] }
"#;

/// The shares and starts of sources/updater/waves/default-waves.toml of Bottlerocket, of which each wave grows evenly
/// until the next one starts; the last begins after six days and is open to all at once.
const BOTTLEROCKET: &str = r#"
[[ring]]
name = "all"
[[group]]
name = "everyone"
match = "any"
ring = "all"
[plan.intelligence]
all = { waves = ["1% over 3h", "5% over 20h", "15% over 24h", "40% over 48h", "60% over 24h", "90% over 24h", "100%"] }
"#;
