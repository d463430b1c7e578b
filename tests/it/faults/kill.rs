//! kill -9 at random points of concurrent publishes: whatever was acknowledged is there after the next start, every start
//! opens, and the store verifies. The acknowledgements are kept here, outside the server's reach.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::bodies::Random;
use crate::support::{Admin, Setup, TestServer, is_full_tier, random_bytes, seed, sha256_hex};

/// What the names of the fault points of exports begin with.
const OF_EXPORTS: &str = "export.";
/// Publishers at a time.
const PUBLISHERS: u64 = 3;
/// How long a server lives at most where something is acknowledged meanwhile.
const KILL_WITHIN: Duration = Duration::from_millis(120);

/// What the server has said it stored.
#[derive(Debug, Clone)]
struct Acknowledged {
    product: String,
    version: String,
    sha256: String,
}

#[derive(Default)]
struct Ledger {
    acknowledged: Mutex<Vec<Acknowledged>>,
    next: AtomicU64,
    stop: AtomicBool,
}

/// Publishes new versions one after the other until the server goes away.
fn publish_until_killed(ledger: &Ledger, admin: &Admin, publisher: u64, random: &mut Random) {
    while !ledger.stop.load(Ordering::Relaxed) {
        let number = ledger.next.fetch_add(1, Ordering::Relaxed);
        // Mostly small bodies, which are also kept in the index; now and then one of several writes.
        let length = if random.below(8) == 0 { 400_000 } else { 1 + random.below(9_000) };
        let body = random_bytes(random.next(), usize::try_from(length).unwrap());
        let (product, version) = (format!("product-{publisher}"), format!("1.{number}"));
        let Some(answer) = admin.try_publish(&product, &version, &body) else { return };
        match answer.status {
            200 | 201 => {
                let sha256 = sha256_hex(&body);
                ledger.acknowledged.lock().unwrap().push(Acknowledged { product, version, sha256 });
            }
            // A server that is being killed may still refuse; whatever it refuses it owes nothing for.
            status => assert!((500..600).contains(&status), "{status}: {}", answer.text()),
        }
    }
}

/// Every one of these releases is listed with the digest that was published.
fn assert_nothing_lost(server: &TestServer, acknowledged: &[Acknowledged]) {
    let mut listed = std::collections::HashMap::new();
    let products: std::collections::BTreeSet<_> = acknowledged.iter().map(|release| &release.product).collect();
    for product in products {
        let answer = server.api("GET", &format!("/v1/products/{product}/releases"), None).expect(200).json();
        for release in answer["releases"].as_array().expect("a list of releases") {
            let sha256 = release["artifacts"][0]["sha256"].as_str().unwrap().to_owned();
            listed.insert((product.clone(), release["version"].as_str().unwrap().to_owned()), sha256);
        }
    }
    for release in acknowledged {
        let key = (release.product.clone(), release.version.clone());
        assert_eq!(listed.get(&key), Some(&release.sha256), "acknowledged, then lost: {release:?}");
    }
}

fn kill_at_random_points(test: &str, kills: u32, lose_the_index: bool) {
    let mut random = Random(seed(test));
    // Alone, so that after a kill no other test's server answers in its place.
    let mut server = Setup::new().alone().start();
    for publisher in 0..PUBLISHERS {
        server.cli(&["product", "add", &format!("product-{publisher}"), "--class", "intelligence"]).ok();
    }
    let ledger = Ledger::default();
    let started = Instant::now();
    // A kill comes before this time, which follows what the disk needs for a release: longer as long as none is
    // acknowledged.
    let mut longest = KILL_WITHIN;
    for round in 0..kills {
        let before = ledger.acknowledged.lock().unwrap().len();
        let admin = server.as_admin();
        std::thread::scope(|scope| {
            for publisher in 0..PUBLISHERS {
                let mut random = Random(random.next());
                let (ledger, admin) = (&ledger, admin.clone());
                scope.spawn(move || publish_until_killed(ledger, &admin, publisher, &mut random));
            }
            std::thread::sleep(Duration::from_micros(random.below(longest.as_micros() as u64)));
            server.kill();
            ledger.stop.store(true, Ordering::Relaxed);
        });
        ledger.stop.store(false, Ordering::Relaxed);
        if lose_the_index {
            std::fs::remove_dir_all(server.data().join("index")).unwrap();
        }
        server.try_start_again().unwrap_or_else(|failure| panic!("after kill {round}: {failure}"));
        let acknowledged = ledger.acknowledged.lock().unwrap();
        longest = if acknowledged.len() > before { KILL_WITHIN.max(longest * 3 / 4) } else { longest * 3 / 2 };
        // The last rounds' releases each time, all of them now and then.
        let from = if round % 20 == 19 { 0 } else { acknowledged.len().saturating_sub(200) };
        assert_nothing_lost(&server, &acknowledged[from..]);
        if round % 20 == 19 || round + 1 == kills {
            server.cli(&["store", "verify"]).ok();
        }
    }
    let acknowledged = ledger.acknowledged.lock().unwrap();
    assert_nothing_lost(&server, &acknowledged);
    server.cli(&["journal", "verify"]).ok();
    let seconds = started.elapsed().as_secs();
    eprintln!("{test}: {kills} kills, {} acknowledged releases, nothing lost, {seconds} s", acknowledged.len());
    assert!(!acknowledged.is_empty(), "no publication was ever acknowledged: the test tested nothing");
}

#[test]
fn nothing_acknowledged_is_lost() {
    let kills = if is_full_tier() { 10_000 } else { 100 };
    kill_at_random_points("faults::kill::nothing_acknowledged_is_lost", kills, false);
}

#[test]
fn nothing_acknowledged_is_lost_with_the_index() {
    let kills = if is_full_tier() { 1_000 } else { 20 };
    kill_at_random_points("faults::kill::nothing_acknowledged_is_lost_with_the_index", kills, true);
}

/// Whether an import passes this fault point, and nothing else: `bundles::kill` does.
fn is_of_imports(point: &str) -> bool {
    point.starts_with("import.") || point.starts_with("store.batch-")
}

/// The fault points that only imports pass.
pub(crate) fn fault_points_of_imports() -> Vec<String> {
    all_fault_points().into_iter().filter(|point| is_of_imports(point)).collect()
}

/// The fault points that only the command that writes a bundle passes: `bundles::export` ends it there.
pub(crate) fn fault_points_of_exports() -> Vec<String> {
    all_fault_points().into_iter().filter(|point| point.starts_with(OF_EXPORTS)).collect()
}

/// Every name that the sources give to a fault point that publishing, devices and maintenance pass.
fn fault_points() -> Vec<String> {
    // The stager's are in a process of its own: `stage.rs` passes those.
    let elsewhere =
        |point: &String| point.starts_with("share.stage-") || point.starts_with(OF_EXPORTS) || is_of_imports(point);
    all_fault_points().into_iter().filter(|point| !elsewhere(point)).collect()
}

fn all_fault_points() -> Vec<String> {
    fn collect(dir: &std::path::Path, points: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, points);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                for line in code {
                    let named = line.split("fault::point(\"").skip(1).filter_map(|rest| rest.split('"').next());
                    points.extend(named.map(str::to_owned));
                }
            }
        }
    }
    let mut points = Vec::new();
    collect(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut points);
    points.sort();
    points.dedup();
    points
}

/// Publishes, sweeps, scrubs and rebuilds, until something of it kills the server. What it was told goes into
/// `acknowledged`.
fn everything_that_writes(server: &TestServer, acknowledged: &mut Vec<Acknowledged>, is_rotating: bool) {
    let admin = server.as_admin();
    for number in 0..4 {
        let (version, body) = (format!("1.{number}"), fault_body(number));
        let Some(answer) = admin.try_publish("product-0", &version, &body) else { return };
        assert!(matches!(answer.status, 200 | 201), "{version}: {}", answer.text());
        let sha256 = sha256_hex(&body);
        acknowledged.push(Acknowledged { product: "product-0".into(), version, sha256 });
    }
    for number in 0..2 {
        place_blob(server, &random_bytes(1_000 + number, 5_000), b"");
        place_blob(server, &random_bytes(2_000 + number, 5_000), b"damaged");
    }
    if is_rotating {
        for import in 0..4 {
            import_devices(server, import);
        }
    }
    for task in ["scrub", "sweep", "rebuild", "rebuild"] {
        server.cli(&["store", task]);
    }
}

/// One event that fills most of a segment.
fn import_devices(server: &TestServer, import: u64) {
    let devices: Vec<_> = (0..9_000)
        .map(|device| serde_json::json!({ "id": format!("device-{import}-{device}"), "tags": [random_hex(import * 9_000 + device)] }))
        .collect();
    let file = server.root().join("devices.json");
    std::fs::write(&file, serde_json::to_vec(&devices).unwrap()).unwrap();
    server.cli(&["device", "import", &file.display().to_string()]);
}

fn random_hex(seed: u64) -> String {
    random_bytes(seed, 16).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn fault_body(number: u64) -> Vec<u8> {
    // One of them small enough to be kept in the index.
    random_bytes(number, if number == 2 { 1_500 } else { 150_000 })
}

/// A blob that nothing refers to, with bytes that are `body` and more: damaged if there is more.
fn place_blob(server: &TestServer, body: &[u8], more: &[u8]) {
    let name = blake3::hash(body).to_hex().to_string();
    let dir = server.data().join("blobs").join(&name[..2]).join(&name[2..4]);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(&name), [body, more].concat()).unwrap();
}

/// Ends the server at every fault point in turn: what was acknowledged is there afterwards, and doing it all again
/// succeeds.
#[test]
fn a_kill_at_every_fault_point_loses_nothing() {
    let points = fault_points();
    assert!(points.len() > 10, "the sources name few fault points: {points:?}");
    let mut missed = Vec::new();
    for point in &points {
        let mut server = Setup::new().config("[journal]\nsegment_max_bytes = \"1 MiB\"\n").start();
        let is_rotating = point == "journal.rotated";
        server.cli(&["product", "add", "product-0", "--class", "intelligence"]).ok();
        server.stop();
        server.set_env("RINGFENCE_FAULT", &format!("{point}:2"));
        server.start_again();
        let mut acknowledged = Vec::new();
        everything_that_writes(&server, &mut acknowledged, is_rotating);
        // An abort takes a moment after the connections are gone; a core is written first where one is wanted.
        if !server.ends_within(Duration::from_secs(30)) {
            missed.push(point.as_str());
        }
        server.kill();
        server.forget_env("RINGFENCE_FAULT");
        server.try_start_again().unwrap_or_else(|failure| panic!("after a kill at {point}: {failure}"));
        assert_nothing_lost(&server, &acknowledged);
        everything_that_writes(&server, &mut acknowledged, is_rotating);
        assert!(!server.is_dead(), "{point}: {}", server.log());
        assert_nothing_lost(&server, &acknowledged);
        for number in 0..4 {
            let body = fault_body(number);
            let answer = server.get(Some("device-1"), &format!("/v1/blobs/sha256:{}", sha256_hex(&body)));
            assert!(answer.status == 200 && answer.body == body, "{point}: {}", answer.head);
        }
        server.cli(&["store", "verify"]).ok();
        server.cli(&["journal", "verify"]).ok();
    }
    assert!(missed.is_empty(), "nothing passes these fault points twice: {missed:?}");
}
