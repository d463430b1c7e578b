//! Devices that wake up: when each checks in, what it is told, and what it says afterwards.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::CheckIn;
use super::crew::Answer;
use super::fate::{fate, upset};
use super::ledger::VERSIONS;
use super::roster::device_id;
use super::run::{IDLE, QUEUED};
use super::world::World;
use crate::model::{DeviceId, Platform, RingName, Version};
use crate::policy::{Requester, bucket, decide_in_group};

/// Check-ins that one thread takes at a time; their identities are made together.
const PIECE: usize = 512;

impl World<'_> {
    /// Plans the check-in of every device that waits.
    pub(super) fn queue_everyone(&mut self, from_s: u64) {
        for device in 0..self.roster.len() {
            if self.exposed_s[device as usize] == IDLE {
                self.queue(device, from_s);
            }
        }
    }

    /// Plans the check-in of every device that a wave lets in: the first at which its bucket can be admitted.
    pub(super) fn queue_wave(&mut self, ring: &RingName, wave: usize, from_s: u64) {
        let Some(rollout) = self.own_rollout().cloned() else { return };
        let Some(plan) = rollout.plan.ring(ring).map(|place| &rollout.plan.rings[place]) else { return };
        let Some(part) = plan.waves.get(wave) else { return };
        let start = wave.checked_sub(1).map_or(0, |before| plan.waves[before].share.get());
        let (end, over_s) = (part.share.get(), part.over.as_secs());
        let needs_buckets = end < 10_000 || over_s > 0;
        if needs_buckets && self.buckets.is_empty() {
            self.draw_buckets(&rollout.salt);
        }
        let roster = self.roster;
        for section in roster.sections().iter().filter(|section| section.group.ring(self.scenario.class) == ring) {
            for device in section.devices.clone() {
                if self.exposed_s[device as usize] != IDLE {
                    continue;
                }
                let bucket = if needs_buckets { self.buckets[device as usize] } else { 0 };
                if bucket < end {
                    let ahead = u64::from(bucket.saturating_sub(start)) * over_s / u64::from((end - start).max(1));
                    self.queue(device, from_s + ahead);
                }
            }
        }
    }

    fn queue(&mut self, device: u32, from_s: u64) {
        let at_s = self.roster.check_in(device, from_s);
        self.exposed_s[device as usize] = QUEUED;
        self.check_ins.put(at_s / 60, device);
    }

    fn draw_buckets(&mut self, salt: &str) {
        let product = &self.scenario.product;
        self.buckets = Vec::with_capacity(self.roster.len() as usize);
        let all: Vec<u32> = (0..self.roster.len()).collect();
        for part in all.chunks(1 << 16) {
            let mut items: Vec<_> =
                part.iter().map(|device| CheckIn { device: *device, at_s: 0, answer: Answer::Waits }).collect();
            self.crew.each(&mut items, &|piece| {
                for item in piece {
                    let drawn = device_id(item.device).map_or(0, |id| bucket(product, salt, &id));
                    item.answer = Answer::Bucket(drawn);
                }
            });
            self.buckets.extend(items.iter().map(|item| match item.answer {
                Answer::Bucket(bucket) => bucket,
                _ => 0,
            }));
        }
    }

    /// While the server is down devices ask again at their next check-in, and keep their reports.
    pub(super) fn wait_for(&mut self, end: u32, minute: u32) {
        for device in self.check_ins.take(minute) {
            self.queue(device, u64::from(end) * 60);
        }
        for report in self.reports.take(minute) {
            self.reports.put(u64::from(end), report);
        }
    }

    /// Everything that devices ask in a minute.
    pub(super) fn check_in(&mut self, minute: u32) {
        let from_s = u64::from(minute) * 60;
        let devices = self.check_ins.take(minute);
        let mut items: Vec<CheckIn> = devices
            .into_iter()
            .map(|device| CheckIn { device, at_s: self.roster.check_in(device, from_s), answer: Answer::Waits })
            .collect();
        if items.is_empty() {
            return;
        }
        let (Ok(platform), Ok(current)) = ("any".parse(), VERSIONS[0].parse()) else { return };
        self.crew.each(&mut items, &|items| {
            items.chunks_mut(PIECE).for_each(|piece| self.decide(piece, &platform, &current));
        });
        for item in &items {
            match item.answer {
                Answer::Offered => self.expose(item),
                Answer::NotBefore(second) => self.queue(item.device, second.max(item.at_s + 1)),
                Answer::Waits | Answer::Bucket(_) => self.exposed_s[item.device as usize] = IDLE,
            }
        }
    }

    /// The very decision of a server, for each check-in.
    fn decide(&self, piece: &mut [CheckIn], platform: &Platform, current: &Version) {
        let ids: Vec<Option<DeviceId>> = piece.iter().map(|item| device_id(item.device)).collect();
        let (platform, current) = (Some(platform.clone()), Some(current.clone()));
        let mut who = Requester { device: None, address: None, platform, current };
        for (item, id) in piece.iter_mut().zip(&ids) {
            who.device = id.as_ref();
            let now = self.server_now(item.at_s);
            let group = self.roster.sections()[self.roster.section_of(item.device)].group;
            let decision = decide_in_group(&self.ledger.snapshot, group, &who, &self.scenario.product, now);
            item.answer = match (decision.release, decision.valid_until) {
                (Some(release), _) if release.id == self.release => Answer::Offered,
                (_, Some(until)) => Answer::NotBefore(item.at_s.saturating_add(seconds_between(now, until))),
                (_, None) => Answer::Waits,
            };
        }
    }

    fn expose(&mut self, item: &CheckIn) {
        let (device, at_s) = (item.device, item.at_s);
        self.exposed_s[device as usize] = u32::try_from(at_s).unwrap_or(QUEUED);
        let minute = usize::try_from(at_s / 60).unwrap_or(usize::MAX);
        if let Some(count) = self.by_minute.get_mut(minute) {
            *count += 1;
        }
        let section = &self.roster.sections()[self.roster.section_of(device)];
        let place = self.own_rollout().and_then(|rollout| {
            let place = rollout.plan.ring(section.group.ring(self.scenario.class))?;
            let within = rollout.plan.rings[place].gate.as_ref().map_or(0, |gate| gate.within.as_secs());
            Some((rollout.id, place, within))
        });
        if let Some((rollout, ring, within_s)) = place {
            let at = self.server_now(at_s);
            let shared = self.roster.shared(device).filter(|_| self.scenario.knows_shared);
            self.health.offered(self.roster.key(device), rollout, ring, at, shared);
            self.silence_until_s = self.silence_until_s.max(at_s + within_s + 120);
        }
        let fate = fate(self.scenario, self.roster, device);
        let bad_s = fate.bad_after_s.map(|after| at_s + after);
        self.first_bad_s = [self.first_bad_s, bad_s].into_iter().flatten().min();
        for (place, (after_s, event)) in fate.reports.into_iter().flatten().enumerate() {
            let (late, again) = upset(self.scenario, device, place as u64);
            let at_minute = (at_s + after_s) / 60;
            self.reports.put(at_minute + late, (device, event));
            if let Some(again) = again {
                self.reports.put(at_minute + again, (device, event));
            }
        }
    }

    /// The reports of a minute.
    pub(super) fn deliver(&mut self, minute: u32) {
        let reports = self.reports.take(minute);
        let Some(sequence) = self.own_rollout().map(|rollout| rollout.sequence) else { return };
        let none = BTreeMap::new();
        for (device, event) in reports {
            let shared = self.roster.shared(device).filter(|_| self.scenario.knows_shared);
            self.health.reported(self.roster.key(device), sequence, event, &none, shared);
        }
    }
}

/// Whole seconds from `now` on until `until` has come; at least one.
fn seconds_between(now: Timestamp, until: Timestamp) -> u64 {
    let missing_ms = until.as_millisecond().saturating_sub(now.as_millisecond());
    u64::try_from(missing_ms / 1_000 + i64::from(missing_ms % 1_000 > 0)).unwrap_or(0).max(1)
}
