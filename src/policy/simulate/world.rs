//! The minutes of a simulation: what is due is done, and minutes in which nothing is are left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::bins::Bins;
use super::fate::usual;
use super::ledger::{Ledger, new_release};
use super::roster::Roster;
use super::run::{IDLE, OFFLINE};
use super::{Crew, HaltSeen, OpeningSeen, Run, Scenario, SimulateError};
use crate::model::policy::Policy;
use crate::model::{
    ApplyError, Event, Evidence, HaltCause, ProductReleases, Promote, Reason, ReleaseId, ReportEvent, Rollout,
    RolloutChange, RolloutId,
};
use crate::policy::health::Health;
use crate::policy::rollout::{Census, RolloutState, Round, halt, next_steps, standing};

/// Devices of each group that vote on the old release: what a gate compares with.
const BASELINE_DEVICES: u32 = 2_000;
/// More rounds of steps than any plan has: a plan that goes round in circles must end.
const ROUNDS_MAX: usize = 10_000;

/// Everything that moves.
pub(super) struct World<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) policy: &'a Policy,
    pub(super) roster: &'a Roster<'a>,
    pub(super) crew: &'a dyn Crew,
    pub(super) ledger: Ledger,
    pub(super) health: Health,
    census: Census,
    pub(super) release: ReleaseId,
    /// The rollout of the release; none where the class has no plan.
    pub(super) rollout: Option<RolloutId>,
    pub(super) check_ins: Bins<u32>,
    pub(super) reports: Bins<(u32, ReportEvent)>,
    /// Of every device [`IDLE`], `QUEUED`, [`OFFLINE`], or the second in which it got the release.
    pub(super) exposed_s: Vec<u32>,
    /// Of every device, once a wave needs them.
    pub(super) buckets: Vec<u16>,
    pub(super) by_minute: Vec<u32>,
    /// Until when a device may yet fall silent.
    pub(super) silence_until_s: u64,
    /// From when on people can know that the release is bad.
    pub(super) first_bad_s: Option<u64>,
    openings: Vec<OpeningSeen>,
    halted: Option<HaltSeen>,
    completed_minute: Option<u32>,
    minute: u32,
    pub(super) last_minute: u32,
}

/// Simulates.
///
/// # Errors
/// The scenario contradicts itself.
pub fn simulate(scenario: &Scenario, crew: &dyn Crew) -> Result<Run, SimulateError> {
    scenario.check()?;
    let policy = Policy::parse(&scenario.policy)?;
    let roster = Roster::new(scenario, &policy)?;
    let mut world = World::new(scenario, &policy, &roster, crew)?;
    let mut next = Some(0);
    while let Some(minute) = next {
        world.step(minute)?;
        next = world.next_after(minute);
    }
    Ok(world.finish())
}

impl<'a> World<'a> {
    fn new(
        scenario: &'a Scenario,
        policy: &'a Policy,
        roster: &'a Roster<'a>,
        crew: &'a dyn Crew,
    ) -> Result<Self, SimulateError> {
        let mut groups = BTreeMap::new();
        for section in roster.sections() {
            *groups.entry(section.group.name().clone()).or_insert(0) += section.devices.len() as u64;
        }
        let census = Census::from_groups(groups);
        let (mut ledger, before) = Ledger::new(scenario, policy, &census)?;
        let mut health = Health::with_devices_max(roster.len() as usize);
        if let Some(rollout) = before.and_then(|id| ledger.snapshot.product(&scenario.product)?.rollout(id)) {
            vote_before(scenario, roster, &mut health, rollout);
        }
        let rollout = ledger.publish(scenario, policy, 1, scenario.published_at)?;
        let release = new_release(scenario).unwrap_or(ReleaseId(ledger.snapshot.head()));
        let last_minute = u32::try_from(scenario.duration.as_secs() / 60).unwrap_or(u32::MAX);
        let state = |device| if roster.is_reachable(device) { IDLE } else { OFFLINE };
        let mut world = Self {
            scenario,
            policy,
            roster,
            crew,
            ledger,
            health,
            census,
            release,
            rollout,
            check_ins: Bins::new(last_minute),
            reports: Bins::new(last_minute),
            exposed_s: (0..roster.len()).map(state).collect(),
            buckets: Vec::new(),
            by_minute: vec![0; last_minute as usize + 1],
            silence_until_s: 0,
            first_bad_s: None,
            openings: Vec::new(),
            halted: None,
            completed_minute: None,
            minute: 0,
            last_minute,
        };
        world.begin();
        Ok(world)
    }

    /// Begins to count for the rollout; without one everyone may have the release at once.
    fn begin(&mut self) {
        match self.own_rollout().cloned() {
            Some(rollout) => self.health.watch(rollout.id, rollout.sequence, &deadlines(&rollout)),
            None => self.queue_everyone(0),
        }
    }

    fn step(&mut self, minute: u32) -> Result<(), SimulateError> {
        self.minute = minute;
        if let Some(down) = self.scenario.upsets.down.iter().find(|down| down.contains(&minute)) {
            self.wait_for(down.end, minute);
            return Ok(());
        }
        self.tick(minute)?;
        if self.halted.is_none() {
            self.check_in(minute);
            self.deliver(minute);
        }
        Ok(())
    }

    /// What the server's ticker does, and people.
    fn tick(&mut self, minute: u32) -> Result<(), SimulateError> {
        let now = self.server_now(u64::from(minute) * 60);
        let starts_at = self.scenario.start_after.as_secs();
        if let Some(id) = self.own_rollout().filter(|rollout| rollout.started_at().is_none()).map(|rollout| rollout.id)
            && starts_at <= u64::from(minute) * 60
        {
            self.ledger.change(self.scenario, id, RolloutChange::Started, now)?;
        }
        if self.human_halt_s().is_some_and(|at| at <= u64::from(minute) * 60) {
            return Ok(self.halt_by_person(now)?);
        }
        for _ in 0..ROUNDS_MAX {
            let Some(product) = self.ledger.snapshot.product(&self.scenario.product).cloned() else { break };
            let events = next_steps(&self.round(&product, now));
            if events.is_empty() {
                break;
            }
            for event in events {
                self.ledger.push(event.clone(), now)?;
                self.see(&event);
            }
        }
        Ok(())
    }

    fn round<'b>(&'b self, product: &'b ProductReleases, now: Timestamp) -> Round<'b> {
        Round { product, policy: self.policy, health: &self.health, census: &self.census, now }
    }

    /// Notes what an event of the rollout means for its devices.
    fn see(&mut self, event: &Event) {
        let Event::RolloutChanged { rollout, change, .. } = event else { return };
        if Some(*rollout) != self.rollout {
            return;
        }
        let minute = self.minute;
        match change {
            RolloutChange::WaveOpened { ring, wave, .. } => {
                self.openings.push(OpeningSeen { minute, ring: ring.to_string(), wave: *wave });
                self.queue_wave(ring, *wave as usize, u64::from(minute) * 60);
            }
            RolloutChange::Completed => {
                self.completed_minute = Some(minute);
                self.queue_everyone(u64::from(minute) * 60);
            }
            RolloutChange::Halted { cause, reason, .. } => {
                self.halted = Some(HaltSeen { minute, cause: cause.clone(), reason: reason.to_string() });
            }
            _ => {}
        }
    }

    /// When people halt the release, if they do.
    fn human_halt_s(&self) -> Option<u64> {
        let known_s = self.first_bad_s? + self.scenario.report_delay.as_secs();
        Some(known_s + self.scenario.human_halt?.as_secs())
    }

    fn halt_by_person(&mut self, now: Timestamp) -> Result<(), ApplyError> {
        let reason = Reason::from_text("people saw devices fail", "a person");
        let product = self.ledger.snapshot.product(&self.scenario.product).cloned();
        let known = product.as_ref().and_then(|product| Some((product, product.rollout(self.rollout?)?)));
        let Some((product, rollout)) = known else {
            let product = self.scenario.product.clone();
            self.ledger
                .push(Event::ReleaseWithdrawn { product, release: self.release, reason: reason.clone() }, now)?;
            let (minute, reason) = (self.minute, reason.to_string());
            self.halted = Some(HaltSeen { minute, cause: HaltCause::Person, reason });
            return Ok(());
        };
        let events = halt(&self.round(product, now), rollout, HaltCause::Person, reason, Evidence::default());
        for event in events {
            self.ledger.push(event.clone(), now)?;
            self.see(&event);
        }
        Ok(())
    }

    /// The next minute in which something may happen.
    fn next_after(&self, minute: u32) -> Option<u32> {
        if self.halted.is_some() {
            return None;
        }
        let next = minute + 1;
        let in_minutes = |second: u64| u32::try_from(second.div_ceil(60)).unwrap_or(u32::MAX).max(next);
        let upsets = &self.scenario.upsets;
        let clock = upsets.clock.iter().map(|(from, _)| *from).filter(|from| *from > minute).min();
        let down = upsets.down.iter().map(|down| down.end).filter(|end| *end > minute).min();
        let moments = [
            self.check_ins.next_from(next),
            self.reports.next_from(next),
            self.human_halt_s().map(in_minutes),
            (u64::from(minute) * 60 < self.silence_until_s).then_some(next),
            self.next_bake_end(minute).map(|minute| minute.max(next)),
            clock,
            down,
        ];
        moments.into_iter().flatten().min().filter(|minute| *minute <= self.last_minute)
    }

    /// When the rollout may move though no device says anything.
    fn next_bake_end(&self, minute: u32) -> Option<u32> {
        let product = self.ledger.snapshot.product(&self.scenario.product)?;
        let rollout = product.rollout(self.rollout?)?;
        if rollout.started_at().is_none() {
            return u32::try_from(self.scenario.start_after.as_secs().div_ceil(60)).ok();
        }
        let now = self.server_now(u64::from(minute) * 60);
        let standing = standing(product, rollout, now);
        match (standing.state, standing.baked_at.filter(|at| *at > now)) {
            (RolloutState::Exposing | RolloutState::Baking, Some(at)) => {
                let missing_ms = at.as_millisecond() - now.as_millisecond();
                u32::try_from(i64::from(minute) + (missing_ms + 59_999) / 60_000).ok()
            }
            (state, _) if state.is_live() && rollout.completed_at().is_none() => Some(minute + 1),
            _ => None,
        }
    }

    fn finish(self) -> Run {
        let rollout = self.own_rollout();
        let waits = rollout.filter(|rollout| rollout.completed_at().is_none() && self.halted.is_none());
        let waits_for = waits.and_then(|rollout| {
            let next = rollout.plan.rings.iter().zip(rollout.rings()).find(|(_, history)| history.opened.is_empty());
            next.filter(|(plan, _)| plan.promote == Promote::Manual).map(|(plan, _)| plan.ring.to_string())
        });
        Run {
            devices: u64::from(self.roster.len()),
            reachable: self.exposed_s.iter().filter(|state| **state != OFFLINE).count() as u64,
            waits_for,
            openings: self.openings,
            halt: self.halted,
            completed_minute: self.completed_minute,
            last_minute: self.last_minute,
            records: self.ledger.records,
            snapshot: self.ledger.snapshot,
            exposed_s: self.exposed_s,
            by_minute: self.by_minute,
        }
    }

    pub(super) fn own_rollout(&self) -> Option<&Arc<Rollout>> {
        self.ledger.snapshot.product(&self.scenario.product)?.rollout(self.rollout?)
    }

    /// What the server takes for the present at a true second after the publication.
    pub(super) fn server_now(&self, second: u64) -> Timestamp {
        let minute = second / 60;
        let steps = self.scenario.upsets.clock.iter().rev();
        let off_s = steps.clone().find(|(from, _)| u64::from(*from) <= minute).map_or(0, |(_, off_s)| *off_s);
        let shown = SignedDuration::from_secs(i64::try_from(second).unwrap_or(i64::MAX).saturating_add(off_s));
        let clock = self.scenario.published_at.checked_add(shown);
        let edge = if off_s < 0 { Timestamp::MIN } else { Timestamp::MAX };
        self.ledger.snapshot.present(clock.unwrap_or(edge))
    }
}

/// How long after its offer a device of each ring has to report.
fn deadlines(rollout: &Rollout) -> Vec<Option<crate::model::Span>> {
    rollout.plan.rings.iter().map(|plan| plan.gate.as_ref().map(|gate| gate.within)).collect()
}

/// Some devices of each group say how they are with the old release.
fn vote_before(scenario: &Scenario, roster: &Roster<'_>, health: &mut Health, rollout: &Rollout) {
    health.watch(rollout.id, rollout.sequence, &deadlines(rollout));
    let (at, none) = (rollout.planned.at, BTreeMap::new());
    for section in roster.sections() {
        let Some(ring) = rollout.plan.ring(section.group.ring(scenario.class)) else { continue };
        for device in section.devices.clone().take(BASELINE_DEVICES as usize) {
            let key = roster.key(device);
            health.offered(key, rollout.id, ring, at, roster.shared(device));
            for (_, event) in usual(scenario, device).reports.into_iter().flatten() {
                health.reported(key, rollout.sequence, event, &none, roster.shared(device));
            }
        }
    }
}
