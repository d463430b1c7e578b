//! Whatever is sent to whichever route, by an admin: the server never says that it failed.

use http::Method;
use serde_json::{Value, json};

use super::table::ROWS;
use super::world::World;

/// Bodies that no route expects.
fn bodies() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> =
        ["", "null", "[]", "{}", "0", "\"\"", "{\"x\":1}", "{", "\u{feff}{}", "[[ring]]", "\0"]
            .map(|text| text.as_bytes().to_vec())
            .into();
    bodies.push(vec![0xff, 0xfe]);
    bodies.push("[".repeat(10_000).into_bytes());
    bodies.push(format!("{{\"reason\":\"{}\"}}", "é".repeat(100_000)).into_bytes());
    bodies.push(vec![b' '; (1 << 20) + 1]);
    bodies
}

/// What stands in place of each value of a good body.
fn values() -> Vec<Value> {
    let deep = (0..100).fold(json!({}), |inner, _| json!({ "any": [inner] }));
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(u64::MAX),
        json!(1e308),
        json!(""),
        json!("a\nb"),
        json!("x".repeat(5_000)),
        json!("9999-12-31T23:59:59Z"),
        json!("-009999-01-01T00:00:00Z"),
        json!([null]),
        json!([""]),
        deep,
    ]
}

#[tokio::test]
async fn no_route_fails_on_bad_input() {
    let world = World::new().await;
    let targets = world.targets().await;
    let mut asked = 0;
    let ids = ["0", "18446744073709551615", "18446744073709551616", "-1", "%00", "%ff", "a%2fb", "%20", ".."];
    let queries =
        ["limit=-1", "limit=18446744073709551615", "after=%ff", "after=", "at=9999-12-31T23:59:59Z", "x", "%"];
    for row in ROWS {
        let (method, path) = row.request(&targets[0]);
        let method: Method = method.parse().unwrap();
        let check = async |path: &str, headers: &[(&str, &str)], body: Vec<u8>| {
            let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
            let answer = world.send_bytes(method.clone(), path, headers, body, |_| {}).await;
            assert!(answer.status < 500, "{method} {path} {headers:?} {shown}: {answer:?}");
        };
        let good = (row.body)(&targets[0]);
        for body in bodies() {
            check(&path, &[], body).await;
            asked += 1;
        }
        for key in good.as_object().into_iter().flat_map(|object| object.keys()) {
            for value in values() {
                let mut body = good.clone();
                body[key] = value;
                check(&path, &[], body.to_string().into_bytes()).await;
                asked += 1;
            }
        }
        for id in ids {
            let parts: Vec<&str> = path.split('?').next().unwrap().split('/').collect();
            for at in 3..parts.len() {
                let mut parts = parts.clone();
                parts[at] = id;
                check(&parts.join("/"), &[], good.to_string().into_bytes()).await;
                asked += 1;
            }
        }
        for query in queries {
            let path = path.split('?').next().unwrap();
            check(&format!("{path}?product=intel&{query}"), &[], good.to_string().into_bytes()).await;
            asked += 1;
        }
        for header in [("upload-length", "-1"), ("upload-offset", "18446744073709551615"), ("if-match", "W/\"x\"")] {
            check(&path, &[header], good.to_string().into_bytes()).await;
            asked += 1;
        }
    }
    println!("bad input: {asked} requests");
}
