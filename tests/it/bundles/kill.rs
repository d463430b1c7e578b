//! kill -9 at random points of imports: the next start opens, nothing was visible early, and the import goes on.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::origin::{Origin, SITE, bodies, offered, word};
use crate::faults::inject::Injection;
use crate::faults::kill::fault_points_of_imports;
use crate::support::bodies::Random;
use crate::support::{Setup, TestServer, is_full_tier, seed};

/// Bundles that each build on the one before; a site walks through all of them, then another site does.
const CHAIN: u64 = 6;
/// How long a command may take to notice that its server is gone before it is killed, too.
const A_MOMENT: Duration = Duration::from_millis(20);
/// How long an import may take to begin, or a server to end that is to end, on a machine that does other things, too.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a site went through.
#[derive(Default)]
struct Walked {
    kills: u32,
    /// Kills that an import had begun before, and not ended.
    midway: u32,
    sites: u32,
}

fn chain(origin: &Origin) -> Vec<PathBuf> {
    let of = |version: u64| {
        origin.publish(&format!("{version}.0"), &bodies(version, 1_500_000, 24));
        origin.export(SITE, if version == 1 { "full" } else { "last" }, 256 << 10)
    };
    (1..=CHAIN).map(of).collect()
}

/// Kills imports of one bundle until one of them has ended, or enough were killed.
fn import_while_killed(
    site: &mut TestServer,
    bundle: &Path,
    version: u64,
    (random, length): (&mut Random, &mut Duration),
    (walked, wanted): (&mut Walked, u32),
) {
    let before = (version > 1).then(|| format!("{}.0", version - 1));
    let imports = site.data().join("imports");
    // From then on until an import has ended.
    let has_begun = || std::fs::read_dir(&imports).is_ok_and(|mut open| open.next().is_some());
    while walked.kills < wanted {
        let mut import = site.command(&["bundle", "import", word(bundle)]);
        let mut import = import.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let after = length.mul_f64(random.below(1_000) as f64 / 900.0);
        if walked.kills % 2 == 1 {
            // Once it has begun, then, however long that takes here.
            let until = Instant::now() + PATIENCE;
            while !has_begun() && import.try_wait().unwrap().is_none() {
                assert!(Instant::now() < until, "the import begins");
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(after / 8);
        } else {
            std::thread::sleep(after);
        }
        site.kill();
        walked.kills += 1;
        std::thread::sleep(A_MOMENT);
        let was_told = import.try_wait().unwrap().is_some_and(|status| status.success());
        let _ = import.kill();
        import.wait().unwrap();
        walked.midway += u32::from(has_begun());
        let kills = walked.kills;
        site.try_start_again().unwrap_or_else(|failure| panic!("after kill {kills}: {failure}"));
        let offered = offered(site, "pc-1");
        let is_new = offered == Some(format!("{version}.0"));
        assert!(is_new || offered == before, "{offered:?} where {before:?} was before");
        assert!(is_new || !was_told, "an import was acknowledged and is gone");
        if is_new {
            // They reach as far as an import does on this machine.
            *length = length.mul_f64(0.9);
            break;
        }
        *length = length.mul_f64(1.05);
    }
}

#[test]
fn a_killed_import_goes_on() {
    const TEST: &str = "bundles::kill::a_killed_import_goes_on";
    let mut random = Random(seed(TEST));
    let wanted = if is_full_tier() { 1_000 } else { 20 };
    let begun = Instant::now();
    let origin = Origin::start();
    let chain = chain(&origin);
    let made = begun.elapsed();
    let (mut walked, mut length) = (Walked::default(), Duration::from_millis(150));
    while walked.kills < wanted {
        let mut site = origin.site(Setup::new(), SITE).start();
        walked.sites += 1;
        for (version, bundle) in (1..).zip(&chain) {
            import_while_killed(&mut site, bundle, version, (&mut random, &mut length), (&mut walked, wanted));
            // What was not to be killed any more ends, and what has ended may come again.
            site.cli(&["bundle", "import", word(bundle)]).ok();
            assert_eq!(offered(&site, "pc-1"), Some(format!("{version}.0")));
            let left = std::fs::read_dir(site.data().join("imports")).unwrap().count();
            assert_eq!(left, 0, "progress of an import that has ended");
            if walked.kills >= wanted {
                break;
            }
        }
        site.cli(&["store", "verify"]).ok();
        site.cli(&["journal", "verify"]).ok();
    }
    let Walked { kills, midway, sites } = walked;
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!("{TEST}: {kills} kills, {midway} midway, {sites} sites, {seconds:.1} s, {made:?} of it for the bundles");
    assert!(midway >= kills / 8, "only {midway} of {kills} kills hit an import: the test tested little");
}

/// Ends the site at every fault point that only imports pass: the next import goes on from there.
#[test]
fn an_import_ended_at_every_fault_point_goes_on() {
    let points = fault_points_of_imports();
    assert!(points.len() >= 4, "the sources name few fault points of imports: {points:?}");
    let origin = Origin::start();
    origin.publish("1.0", &bodies(1, 1_500_000, 12));
    let bundle = origin.export(SITE, "full", 256 << 10);
    for point in points {
        let mut setup = origin.site(Setup::new(), SITE);
        setup.set_env("RINGFENCE_FAULT", &point);
        let mut site = setup.start();
        let mut import = site.command(&["bundle", "import", word(&bundle)]);
        let mut import = import.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        assert!(site.ends_within(PATIENCE), "nothing passes {point}");
        std::thread::sleep(A_MOMENT);
        assert!(!import.try_wait().unwrap().is_some_and(|status| status.success()), "{point}: it was acknowledged");
        let _ = import.kill();
        import.wait().unwrap();
        site.kill();
        site.forget_env("RINGFENCE_FAULT");
        site.try_start_again().unwrap_or_else(|failure| panic!("after a kill at {point}: {failure}"));
        assert_eq!(offered(&site, "pc-1"), None, "{point}");
        site.cli(&["bundle", "import", word(&bundle)]).ok();
        assert_eq!(offered(&site, "pc-1"), Some("1.0".to_owned()), "{point}");
        site.cli(&["store", "verify"]).ok();
    }
}

/// Nothing is left to be sent after a kill, and the names that the killed process gave are durable only by the flush at
/// the end: where it fails, the bundle does not count, and the server ends.
#[test]
fn names_of_a_killed_import_are_flushed_before_the_bundle_counts() {
    const TEST: &str = "bundles::kill::names_of_a_killed_import_are_flushed_before_the_bundle_counts";
    let origin = Origin::start();
    origin.publish("1.0", &bodies(1, 100_000, 12));
    let bundle = origin.export(SITE, "full", 256 << 10);
    let mut setup = origin.site(Setup::new(), SITE);
    setup.set_env("RINGFENCE_FAULT", "import.root-reached");
    let mut site = setup.start();
    assert_ne!(site.cli(&["bundle", "import", word(&bundle)]).code, 0);
    assert!(site.ends_within(PATIENCE), "it was to end there");
    site.kill();
    site.forget_env("RINGFENCE_FAULT");
    site.start_again();
    let Some(injection) = Injection::attach_to(TEST, &site, "syncfs:error=EIO", None) else { return };
    assert_ne!(site.cli(&["bundle", "import", word(&bundle)]).code, 0);
    assert!(site.ends_within(PATIENCE), "what may not be durable ends the server");
    drop(injection);
    site.kill();
    site.start_again();
    assert_eq!(offered(&site, "pc-1"), None);
    site.cli(&["bundle", "import", word(&bundle)]).ok();
    assert_eq!(offered(&site, "pc-1"), Some("1.0".to_owned()));
}
