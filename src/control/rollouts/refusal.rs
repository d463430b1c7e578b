//! Why a step of a rollout was refused.

use crate::model::{Actor, Class, ProductName, Reason, RolloutId, Version};
use crate::policy::rollout::RolloutState;

/// A refusal: nothing was changed. Each says what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RolloutRefusal {
    /// Nobody has approved the release.
    #[error(
        "{product} {version} is not published yet: approve it first, with `ringfence release approve {product} {version}`"
    )]
    Draft {
        /// The product.
        product: ProductName,
        /// The version.
        version: Version,
    },
    /// The policy has no plan for the class.
    #[error("the policy has no [plan.{class}], so everyone sees {product} from its publication on: add a plan first")]
    NoPlan {
        /// The product.
        product: ProductName,
        /// Its class.
        class: Class,
    },
    /// It was published without a rollout.
    #[error(
        "{product} {version} was published without a plan, so everyone may see it already; to stop it, use `ringfence hold add` or `ringfence release withdraw`"
    )]
    Unstaged {
        /// The product.
        product: ProductName,
        /// The version.
        version: Version,
    },
    /// The rollout is not in a state in which that can be done.
    #[error("rollout {rollout} is {}, so it cannot be {wanted}: {remedy}", state.as_str().replace('_', " "))]
    WrongState {
        /// Which.
        rollout: RolloutId,
        /// Where it stands.
        state: RolloutState,
        /// What was to be done.
        wanted: &'static str,
        /// What to do instead.
        remedy: String,
    },
    /// The product is frozen.
    #[error("{product} is frozen ({reason}): `ringfence rollout reset {product} --reason TEXT` first")]
    Frozen {
        /// The product.
        product: ProductName,
        /// Why.
        reason: Reason,
    },
    /// The product is not frozen.
    #[error("{0} is not frozen: there is nothing to reset")]
    NotFrozen(ProductName),
    /// There is nothing that a device could have.
    #[error("no device can have got any release of {0}: there is nothing to go back from")]
    NothingOut(ProductName),
    /// Nothing good is known.
    #[error(
        "no earlier release of {product} than {version} completed its rollout and is still good: name one with --to"
    )]
    NoTarget {
        /// The product.
        product: ProductName,
        /// What was to be gone back from.
        version: Version,
    },
    /// The target cannot be gone back to.
    #[error("{product} cannot go back to {version}: {why}")]
    BadTarget {
        /// The product.
        product: ProductName,
        /// The target.
        version: Version,
        /// Why not.
        why: String,
    },
    /// The number of devices must be confirmed.
    #[error(
        "this touches {} devices, more than the limit of {}: confirm with --confirm-devices {devices}",
        grouped(*devices), grouped(*limit)
    )]
    Unconfirmed {
        /// How many.
        devices: u64,
        /// The plan's blast limit.
        limit: u64,
    },
    /// There is no faster way.
    #[error("the policy has no [plan.{0}.emergency]: there is no faster way for releases of this class")]
    NoEmergency(Class),
    /// The criteria say too little.
    #[error("say in at least {0} characters why this is an emergency: the approvers and the journal need it")]
    ShortCriteria(usize),
    /// The actor may not approve it.
    #[error("{actor} is not among the approvers of this emergency: they are {approvers}")]
    NotApprover {
        /// Who tried.
        actor: Actor,
        /// Who may.
        approvers: String,
    },
    /// One person, twice.
    #[error("{0} has approved it already: a second person must")]
    ApprovedTwice(Actor),
    /// Whoever began a rollback approves it.
    #[error("{0} began this rollback: someone else must approve it")]
    OwnRollback(Actor),
    /// It needs no approval.
    #[error("rollout {0} is no emergency, and no rollback that the policy wants approved: it needs no approval")]
    NoApproval(RolloutId),
    /// Its time is up.
    #[error("the time of emergency {0} is up: ask for a new one with `ringfence rollout expedite`")]
    Expired(RolloutId),
    /// A rollback has no gate.
    #[error("rollout {0} is a rollback: it has no gate that a signal could speak to")]
    NoGate(RolloutId),
    /// The source's name cannot be journaled.
    #[error("a source is named by 1 to 100 printable characters, such as prometheus or INC-4711")]
    BadSource,
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
