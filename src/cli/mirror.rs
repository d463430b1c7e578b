use clap::builder::styling::Style;
use jiff::Timestamp;
use serde::Deserialize;

use super::connect::ServerArgs;
use super::output::{BOLD, GREEN, RED, YELLOW, counted, grouped, say, size, styled};
use super::{CliError, time};

/// See how a mirror follows its upstream
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Status(Args),
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Status(args) => args.run(),
        }
    }
}

/// Say whom a mirror follows, how old the origin's last word is, what is missing and what is wrong
///
/// Asks the mirror, not its origin. Exit code 6: the server is no mirror.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Deserialize)]
struct Standing {
    name: String,
    upstream: String,
    hops: Option<u32>,
    doing: String,
    reached_at: Option<Timestamp>,
    sequence: u64,
    last_word: Option<LastWord>,
    behind_events: u64,
    missing: Option<Missing>,
    tallies_sent_at: Option<Timestamp>,
    #[serde(default)]
    alarms: Vec<Alarm>,
    last_error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct LastWord {
    sequence: u64,
    at: Timestamp,
    expires: Timestamp,
    age_s: u64,
}

#[derive(Debug, Deserialize)]
struct Missing {
    blobs: u64,
    bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Alarm {
    alarm: String,
    since: Timestamp,
    reason: String,
}

impl Args {
    fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        session.show(session.get("/v1/mirror")?, |standing: Standing| lines(&standing).iter().try_for_each(say))
    }
}

/// What is said, line by line.
fn lines(standing: &Standing) -> Vec<String> {
    let Standing { name, upstream, doing, sequence, .. } = standing;
    let (style, what): (Style, &str) = match doing.as_str() {
        "following" => (GREEN, "follows its upstream"),
        "waiting" => (YELLOW, "has not reached its upstream yet"),
        "away" => (YELLOW, "cannot reach its upstream and serves its last state"),
        "stopped" => (RED, "takes nothing from its upstream and serves its last state"),
        other => (YELLOW, other),
    };
    let mut lines = vec![format!("{} {}", styled(BOLD, format_args!("Mirror {name}")), styled(style, what))];
    let hops = match standing.hops {
        Some(0) => ", the origin".to_owned(),
        Some(1) => ", a mirror of the origin".to_owned(),
        Some(hops) => format!(", {hops} mirrors away from the origin"),
        None => String::new(),
    };
    lines.push(format!("  upstream   {upstream}{hops}"));
    lines.push(format!("  contact    {}", time::shown_or(standing.reached_at, "none since the start")));
    match &standing.last_word {
        None => lines.push("  last word  none: the origin has not been heard of yet".to_owned()),
        Some(LastWord { sequence, at, expires, age_s }) => lines.push(format!(
            "  last word  event {}, of {} ({} old), good until {}",
            grouped(*sequence),
            time::shown(*at),
            age(*age_s),
            time::shown(*expires)
        )),
    }
    let behind = match standing.behind_events {
        0 => "nothing is behind".to_owned(),
        behind => format!("{} behind", counted(behind, "event")),
    };
    lines.push(format!("  journal    at {}, {behind}", counted(*sequence, "event")));
    lines.push(match &standing.missing {
        None => "  blobs      not looked for yet".to_owned(),
        Some(Missing { blobs: 0, .. }) => "  blobs      all here".to_owned(),
        Some(Missing { blobs, bytes }) => format!("  blobs      {} to come, {}", counted(*blobs, "blob"), size(*bytes)),
    });
    lines.push(format!(
        "  reports    told upstream {}",
        time::shown_or(standing.tallies_sent_at, "never since the start")
    ));
    for Alarm { alarm, since, reason } in &standing.alarms {
        lines.push(format!("{} since {}: {reason}", styled(RED, alarm), time::shown(*since)));
    }
    if let Some(error) = standing.last_error.as_ref().filter(|_| standing.alarms.is_empty()) {
        lines.push(format!("{} {error}", styled(YELLOW, "last attempt:")));
    }
    lines
}

fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(changes: serde_json::Value) -> String {
        let mut standing = json!({
            "name": "plant-7", "upstream": "https://origin:8481", "hops": 0, "doing": "following",
            "reached_at": "2026-11-21T10:00:00Z", "sequence": 1_234,
            "last_word": {"sequence": 1_234, "at": "2026-11-21T10:00:00Z", "expires": "2026-11-21T10:15:00Z", "age_s": 3},
            "behind_events": 0, "missing": {"blobs": 0, "bytes": 0}, "tallies_sent_at": null, "alarms": [],
            "last_error": null
        });
        standing.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let standing: Standing = serde_json::from_value(standing).unwrap();
        anstream::adapter::strip_str(&lines(&standing).join("\n")).to_string()
    }

    #[test]
    fn a_mirror_is_said_in_words() {
        insta::assert_snapshot!("mirror-following", said(json!({})));
        insta::assert_snapshot!(
            "mirror-stopped",
            said(json!({
                "doing": "stopped", "hops": 2, "behind_events": 7, "missing": {"blobs": 3, "bytes": 5_000_000},
                "last_word": {"sequence": 1_227, "at": "2026-11-20T10:00:00Z", "expires": "2026-11-20T10:15:00Z",
                    "age_s": 86_400},
                "alarms": [{"alarm": "mirror_forked", "since": "2026-11-21T09:00:00Z", "reason": "another journal"}],
                "last_error": "another journal"
            }))
        );
        insta::assert_snapshot!(
            "mirror-waiting",
            said(json!({
                "doing": "waiting", "hops": null, "reached_at": null, "sequence": 0, "last_word": null, "missing": null,
                "last_error": "https://origin:8481 cannot be reached"
            }))
        );
    }
}
