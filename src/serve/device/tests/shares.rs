//! Shares over real sockets: who may read what, by which name, and what the answers say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::world::{POLICY, Server, World, share_file};
use super::{CANARY, TERMINAL};
use crate::model::{Event, Role, TokenScope};

const OLD: &[u8] = b"the first version";
const NEW: &[u8] = b"the second version";
const EXE: &str = "/shares/open/x64/mpam-fe.exe";

/// One share for each kind of reader, all with the same files: `open` is listed, `closed` is only staged.
fn policy() -> String {
    let share = |name: &str, group: &str, more: &str| {
        format!(
            "[[share]]\nname = \"{name}\"\ngroup = \"{group}\"\nlayout = \"plain\"\nproducts = [\"av\"]\n{more}\n\n"
        )
    };
    [
        POLICY.to_owned(),
        share("open", "everyone", "open_to = \"anyone\"\nlisting = true"),
        share("near", "everyone", "open_to = [\"10.0.0.0/8\", \"127.0.0.0/30\"]"),
        share("far", "everyone", "open_to = \"10.0.0.0/8\""),
        share("devices", "everyone", "open_to = \"devices\""),
        share("canaries", "canaries", "open_to = \"group\""),
        share("both", "canaries", "open_to = [\"10.0.0.0/8\", \"group\"]"),
        share("closed", "everyone", "open_to = []"),
        share("empty", "everyone", "open_to = \"anyone\""),
    ]
    .concat()
}

const SHARES: [&str; 7] = ["open", "near", "far", "devices", "canaries", "both", "closed"];

/// `av` with two releases; every share switched to the first one 1,000 seconds ago.
fn shared() -> World {
    let mut world = World::default();
    world.policy(&policy());
    world.product("av");
    world.release("av", "1.0", OLD);
    world.release("av", "2.0", NEW);
    for share in SHARES {
        let file = |path| share_file(path, OLD, ("av", 1), "");
        let stamped = "{00000000-0000-0000-0000-261121120000}/mpam-fe.exe";
        let files = vec![file("x64/mpam-fe.exe"), file("a+b~c.deb"), file(stamped), file("readme.txt")];
        world.switch(share, -1000, files, &[]);
    }
    world.device_token("canary-1");
    world.device_token("pos-1");
    world
}

/// `Basic` with this password.
fn basic(user: &str, password: &str) -> String {
    format!("authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[tokio::test]
async fn a_file_comes_with_its_date_its_tag_and_its_digest() {
    let server = shared().serve();
    let whole = server.get(EXE, &[]).await;
    assert_eq!((whole.status(), whole.body.as_slice()), (200, OLD));
    let etag = format!("etag: \"{}\"", crate::model::Blake3Digest::of(OLD));
    for line in [
        "content-length: 17",
        "content-type: application/x-msdownload",
        "cache-control: no-cache",
        "accept-ranges: bytes",
        "last-modified: Fri, 20 Nov 2026 10:43:20 GMT",
        "repr-digest: sha-256=:",
        &etag,
    ] {
        assert!(whole.head.contains(line), "{line} in\n{}", whole.head);
    }
    let head = server.ask("HEAD", EXE, &["range: bytes=0-2"], "").await;
    assert_eq!((head.head, head.body.len()), (whole.head.clone(), 0));
    let part = server.get(EXE, &["range: bytes=4-8"]).await;
    assert_eq!((part.status(), part.body.as_slice()), (206, b"first".as_slice()));
    let parts = server.get(EXE, &["range: bytes=0-2,4-8"]).await;
    assert!(parts.status() == 206 && parts.head.contains("multipart/byteranges"), "{}", parts.head);
    let beyond = server.get(EXE, &["range: bytes=17-"]).await;
    assert!(beyond.status() == 416 && beyond.head.contains("content-range: bytes */17"), "{}", beyond.head);
    assert_eq!(server.get(&format!("{EXE}?x=1&%zz"), &[]).await, whole, "a query is ignored");
}

#[tokio::test]
async fn who_may_read() {
    let server = shared().serve();
    let canary = basic("anything", "rf_canary-1");
    // Without credentials, a device of another group, of this group, and this one as apt and curl -u say it.
    let readers: [&[&str]; 4] = [&[], &[TERMINAL], &[CANARY], &[&canary]];
    for (share, expected) in [
        ("open", [200, 200, 200, 200]),
        ("near", [200, 200, 200, 200]),
        ("far", [404, 404, 404, 404]),
        ("devices", [404, 200, 200, 200]),
        ("canaries", [404, 404, 200, 200]),
        ("both", [404, 404, 200, 200]),
        ("closed", [404, 404, 404, 404]),
    ] {
        for (reader, expected) in readers.iter().zip(expected) {
            let answer = server.get(&format!("/shares/{share}/readme.txt"), reader).await;
            assert_eq!(answer.status(), expected, "{share} {reader:?}");
        }
    }
    // A proxy's word is believed from this address.
    assert_eq!(server.get("/shares/canaries/readme.txt", &["ringfence-device: canary-7"]).await.status(), 200);
    assert_eq!(server.get("/v1/offers/av", &[&canary]).await.status(), 401, "Basic is for shares only");
}

#[tokio::test]
async fn a_bad_credential_is_404_even_where_the_address_would_do() {
    let mut world = shared();
    let revoked = world.device_token("canary-2");
    world.add(Event::TokenRevoked { token: revoked });
    let person = TokenScope::Person { actor: "bo".parse().unwrap(), role: Role::Admin, reach: Default::default() };
    let hash = crate::model::Blake3Digest::of(b"rf_person");
    world.add(Event::TokenCreated { scope: person, hash, expires_at: None });
    let server = world.serve();
    let nothing = server.get("/v1/nothing", &[]).await;
    assert_eq!(server.get(EXE, &[]).await.status(), 200);
    for bad in [
        "authorization: Bearer rf_unknown".to_owned(),
        "authorization: Bearer rf_canary-2".to_owned(),
        "authorization: Basic".to_owned(),
        "authorization: Basic !!!".to_owned(),
        "authorization: Digest username=\"x\"".to_owned(),
        "authorization: Basic cmZfY2FuYXJ5LTE=".to_owned(), // "rf_canary-1", without a colon
        basic("x", ""),
        basic("rf_canary-1", "x"),
        basic("x", "rf_canary-2"),
        basic("x", "rf_person"),
        basic("x", "rf_canary-1\n"),
        format!("{}\r\n{CANARY}", basic("x", "rf_canary-1")),
        "ringfence-device: not a name".to_owned(),
    ] {
        assert_eq!(server.get(EXE, &[&bad]).await, nothing, "{bad}");
    }
    assert_eq!(server.get(EXE, &[&basic("x", "rf_canary-1")]).await.status(), 200);
}

#[tokio::test]
async fn clients_spell_names_in_their_own_ways() {
    let server = shared().serve();
    for path in [
        "x64/mpam-fe.exe",
        "x64/mpam%2Dfe%2eexe",
        "%78%364/mpam-fe.exe",
        "a+b~c.deb",
        "a%2Bb%7Ec.deb",
        "a%2bb%7ec.deb",
        "{00000000-0000-0000-0000-261121120000}/mpam-fe.exe",
        "%7B00000000-0000-0000-0000-261121120000%7D/mpam-fe.exe",
    ] {
        assert_eq!(server.get(&format!("/shares/open/{path}"), &[]).await.status(), 200, "{path}");
    }
}

/// Below `/shares/`, and not there for a request without credentials.
const ABSENT: [&str; 34] = [
    "open/held.exe",
    "open/none.exe",
    "none/held.exe",
    "far/readme.txt",
    "canaries/readme.txt",
    "closed/readme.txt",
    "empty/readme.txt",
    "open/x64",
    "open/none/",
    "open/readme.txt/",
    "near/",
    "far/",
    "none/",
    "open",
    "",
    "/",
    "open//readme.txt",
    "open/x64//mpam-fe.exe",
    "open/../open/readme.txt",
    "open/x64/%2e%2e/readme.txt",
    "open/x64%2Fmpam-fe.exe",
    "open%2Freadme.txt",
    "open/%2572eadme.txt",
    "open/readme.txt%00",
    "open/readme.tx%",
    "open/readme.tx%7",
    "open/readme.tx%zz",
    "open/%C3%A9",
    "open/a%20b",
    "OPEN/readme.txt",
    "open/README.txt",
    "open/..%2f..%2fetc%2fpasswd",
    "open/%2e%2e/",
    "open/con",
];

/// Withheld, unknown, malformed and closed are the same bytes, for every method and condition, and touch no store.
#[tokio::test]
async fn what_may_not_be_read_is_not_there() {
    let mut world = shared();
    world.switch("open", -500, vec![share_file("held.exe", NEW, ("av", 2), "")], &[]);
    world.hold("av", "2.0", "everyone");
    let server = world.serve();
    let tag = format!("\"{}\"", crate::model::Blake3Digest::of(NEW));
    let (none_match, if_range) = (format!("if-none-match: {tag}"), format!("if-range: {tag}"));
    let if_match = format!("if-match: {tag}");
    let conditions: [&[&str]; 8] = [
        &[],
        &["range: bytes=0-3"],
        &["range: bytes=999-"],
        &[&none_match],
        &[&if_match],
        &["if-match: \"x\""],
        &[&if_range, "range: bytes=0-0"],
        &["if-modified-since: Fri, 20 Nov 2026 10:51:40 GMT", "accept: text/plain"],
    ];
    for method in ["GET", "HEAD"] {
        let expected = server.ask(method, "/v1/nothing/at/all", &[], "").await;
        assert_eq!(expected.status(), 404);
        for path in ABSENT {
            for condition in conditions {
                let found = server.ask(method, &format!("/shares/{path}"), condition, "").await;
                assert_eq!(found, expected, "{method} {path} {condition:?}");
            }
        }
    }
    assert_eq!(*server.bodies_read.lock().unwrap(), 0, "storage was not touched");
    let blob = server.ask("DELETE", "/v1/blobs/malformed", &[], "").await;
    assert_eq!(blob.status(), 405);
    for path in ["open/readme.txt", "open/none.exe", "none/x", ""] {
        for method in ["DELETE", "PUT", "POST"] {
            assert_eq!(server.ask(method, &format!("/shares/{path}"), &[], "").await, blob, "{method} {path}");
        }
    }
}

/// clients.md, section 3.1, with the default of 15 minutes. The file is from 10:43:20.
#[tokio::test]
async fn a_date_is_believed_if_it_is_the_file_s_own_or_much_later() {
    let server = shared().serve();
    for (date, expected) in [
        ("10:43:19", 200),
        ("10:43:20", 304),
        ("10:43:21", 200),
        ("10:58:20", 200),
        ("10:58:21", 304),
        ("23:59:59", 304),
    ] {
        let header = format!("if-modified-since: Fri, 20 Nov 2026 {date} GMT");
        let answer = server.get(EXE, &[&header]).await;
        assert_eq!(answer.status(), expected, "{date}");
        let with_tag = server.get(EXE, &[&header, "if-none-match: \"x\""]).await;
        assert_eq!(with_tag.status(), 200, "the tag comes before the date");
        let resumed = server.get(EXE, &[&header.replace("modified-since", "range"), "range: bytes=4-"]).await;
        assert_eq!(resumed.status(), if date == "10:43:20" { 206 } else { 200 }, "resumed from {date}");
    }
    let tag = format!("\"{}\"", crate::model::Blake3Digest::of(OLD));
    let resumed = server.get(EXE, &[&format!("if-range: {tag}"), "range: bytes=4-"]).await;
    assert_eq!((resumed.status(), resumed.body.as_slice()), (206, &OLD[4..]));
    let read = *server.bodies_read.lock().unwrap();
    let known = server.get(EXE, &[&format!("if-none-match: {tag}")]).await;
    assert_eq!((known.status(), known.body.len()), (304, 0));
    assert!(known.head.contains(&tag) && known.head.contains("cache-control: no-cache"), "{}", known.head);
    assert_eq!(*server.bodies_read.lock().unwrap(), read, "a 304 touches no store");
}

#[tokio::test]
async fn bytes_that_cannot_be_read_are_503() {
    let mut world = shared();
    world.switch("open", -500, vec![share_file("lost.exe", b"lost", ("av", 1), "")], &[]);
    let server = world.serve();
    let lost = server.get("/shares/open/lost.exe", &[]).await;
    assert!(lost.status() == 503 && lost.head.contains("retry-after: 300"), "{}", lost.head);
}

#[tokio::test]
async fn a_hold_takes_a_file_away_with_the_next_request() {
    let server = shared().serve();
    assert_eq!(server.get(EXE, &[]).await.status(), 200);
    server.change(|world| world.hold("av", "1.0", "everyone"));
    assert_eq!(server.get(EXE, &[]).await, server.get("/v1/nothing", &[]).await);
    assert_eq!(server.get("/shares/canaries/readme.txt", &[CANARY]).await.status(), 200, "another group's");
}

async fn body(server: &Server, path: &str) -> (u16, Vec<u8>) {
    let answer = server.get(path, &[]).await;
    (answer.status(), answer.body)
}

#[tokio::test]
async fn a_switch_takes_effect_at_its_time_and_what_is_gone_lingers() {
    let mut world = shared();
    let file = share_file("x64/mpam-fe.exe", NEW, ("av", 2), "");
    world.switch("open", 10, vec![file], &["readme.txt"]);
    let server = world.serve();
    for second in [0, 9] {
        server.set_clock(second);
        assert_eq!(body(&server, EXE).await, (200, OLD.to_vec()), "{second} s");
    }
    server.set_clock(10);
    let new = server.get(EXE, &["if-modified-since: Fri, 20 Nov 2026 10:43:20 GMT"]).await;
    assert_eq!((new.status(), new.body.as_slice()), (200, NEW));
    assert!(new.head.contains("last-modified: Fri, 20 Nov 2026 11:00:10 GMT"), "{}", new.head);
    for (second, expected) in [(10, 200), (10 + 86_399, 200), (10 + 86_400, 404)] {
        server.set_clock(second);
        assert_eq!(server.get("/shares/open/readme.txt", &[]).await.status(), expected, "{second} s");
    }
    server.set_clock(20);
    server.change(|world| world.hold("av", "1.0", "everyone"));
    assert_eq!(server.get("/shares/open/readme.txt", &[]).await.status(), 404, "what lingers can be withheld");
    assert_eq!(server.get(EXE, &[]).await.status(), 200);
}

/// The share `open` as a page, head and all.
const PAGE: &str = r#"HTTP/1.1 200 OK
content-type: text/html; charset=utf-8
content-length: 595
cache-control: no-cache
vary: accept
content-security-policy: default-src 'none'
x-content-type-options: nosniff
connection: close

<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>/shares/open/</title></head>
<body>
<h1>/shares/open/</h1>
<table>
<tr><th>Name</th><th>Bytes</th><th>Since (UTC)</th></tr>
<tr><td><a href="x64/">x64/</a></td><td></td><td></td></tr>
<tr><td><a href="%7B00000000-0000-0000-0000-261121120000%7D/">{00000000-0000-0000-0000-261121120000}/</a></td><td></td><td></td></tr>
<tr><td><a href="a+b~c.deb">a+b~c.deb</a></td><td>17</td><td>2026-11-20 10:43:20</td></tr>
<tr><td><a href="readme.txt">readme.txt</a></td><td>17</td><td>2026-11-20 10:43:20</td></tr>
</table>
</body>
</html>
"#;

#[tokio::test]
async fn folders_are_listed_where_the_policy_says_so() {
    let server = shared().serve();
    let page = server.get("/shares/open/", &[]).await;
    assert_eq!(page.status(), 200);
    assert_eq!(format!("{}\n\n{}", page.head, String::from_utf8_lossy(&page.body)), PAGE);
    let head = server.ask("HEAD", "/shares/open/", &[], "").await;
    assert_eq!((head.head, head.body.len()), (page.head, 0));
    let lines = server.get("/shares/open/", &["accept: text/plain"]).await;
    let expected = "x64/\n{00000000-0000-0000-0000-261121120000}/\na+b~c.deb\nreadme.txt\n";
    assert_eq!(String::from_utf8_lossy(&lines.body), expected);
    let below = server.get("/shares/open/%7B00000000-0000-0000-0000-261121120000%7D/", &[]).await;
    let text = String::from_utf8_lossy(&below.body).into_owned();
    assert!(text.contains("<a href=\"../\">") && text.contains("<a href=\"mpam-fe.exe\">"), "{text}");
    server.change(|world| world.hold("av", "1.0", "everyone"));
    let none = server.get("/shares/open/", &["accept: text/plain"]).await;
    assert_eq!((none.status(), none.body.len()), (200, 0), "what is withheld is not listed");
    assert_eq!(server.get("/shares/open/x64/", &[]).await.status(), 404);
}
