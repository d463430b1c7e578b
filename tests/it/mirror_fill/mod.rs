//! How blobs come to a mirror: pulled when a device asks, filled before one does, over good links and bad ones.

mod full;
mod links;
mod pulling;

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use serde_json::Value;

use crate::support::{Answer, Setup, TestServer, request, wait_until};

/// Limits that no test reaches by being many.
const LIMITS: &str = "[limits]\nrequests_per_second_per_address = 1000000\nrequests_per_second_per_device = 1000000\n\
    requests_burst_per_device = 1000000\nrequests_per_device_max = 10000\nconnections_per_address_max = 5000\n\
    admin_connections_max = 5000\n";

/// A window that is closed for the next days.
fn closed() -> String {
    let now = Timestamp::try_from(
        std::fs::metadata(tempfile::NamedTempFile::new().unwrap().path()).unwrap().modified().unwrap(),
    );
    let day = now.unwrap().to_zoned(TimeZone::UTC).checked_add(3.days()).unwrap();
    format!("windows = [\"{} 12:00-12:01\"]\n", day.strftime("%a"))
}

/// A mirror of an upstream whose journal is the origin's, before it is started; `keys` go into its table `[mirror]`.
fn mirror(origin: &TestServer, upstream: &TestServer, name: &str, keys: &str) -> Setup {
    mirror_at(Setup::new(), (origin, upstream), name, keys)
}

/// The same in a directory that was made for it.
fn mirror_at(setup: Setup, (origin, upstream): (&TestServer, &TestServer), name: &str, keys: &str) -> Setup {
    let token = setup.root().join("upstream.token");
    origin.cli(&["token", "create", "--actor", name, "--role", "mirror", "--out", &token.display().to_string()]).ok();
    let shown = origin.cli(&["key", "show"]).ok().stdout;
    let table = format!(
        "{LIMITS}[mirror]\nupstream = \"http://{}\"\nname = \"{name}\"\ntoken_file = \"upstream.token\"\n\
         origin_keys = [\"{}\"]\npoll_wait = \"2s\"\n{keys}\n[shares]\nstraggler_grace = \"0s\"\n",
        upstream.admin,
        shown.lines().nth(1).unwrap()
    );
    setup.config(&table)
}

/// How far filling is, once it was looked at.
fn filling(mirror: &TestServer) -> Option<Value> {
    let standing = mirror.api("GET", "/v1/mirror", None).expect(200).json();
    Some(standing["filling"].clone()).filter(|filling| !filling.is_null())
}

/// Waits until the mirror has followed the origin and looked what is missing.
#[track_caller]
fn wait_for_plan(origin: &TestServer, mirror: &TestServer) {
    // A share may switch meanwhile.
    let head = origin.journal_seq();
    wait_until("the plan of the newest state", || {
        filling(mirror).filter(|filling| filling["seq"].as_u64() >= Some(head))
    });
}

#[track_caller]
fn wait_until_filled(origin: &TestServer, mirror: &TestServer) {
    wait_for_plan(origin, mirror);
    wait_until("everything is here", || filling(mirror).filter(|filling| filling["state"] == "complete"));
}

/// A counter or gauge without labels.
fn metric(server: &TestServer, name: &str) -> u64 {
    let text = server.api("GET", "/metrics", None).expect(200).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse::<f64>().unwrap() as u64
}

/// Bytes that came to a mirror from its upstream.
fn pulled(mirror: &TestServer) -> u64 {
    metric(mirror, "ringfence_mirror_pull_bytes_total")
}

fn ask(server: &TestServer, path: &str, headers: &[(&str, &str)]) -> Answer {
    let all: Vec<_> = [("Ringfence-Device", "pc-1")].into_iter().chain(headers.iter().copied()).collect();
    request(server.device, "GET", path, &all, b"")
}
