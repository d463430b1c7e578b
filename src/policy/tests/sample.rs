//! The shipped policy.

use crate::model::policy::Policy;

const SAMPLE: &str = include_str!("../../../config/policy.toml");

#[test]
fn the_shipped_policy_reads_aloud() {
    let policy = Policy::parse(SAMPLE).unwrap();
    insta::assert_snapshot!(policy.sentences().join("\n"), @r"
    Releases of intelligence are published without approval.
    Releases of platform are published once someone other than the publisher has approved them.
    The rings, in order of exposure, are canary, early, broad and critical.
    canaries (devices tagged canary) get everything from the canary ring at once.
    early-adopters (devices tagged early) get everything from the early ring at once.
    domain-controllers (devices tagged dc or named like dc-*) get intelligence from the broad ring at once, and platform from the critical ring 1 week after publication.
    payment-terminals (devices named like pos-*) get intelligence from the critical ring 4 hours after publication, and platform from the critical ring 72 hours after publication, always one release behind the newest (N-1).
    everyone (all devices left) get everything from the broad ring at once.
    unidentified (requests without identity) get everything from the broad ring at once.
    ");
}

/// What is commented out must be right, too.
#[test]
fn the_commented_group_is_valid() {
    let lines = SAMPLE.lines().map(|line| {
        let commented = line
            .strip_prefix("# ")
            .filter(|rest| rest.starts_with('[') || rest.contains(" = ") && !rest.starts_with(' '));
        commented.unwrap_or(line)
    });
    let policy = Policy::parse(&lines.collect::<Vec<_>>().join("\n")).unwrap();
    insta::assert_snapshot!(policy.sentences().iter().filter(|line| line.contains("kiosks")).cloned().collect::<Vec<_>>().join("\n"), @r"
    kiosks (devices at 10.7.0.0/16) get everything from the broad ring at once.
    kiosks see only defender-intelligence and kiosk-agent.
    kiosks are kept at kiosk-agent 4.18.25020.1009.
    ");
}
