//! One person under several credentials, tokens that would widen a reach, and when a token was last used.

use http::Method;
use serde_json::{Value, json};

use super::world::{World, with_certificate};

async fn certified(world: &World, dns: &str, method: Method, path: &str, body: &Value) -> super::world::Answer {
    world.send(method, path, &[], body.to_string(), with_certificate(dns)).await
}

#[tokio::test]
async fn a_certificate_has_the_role_of_its_name() {
    let world = World::new().await;
    let hold = json!({"product": "intel", "group": "labs", "reason": "for the test"});
    let added = certified(&world, "cert-ada.people.corp", Method::POST, "/v1/holds", &hold).await;
    assert_eq!((added.status, added.body["author"].as_str()), (201, Some("cert-ada")));
    let path = "/v1/products/intel/releases/9.0/approve";
    assert_eq!(certified(&world, "cert-ada.people.corp", Method::POST, path, &json!({})).await.status, 403);
    // A token comes before the certificate of its connection, and must be good.
    let token = format!("Bearer {}", world.secrets[&(0, 0)]);
    for (value, expected) in [(token.as_str(), 403), ("Bearer rf_x", 401)] {
        let headers = [("authorization", value)];
        let change = with_certificate("cert-ada.people.corp");
        let answer = world.send(Method::POST, "/v1/holds", &headers, hold.to_string(), change).await;
        assert_eq!(answer.status, expected);
    }
}

#[tokio::test]
async fn one_name_is_one_person_whatever_proves_it() {
    let world = World::new().await;
    // The admin whose token has the name of a configured auditor publishes with the token …
    let headers = [("authorization", format!("Bearer {}", world.secrets[&(4, 2)]))];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let me = certified(&world, "admin-2.people.corp", Method::GET, "/v1/status", &json!({})).await;
    assert_eq!(me.status, 200, "the certificate alone is an auditor's");
    let opened = {
        let mut headers = headers.clone();
        headers.push(("upload-length", "1"));
        world.send(Method::POST, "/v1/uploads", &headers, String::new(), |_| {}).await
    };
    let upload = opened.body["id"].as_str().unwrap().to_owned();
    let mut offset = headers.clone();
    offset.push(("upload-offset", "0"));
    world.send(Method::PATCH, &format!("/v1/uploads/{upload}"), &offset, "x".into(), |_| {}).await;
    let release = json!({"version": "9.5", "artifacts": [{"target": "file", "upload": upload}]}).to_string();
    let published = world.send(Method::POST, "/v1/products/intel/releases", &headers, release, |_| {}).await;
    assert_eq!((published.status, published.body["state"].as_str()), (201, Some("draft")), "{published:?}");
    // … and may not approve it, with whatever token of that name.
    let scope = crate::model::TokenScope::Person {
        actor: "admin-2".parse().unwrap(),
        role: crate::model::Role::Approver,
        reach: Default::default(),
    };
    let (_, second) = world.token(scope, None).await;
    let path = "/v1/products/intel/releases/9.5/approve";
    let second = format!("Bearer {second}");
    for credential in [headers[0].1, second.as_str()] {
        let refused = world.send(Method::POST, path, &[("authorization", credential)], "{}".into(), |_| {}).await;
        assert_eq!(refused.status, 403);
        assert!(refused.body["detail"].as_str().unwrap().contains("someone else"), "{refused:?}");
    }
    assert_eq!(world.as_person((2, 0), "POST", path, "{}").await.status, 200);
}

#[tokio::test]
async fn two_people_approve_an_emergency_and_the_answer_says_who() {
    let world = World::new().await;
    let emergency = world.targets().await[0].emergency;
    let path = format!("/v1/rollouts/{emergency}/approve");
    let first = world.as_person((2, 0), "POST", &path, "{}").await;
    assert_eq!((first.status, first.body["state"].as_str()), (200, Some("awaiting_approval")));
    let scope = crate::model::TokenScope::Person {
        actor: "approver-0".parse().unwrap(),
        role: crate::model::Role::Admin,
        reach: Default::default(),
    };
    let (_, again) = world.token(scope, None).await;
    let again = format!("Bearer {again}");
    let again = world.send(Method::POST, &path, &[("authorization", &again)], "{}".into(), |_| {}).await;
    assert_eq!((again.status, again.body["detail"].as_str().unwrap().contains("a second person must")), (409, true));
    let second = world.as_person((4, 0), "POST", &path, "{}").await;
    let by: Vec<_> = second.body["approvals"].as_array().unwrap().iter().map(|stamp| stamp["by"].clone()).collect();
    assert_eq!((second.status, by), (200, vec![json!("approver-0"), json!("admin-0")]));
    assert_ne!(second.body["state"], "awaiting_approval");
}

#[tokio::test]
async fn no_token_reaches_further_than_who_made_it() {
    let world = World::new().await;
    let ask = async |body: Value| world.as_person((4, 2), "POST", "/v1/tokens", &body.to_string()).await.status;
    let token = |products: Value, groups: Value| json!({"actor": "new", "role": "operator", "products": products, "groups": groups});
    assert_eq!(ask(token(json!(["intel-x"]), json!(["labs"]))).await, 201);
    assert_eq!(ask(token(json!(["intel*"]), json!(["labs"]))).await, 201);
    for (products, groups) in [
        (json!(["*"]), json!(["labs"])),
        (json!(["intel?", "o*"]), json!(["labs"])),
        (json!(["intel"]), json!(["lab?"])),
    ] {
        assert_eq!(ask(token(products, groups)).await, 403);
    }
    let many: Vec<String> = (0..65).map(|number| format!("intel-{number}")).collect();
    assert_eq!(ask(token(json!(many), json!(["labs"]))).await, 422);
    for actor in ["ringfence", "uid:0"] {
        assert_eq!(ask(json!({"actor": actor, "role": "auditor"})).await, 422);
    }
    assert_eq!(ask(json!({"device": "pc-1", "groups": ["labs"]})).await, 422);
    assert_eq!(ask(token(json!([""]), json!([]))).await, 400);
}

#[tokio::test]
async fn the_list_says_when_a_token_was_last_used() {
    let world = World::new().await;
    let list = async || world.root("GET", "/v1/tokens", &json!({})).await["tokens"].as_array().unwrap().clone();
    let of = |tokens: &[Value], name: &str| {
        tokens.iter().find(|token| token["scope"]["person"]["actor"] == name).unwrap().clone()
    };
    let unused = of(&list().await, "auditor-1");
    assert!(unused.get("last_used_at").is_none(), "{unused}");
    assert_eq!(unused["scope"]["person"]["reach"]["products"], json!(["intel*"]));
    world.as_person((0, 1), "GET", "/v1/status", "").await;
    let used = of(&list().await, "auditor-1");
    assert_eq!(used["last_used_at"], "2023-11-14T22:13:00Z", "to the minute: {used}");
    assert_eq!(used["last_used_on"], "admin");
}
