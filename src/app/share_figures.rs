//! Figures of shares and their targets, read from the state when metrics are asked for.

use jiff::Timestamp;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::model::Snapshot;
use crate::share::{Shares, TargetState, age_of, files_at, lag_s};

/// One share's figures.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ShareFigures {
    pub(super) share: String,
    /// Absent where nothing is shown.
    pub(super) age_seconds: Option<i64>,
    pub(super) files: i64,
    pub(super) problems: i64,
    /// The largest over its targets.
    pub(super) target_lag_seconds: i64,
    pub(super) targets_pending: i64,
}

/// The shares of the policy in force.
pub(super) fn figures(shares: &Shares, snapshot: &Snapshot, now: Timestamp) -> Vec<ShareFigures> {
    let Some(policy) = snapshot.policy_at(now).and_then(|applied| applied.policy().ok()) else { return Vec::new() };
    let of_share = |share: &crate::model::policy::SharePolicy| {
        let state = snapshot.share(share.name());
        let published_at = state.and_then(|state| age_of(snapshot, state));
        let targets = shares.targets(share.name());
        let lags = state.into_iter().flat_map(|state| targets.iter().map(|report| lag_s(state, report, now)));
        ShareFigures {
            share: share.name().to_string(),
            age_seconds: published_at.map(|at| now.duration_since(at).as_secs().max(0)),
            files: files_at(snapshot, policy, share, now).len() as i64,
            problems: shares.problems(share.name()).len() as i64,
            target_lag_seconds: i64::try_from(lags.max().unwrap_or(0)).unwrap_or(i64::MAX),
            targets_pending: targets.iter().filter(|report| report.state == TargetState::Pending).count() as i64,
        }
    };
    policy.shares().iter().map(of_share).collect()
}

pub(super) fn encode_shares(
    encoder: &mut DescriptorEncoder<'_>,
    shares: &Shares,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<(), std::fmt::Error> {
    let figures = figures(shares, snapshot, now);
    type Read = fn(&ShareFigures) -> Option<i64>;
    let families: [(&str, &str, Read); 5] = [
        ("ringfence_share_age_seconds", "Since the newest release that a share shows was published", |share| {
            share.age_seconds
        }),
        ("ringfence_share_files", "Files of a share that can be read", |share| Some(share.files)),
        ("ringfence_share_problems", "Why a share does not show what its group gets", |share| Some(share.problems)),
        (
            "ringfence_share_target_lag_seconds",
            "For how long the newest switch waits for the target that is furthest behind",
            |share| Some(share.target_lag_seconds),
        ),
        ("ringfence_share_targets_pending", "Targets where a name could not be replaced yet", |share| {
            Some(share.targets_pending)
        }),
    ];
    for (name, help, read) in families {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for share in &figures {
            let Some(value) = read(share) else { continue };
            ConstGauge::new(value).encode(family.encode_family(&[("share", share.share.clone())])?)?;
        }
    }
    Ok(())
}
