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
    A published release of intelligence starts by itself.
    Intelligence reaches ring canary first: all of it at once, then at least 6 hours; its gate wants 20 healthy devices and stops above 1.5% failures or 5% silence after 30 minutes.
    Intelligence reaches ring early next: all of it at once, then at least 14 minutes; its gate wants 20 healthy devices and stops above 1.5% failures or 5% silence after 30 minutes.
    Intelligence reaches ring broad next: all of it at once, then at least 1 hour; its gate wants 20 healthy devices and stops above 1.5% failures or 5% silence after 30 minutes.
    Intelligence reaches ring critical next: all of it at once, then at least 4 hours; its gate wants 20 healthy devices and stops above 1.5% failures or 5% silence after 30 minutes.
    In canary, early, broad and critical: with 20 healthy devices a release that fails on 1.5% of them is stopped at least 23 times of 100, and with 221 it would be 95 times.
    In canary, early, broad and critical: a wave without a verdict raises an alert after 24 hours.
    Late failures can halt a release of intelligence for 72 hours after everyone has it.
    3 halts of one intelligence product within 1 week freeze it until a person resets it.
    A halted release of intelligence goes back by itself for up to 5000 devices, and once a person confirms the number for more: 10% of it at once, then at least 10 minutes; all of it at once, then at least 10 minutes, in all rings together.
    In an emergency intelligence can reach everyone after 22 minutes through the same gates, once 2 of alice@corp, bo@corp and chen@corp approve; this lasts 12 hours.
    A published release of platform starts by itself.
    Platform reaches ring canary first: all of it at once, then at least 24 hours; its gate wants 20 healthy devices and stops above 2% failures or 5% silence after 4 hours.
    Platform reaches ring early next: 20% of it at once, then at least 24 hours; all of it at once, then at least 48 hours; its gate wants 20 healthy devices and stops above 2% failures or 5% silence after 4 hours.
    Platform reaches ring broad next: 10% of it evenly over 12 hours, then at least 24 hours; 50% of it evenly over 24 hours, then at least 24 hours; all of it evenly over 24 hours, then at least 48 hours; its gate wants 20 healthy devices and stops above 2% failures or 5% silence after 4 hours.
    Platform reaches ring critical next, once a person promotes it: all of it evenly over 24 hours, then at least 72 hours; its gate wants 20 healthy devices and stops above 2% failures or 5% silence after 4 hours.
    In canary, early, broad and critical: with 20 healthy devices a release that fails on 2% of them is stopped at least 30 times of 100, and with 165 it would be 95 times.
    In canary, early, broad and critical: a wave without a verdict raises an alert after 1 week.
    Late failures can halt a release of platform for 72 hours after everyone has it.
    A halted release of platform goes back when a person begins it, who confirms the number above 500 devices: 10% of it at once, then at least 10 minutes; all of it at once, then at least 10 minutes, in all rings together.
    In an emergency platform can reach everyone after 28 hours through the same gates, once 2 of alice@corp, bo@corp and chen@corp approve; this lasts 24 hours.
    canaries (devices tagged canary) get everything from the canary ring.
    early-adopters (devices tagged early) get everything from the early ring.
    domain-controllers (devices tagged dc or named like dc-*) get intelligence from the broad ring, and platform from the critical ring.
    domain-controllers get platform only on the second Tuesday of the month plus 7 days at 02:00 Berlin time.
    domain-controllers get anything new only in these hours: Saturday and Sunday from 00:00 to 06:00 Berlin time, or Monday, Tuesday, Wednesday, Thursday and Friday from 02:00 to 05:00 Berlin time.
    payment-terminals (devices named like pos-*) get intelligence from the critical ring, and platform from the critical ring, always one release behind the newest (N-1).
    Of payment-terminals, at most 500 devices an hour get anything new.
    An alert is raised when payment-terminals have waited for newer platform for 45 days.
    everyone (all devices left) get everything from the broad ring.
    unidentified (requests without identity) get everything from the broad ring.
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
    kiosks (devices at 10.7.0.0/16) get everything from the broad ring.
    kiosks see only defender-intelligence and kiosk-agent.
    kiosks are kept at kiosk-agent 4.18.25020.1009.
    ");
}
