//! kill -9 at random points of imports: the next start opens, nothing was visible early, and the import goes on.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::origin::{Origin, SITE, bodies, offered, word};
use crate::faults::kill::fault_points_of_imports;
use crate::support::bodies::Random;
use crate::support::{Run, Setup, is_full_tier, seed};

#[test]
fn a_killed_import_goes_on() {
    let mut random = Random(seed("bundles::kill::a_killed_import_goes_on"));
    let kills_wanted = if is_full_tier() { 1_000 } else { 20 };
    let origin = Origin::start();
    let mut site = origin.site(Setup::new(), SITE).start();
    let (mut kills, mut version) = (0, 0);
    let mut length = Duration::from_millis(400);
    while kills < kills_wanted {
        version += 1;
        origin.publish(&format!("{version}.0"), &bodies(version, 3_000_000, 120));
        let since = if version == 1 { "full" } else { "last" };
        let bundle = origin.export(SITE, since, 1 << 20);
        let before = (version > 1).then(|| format!("{}.0", version - 1));
        // Some kills for each bundle, then it may end.
        for _ in 0..8 {
            let mut import = site.command(&["bundle", "import", word(&bundle)]);
            let import = import.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(length.mul_f64(random.below(1_000) as f64 / 800.0));
            site.kill();
            kills += 1;
            let run = Run::finish(import, Duration::from_secs(120));
            site.try_start_again().unwrap_or_else(|failure| panic!("after kill {kills}: {failure}"));
            let offered = offered(&site, "pc-1");
            let is_new = offered == Some(format!("{version}.0"));
            assert!(is_new || offered == before, "{offered:?} where {before:?} was before");
            assert!(is_new || run.code != 0, "an import was acknowledged and is gone");
        }
        let began = Instant::now();
        site.cli(&["bundle", "import", word(&bundle)]).ok();
        length = length.max(began.elapsed()).min(Duration::from_secs(2));
        assert_eq!(offered(&site, "pc-1"), Some(format!("{version}.0")));
        site.cli(&["store", "verify"]).ok();
        let left = std::fs::read_dir(site.data().join("imports")).unwrap().count();
        assert_eq!(left, 0, "progress of an import that has ended");
    }
    site.cli(&["journal", "verify"]).ok();
}

/// Ends the site at every fault point that only imports pass: the next import goes on from there.
#[test]
fn an_import_ended_at_every_fault_point_goes_on() {
    let points = fault_points_of_imports();
    assert!(points.len() >= 4, "the sources name few fault points of imports: {points:?}");
    let origin = Origin::start();
    origin.publish("1.0", &bodies(1, 3_000_000, 40));
    let bundle = origin.export(SITE, "full", 1 << 20);
    for point in points {
        let mut site = origin.site(Setup::new(), SITE).start();
        site.stop();
        site.set_env("RINGFENCE_FAULT", &point);
        site.start_again();
        let run = site.cli(&["bundle", "import", word(&bundle)]);
        assert_ne!(run.code, 0, "{point}: {}", run.stdout);
        assert!(site.ends_within(Duration::from_secs(5)), "nothing passes {point}");
        site.kill();
        site.forget_env("RINGFENCE_FAULT");
        site.try_start_again().unwrap_or_else(|failure| panic!("after a kill at {point}: {failure}"));
        assert_eq!(offered(&site, "pc-1"), None, "{point}");
        site.cli(&["bundle", "import", word(&bundle)]).ok();
        assert_eq!(offered(&site, "pc-1"), Some("1.0".to_owned()), "{point}");
        site.cli(&["store", "verify"]).ok();
    }
}
