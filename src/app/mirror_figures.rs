//! Figures of a mirror.

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use jiff::Timestamp;

use crate::mirror::{AlarmKind, Doing, Mirror};

/// Writes them. Before the first contact there is no age.
pub(super) fn encode_mirror(
    encoder: &mut DescriptorEncoder<'_>,
    mirror: &Mirror,
    sequence: u64,
    now: Timestamp,
) -> Result<(), std::fmt::Error> {
    let standing = mirror.standing(sequence, now);
    let since = |at: Timestamp| now.as_second().saturating_sub(at.as_second()).max(0);
    let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let gauges = [
        (
            "ringfence_mirror_following",
            "1 while the upstream is followed, 0 while it is away or nothing is taken from it",
            Some(i64::from(standing.doing == Doing::Following)),
        ),
        (
            "ringfence_mirror_statement_age_seconds",
            "Age of the origin's last signed word that this mirror has followed",
            standing.last_word.map(|word| count(word.age_s)),
        ),
        (
            "ringfence_mirror_contact_age_seconds",
            "Seconds since the upstream last answered well, since the start",
            standing.reached_at.map(since),
        ),
        (
            "ringfence_mirror_behind_events",
            "Events that the origin has signed and that are not here yet",
            Some(count(standing.behind_events)),
        ),
        (
            "ringfence_mirror_missing_blobs",
            "Blobs that releases need and that are not here yet",
            standing.missing.map(|missing| count(missing.blobs)),
        ),
        ("ringfence_mirror_missing_bytes", "Their bytes", standing.missing.map(|missing| count(missing.bytes))),
        (
            "ringfence_mirror_tallies_sent_age_seconds",
            "Seconds since the upstream last took what the devices here said",
            standing.tallies_sent_at.map(since),
        ),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
    }
    let help = "1 while an alarm of this mirror lasts";
    let mut family = encoder.encode_descriptor("ringfence_mirror_alarm", help, None, MetricType::Gauge)?;
    for kind in AlarmKind::ALL {
        let is_raised = standing.alarms.iter().any(|alarm| alarm.alarm == kind);
        ConstGauge::new(i64::from(is_raised)).encode(family.encode_family(&[("alarm", kind.as_str())])?)?;
    }
    Ok(())
}
