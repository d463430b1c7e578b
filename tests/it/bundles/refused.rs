//! A bundle that the site can never take: its origin is told by a receipt, once, and nobody else makes the journal grow.

use super::origin::{Origin, SITE, bodies, offered, word};
use super::receipts::{last_receipt, manifest};
use crate::support::Setup;

#[test]
fn a_refusal_has_one_receipt_which_the_origin_shows() {
    let origin = Origin::start();
    let one = bodies(1, 10_000, 2);
    origin.publish("1.0", &one);
    let first = origin.export(SITE, "full", 1 << 20);
    origin.publish("2.0", &[bodies(2, 10_000, 0), vec![one[1].clone()]].concat());
    let second = origin.export(SITE, "last", 1 << 20);
    let mut site = origin.site(Setup::new(), SITE).start();
    let import = ["bundle", "import", word(&second)];
    let seq = site.journal_seq();
    let run = site.cli(&import).complains(7, &["not here", "missing", "receipt"]);
    assert!(run.stdout.contains("The bundle is refused: nothing was changed"), "{}", run.stdout);
    assert!(run.stdout.contains("receipt  1 ("), "{}", run.stdout);
    assert!(run.stdout.contains("ringfence bundle receipt --last --to DIR"), "{}", run.stdout);
    assert_eq!(site.journal_seq(), seq + 1);
    // Again, after a restart, and as JSON: the same receipt.
    site.cli(&import).exits(7);
    site.kill();
    site.start_again();
    let said = site.cli(&[&import[..], &["--json"]].concat()).exits(7).json();
    assert_eq!((said["state"].as_str(), said["receipt"]["number"].as_u64()), (Some("refused"), Some(1)));
    assert_eq!(said["bundle"], manifest(&second)["id"]);
    assert_eq!(site.journal_seq(), seq + 1, "one refusal, one receipt");

    let stick = tempfile::tempdir().unwrap();
    let receipt = last_receipt(&site, stick.path());
    let run = origin.server.cli(&["bundle", "receipt", word(&receipt)]).ok();
    assert!(run.stdout.contains("Receipt 1 of site plant-7 is taken: refused."), "{}", run.stdout);
    assert!(run.stdout.contains("because: the bundle builds on"), "{}", run.stdout);
    assert!(run.stdout.contains("No bundle is acknowledged"), "{}", run.stdout);
    let listed = origin.server.cli(&["bundle", "sites"]).ok().stdout;
    assert!(listed.contains("1 refused ("), "{listed}");
    let shown = origin.server.cli(&["bundle", "sites", SITE]).ok().stdout;
    assert!(shown.contains("Its last receipt, of bundle 2, says refused:\n  the bundle builds on"), "{shown}");
    let known = origin.server.json(&["bundle", "sites", SITE]);
    assert_eq!((&known["receipt"]["about"]["sequence"], &known["astray"]), (&2.into(), &serde_json::Value::Null));

    // The bundle before it makes it good; what was refused before is told no more.
    site.cli(&["bundle", "import", word(&first)]).ok();
    site.cli(&import).ok();
    assert_eq!(offered(&site, "pc-1").as_deref(), Some("2.0"));
    origin.server.cli(&["bundle", "receipt", word(&last_receipt(&site, stick.path()))]).ok();
    let known = origin.server.json(&["bundle", "sites", SITE]);
    assert_eq!(
        (&known["receipt"]["outcome"], &known["receipt"]["reasons"]),
        (&"applied".into(), &serde_json::Value::Null)
    );

    // What an older bundle is refused for is nothing that the origin does not know.
    let seq = site.journal_seq();
    let run = site.cli(&["bundle", "import", word(&first)]).complains(7, &["older"]);
    assert!(!run.stdout.contains("receipt"), "{}", run.stdout);
    assert_eq!(site.journal_seq(), seq);
}

#[test]
fn a_refusal_makes_no_server_a_site() {
    let origin = Origin::start();
    origin.publish("1.0", &bodies(1, 10_000, 2));
    origin.export(SITE, "full", 1 << 20);
    let second = origin.export(SITE, "last", 1 << 20);
    let server = Setup::new().start();
    let key = origin.server.root().join("origin.pub");
    let seq = server.journal_seq();
    let run = server.cli(&["bundle", "import", word(&second), "--origin-key", word(&key)]).complains(7, &["not here"]);
    assert!(!run.stdout.contains("receipt"), "{}", run.stdout);
    assert_eq!(server.journal_seq(), seq);
    server.cli(&["bundle", "receipt", "--last"]).exits(6);
}
