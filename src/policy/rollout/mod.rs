//! Rollouts as rules: which share of a ring is admitted, what state a rollout is in, and which step it takes next.
//!
//! What this module deliberately does not do: it reads no clock and makes no event happen. A caller asks for the next
//! steps at a moment, with the verdicts of the gates, and journals them.

mod advance;
mod back;
mod census;
mod exposure;
mod halt;
mod promote;
mod publication;
mod stale;
mod start;
mod state;

pub use advance::{Round, next_steps};
pub use back::{last_known_good, plan_rollback, rollback_target};
pub use census::Census;
pub use exposure::share_of;
pub(super) use exposure::{Admission, Exposure};
pub use halt::{devices_with, halt};
pub use promote::promote;
pub use publication::Publication;
pub use stale::{Stale, stale_groups};
pub use start::{plan_expedite, plan_release};
pub use state::{RolloutState, Standing, standing};
