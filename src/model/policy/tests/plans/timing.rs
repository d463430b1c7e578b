//! When a group gets what it may have.

use super::{findings, with};
use crate::model::policy::{Policy, Predicate};
use crate::model::{Class, ProductName};

const PLAN: &str =
    "[plan.platform]\ncanary = { waves = [\"100%\"] }\nbroad = { waves = [\"100%\"] }\nlast = { waves = [\"100%\"] }\n";

/// The groups with these lines in the first one, from line 10 on, and a plan for platform only.
fn text(lines: &str) -> String {
    with(PLAN).replacen("match = { tag = \"canary\" }\n", &format!("match = {{ tag = \"canary\" }}\n{lines}\n"), 1)
}

#[test]
fn cadence_window_rate_and_staleness_are_understood() {
    let lines = "cadence = { platform = \"second Tuesday + 7 days at 02:00 Europe/Berlin\", fw = \"daily at 01:00\" }\n\
        window = [\"Sat-Sun 00:00-06:00 Europe/Berlin\", \"daily 01:00-02:00\"]\n\
        rate.platform = \"500 devices per hour\"\n\
        staleness = { platform = \"14d\", os = \"30d relax\" }";
    let policy = Policy::parse(&text(lines)).unwrap();
    let [first, everyone, ..] = policy.groups() else { panic!("three groups") };
    let product = |name: &str| name.parse::<ProductName>().unwrap();
    let (fw, os, other, class) = (product("fw"), product("os"), product("other"), Class::Platform);
    assert_eq!(first.cadence(&fw, class).unwrap().to_string(), "daily at 01:00");
    assert!(first.cadence(&other, class).unwrap().to_string().starts_with("second Tuesday"));
    assert!(first.cadence(&other, Class::Intelligence).is_none());
    assert_eq!(first.windows().unwrap().0.len(), 2);
    assert_eq!(first.rate(&other, class).unwrap().devices(), 500);
    assert!(first.rate(&other, Class::Intelligence).is_none());
    assert!(!first.staleness(&other, class).unwrap().relaxes && first.staleness(&os, class).unwrap().relaxes);
    assert_eq!(first.named_products().into_iter().collect::<Vec<_>>(), [&fw, &os]);
    assert!(everyone.cadence(&fw, class).is_none() && everyone.windows().is_none());
    assert!(everyone.rate(&fw, class).is_none() && everyone.staleness(&fw, class).is_none());
    insta::assert_snapshot!(policy.sentences().iter().filter(|line| line.contains("first ") || line.contains("first,")).skip(1).cloned().collect::<Vec<_>>().join("\n"), @r"
    first get platform only on the second Tuesday of the month plus 7 days at 02:00 Berlin time.
    first get fw only every day at 01:00 UTC.
    first get anything new only in these hours: Saturday and Sunday from 00:00 to 06:00 Berlin time, or every day from 01:00 to 02:00 UTC.
    Of first, at most 500 devices an hour get platform.
    An alert is raised when first have waited for newer platform for 2 weeks.
    An alert is raised when first have waited for newer os for 30 days; then deferral, cadence and ring yield to the last release that is fully baked.
    ");
}

#[test]
fn what_is_wrong_with_them() {
    let waves = "a rate counts from the opening of a wave, and there is no [plan.intelligence]; \
        give the class a plan, or write the rate for the other class only";
    for (lines, expected) in [
        ("rate = \"500 devices per hour\"", format!("line 10: group \"first\", rate: {waves}")),
        ("rate = { platform = \"5 devices per hour\", intelligence = \"5 devices per hour\" }", format!("line 10: group \"first\", rate: {waves}")),
        ("window = []", "line 10: group \"first\", window has 0 windows; write 1 to 16, or leave the key out".into()),
        ("window = \"daily 01:00-02:00\"", "line 10: group \"first\", window is a list, not a text".into()),
        ("staleness = \"never\"", "line 10: group \"first\", staleness: \"never\" is not a staleness: write how long a group may go without a newer release, for example 14d or \"14d relax\"".into()),
        ("products = [\"os\"]\ncadence.fw = \"daily at 01:00\"", "line 8: group \"first\" has a rule for fw, which is not among its products".into()),
    ] {
        assert_eq!(findings(&text(lines)).join("\n"), expected, "{lines}");
    }
    for (lines, start) in [
        ("cadence = \"now and then\"", "line 10: group \"first\", cadence: \"now and then\" is not a cadence: "),
        ("cadence.platform = \"daily at 03:00 Europe/Berlyn\"", "line 10: group \"first\", cadence.platform: "),
        ("cadence = \"cron 0 0 31 2 *\"", "line 10: group \"first\", cadence: \"cron 0 0 31 2 *\" never fires: "),
        ("window = [\"Sat\"]", "line 10: group \"first\", window: \"Sat\" is not a maintenance window: "),
        ("rate.platform = \"fast\"", "line 10: group \"first\", rate.platform: \"fast\" is not a rate: "),
    ] {
        let found = findings(&text(lines));
        assert!(found.len() == 1 && found[0].starts_with(start), "{lines}: {found:?}");
    }
    let rate = "rate.fw = \"5 devices per hour\"";
    assert!(Policy::parse(&text(rate)).is_ok());
    assert!(findings(&text(rate).replace(PLAN, ""))[0].contains("there is no [plan.intelligence]"), "no plan at all");
}

#[test]
fn a_predicate_needs_the_inventory_where_nothing_else_can_fit() {
    for (json, needs) in [
        ("\"any\"", false),
        ("{\"tag\":\"a\"}", true),
        ("{\"attr\":{\"os\":\"a\"}}", true),
        ("{\"id\":\"a\"}", false),
        ("{\"address\":\"10.0.0.0/8\"}", false),
        ("{\"not\":{\"tag\":\"a\"}}", false),
        ("{\"all\":[{\"tag\":\"a\"},{\"id\":\"a\"}]}", true),
        ("{\"any\":[{\"tag\":\"a\"},{\"id\":\"a\"}]}", false),
        ("{\"any\":[{\"tag\":\"a\"},{\"tag\":\"b\"}]}", true),
    ] {
        assert_eq!(serde_json::from_str::<Predicate>(json).unwrap().needs_inventory(), needs, "{json}");
    }
}
