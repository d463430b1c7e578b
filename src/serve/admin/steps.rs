//! Rollouts take what is due before a change is answered, so that its author finds it in force: a first wave is open
//! when a publication is answered, not a moment later.

use super::AdminServices;
use crate::control::advance_rollouts;

/// Takes every step that is due. A step that cannot be taken now is no error of the change: it is tried again every
/// second.
pub(super) async fn take_due_steps(services: &AdminServices) {
    if let Err(error) = advance_rollouts(&services.catalog).await {
        tracing::warn!(%error, "a rollout's next step could not be taken; it is tried again");
    }
}
