//! Withheld, unknown and malformed are one answer: nothing over the wire tells them apart.

use serde_json::json;

use crate::support::server::POLICY;
use crate::support::{Answer, Kept, Setup, TestServer, random_bytes, request, sha256_hex, wait_until};

struct Withheld {
    server: TestServer,
    /// Paths that exist, but not for the device that asks.
    hidden: Vec<String>,
    /// Paths that do not exist, or are no paths at all.
    absent: Vec<String>,
}

fn withheld() -> Withheld {
    // The group sees three of the four products.
    let everyone = "match = \"any\"\nring  = \"broad\"\n";
    let policy = POLICY.replace(everyone, &format!("{everyone}products = [\"feed\", \"driver\", \"held\"]\n"));
    assert_ne!(policy, POLICY);
    let server = Setup::new().policy(&policy).start();
    let admin = server.as_admin();
    let products =
        [("feed", "intelligence"), ("driver", "platform"), ("held", "intelligence"), ("secret", "intelligence")];
    for (product, class) in products {
        server.cli(&["product", "add", product, "--class", class]).ok();
    }
    let publish = |product: &str, body: &[u8]| {
        let artifact = json!({ "target": "file.bin", "upload": admin.upload(body) });
        admin.release(product, "1.0", &[artifact]).expect(201).json()["artifacts"][0].clone()
    };
    publish("feed", &random_bytes(3, 5000));
    let draft = publish("driver", &random_bytes(1, 5000));
    let held = publish("held", &random_bytes(2, 5000));
    let secret = publish("secret", &random_bytes(4, 5000));
    server.cli(&["hold", "add", "held", "1.0", "--everyone", "--reason", "a bad batch", "--yes"]).ok();
    let blob = |artifact: &serde_json::Value| {
        let text = |name: &str| artifact[name].as_str().unwrap().to_owned();
        [format!("/v1/blobs/{}", text("blake3")), format!("/v1/blobs/sha256:{}", text("sha256"))]
    };
    let hidden = [blob(&draft), blob(&held), blob(&secret)].concat();
    let unknown = sha256_hex(b"nobody has this");
    let known = held["blake3"].as_str().unwrap();
    let absent = vec![
        format!("/v1/blobs/{unknown}"),
        format!("/v1/blobs/sha256:{unknown}"),
        format!("/v1/blobs/{}", known.to_uppercase()),
        format!("/v1/blobs/{}", &known[..63]),
        format!("/v1/blobs/{known}0"),
        format!("/v1/blobs/sha512:{known}"),
        format!("/v1/blobs/%2e%2e%2f{known}"),
        "/v1/blobs/..".into(),
        "/v1/blobs/%00".into(),
        "/v1/blobs/".into(),
    ];
    Withheld { server, hidden, absent }
}

fn ask(server: &TestServer, method: &str, path: &str, extra: &[(&str, &str)]) -> Answer {
    let mut headers = vec![("Ringfence-Device", "device-1")];
    headers.extend_from_slice(extra);
    request(server.device, method, path, &headers, b"")
}

#[test]
fn blobs_that_may_not_be_seen_are_not_there() {
    let Withheld { server, hidden, absent } = withheld();
    let own_tag = format!("\"{}\"", &hidden[0]["/v1/blobs/".len()..]);
    let extras: Vec<Vec<(&str, &str)>> = vec![
        vec![],
        vec![("Range", "bytes=0-9")],
        vec![("Range", "bytes=999999-")],
        vec![("If-None-Match", "*")],
        vec![("If-None-Match", &own_tag)],
        vec![("If-Match", "*")],
        vec![("If-Match", "\"x\"")],
        vec![("If-Match", &own_tag)],
        vec![("If-Modified-Since", "Fri, 31 Dec 2100 23:59:59 GMT")],
        vec![("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:10 GMT")],
        vec![("If-Range", &own_tag), ("Range", "bytes=0-9")],
        vec![("Want-Repr-Digest", "sha-256=10")],
        vec![("Accept", "image/png")],
        vec![("Accept-Encoding", "gzip")],
        vec![("Expect", "200-ok")],
    ];
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        for extra in &extras {
            let reference = ask(&server, method, &absent[0], extra);
            if matches!(method, "GET" | "HEAD") {
                assert_eq!(reference.status, 404, "{method} {extra:?}");
            }
            for path in hidden.iter().chain(&absent) {
                let answer = ask(&server, method, path, extra);
                assert_eq!(answer.without_date(), reference.without_date(), "{method} {path} {extra:?}");
            }
        }
    }
}

#[test]
fn products_that_may_not_be_seen_are_not_there() {
    let Withheld { server, .. } = withheld();
    let reference = ask(&server, "GET", "/v1/offers/no-such-product", &[]).expect(404);
    for path in ["/v1/offers/secret", "/v1/offers/Not%20A%20Name", "/v1/offers/..", "/v1/offers/-", "/v1/offers/"] {
        let answer = ask(&server, "GET", path, &[]);
        assert_eq!(answer.without_date(), reference.without_date(), "{path}");
    }
    for query in ["?platform=windows-x64", "?current=1.0", "?platform=%00", "?current=x"] {
        let absent = ask(&server, "GET", &format!("/v1/offers/no-such-product{query}"), &[]);
        let hidden = ask(&server, "GET", &format!("/v1/offers/secret{query}"), &[]);
        assert_eq!(absent.without_date(), hidden.without_date(), "{query}");
    }
    // Products that the group sees, of which nothing is allowed now: the device is told to come again.
    for product in ["driver", "held"] {
        let answer = ask(&server, "GET", &format!("/v1/offers/{product}"), &[]).expect(204);
        assert!(answer.header("retry-after").is_some(), "{}", answer.head);
    }
}

/// A credential that is not good sees nothing, with the very answer of what is not there, and its connection is kept.
#[test]
fn bad_credentials_see_what_is_not_there() {
    let share = "[[share]]\nname = \"open\"\ngroup = \"everyone\"\nlayout = \"plain\"\nproducts = [\"feed\"]\n\
                 open_to = \"anyone\"\nlisting = true\n";
    let server = Setup::new().policy(&format!("{POLICY}\n{share}")).start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    let artifact = json!({ "target": "file.bin", "upload": server.as_admin().upload(&random_bytes(9, 5000)) });
    server.as_admin().release("feed", "1.0", &[artifact]).expect(201);
    let blob = format!("/v1/blobs/sha256:{}", sha256_hex(&random_bytes(9, 5000)));
    let token = |words: &[&str]| server.json(&[&["token", "create"], words].concat());
    let (good, revoked) = (token(&["--device", "device-1"]), token(&["--device", "device-1"]));
    server.cli(&["token", "revoke", &revoked["id"].to_string()]).ok();
    let person = token(&["--actor", "alice@corp", "--role", "auditor"]);
    // Its end is asked for by the command, and has to lie ahead when the server is told.
    let expired = token(&["--device", "device-1", "--expires-in", "3s"]);
    let bearer = |token: &serde_json::Value| format!("Authorization: Bearer {}\r\n", token["token"].as_str().unwrap());
    let mut kept = Kept::to(server.device);
    for path in [&*blob, "/shares/open/"] {
        assert_eq!(kept.get(path, &bearer(&good)).0.status, 200, "{path}");
    }
    wait_until("the token expires", || (kept.get(&blob, &bearer(&expired)).0.status != 200).then_some(()));
    let device = "Ringfence-Device: device-1\r\n";
    let credentials = [
        bearer(&revoked),
        bearer(&person),
        bearer(&expired),
        "Authorization: Bearer nonsense\r\n".to_owned(),
        "Authorization: Basic eDp5\r\n".to_owned(),
        "Authorization: \r\n".to_owned(),
        [bearer(&good), bearer(&good)].concat(),
        format!("{device}{device}"),
        "Ringfence-Device: not a device\r\n".to_owned(),
        format!("{}{device}", bearer(&revoked)),
    ];
    let extras = ["", "Range: bytes=0-9\r\n", "If-None-Match: *\r\n", "If-Match: \"x\"\r\n", "If-Range: \"x\"\r\n"];
    for method in ["GET", "HEAD"] {
        let (reference, _) = kept.ask(method, "/v1/blobs/malformed", device);
        assert_eq!(reference.status, 404);
        assert!(reference.header("connection").is_none(), "{}", reference.head);
        for (credential, extra) in credentials.iter().flat_map(|credential| extras.map(|extra| (credential, extra))) {
            for path in [&*blob, "/shares/open/", "/shares/open/x64/file.bin", "/v1/blobs/malformed", "/shares/none/x"]
            {
                let (answer, _) = kept.ask(method, path, &format!("{credential}{extra}"));
                assert_eq!(answer.without_date(), reference.without_date(), "{method} {path} {credential}{extra}");
            }
        }
    }
}

#[test]
fn a_release_that_is_held_again_disappears() {
    let server = TestServer::start();
    let admin = server.as_admin();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    for version in 1..=2_u64 {
        let artifact = json!({ "target": "file.bin", "upload": admin.upload(&random_bytes(version, 5000)) });
        admin.release("feed", &format!("{version}.0"), &[artifact]).expect(201);
    }
    let offer = server.offer("device-1", "feed").expect("an offer");
    assert_eq!(offer["version"], "2.0");
    let url = offer["artifacts"][0]["url"].as_str().expect("a URL");
    let path = url.find("/v1/blobs/").map(|at| &url[at..]).expect("a blob");
    ask(&server, "GET", path, &[]).expect(200);
    server.cli(&["hold", "add", "feed", "2.0", "--everyone", "--reason", "a bad batch", "--yes"]).ok();
    ask(&server, "GET", path, &[]).expect(404);
    assert_eq!(server.offered_version("device-1", "feed").as_deref(), Some("1.0"));
    let held = server.json(&["hold", "list"]);
    let id = held["holds"][0]["id"].to_string();
    server.cli(&["hold", "lift", &id, "--reason", "it was not"]).ok();
    ask(&server, "GET", path, &[]).expect(200);
    server.cli(&["release", "withdraw", "feed", "2.0", "--reason", "it was after all", "--yes"]).ok();
    ask(&server, "GET", path, &[]).expect(404);
    assert_eq!(server.offered_version("device-1", "feed").as_deref(), Some("1.0"));
}

#[test]
fn without_identity_there_is_the_group_unidentified_or_nothing() {
    let server = TestServer::start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    let artifact = json!({ "target": "file.bin", "upload": server.as_admin().upload(b"bytes") });
    server.as_admin().release("feed", "1.0", &[artifact]).expect(201);
    let reference = server.get(None, "/v1/offers/no-such-product").expect(404);
    assert_eq!(server.get(None, "/v1/offers/feed").without_date(), reference.without_date());
}
