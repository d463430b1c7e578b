//! The schema of `[plan.*]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;

/// How releases are rolled out, per class; a class without a plan is visible to all groups from publication on.
#[derive(JsonSchema)]
#[schemars(rename = "Plans", deny_unknown_fields)]
pub(super) struct PlansText {
    intelligence: Option<PlanText>,
    platform: Option<PlanText>,
}

/// How releases of a class are rolled out. Each key that is not one of these is the name of a ring.
#[derive(JsonSchema)]
#[schemars(rename = "Plan")]
struct PlanText {
    /// "canary": growing waves; "blue-green": each ring in one step. "canary" where absent.
    strategy: Option<StrategyText>,
    /// "automatic": publishing starts the rollout; "manual": a person does. "automatic" where absent.
    start: Option<PromoteText>,
    /// How long after completion late failures can still halt a release; 72h where absent.
    watch: Option<SpanText>,
    /// How many halts of one product freeze it: "3 halts in 7d".
    breaker: Option<BreakerText>,
    /// The way back.
    rollback: Option<RollbackText>,
    /// How an emergency goes faster; where absent it cannot.
    emergency: Option<EmergencyText>,
    /// The rings, by name.
    #[serde(flatten)]
    rings: BTreeMap<String, RingPlanText>,
}

/// "canary" or "blue-green".
#[derive(JsonSchema)]
#[schemars(rename = "Strategy", rename_all = "kebab-case")]
enum StrategyText {
    Canary,
    BlueGreen,
}

/// "automatic" or "manual".
#[derive(JsonSchema)]
#[schemars(rename = "Promote", rename_all = "lowercase")]
enum PromoteText {
    Automatic,
    Manual,
}

/// A ring of a plan.
#[derive(JsonSchema)]
#[schemars(rename = "RingPlan", deny_unknown_fields)]
struct RingPlanText {
    /// Its waves: shares grow, bake times never decrease, the last share is 100%.
    #[schemars(length(min = 1, max = 50))]
    waves: Vec<WaveText>,
    /// What each wave must pass, or the name of the ring whose gate it shares; bake time alone where absent.
    gate: Option<GateChoiceText>,
    /// Who lets a release into it; "automatic" where absent.
    promote: Option<PromoteText>,
}

/// A gate, or the name of the ring whose gate it shares.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum GateChoiceText {
    Same(String),
    Own(GateText),
}

/// What must be seen of a wave before the next one.
#[derive(JsonSchema)]
#[schemars(rename = "Gate", deny_unknown_fields)]
struct GateText {
    /// How many devices must have reported healthy, if none failed; each that failed asks for more.
    #[schemars(range(min = 1, max = 100_000))]
    samples: u32,
    /// The share of failing devices that it does not let pass; more than 0% and less than 100%.
    failures: ShareText,
    /// The share of silent devices that it does not let pass; 5% where absent.
    silence: Option<ShareText>,
    /// How long after its offer a device has to report; 2h where absent.
    within: Option<SpanText>,
    /// How long a wave may stay without a verdict before an alert; four times `within`, at least 12h, where absent.
    timeout: Option<SpanText>,
    /// The bands of usage metrics, by name.
    metrics: Option<BTreeMap<String, BandText>>,
}

/// The way back.
#[derive(JsonSchema)]
#[schemars(rename = "Rollback", deny_unknown_fields)]
struct RollbackText {
    /// Whether a halt begins it by itself; false where absent.
    automatic: Option<bool>,
    /// Its waves, for all rings at the same time; 10% bake 10m, then all, where absent.
    #[schemars(length(min = 1, max = 50))]
    waves: Option<Vec<WaveText>>,
    /// Above this many devices a person must confirm the number; 1000 where absent.
    blast_limit: Option<u32>,
    /// How many people other than whoever began it must approve the way back; the halt comes first and does not wait. 0
    /// where absent.
    #[schemars(range(max = 10))]
    approvals: Option<u32>,
}

/// How an emergency goes faster.
#[derive(JsonSchema)]
#[schemars(rename = "Emergency", deny_unknown_fields)]
struct EmergencyText {
    /// The class whose rings, waves and gates it takes; its own where absent.
    waves_from: Option<ClassText>,
    /// What their times are multiplied by: more than 0, at most 1; 0.25 where absent.
    bake_times: Option<f64>,
    /// Who may approve it, by the names of their credentials.
    #[schemars(length(min = 2, max = 100))]
    approvers: Vec<String>,
    /// How many of them must; 2 where absent.
    #[schemars(range(min = 2, max = 10))]
    approvals: Option<u32>,
    /// How long it holds from its request on; 24h where absent.
    lasts: Option<SpanText>,
    /// Whether the command gate may finish after exposure has begun; false where absent.
    out_of_band: Option<bool>,
}

/// A class of products.
#[derive(JsonSchema)]
#[schemars(rename = "Class", rename_all = "lowercase")]
enum ClassText {
    Intelligence,
    Platform,
}

/// A share and its times: "20% bake 1h", "40% over 4h bake 1h", "100%".
#[derive(JsonSchema)]
#[schemars(rename = "Wave")]
struct WaveText(
    #[schemars(regex(pattern = r"^\s*\d{1,3}(\.\d{1,2})?%(\s+over\s+[0-9wdhms]+)?(\s+bake\s+[0-9wdhms]+)?\s*$"))]
    String,
);

/// A percentage with at most two decimals: "20%", "0.5%".
#[derive(JsonSchema)]
#[schemars(rename = "Share")]
struct ShareText(#[schemars(regex(pattern = r"^\d{1,3}(\.\d{1,2})?%$"))] String);

/// A number and a unit (w, d, h, m, s), largest first: "48h", "1d12h"; at most 365d.
#[derive(JsonSchema)]
#[schemars(rename = "Span")]
pub(super) struct SpanText(#[schemars(regex(pattern = r"^(?=.)(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?$"))] String);

/// "3 halts in 7d".
#[derive(JsonSchema)]
#[schemars(rename = "Breaker")]
struct BreakerText(#[schemars(regex(pattern = r"^\s*\d{1,3}\s+halts?\s+in\s+[0-9wdhms]+\s*$"))] String);

/// "at most 2x", "at least 100", "0.2x to 5x"; x means times what the previous release shows in the same ring.
#[derive(JsonSchema)]
#[schemars(rename = "Band")]
struct BandText(
    #[schemars(regex(
        pattern = r"^\s*(at\s+(most|least)\s+[0-9.]+x?|[0-9.]+x\s+to\s+[0-9.]+x|[0-9.]+\s+to\s+[0-9.]+)\s*$"
    ))]
    String,
);
