//! Shares on the device listener of the built binary: what is not there is one answer, and a page of what is.

use crate::support::server::POLICY;
use crate::support::{Setup, TestServer, request};

/// One share that everybody may read and list, one for the devices of a group.
fn server() -> TestServer {
    let share = |name: &str, more: &str| {
        format!(
            "[[share]]\nname = \"{name}\"\ngroup = \"everyone\"\nlayout = \"plain\"\nproducts = [\"feed\"]\n{more}\n"
        )
    };
    let (open, closed) = (share("open", "open_to = \"anyone\"\nlisting = true"), share("closed", "listing = true"));
    let tables = "[shares]\nlongest_transfer = \"5m\"\nstraggler_grace = \"0s\"\n";
    Setup::new().config(tables).policy(&format!("{POLICY}\n{open}\n{closed}")).start()
}

#[test]
fn what_a_share_does_not_show_is_not_there() {
    let server = server();
    for extra in
        [&[] as &[(&str, &str)], &[("Range", "bytes=0-9")], &[("If-None-Match", "*")], &[("If-Match", "\"x\"")]]
    {
        for method in ["GET", "HEAD", "POST", "DELETE", "OPTIONS"] {
            let reference = request(server.device, method, "/v1/blobs/malformed", extra, b"");
            for path in ["open/x", "closed/x", "closed/", "none/x", "none/", "open/%2e%2e/x", "open/x%2Fy", "open", ""]
            {
                let answer = request(server.device, method, &format!("/shares/{path}"), extra, b"");
                assert_eq!(answer.without_date(), reference.without_date(), "{method} {path} {extra:?}");
            }
        }
    }
}

#[test]
fn who_may_read_a_share_sees_its_folder() {
    let server = server();
    let ask = |path: &str, headers: &[(&str, &str)]| request(server.device, "GET", path, headers, b"");
    let page = ask("/shares/open/?C=M", &[]).expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.text().contains("<h1>/shares/open/</h1>"), "{}", page.text());
    ask("/shares/closed/", &[]).expect(404);
    ask("/shares/closed/", &[("Ringfence-Device", "canary-1")]).expect(404);
    ask("/shares/closed/", &[("Ringfence-Device", "device-1")]).expect(200);
    ask("/shares/open/", &[("Authorization", "Basic eDp5")]).expect(404);
}
