//! The sums of other places: of offline sites and of mirrors.

use super::Health;
use super::counts::{Counts, Ring};
use crate::model::RolloutId;

impl Health {
    /// What the devices of another place (an offline site, a mirror) said in all of one ring of a rollout: it takes the
    /// place of what was known from there. Which devices these are, and what they share, is not known here.
    pub fn set_elsewhere(&mut self, rollout: RolloutId, ring: usize, place: &str, counts: Counts) {
        if let Some(ring) = self.ring_mut(rollout, ring) {
            ring.set_elsewhere(place, counts);
        }
    }

    /// Counts nothing of another place any more.
    pub fn forget_elsewhere(&mut self, place: &str) {
        for ring in self.tallies.iter_mut().flatten().flat_map(|tally| &mut tally.rings) {
            ring.elsewhere.remove(place);
        }
    }

    /// Takes over what other places said of the rollouts that are counted here, too.
    pub fn take_elsewhere(&mut self, other: &mut Self) {
        let rollouts: Vec<_> = self.places.keys().copied().filter(|rollout| self.is_watched(*rollout)).collect();
        for rollout in rollouts {
            let mut index = 0;
            while let (Some(ring), Some(from)) = (self.ring_mut(rollout, index), other.ring_mut(rollout, index)) {
                ring.elsewhere = std::mem::take(&mut from.elsewhere);
                index += 1;
            }
        }
    }

    fn ring_mut(&mut self, rollout: RolloutId, ring: usize) -> Option<&mut Ring> {
        let place = self.place(rollout)?;
        self.tallies[place].as_mut()?.rings.get_mut(ring)
    }
}
