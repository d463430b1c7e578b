//! Each use case of rollouts: what it does, and what it refuses.

mod back;
mod emergency;
mod forward;

use std::sync::Arc;

use super::*;
use crate::catalog::testing::World;
use crate::catalog::testing::{actor, commit, parse, product_added, release_added};
use crate::control::apply_policy;
use crate::model::{Device, RolloutKind};
use crate::policy::rollout::{RolloutState, next_steps, plan_release, standing};

/// Two rings; the second waits for a person. A group that no device is in.
const POLICY: &str = r#"
[[ring]]
name = "canary"
[[ring]]
name = "broad"
[[group]]
name = "labs"
match = { tag = "lab" }
ring = "canary"
[[group]]
name = "all"
match = "any"
ring = "broad"
[plan.intelligence]
start = "manual"
breaker = "2 halts in 7d"
rollback = { automatic = true, waves = ["50% bake 10m", "100% bake 10m"], blast_limit = 1 }
emergency = { bake_times = 0.1, approvers = ["ada", "bo"], lasts = "12h" }
[plan.intelligence.canary]
waves = ["50% bake 1h", "100% bake 1h"]
gate = { samples = 20, failures = "2%", silence = "5%", within = "30m" }
[plan.intelligence.broad]
waves = ["100% bake 1h"]
promote = "manual"
"#;

/// A catalog with the policy, three devices, and `intel` with 1.0 completed without a plan.
struct Stage {
    _world: World,
    catalog: Arc<Catalog>,
}

impl Stage {
    async fn new() -> Self {
        let world = World::new();
        let catalog = world.catalog();
        commit(&catalog, vec![product_added("intel")]).await;
        let stage = Self { _world: world, catalog };
        stage.publish("1.0", false).await;
        apply_policy(&stage.catalog, &actor("ada"), POLICY.to_owned(), None).await.unwrap();
        let device = |id: &str, tags: &[&str]| Device {
            id: parse(id),
            platform: None,
            tags: tags.iter().map(|tag| parse(tag)).collect(),
            attributes: std::collections::BTreeMap::new(),
        };
        let devices = vec![device("lab-1", &["lab"]), device("lab-2", &["lab"]), device("pc-1", &[])];
        commit(&stage.catalog, vec![Event::DevicesImported { devices }]).await;
        stage
    }

    /// A release, published; with a rollout that waits for a person where one is wanted.
    async fn publish(&self, version: &str, is_planned: bool) -> RolloutId {
        let added = release_added(&self.catalog, "intel", version, &[version.as_bytes()]).await;
        let Event::ReleaseAdded { release, .. } = &added else { unreachable!() };
        let (product, release) = (parse("intel"), *release);
        let approved = Event::ReleaseApproved { product: parse("intel"), release };
        let published = Event::ReleasePublished { product: parse("intel"), release };
        let mut events = vec![added, approved, published];
        if is_planned {
            let (snapshot, now) = (self.catalog.snapshot(), self.catalog.now());
            let plan = policy_in(&snapshot, now).unwrap().plan(crate::model::Class::Intelligence).unwrap();
            events.push(plan_release(&product, crate::model::Class::Intelligence, release, plan, None, now));
        }
        commit(&self.catalog, events).await.snapshot.seq()
    }

    /// What the ticker does, until nothing is due.
    async fn tick(&self) {
        let census = census_of(&self.catalog).await;
        for _ in 0..64 {
            let (snapshot, now) = (self.catalog.snapshot(), self.catalog.now());
            let product = product_in(&snapshot, &parse("intel")).unwrap();
            let events = in_round((&self.catalog, &snapshot, &census), product, now, next_steps).unwrap();
            if events.is_empty() {
                return;
            }
            commit(&self.catalog, events).await;
        }
        panic!("the rollouts never rest");
    }

    fn state(&self, id: RolloutId) -> RolloutState {
        let snapshot = self.catalog.snapshot();
        let (product, rollout) = find_rollout(&snapshot, id).unwrap();
        standing(product, rollout, self.catalog.now()).state
    }

    fn rollout(&self, id: RolloutId) -> Arc<Rollout> {
        find_rollout(&self.catalog.snapshot(), id).unwrap().1.clone()
    }

    fn wait(&self, seconds: i64) {
        self._world.clock.advance(jiff::SignedDuration::from_secs(seconds));
    }

    /// A release whose rollout has its first wave open.
    async fn running(&self, version: &str) -> RolloutId {
        let id = self.publish(version, true).await;
        start_rollout(&self.catalog, &actor("ada"), &parse("intel"), &parse(version), None).await.unwrap();
        self.tick().await;
        id
    }

    async fn complete(&self, id: RolloutId) {
        while self.state(id) != RolloutState::Completed {
            promote_rollout(&self.catalog, &actor("ada"), id, parse("known from elsewhere")).await.unwrap();
            self.tick().await;
        }
    }
}

/// The refusal of a use case, as its sentence; fails if it changed anything.
macro_rules! refused {
    ($stage:expr, $call:expr) => {{
        let before = $stage.catalog.head();
        let error = $call.await.unwrap_err();
        assert_eq!($stage.catalog.head(), before, "a refusal changes nothing: {error}");
        error.to_string()
    }};
}
pub(super) use refused;

/// The names of the changes that a rollout went through.
fn steps(rollout: &Rollout) -> Vec<String> {
    let name = |change: &RolloutChange| {
        let json = serde_json::to_value(change).unwrap();
        json["step"].as_str().unwrap().to_owned()
    };
    rollout.steps().iter().map(|step| name(&step.change)).collect()
}

fn is_rollback(rollout: &Rollout) -> bool {
    matches!(rollout.kind, RolloutKind::Rollback { .. })
}
