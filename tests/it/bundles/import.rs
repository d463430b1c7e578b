//! An empty site, increments, the same again, volumes in any order, and a server that serves meanwhile.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::origin::{Origin, SITE, bodies, offered, some_of, volumes, word};
use crate::support::{Setup, sha256_hex, wait_until};

#[test]
fn an_empty_site_an_increment_and_both_again() {
    let origin = Origin::start();
    let one = bodies(1, 300_000, 20);
    origin.publish("1.0", &one);
    let first = origin.export(SITE, "full", 1 << 20);
    let site = origin.site(Setup::new(), SITE).start();
    assert_eq!(offered(&site, "pc-1").as_deref(), None);
    let done = site.json(&["bundle", "import", word(&first)]);
    assert_eq!(done["state"], "applied");
    assert_eq!(done["receipt"]["outcome"], "applied");
    assert_eq!(offered(&site, "pc-1").as_deref(), Some("1.0"));
    let path = format!("/v1/blobs/sha256:{}", sha256_hex(&one[0]));
    assert!(site.get(Some("pc-1"), &path).expect(200).body == one[0]);
    let status = site.json(&["status"]);
    assert_eq!((status["site"]["name"].as_str(), status["site"]["bundle"]["sequence"].as_u64()), (Some(SITE), Some(1)));
    let said = site.cli(&["status"]).ok();
    assert!(said.stdout.contains("offline site plant-7, serving bundle 1"), "{}", said.stdout);
    // What an origin decides is not changed here any more.
    let refused = site.cli(&["product", "add", "own", "--class", "intelligence"]);
    refused.complains(7, &["offline site plant-7", "bundle"]);

    let mut two = bodies(2, 200_000, 5);
    two.extend(one.iter().skip(3).take(4).cloned());
    origin.publish("2.0", &two);
    let second = origin.export(SITE, "last", 1 << 20);
    site.cli(&["bundle", "import", word(&second)]).ok();
    assert_eq!(offered(&site, "pc-1").as_deref(), Some("2.0"));
    let seq = site.journal_seq();
    let again = site.cli(&["bundle", "import", word(&second)]).ok();
    assert!(again.stdout.contains("was applied already"), "{}", again.stdout);
    site.cli(&["bundle", "import", word(&first)]).complains(7, &["older"]);
    assert_eq!(site.journal_seq(), seq, "nothing is journaled for what was there");
    site.cli(&["store", "verify"]).ok();
    site.cli(&["store", "sweep"]).ok();
    site.cli(&["store", "verify"]).ok();
    site.cli(&["journal", "verify"]).ok();
}

#[test]
fn volumes_come_alone_and_in_any_order() {
    let origin = Origin::start();
    origin.publish("1.0", &bodies(1, 900_000, 30));
    let bundle = origin.export(SITE, "full", 128 << 10);
    let mut volumes = volumes(&bundle);
    assert!(volumes.len() > 5);
    volumes.reverse();
    volumes.swap(0, 3);
    let mut site = origin.site(Setup::new(), SITE).start();
    let last = volumes.pop().unwrap();
    for volume in volumes {
        let medium = some_of(&bundle, &[volume]);
        let run = site.cli(&["bundle", "import", word(medium.path())]).complains(11, &["not applied", "missing"]);
        assert!(run.stdout.contains(&format!("{last} is not on this medium")), "{}", run.stdout);
        assert_eq!(offered(&site, "pc-1"), None);
        site.kill();
        site.start_again();
    }
    let medium = some_of(&bundle, &[last]);
    site.cli(&["bundle", "import", word(medium.path())]).ok();
    assert_eq!(offered(&site, "pc-1").as_deref(), Some("1.0"));
}

#[test]
fn readers_see_the_old_or_the_new_and_nothing_between() {
    let origin = Origin::start();
    origin.publish("1.0", &bodies(1, 100_000, 10));
    let first = origin.export(SITE, "full", 1 << 20);
    let site = origin.site(Setup::new(), SITE).start();
    site.cli(&["bundle", "import", word(&first)]).ok();
    origin.publish("2.0", &bodies(2, 20_000_000, 300));
    let second = origin.export(SITE, "last", 4 << 20);
    let (stop, reading) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (old, new) = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|reader| {
                let (site, stop, reading) = (&site, &stop, &reading);
                scope.spawn(move || {
                    let device = format!("pc-{reader}");
                    let (mut old, mut new) = (0, 0);
                    while !stop.load(Ordering::Relaxed) || new == 0 {
                        match offered(site, &device).as_deref() {
                            Some("1.0") if new == 0 => {
                                old += 1;
                                reading.fetch_add(usize::from(old == 1), Ordering::Relaxed);
                            }
                            Some("2.0") => new += 1,
                            other => panic!("{other:?} after {old} of the old and {new} of the new"),
                        }
                    }
                    (old, new)
                })
            })
            .collect();
        wait_until("all of them read", || (reading.load(Ordering::Relaxed) == 3).then_some(()));
        site.cli(&["bundle", "import", word(&second)]).ok();
        stop.store(true, Ordering::Relaxed);
        let seen = readers.into_iter().map(|reader| reader.join().unwrap());
        seen.fold((0, 0), |(old, new), (more_old, more_new)| (old + more_old, new + more_new))
    });
    assert!(old > 0 && new > 0, "{old} and {new}");
}

#[test]
fn a_key_binds_an_unbound_server() {
    let origin = Origin::start();
    origin.publish("1.0", &bodies(1, 1_000, 1));
    let bundle = origin.export(SITE, "full", 1 << 20);
    let site = Setup::new().start();
    site.cli(&["bundle", "import", word(&bundle)]).complains(7, &["--origin-key"]);
    let key = origin.server.root().join("origin.pub");
    let import = ["bundle", "import", word(&bundle), "--origin-key", word(&key)];
    site.cli(&[&import[..], &["--site", "plant-8"]].concat()).complains(7, &["plant-7", "plant-8"]);
    let operator = site.json(&["token", "create", "--actor", "olga", "--role", "operator"]);
    let mut command = site.command(&import);
    command.env("RINGFENCE_TOKEN", operator["token"].as_str().unwrap());
    crate::support::Run::of(&mut command).complains(5, &["admin"]);
    site.cli(&import).ok();
    assert_eq!(offered(&site, "pc-1").as_deref(), Some("1.0"));
    origin.publish("2.0", &bodies(2, 1_000, 1));
    let next = origin.export(SITE, "last", 1 << 20);
    site.cli(&["bundle", "import", word(&next)]).ok();
    assert_eq!(offered(&site, "pc-1").as_deref(), Some("2.0"));
}
