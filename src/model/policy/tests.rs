//! Reading whole texts: findings with their lines, and what is understood.

mod plans;
mod sites;

use proptest::prelude::*;

use super::*;
use crate::model::{Device, DeviceId, ProductName};

const GOOD: &str = r#"
[[ring]]
name = "canary"
[[ring]]
name = "critical"
defer = { platform = "72h" }

[[group]]
name = "dc"
match = { any = [{ tag = "dc" }, { id = "dc-*" }, { all = [{ attr = { os = "windows-*" } }, { not = { address = "10.1.0.0/16" } }] }] }
ring = { intelligence = "canary", platform = "critical" }
keep = { platform = "N-1", my-driver = "N" }
defer.intelligence = "2h"
pin.my-driver = "4.18"

[[group]]
name = "everyone"
match = "any"
ring = "canary"

[[group]]
name = "unidentified"
ring = "critical"
products = ["my-driver"]
defer = "1d"
"#;

fn findings(text: &str) -> Vec<String> {
    let error = Policy::parse(text).unwrap_err();
    error.to_string().lines().map(String::from).collect()
}

fn product(name: &str) -> ProductName {
    name.parse().unwrap()
}

#[test]
fn a_good_text_is_understood() {
    let policy = Policy::parse(GOOD).unwrap();
    let [dc, everyone, unidentified] = policy.groups() else { panic!("three groups") };
    let (driver, intel, other) = (product("my-driver"), product("intel"), product("other"));
    let hours = |hours: u64| hours * 3_600;
    assert_eq!(dc.ring(Class::Platform).as_str(), "critical");
    assert_eq!(dc.keep(&driver, Class::Platform), 0);
    assert_eq!(dc.keep(&other, Class::Platform), 1);
    assert_eq!(dc.keep(&intel, Class::Intelligence), 0);
    assert_eq!(dc.defer(&other, Class::Platform).as_secs(), hours(72));
    assert_eq!(dc.defer(&intel, Class::Intelligence).as_secs(), hours(2));
    assert_eq!(dc.pin(&driver).unwrap().as_str(), "4.18");
    assert!(everyone.defer(&other, Class::Platform).is_none() && everyone.sees(&other));
    assert!(!unidentified.sees(&other) && unidentified.sees(&driver));
    assert_eq!(unidentified.defer(&driver, Class::Platform).as_secs(), hours(24));
    assert_eq!(policy.approval(Class::Intelligence), ApprovalRule::Auto);
    assert_eq!(policy.approval(Class::Platform), ApprovalRule::Other);
}

#[test]
fn the_first_match_wins() {
    let policy = Policy::parse(GOOD).unwrap();
    let group = |id: Option<&str>, device: Option<&str>, address: Option<&str>| {
        let id: Option<DeviceId> = id.map(|id| id.parse().unwrap());
        let device: Option<Device> = device.map(|json| serde_json::from_str(json).unwrap());
        let address = address.map(|address| address.parse().unwrap());
        let facts = DeviceFacts { id: id.as_ref(), device: device.as_ref(), address };
        policy.group_of(&facts).map(|group| group.name().to_string()).unwrap_or_default()
    };
    let windows = r#"{"id":"a","attributes":{"os":"windows-11"}}"#;
    assert_eq!(group(Some("dc-1"), None, None), "dc");
    assert_eq!(group(Some("a"), Some(r#"{"id":"a","tags":["dc"]}"#), None), "dc");
    assert_eq!(group(Some("a"), Some(windows), None), "dc", "an unknown address is in no range");
    assert_eq!(group(Some("a"), Some(windows), Some("10.2.0.1")), "dc");
    assert_eq!(group(Some("a"), Some(windows), Some("10.1.0.1")), "everyone");
    assert_eq!(group(Some("a"), Some(windows), Some("::ffff:10.1.0.1")), "everyone", "mapped into IPv6");
    assert_eq!(group(None, None, Some("10.1.0.1")), "unidentified");
}

#[test]
fn all_findings_at_once_each_with_its_line() {
    let text = r#"colour = "red"
[approve]
platform = "nobody"
[[ring]]
name = "canary"
defer = { plattform = "1h" }
[[ring]]
name = "canary"
[[group]]
name = "dc"
match = { tag = "dc", id = "dc-*" }
ring = "brod"
colour = "daily"
[[group]]
name = "dc"
match = { address = "10.1.0.5/16" }
ring = { platform = "canary" }
keep = "N-0"
defer = "400d"
[[group]]
name = "pos"
match = { any = [{ id = "" },
  { tag = 5 }] }
ring = "canary"
pin.intel = "one"
products = ["intel", "intel"]
[[group]]
name = "everyone"
match = "any"
ring = "canary"
[[group]]
name = "late"
match = { tag = "late" }
ring = "canary"
[[group]]
name = "unidentified"
match = "any"
ring = "canary"
"#;
    insta::assert_snapshot!(findings(text).join("\n"), @r#"
    line 1: a policy has no key "colour"; its keys are approve, ring, group, plan, share, site, signature
    line 3: approve.platform is "auto", "anyone" or "other"
    line 6: ring "canary", defer has no class "plattform"; a class is intelligence or platform
    line 7: ring "canary" is defined twice
    line 11: group "dc", match has exactly one key; to combine conditions write all = [..] or any = [..]
    line 12: group "dc" is in ring "brod", which is not defined; the rings are canary
    line 13: group "dc" has no key "colour"; its keys are name, match, ring, products, pin, keep, defer, cadence, window, rate, staleness
    line 15: group "dc" is defined twice
    line 16: group "dc", match, address: "10.1.0.5/16" has bits beyond its prefix; write 10.1.0.0/16
    line 17: group "dc" has no ring for intelligence
    line 18: group "dc", keep: "N-0" is not understood; write "N" for the newest release, or "N-1" to "N-99" to stay that many behind it
    line 19: group "dc", defer: "400d" is too long: at most 365d can be written
    line 22: group "pos", match, any, id: "" is not a glob: it has 1 to 128 bytes
    line 23: group "pos", match, any, tag is a text in quotes, not a number
    line 25: group "pos", pin.intel: "one" is not a version: a version is 1 to 8 numbers joined by dots, for example 1.427.3.0
    line 26: group "pos", products names intel twice
    line 32: group "late" can never be reached: group "everyone" before it takes every device
    line 37: group "unidentified" takes every request without identity and has no match
    "#);
}

#[test]
fn a_missing_ring_is_named_with_those_there_are() {
    let text = GOOD.replace("ring = \"canary\"", "ring = \"brod\"");
    assert_eq!(
        findings(&text),
        ["line 19: group \"everyone\" is in ring \"brod\", which is not defined; the rings are canary, critical"]
    );
}

#[test]
fn empty_texts_and_rings() {
    assert_eq!(findings("").len(), 2);
    let text =
        "[[ring]]\nname = \"a\"\n[[ring]]\nname = \"b\"\n[[group]]\nname = \"g\"\nmatch = \"any\"\nring = \"a\"\n";
    assert!(findings(text)[0].ends_with("ring \"b\" is empty: no group is in it"));
    let same = text.replace("[[ring]]\nname = \"b\"\n", "").replace("\"any\"", "{ tag = \"x\" }");
    let same = format!("{same}[[group]]\nname = \"h\"\nmatch = {{ tag = \"x\" }}\nring = \"a\"\n");
    assert!(findings(&same)[0].contains("can never be reached: group \"g\" before it has the same match"));
}

#[test]
fn syntax_errors_have_their_line() {
    assert!(findings("[[ring]]\nname = \n")[0].starts_with("line 2: this is not TOML: "));
    assert!(
        findings("[approve]\nplatform = \"auto\"\nplatform = \"auto\"\n")[0].starts_with("line 3: this is not TOML: ")
    );
}

#[test]
fn limits() {
    let group = |n: usize| format!("[[group]]\nname = \"g{n}\"\nmatch = {{ id = \"g{n}\" }}\nring = \"a\"\n");
    let text = |groups: usize| format!("[[ring]]\nname = \"a\"\n{}", (0..groups).map(group).collect::<String>());
    assert!(Policy::parse(&text(MAX_GROUPS)).is_ok());
    assert!(findings(&text(MAX_GROUPS + 1))[0].contains("2001 groups"));
    assert!(findings(&"#".repeat(MAX_TEXT_BYTES + 1))[0].contains("at most 1048576"));
    let deep = format!("{}\"any\"{}", "{ not = ".repeat(9), " }".repeat(9));
    assert!(findings(&GOOD.replace("match = \"any\"", &format!("match = {deep}")))[0].contains("deeper than 8"));
}

fn predicates() -> impl Strategy<Value = Predicate> {
    let leaf = prop_oneof![
        Just(Predicate::Everything),
        "[a-z*?-]{1,6}".prop_filter_map("stars", |text| text.parse().ok().map(Predicate::Id)),
        "[a-z]{1,5}".prop_map(|tag| Predicate::Tag(tag.parse().unwrap())),
        "[a-z]{1,5}".prop_map(|glob| Predicate::Attributes(vec![("os".parse().unwrap(), glob.parse().unwrap())])),
        (any::<u32>(), 0u8..=32).prop_map(|(bits, prefix)| {
            Predicate::Address(ipnet::Ipv4Net::new(bits.into(), prefix).unwrap().trunc().into())
        }),
    ];
    leaf.prop_recursive(3, 12, 3, |part| {
        let list = proptest::collection::vec(part.clone(), 1..3);
        prop_oneof![
            list.clone().prop_map(Predicate::AnyOf),
            list.prop_map(Predicate::AllOf),
            part.prop_map(|part| Predicate::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn predicates_round_trip(predicate in predicates()) {
        let json = serde_json::to_string(&predicate).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Predicate>(&json).unwrap(), &predicate);
        let bytes = postcard::to_stdvec(&predicate).unwrap();
        prop_assert_eq!(&postcard::from_bytes::<Predicate>(&bytes).unwrap(), &predicate);
    }

    #[test]
    fn any_text_is_refused_without_panic(text in "(\\[\\[(ring|group)\\]\\]\n|name = \"[a-c]\"\n|match = (\"any\"|\\{ tag = \"x\" \\}|5)\n|ring = (\"a\"|\\{ platform = \"b\" \\})\n|[^\u{0}]{0,4}\n){0,12}") {
        if let Err(error) = Policy::parse(&text) {
            prop_assert!(!error.findings().is_empty());
            prop_assert!(error.findings().iter().all(|found| found.line >= 1 && !found.message.contains('\n')));
        }
    }
}
