//! kill -9 at random points of concurrent publishes: whatever was acknowledged is there after the next start, every start
//! opens, and the store verifies. The acknowledgements are kept here, outside the server's reach.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::bodies::Random;
use crate::support::{Admin, Setup, TestServer, is_full_tier, random_bytes, seed, sha256_hex};

/// Publishers at a time.
const PUBLISHERS: u64 = 3;

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

/// Every acknowledged release since `from` is listed with the digest that was published.
fn assert_nothing_lost(server: &TestServer, acknowledged: &[Acknowledged]) {
    let mut listed = std::collections::HashMap::new();
    for publisher in 0..PUBLISHERS {
        let product = format!("product-{publisher}");
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
    let mut server = Setup::new().start();
    for publisher in 0..PUBLISHERS {
        server.cli(&["product", "add", &format!("product-{publisher}"), "--class", "intelligence"]).ok();
    }
    let ledger = Ledger::default();
    let started = Instant::now();
    for round in 0..kills {
        let admin = server.as_admin();
        std::thread::scope(|scope| {
            for publisher in 0..PUBLISHERS {
                let mut random = Random(random.next());
                let (ledger, admin) = (&ledger, admin.clone());
                scope.spawn(move || publish_until_killed(ledger, &admin, publisher, &mut random));
            }
            std::thread::sleep(Duration::from_micros(random.below(120_000)));
            server.kill();
            ledger.stop.store(true, Ordering::Relaxed);
        });
        ledger.stop.store(false, Ordering::Relaxed);
        if lose_the_index {
            std::fs::remove_dir_all(server.data().join("index")).unwrap();
        }
        server.try_start_again().unwrap_or_else(|failure| panic!("after kill {round}: {failure}"));
        let acknowledged = ledger.acknowledged.lock().unwrap();
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

/// Every name that the sources give to a fault point.
fn fault_points() -> Vec<String> {
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

/// Stops a publish at every fault point in turn: the release is there afterwards if it was acknowledged, and publishing it
/// again succeeds in any case.
#[test]
fn a_publish_survives_every_fault_point() {
    let points = fault_points();
    assert!(!points.is_empty(), "the sources name no fault point");
    let mut reached = Vec::new();
    for point in &points {
        let setup = Setup::new().env("RINGFENCE_FAULT", &format!("{point}:2"));
        setup.write_files();
        let mut server = setup.start();
        server.cli(&["product", "add", "product-0", "--class", "intelligence"]);
        let mut acknowledged = Vec::new();
        let mut bodies = Vec::new();
        for number in 0..4_u64 {
            let (version, body) = (format!("1.{number}"), random_bytes(number, 150_000));
            if let Some(answer) = server.as_admin().try_publish("product-0", &version, &body)
                && matches!(answer.status, 200 | 201)
            {
                let sha256 = sha256_hex(&body);
                acknowledged.push(Acknowledged { product: "product-0".into(), version: version.clone(), sha256 });
            }
            bodies.push((version, body));
        }
        if server.is_dead() {
            reached.push(point.clone());
        }
        server.kill();
        server.forget_env();
        server.start_again();
        server.cli(&["product", "add", "product-0", "--class", "intelligence"]).ok();
        for (version, body) in &bodies {
            let answer = server.as_admin().try_publish("product-0", version, body).expect("the server lives");
            assert!(matches!(answer.status, 200 | 201), "{point}: again {version}: {}", answer.text());
        }
        for release in &acknowledged {
            let path = format!("/v1/products/product-0/releases/{}", release.version);
            let json = server.api("GET", &path, None).expect(200).json();
            assert_eq!(json["artifacts"][0]["sha256"], *release.sha256, "{point}");
        }
        server.cli(&["store", "verify"]).ok();
        server.cli(&["journal", "verify"]).ok();
    }
    eprintln!("fault points that stopped a publish: {}", reached.join(", "));
    assert!(reached.iter().any(|point| point.starts_with("publish")), "no publish was ever stopped: {points:?}");
}
