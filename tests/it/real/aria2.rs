//! aria2: sixteen ranges of one body at once. It checks start, end and total of every Content-Range itself, and drops
//! its first answer in the middle.

use std::process::Command;

use super::{DEVICE, assert_same, client, published};
use crate::support::sha256_hex;
use crate::support::tools::need;

#[test]
fn sixteen_parallel_ranges_make_the_whole() {
    need!("real::aria2::sixteen_parallel_ranges_make_the_whole", "aria2c");
    let all = published("real::aria2");
    for body in &all.bodies {
        let file = all.target("parallel");
        let mut aria2 = Command::new("aria2c");
        aria2.args(["--no-conf", "--quiet", "--max-tries=3", "--retry-wait=1", "--allow-overwrite=true"]);
        aria2.args(["--split=16", "--max-connection-per-server=16", "--min-split-size=1M", "--piece-length=1M"]);
        aria2.arg("--check-integrity=true").arg(format!("--checksum=sha-256={}", sha256_hex(&body.bytes())));
        aria2.arg("--dir").arg(all.scratch.path()).args(["--out", "parallel", "--header", DEVICE]).arg(all.url(body));
        client(&mut aria2);
        assert_same(&file, body);
    }
}
