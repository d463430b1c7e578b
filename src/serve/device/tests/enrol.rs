//! Enrolling over a real socket.

use serde_json::json;

use super::world::{Raw, Server, World};

async fn post(server: &Server, headers: &[&str], body: &str) -> Raw {
    server.ask("POST", "/v1/enrol", headers, body).await
}

#[tokio::test]
async fn a_code_is_a_token_once() {
    let server = World::default().serve();
    // Only the code says who it is.
    let taken =
        post(&server, &["ringfence-device: other", "authorization: Bearer rf_x"], r#"{"code":"rfe_pos-1"}"#).await;
    assert_eq!((taken.status(), taken.json()), (201, json!({"device": "pos-1", "token": "rf_pos-1"})));
    assert!(taken.head.contains("cache-control: no-store"), "{}", taken.head);
    let again = post(&server, &[], r#"{"code":"rfe_pos-1"}"#).await;
    assert_eq!(again.status(), 403);
    for bad in [r#"{"code":""}"#, r#"{"code":"rfe_not a name"}"#, r#"{"code":"rfe_not a name","csr":"x"}"#] {
        assert_eq!(post(&server, &[], bad).await, again, "{bad}");
    }
    assert_eq!(server.get("/v1/enrol", &[]).await.status(), 405);
}

#[tokio::test]
async fn what_is_no_claim_is_told_without_repeating_it() {
    let server = World::default().serve();
    let long = format!("{{\"code\":\"{}\"}}", "x".repeat(20_000));
    let secret = r#"{"code":"rfe_pos-1","device":"canary-1"}"#;
    let bodies = [
        ("", 400),
        ("rfe_pos-1", 400),
        ("{}", 400),
        (r#"{"code":"rfe_pos-1","csr":1}"#, 400),
        (secret, 400),
        (&long, 413),
    ];
    for (body, status) in bodies {
        let answer = post(&server, &[], body).await;
        assert_eq!(answer.status(), status, "{body}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("pos-1"), "{body}");
    }
    // None of them was a wrong code, and none used the good one up.
    assert_eq!(post(&server, &[], r#"{"code":"rfe_pos-1","csr":"x"}"#).await.status(), 400);
    assert_eq!(post(&server, &[], r#"{"code":"rfe_pos-1"}"#).await.status(), 201);
}

#[tokio::test]
async fn wrong_codes_are_counted_against_their_address() {
    let server = World::default().serve();
    for n in 0..10 {
        assert_eq!(post(&server, &[], r#"{"code":"wrong"}"#).await.status(), 403, "{n}");
    }
    for body in [r#"{"code":"wrong"}"#, r#"{"code":"rfe_pos-1"}"#] {
        let answer = post(&server, &[], body).await;
        assert_eq!(answer.status(), 429);
        let retry_after = answer.head.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
        // What is left of the six seconds after which one more is given.
        assert!((1..=7).contains(&retry_after.parse::<u32>().unwrap()), "{}", answer.head);
    }
}
