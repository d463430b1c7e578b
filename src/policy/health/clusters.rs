//! What failing devices share: a release that fails on one model only would hide among all the others.

use std::collections::HashMap;

use super::counts::Counts;
use super::sprt::Sprt;
use super::votes::Conclusion;

/// The most distinct strings of a rollout; further ones are not counted. What many devices share comes among the first.
const STRINGS_MAX: usize = 4_096;
/// The longest string that is counted, in bytes.
const STRING_BYTES_MAX: usize = 200;
/// The fewest failing devices that are a cluster.
const FAILED_MIN: u64 = 3;
/// The probability of taking chance for a cluster, over all strings of a rollout.
const ALPHA: f64 = 1e-3;
/// What devices of a cluster are tested against: one in two of them fails.
const CLUSTER_SHARE: f64 = 0.5;

/// Votes of the devices that share a string.
#[derive(Debug, Clone, Copy, Default)]
struct Sharing {
    offered: u32,
    healthy: u32,
    bad: u32,
}

impl Sharing {
    fn concluded(self) -> u64 {
        u64::from(self.healthy) + u64::from(self.bad)
    }

    fn side(&mut self, conclusion: Conclusion) -> &mut u32 {
        match conclusion {
            Conclusion::Healthy => &mut self.healthy,
            Conclusion::Failed | Conclusion::RolledBack => &mut self.bad,
        }
    }
}

/// Devices that share something and fail together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cluster {
    pub(super) shared: String,
    pub(super) bad: u64,
    pub(super) concluded: u64,
}

/// The votes of a rollout by what devices share.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    by_string: HashMap<Box<str>, Sharing>,
}

impl Clusters {
    /// A device with these strings was offered the release.
    pub(super) fn offer<'a>(&mut self, shared: impl Iterator<Item = &'a str>) {
        for string in shared.filter(|string| string.len() <= STRING_BYTES_MAX) {
            if let Some(sharing) = self.by_string.get_mut(string) {
                sharing.offered = sharing.offered.saturating_add(1);
            } else if self.by_string.len() < STRINGS_MAX {
                self.by_string.insert(string.into(), Sharing { offered: 1, ..Sharing::default() });
            }
        }
    }

    /// The conclusion of a device with these strings changed. A string it did not have at its offer is left out.
    pub(super) fn change<'a>(
        &mut self,
        before: Option<Conclusion>,
        after: Option<Conclusion>,
        shared: impl Iterator<Item = &'a str>,
    ) {
        if before == after {
            return;
        }
        for string in shared {
            let Some(sharing) = self.by_string.get_mut(string) else { continue };
            if let Some(before) = before {
                let count = sharing.side(before);
                *count = count.saturating_sub(1);
            }
            if let Some(after) = after {
                let count = sharing.side(after);
                *count = count.saturating_add(1);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn strings(&self) -> usize {
        self.by_string.len()
    }

    /// The cluster for which most speaks, if any.
    ///
    /// More than half of its concluded devices fail, at least [`FAILED_MIN`]; the sequential test says that half of
    /// them do rather than `usual`; and it is among failing devices far more often than among those offered the
    /// release. Without the last, devices that lie before the others have voted would make a cluster of whatever they
    /// happen to share; devices that were chosen because they share something still can. What half of the offered devices share is no cluster: the test over all devices is for that.
    pub(super) fn worst(&self, usual: f64, all: &Counts) -> Option<Cluster> {
        if all.bad() < FAILED_MIN {
            return None;
        }
        let sprt = Sprt::new(usual.min(CLUSTER_SHARE / 2.0), CLUSTER_SHARE);
        // All that could become a cluster count, not only those with votes: the first failing devices choose among all.
        let tried = self.by_string.values().filter(|sharing| u64::from(sharing.offered) >= FAILED_MIN).count().max(1);
        let enough = (1.0 / ALPHA).ln() + (tried as f64).ln();
        let mut worst: Option<(f64, &str, Sharing)> = None;
        for (string, &sharing) in &self.by_string {
            let (bad, healthy) = (u64::from(sharing.bad), u64::from(sharing.healthy));
            if bad < FAILED_MIN || bad <= healthy {
                continue;
            }
            let evidence = sprt.ratio(bad, healthy).min(enrichment(sharing, all));
            // Among equals the first in the alphabet: the table's order must not show.
            let is_worse =
                worst.is_none_or(|(most, name, _)| evidence > most || (evidence == most && **string < *name));
            if evidence >= enough && is_worse {
                worst = Some((evidence, string, sharing));
            }
        }
        worst.map(|(_, string, sharing)| Cluster {
            shared: string.to_owned(),
            bad: u64::from(sharing.bad),
            concluded: sharing.concluded(),
        })
    }
}

/// How much more often the string is found among failing devices than its share of the offered ones explains, as the
/// exponent of Chernoff's bound on that chance: `n · KL(found ‖ expected)`. Chernoff, "A Measure of Asymptotic
/// Efficiency for Tests of a Hypothesis Based on the Sum of Observations", 1952.
fn enrichment(sharing: Sharing, all: &Counts) -> f64 {
    let offered = u64::from(sharing.offered).max(sharing.concluded());
    let expected = offered as f64 / all.offered.max(offered).max(1) as f64;
    let failing = all.bad().max(u64::from(sharing.bad)) as f64;
    let found = f64::from(sharing.bad) / failing;
    if expected >= 0.5 || found <= expected {
        return 0.0;
    }
    let missing = if found < 1.0 { (1.0 - found) * ((1.0 - found) / (1.0 - expected)).ln() } else { 0.0 };
    failing * (found * (found / expected).ln() + missing)
}
