//! The guided tour that the demo prints: commands to paste, in an order that tells the story.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use super::seed::{INTELLIGENCE, PLATFORM};

/// Where the demo listens and how its commands are called.
pub(super) struct Place<'a> {
    /// The device listener.
    pub(super) device: SocketAddr,
    /// The configuration that the commands are given.
    pub(super) config: &'a Path,
    /// The program, as the user can call it.
    pub(super) program: &'a str,
    /// Whether the data directory is removed at the end.
    pub(super) is_temporary: bool,
}

/// How headings and explanations are marked for the terminal: what stands before and behind them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Around a heading.
    pub heading: (&'static str, &'static str),
    /// Around an explanation.
    pub explanation: (&'static str, &'static str),
}

/// A heading, what it shows, and the commands to paste.
type Step = (&'static str, &'static str, Vec<String>);

fn steps(place: &Place<'_>) -> [Step; 7] {
    let Place { device, config, program, .. } = place;
    let dir = config.parent().unwrap_or(config).display();
    // A line of its own for each answer, whatever the shell's prompt is like.
    let offer =
        |who: &str| format!("curl -sw '\\n' -H 'Ringfence-Device: {who}' http://{device}/v1/offers/{INTELLIGENCE}");
    [
        (
            "Two devices, two rings, two versions",
            "The canary sees what was published a moment ago; broad waits a day for it.",
            vec![offer("canary-001"), offer("laptop-001")],
        ),
        (
            "Why?",
            "Every decision names the rule that made it, and the way there.",
            vec![
                format!("{program} explain laptop-001 {INTELLIGENCE}"),
                format!("{program} explain pos-001 {PLATFORM}"),
            ],
        ),
        (
            "Download by range, checked by digest",
            "The first 120 bytes of what the canary was offered, the SHA-256 of all of them, and the 404 of a device that was offered something else.",
            vec![
                format!("URL=http://{device}$({} | sed 's/.*\"url\":\"\\([^\"]*\\)\".*/\\1/')", offer("canary-001")),
                "curl -siw '\\n' -H 'Ringfence-Device: canary-001' -r 0-119 $URL".to_owned(),
                "curl -s -H 'Ringfence-Device: canary-001' $URL | sha256sum".to_owned(),
                "curl -siw '\\n' -H 'Ringfence-Device: laptop-001' -r 0-119 $URL".to_owned(),
            ],
        ),
        (
            "Withhold a version and see it disappear",
            "From the next request on, the canaries are offered the version before.",
            vec![
                format!("{program} hold add {INTELLIGENCE} 1.427.5.0 --everyone --reason 'false positives on payroll'"),
                offer("canary-001"),
            ],
        ),
        (
            "Roll it forward",
            "A fixed version goes out; the bad one stays withheld.",
            vec![
                format!("echo 'the corrected list' > {dir}/fixed.hsb"),
                format!("{program} publish {INTELLIGENCE} 1.427.6.0 --artifact known-files.hsb={dir}/fixed.hsb"),
                offer("canary-001"),
            ],
        ),
        (
            "Drivers need a second person",
            "A platform release waits until someone other than its publisher approves it.",
            vec![
                format!("{program} publish {PLATFORM} 4.18.4 --artifact RELEASE-NOTES.txt={dir}/fixed.hsb"),
                format!("{program} release list {PLATFORM}"),
                format!(
                    "ALEX=$({program} token create --actor alex --role approver --json | sed -n 's/.*\"token\": \"\\([^\"]*\\)\".*/\\1/p')"
                ),
                format!("RINGFENCE_TOKEN=$ALEX {program} release approve {PLATFORM} 4.18.4"),
            ],
        ),
        (
            "Everything is on record",
            "The journal is a hash chain; the blobs are stored once, however many releases carry them.",
            vec![
                format!("{program} journal show | tail -n 8"),
                format!("{program} journal verify"),
                format!("{program} store stats"),
            ],
        ),
    ]
}

/// The tour as text.
pub(super) fn tour(place: &Place<'_>, style: Style) -> String {
    let wrap = |(before, behind): (&str, &str), text: &str| format!("{before}{text}{behind}");
    let bold = |text: &str| wrap(style.heading, text);
    let dim = |text: &str| wrap(style.explanation, text);
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}\n", dim("Paste into a second terminal, in this directory:"));
    let _ = writeln!(text, "  export RINGFENCE_CONFIG={}", place.config.display());
    for (number, (title, why, commands)) in steps(place).iter().enumerate() {
        let _ = writeln!(text, "\n{}\n{}", bold(&format!("{}. {title}", number + 1)), dim(&format!("   {why}")));
        for command in commands {
            let _ = writeln!(text, "  {command}");
        }
    }
    let end = if place.is_temporary {
        "Ctrl-C ends the demo and removes its data."
    } else {
        "Ctrl-C ends the demo; its data stays."
    };
    let _ = writeln!(text, "\n{}", dim(end));
    text
}
