//! `[[site]]`.

use super::findings;
use crate::model::policy::{MAX_SITES, Policy};

const GROUPS: &str = "[[ring]]\nname = \"all\"\n[[group]]\nname = \"dc\"\nmatch = { tag = \"dc\" }\nring = \"all\"\n\
    [[group]]\nname = \"pos\"\nmatch = \"any\"\nring = \"all\"\n";

#[test]
fn a_site_is_understood() {
    let key = "RWQBAgMEBQYHCAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    let site = format!(
        "{GROUPS}[[site]]\nname = \"plant-7\"\ngroups = [\"pos\", \"dc\"]\nvalid_for = \"14d\"\npreload = \"7d\"\nkey = \"{key}\"\n\
         [[site]]\nname = \"ship\"\ngroups = [\"pos\"]\n"
    );
    let policy = Policy::parse(&site).unwrap();
    let plant = policy.site(&"plant-7".parse().unwrap()).unwrap();
    let groups: Vec<_> = plant.groups().iter().map(|group| group.as_str()).collect();
    assert_eq!(groups, ["pos", "dc"]);
    assert_eq!((plant.valid_for().as_secs(), plant.preload().as_secs()), (14 * 86_400, 7 * 86_400));
    assert_eq!(plant.key().unwrap().to_string(), key);
    let ship = policy.site(&"ship".parse().unwrap()).unwrap();
    assert_eq!((ship.valid_for().as_secs(), ship.preload().as_secs(), ship.key()), (30 * 86_400, 0, None));
    assert!(policy.site(&"other".parse().unwrap()).is_none());
    let said: Vec<_> = policy.sentences().into_iter().filter(|sentence| sentence.contains("site")).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    A bundle for site plant-7 brings what pos and dc are shown and will be shown within 1 week, and can be imported for 2 weeks.
    A bundle for site ship brings what pos are shown, and can be imported for 30 days.
    ");
}

#[test]
fn what_is_wrong_with_a_site_is_said_with_its_line() {
    let text = format!(
        "{GROUPS}[[site]]\nname = \"a\"\n[[site]]\nname = \"a\"\ngroups = []\ncolour = 1\n\
         [[site]]\nname = \"b\"\ngroups = [\"pos\", \"pos\", \"nobody\"]\nvalid_for = \"30m\"\nkey = \"x\"\n\
         [[site]]\nname = \"c\"\ngroups = [\"dc\"]\nvalid_for = \"2d\"\npreload = \"3d\"\n[[site]]\ngroups = [\"dc\"]\n\
         [[site]]\nname = \"d\"\ngroups = [\"dc\"]\nvalid_for = \"366d\"\n[[site]]\nname = \"UPPER\"\ngroups = [\"dc\"]\n"
    );
    insta::assert_snapshot!(findings(&text).join("\n"), @r#"
    line 12: site "a" has no groups: list the groups whose decisions it is given
    line 14: site "a" is defined twice
    line 15: site "a", groups has 0 entries; write 1 to 2000
    line 16: site "a" has no key "colour"; its keys are name, groups, valid_for, preload, key
    line 19: site "b" is given group "nobody", which is not defined
    line 19: site "b", groups names pos twice
    line 20: site "b", valid_for is at least 1h
    line 21: site "b", key: "x" is not a public key: 56 characters of base64 that begin with RW, as minisign writes it
    line 26: site "c", preload is at most valid_for (2d)
    line 27: a site has no name
    line 32: site "d", valid_for: "366d" is too long: at most 365d can be written
    line 34: name: "UPPER" is not a site name: 1 to 64 lower-case letters, digits and inner '.', '_' or '-'
    "#);
}

#[test]
fn there_is_a_most_of_sites() {
    let site = |number: usize| format!("[[site]]\nname = \"s{number}\"\ngroups = [\"dc\"]\n");
    let text = |count: usize| (0..count).map(site).fold(GROUPS.to_owned(), |text, site| text + &site);
    assert_eq!(Policy::parse(&text(MAX_SITES)).unwrap().sites().len(), MAX_SITES);
    let found = findings(&text(MAX_SITES + 1));
    assert_eq!(found.len(), 1);
    assert!(found[0].ends_with("there are 1001 sites; at most 1000 are allowed"), "{found:?}");
}
