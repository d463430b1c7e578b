//! Reading `[plan.*]`: how releases of a class are rolled out.
//!
//! What this module deliberately does not do: compute a wave's share or a verdict. It only makes sure that what is
//! written can be followed to its end.

mod emergency;
mod gate;
mod metrics;
mod rings;
mod waves;
mod way_back;

use super::{Rings, values};
use crate::model::policy::error::Findings;
use crate::model::policy::node::{Node, field};
use crate::model::policy::{ClassPlan, Group};
use crate::model::{Class, Plan, Promote, Span, Strategy};

#[cfg(test)]
pub(in crate::model::policy) use emergency::KEYS as EMERGENCY_KEYS;
#[cfg(test)]
pub(in crate::model::policy) use gate::KEYS as GATE_KEYS;
#[cfg(test)]
pub(in crate::model::policy) use rings::KEYS as RING_PLAN_KEYS;
#[cfg(test)]
pub(in crate::model::policy) use way_back::KEYS as ROLLBACK_KEYS;

/// The keys of `[plan]`.
pub(in crate::model::policy) const CLASS_KEYS: [&str; 2] = ["intelligence", "platform"];
/// The keys of `[plan.*]` that are no ring's name.
pub(in crate::model::policy) const RESERVED: [&str; 6] =
    ["strategy", "start", "watch", "breaker", "rollback", "emergency"];
/// How long a completed rollout is watched for late failures where the plan does not say.
const DEFAULT_WATCH: Span = Span::from_secs(72 * 3_600);

const STRATEGIES: [(&str, Strategy); 2] = [("canary", Strategy::Canary), ("blue-green", Strategy::BlueGreen)];
const PROMOTES: [(&str, Promote); 2] = [("automatic", Promote::Automatic), ("manual", Promote::Manual)];

/// What else of the policy a plan is checked against.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) rings: &'a Rings,
    /// Absent where not all groups could be read: a ring may only look empty then.
    pub(super) groups: Option<&'a [Group]>,
}

impl<'a> Context<'a> {
    /// The groups that sit in a ring, where they are known.
    fn groups_in(self, ring: &str, class: Class) -> impl Iterator<Item = &'a Group> {
        let groups = self.groups.unwrap_or_default().iter();
        groups.filter(move |group| group.ring(class).as_str() == ring)
    }
}

/// The plans of both classes.
pub(super) fn read_plans(node: Option<&Node>, context: Context<'_>, findings: &mut Findings) -> [Option<ClassPlan>; 2] {
    let Some(entries) = node.and_then(|node| node.fields("plan", &CLASS_KEYS, findings)) else {
        return [None, None];
    };
    for (ring, line) in context.rings.rings.iter().zip(&context.rings.lines) {
        if RESERVED.contains(&ring.name().as_str()) {
            let why = "has the name of a key of a plan; give the ring another name";
            findings.add(*line, format!("ring \"{}\" {why}", ring.name()));
        }
    }
    let mut plans = Class::ALL.map(|class| {
        let node = field(entries, class.as_str())?;
        let before = findings.count();
        let plan = read_plan(node, class, context, findings);
        plan.filter(|_| findings.count() == before)
    });
    let emergencies = Class::ALL.map(|class| {
        let own = field(entries, class.as_str())?.entries()?;
        let written = Class::ALL.map(|class| field(entries, class.as_str()).is_some());
        emergency::read(field(own, "emergency")?, class, (&plans, written), context, findings)
    });
    for (plan, emergency) in plans.iter_mut().zip(emergencies) {
        if let Some(plan) = plan {
            plan.emergency = emergency;
        }
    }
    plans
}

fn read_plan(node: &Node, class: Class, context: Context<'_>, findings: &mut Findings) -> Option<ClassPlan> {
    let what = format!("plan.{class}");
    let entries = node.table(&what, findings)?;
    let strategy = field(entries, "strategy")
        .and_then(|node| values::choice(node, &format!("{what}.strategy"), &STRATEGIES, findings));
    let start =
        field(entries, "start").and_then(|node| values::choice(node, &format!("{what}.start"), &PROMOTES, findings));
    let watch = field(entries, "watch").and_then(|node| node.parse(&format!("{what}.watch"), findings));
    let breaker =
        field(entries, "breaker").and_then(|node| way_back::read_breaker(node, &format!("{what}.breaker"), findings));
    let rollback = field(entries, "rollback")
        .map(|node| way_back::read_rollback(node, &format!("{what}.rollback"), findings))
        .unwrap_or_default();
    let strategy = strategy.unwrap_or_default();
    let rings = rings::read(entries, node.line, (class, strategy), context, findings);
    let plan = Plan { strategy, rings, watch: watch.unwrap_or(DEFAULT_WATCH), rollback };
    Some(ClassPlan { start: start.unwrap_or_default(), plan, breaker, emergency: None })
}
