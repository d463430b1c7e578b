//! Rules that others publish, written as policies here, and held against their figures.

use jiff::{SignedDuration, Timestamp};

use crate::model::policy::Policy;
use crate::model::testing::TestJournal;
use crate::model::{BasisPoints, Class, Event, RolloutChange};
use crate::policy::rollout::{plan_release, share_of};
use crate::policy::{Requester, decide_quiet};

/// Bottlerocket's default waves (sources/updater/waves/default-waves.toml): hours from the start, and the share of hosts
/// that may update by then.
const BOTTLEROCKET: [(u64, u16); 7] =
    [(1, 100), (4, 500), (24, 1_500), (48, 4_000), (96, 6_000), (120, 9_000), (144, 10_000)];
/// The delays that CrowdStrike's content update policy offers, in hours.
const CROWDSTRIKE: [i64; 9] = [0, 1, 2, 4, 8, 12, 24, 48, 72];

#[test]
fn bottlerockets_waves_as_a_plan_reach_the_same_bounds_without_a_jump() {
    let mut from = 0;
    let waves = BOTTLEROCKET.map(|(hours, share)| {
        let over = hours - std::mem::replace(&mut from, hours);
        format!("\"{} over {over}h\"", BasisPoints::new(share))
    });
    let text = format!(
        "[[ring]]\nname = \"r\"\n[[group]]\nname = \"g\"\nmatch = \"any\"\nring = \"r\"\n\
         [plan.platform]\nr = {{ waves = [{}] }}\n",
        waves.join(", ")
    );
    let policy = Policy::parse(&text).unwrap();
    let mut journal = TestJournal::new(Timestamp::from_second(1_700_000_000).unwrap());
    journal.product("p", Class::Platform).policy(&text).release("p", "1", &["any"], false);
    let product = "p".parse().unwrap();
    let release = journal.snapshot().product(&product).unwrap().releases()[0].id;
    let start = journal.now();
    let plan = policy.plan(Class::Platform).unwrap();
    let id = journal.push(plan_release(&product, Class::Platform, release, plan, None, start));
    let mut opened = 0;
    for (wave, (hours, _)) in BOTTLEROCKET.into_iter().enumerate() {
        let (ring, wave, devices, rated) = ("r".parse().unwrap(), wave as u32, 1_000_000, Default::default());
        let change = RolloutChange::WaveOpened { ring, wave, devices, rated };
        journal.push(Event::RolloutChanged { product: product.clone(), rollout: id, change });
        journal.advance((hours as i64 - opened) * 3_600);
        opened = hours as i64;
    }
    let known = journal.snapshot().product(&product).unwrap();
    let rollout = known.rollout(id).unwrap();
    let share = |minute: i64| share_of(known, rollout, 0, start + SignedDuration::from_mins(minute)).get();
    for (hours, bound) in BOTTLEROCKET {
        assert_eq!(share(hours as i64 * 60), bound, "after {hours} h");
    }
    // Theirs lets everyone in at once when the last bound is reached; the steepest even wave is 30 % in a day.
    let steepest = (1..=144 * 60).map(|minute| share(minute) - share(minute - 1)).max().unwrap();
    assert!(steepest <= 3, "{steepest} basis points in one minute");
}

#[test]
fn each_of_crowdstrikes_delays_ends_on_its_hour() {
    for hours in CROWDSTRIKE {
        let text = format!(
            "[[ring]]\nname = \"r\"\n[[group]]\nname = \"g\"\nmatch = \"any\"\nring = \"r\"\ndefer = \"{hours}h\"\n"
        );
        let mut journal = TestJournal::new(Timestamp::from_second(1_700_000_000).unwrap());
        journal.product("p", Class::Intelligence).policy(&text).release("p", "1", &["any"], false);
        let id = "pc-1".parse().unwrap();
        let who = Requester { device: Some(&id), ..Requester::default() };
        let due = journal.now() + SignedDuration::from_hours(hours);
        let sees = |at: Timestamp| decide_quiet(journal.snapshot(), &who, &"p".parse().unwrap(), at).release.is_some();
        assert!(sees(due), "{hours} h");
        assert!(!sees(due - SignedDuration::from_millis(1)), "{hours} h, a moment before");
    }
}
