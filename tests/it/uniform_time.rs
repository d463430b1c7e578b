//! Withheld and unknown take the same time, too: pairs in random order over kept connections, compared by Welch's test.

use serde_json::json;

use crate::support::bodies::Random;
use crate::support::server::POLICY;
use crate::support::{Kept, Setup, TestServer, is_full_tier, random_bytes, seed, sha256_hex};

/// Above this, two times are different (the bar of assurance.md).
const T_MAX: f64 = 4.5;
/// Connections that ask at the same time.
const CONNECTIONS: u64 = 4;
/// A difference is one that each of so many measurements finds: by chance, or where something else ran on the machine,
/// one alone may.
const MEASUREMENTS: u64 = 3;
/// What the statistic must find.
const PLANTED_US: f64 = 200.0;

/// Two things to ask for that must not be told apart, and with which headers.
struct Pair {
    withheld: String,
    unknown: String,
    headers: String,
}

/// Microseconds, of what is withheld and of what is unknown.
#[derive(Default)]
struct Times {
    withheld: Vec<f64>,
    unknown: Vec<f64>,
}

impl Times {
    /// Welch's t of the two means. The slowest tenth of both together is left out: a machine that does something else
    /// for a while would otherwise drown any difference, and so hide it.
    fn t(&self) -> f64 {
        let mut all: Vec<f64> = self.withheld.iter().chain(&self.unknown).copied().collect();
        all.sort_by(f64::total_cmp);
        let most = all[all.len() * 9 / 10];
        let moments = |times: &[f64]| {
            let kept: Vec<f64> = times.iter().copied().filter(|time| *time <= most).collect();
            let count = kept.len() as f64;
            let mean = kept.iter().sum::<f64>() / count;
            let variance = kept.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
            (mean, variance / count)
        };
        let ((mean, error), (other_mean, other_error)) = (moments(&self.withheld), moments(&self.unknown));
        (mean - other_mean) / (error + other_error).sqrt()
    }

    /// As if looking for what is withheld took longer.
    fn with_planted(&self) -> Self {
        let withheld = self.withheld.iter().map(|time| time + PLANTED_US).collect();
        Self { withheld, unknown: self.unknown.clone() }
    }
}

/// Asks for both of the pair `count` times in random order, and compares the bytes on the way.
fn measure(server: &TestServer, pair: &Pair, count: usize, seed: u64) -> Times {
    let reference = Kept::to(server.device).get(&pair.unknown, &pair.headers).0;
    assert_eq!(reference.status, 404);
    let one = |n: u64| {
        let mut random = Random(seed ^ n);
        let mut kept = Kept::to(server.device);
        let mut times = Times::default();
        for _ in 0..count / CONNECTIONS as usize {
            let first = random.below(2) == 0;
            for is_withheld in [first, !first] {
                let (path, into) = if is_withheld {
                    (&pair.withheld, &mut times.withheld)
                } else {
                    (&pair.unknown, &mut times.unknown)
                };
                let (answer, took) = kept.get(path, &pair.headers);
                assert_eq!(answer.without_date(), reference.without_date(), "{path}");
                into.push(took.as_secs_f64() * 1e6);
            }
        }
        times
    };
    let mut all = Times::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|n| scope.spawn(move || one(n))).collect();
        for thread in threads {
            let times = thread.join().expect("the connection was served");
            all.withheld.extend(times.withheld);
            all.unknown.extend(times.unknown);
        }
    });
    all
}

/// Answers that take about 6 ms, with noise of a millisecond and now and then a far longer one.
fn invented(seed: u64, more_us: f64) -> Times {
    let mut random = Random(seed);
    let mut time = || {
        let noise = random.below(2000) as f64 / 2.0 + random.below(2000) as f64 / 2.0 - 1000.0;
        let hiccup = if random.below(50) == 0 { random.below(40_000) as f64 } else { 0.0 };
        6000.0 + noise + hiccup
    };
    let withheld = (0..2000).map(|_| time() + more_us).collect();
    Times { withheld, unknown: (0..2000).map(|_| time()).collect() }
}

#[test]
fn the_statistic_finds_what_is_planted_and_nothing_else() {
    for seed in 1..=20 {
        let (none, planted) = (invented(seed, 0.0).t(), invented(seed, PLANTED_US).t());
        assert!(none.abs() < T_MAX, "seed {seed}: t = {none:.2} of nothing");
        assert!(planted > T_MAX, "seed {seed}: t = {planted:.2} of {PLANTED_US} µs");
    }
}

#[test]
fn withheld_and_unknown_take_the_same_time() {
    let seed = seed("uniform_time");
    let everyone = "match = \"any\"\nring  = \"broad\"\n";
    let policy = POLICY.replace(everyone, &format!("{everyone}products = [\"feed\", \"held\"]\n"));
    let server = Setup::new().policy(&policy).start();
    let admin = server.as_admin();
    for product in ["feed", "held", "secret"] {
        server.cli(&["product", "add", product, "--class", "intelligence"]).ok();
    }
    let publish = |product: &str, body: &[u8]| {
        let artifact = json!({ "target": "file.bin", "upload": admin.upload(body) });
        admin.release(product, "1.0", &[artifact]).expect(201).json()["artifacts"][0].clone()
    };
    for version in 0..3 {
        publish(["feed", "held", "secret"][version as usize], &random_bytes(version, 5000));
    }
    server.cli(&["hold", "add", "held", "1.0", "--everyone", "--reason", "a bad batch", "--yes"]).ok();
    let blob = |body: &[u8]| format!("/v1/blobs/sha256:{}", sha256_hex(body));
    let token = server.json(&["token", "create", "--device", "device-2"]);
    server.cli(&["token", "revoke", &token["id"].to_string()]).ok();
    let revoked = format!("Authorization: Bearer {}\r\n", token["token"].as_str().unwrap());
    let (held, unknown) = (blob(&random_bytes(1, 5000)), blob(b"nobody has this"));
    let device = "Ringfence-Device: device-1\r\n".to_owned();
    let pair = |withheld: &str, unknown: &str, headers: &String| Pair {
        withheld: withheld.into(),
        unknown: unknown.into(),
        headers: headers.clone(),
    };
    let (most, some) = if is_full_tier() { (100_000, 20_000) } else { (2_000, 400) };
    for (what, pair, count) in [
        ("a held blob", pair(&held, &unknown, &device), most),
        ("an invisible product", pair("/v1/offers/secret", "/v1/offers/no-such-product", &device), some),
        ("a revoked token", pair(&blob(&random_bytes(0, 5000)), &unknown, &revoked), some),
    ] {
        let is_alike = (0..MEASUREMENTS).any(|n| {
            let times = measure(&server, &pair, count, seed.wrapping_add(n * CONNECTIONS));
            let (t, planted) = (times.t(), times.with_planted().t());
            eprintln!("{what}: t = {t:.2} over {count} pairs; with {PLANTED_US} µs planted {planted:.1}");
            if is_full_tier() {
                assert!(planted.abs() > T_MAX, "a difference of {PLANTED_US} µs is not found: t = {planted:.2}");
            }
            t.abs() < T_MAX
        });
        assert!(is_alike, "{what}: |t| is above {T_MAX} in {MEASUREMENTS} measurements of {count} pairs");
    }
}
