//! The steps that rollouts take by themselves.

use std::sync::Arc;

use jiff::Timestamp;

use super::ControlError;
use crate::catalog::{Catalog, CensusKey};
use crate::model::{Actor, Event, EventRecord, ProductName, ProductReleases, Snapshot};
use crate::policy::rollout::{Census, Round, next_steps};

/// The most rounds of one call: what follows from a step comes in the next round.
const ROUNDS_MAX: usize = 64;

/// Takes every step that is due now, and what follows from it, until nothing more is. Returns the events, which are
/// durable. After any downtime the first call takes the step that is due; what it opens begins then.
pub async fn advance_rollouts(catalog: &Arc<Catalog>) -> Result<Vec<Arc<EventRecord>>, ControlError> {
    let system = Actor::system();
    let mut records = Vec::new();
    for _ in 0..ROUNDS_MAX {
        // Looked at first without keeping any other change waiting; the commit looks again.
        let looking = catalog.clone();
        let due = tokio::task::spawn_blocking(move || due(&looking)).await;
        let due = due.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        let Some(Due { products, census, key }) = due else { break };
        let before = records.len();
        for product in products {
            let committed = catalog.commit(&system, |snapshot, now| {
                // Of another policy or inventory: the next round counts anew.
                let is_same = CensusKey::of(snapshot, now) == Some(key);
                Ok::<_, ControlError>(if is_same {
                    steps(catalog, snapshot, &product, &census, now)
                } else {
                    Vec::new()
                })
            });
            records.extend(committed.await?.records);
        }
        if records.len() == before && CensusKey::of(&catalog.snapshot(), catalog.now()) == Some(key) {
            break;
        }
    }
    Ok(records)
}

/// What has steps to take.
struct Due {
    products: Vec<ProductName>,
    census: Arc<Census>,
    key: CensusKey,
}

fn due(catalog: &Catalog) -> Option<Due> {
    let snapshot = catalog.snapshot();
    let now = snapshot.present(catalog.clock_now());
    let moving: Vec<_> = snapshot.products().filter(|product| can_move(product, now)).collect();
    if moving.is_empty() {
        return None;
    }
    let key = CensusKey::of(&snapshot, now)?;
    let policy = snapshot.policy_at(now)?.policy().ok()?;
    let census = catalog.census(&snapshot, policy, now);
    let names = moving.into_iter().map(|product| product.product().name.clone());
    let products: Vec<_> = names.filter(|name| !steps(catalog, &snapshot, name, &census, now).is_empty()).collect();
    (!products.is_empty()).then_some(Due { products, census, key })
}

/// Whether time or reports alone can bring a step of this product: something runs, or late failures can still halt it.
fn can_move(product: &ProductReleases, now: Timestamp) -> bool {
    product.rollouts().iter().any(|rollout| {
        rollout.ended().is_none() && rollout.completed_at().is_none_or(|at| now < rollout.plan.watch.ends_at(at))
    })
}

fn steps(catalog: &Catalog, snapshot: &Snapshot, product: &ProductName, census: &Census, now: Timestamp) -> Vec<Event> {
    let policy = snapshot.policy_at(now).and_then(|applied| applied.policy().ok());
    let (Some(product), Some(policy)) = (snapshot.product(product), policy) else { return Vec::new() };
    let name = &product.product().name;
    catalog.with_health(name, |health| next_steps(&Round { product, policy, health, census, now }))
}
