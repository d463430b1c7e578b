//! What a policy says of rollouts, per class of product.

use std::collections::BTreeSet;

use crate::model::{Plan, Promote, Span};

/// How releases of a class are rolled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassPlan {
    /// Whether publishing opens the first wave, or a person does.
    pub start: Promote,
    /// Rings, waves, gates, and the way back.
    pub plan: Plan,
    /// When a product is frozen because too many of its rollouts were halted.
    pub breaker: Option<Breaker>,
    /// How an emergency goes faster; none: it cannot.
    pub emergency: Option<EmergencyPlan>,
}

/// The circuit breaker: so many halts of one product within a time freeze it until a person resets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// How many halts, at least 1.
    pub halts: u32,
    /// Within what time.
    pub within: Span,
}

/// The plan of an emergency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmergencyPlan {
    /// Its rings, waves and gates.
    pub plan: Plan,
    /// Who may approve, by the names of their credentials.
    pub approvers: BTreeSet<String>,
    /// How many distinct people must; at least 2.
    pub approvals_needed: u32,
    /// How long it holds from its request on.
    pub lasts: Span,
    /// Whether the command gate may finish after exposure has begun.
    pub out_of_band: bool,
}
