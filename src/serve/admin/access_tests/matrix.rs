//! Every route × every role × how far it reaches × what it is on; and every route × every bad credential.

use std::collections::BTreeSet;

use http::Method;

use super::table::{ROWS, Row};
use super::world::{Answer, REACHES, ROLES, Target, World, from_tcp, name_of, with_certificate};
use crate::catalog::testing::{actor, parse};
use crate::model::{Reach, Role, TokenScope};
use crate::serve::Peer;
use crate::serve::admin::{Action, openapi};

/// Which role may do what, once more and by hand.
fn is_role_enough(role: Role, action: Action) -> bool {
    let needed = match action {
        Action::Read => return true,
        Action::Publish => Role::Publisher,
        Action::Approve => Role::Approver,
        Action::Operate => Role::Operator,
        Action::Administer => Role::Admin,
        Action::Follow => Role::Mirror,
    };
    role == needed || role == Role::Admin
}

fn body_of(world: &World, row: &Row, target: &Target) -> String {
    match (row.body)(target) {
        serde_json::Value::String(_) => world.text.clone(),
        json => json.to_string(),
    }
}

#[test]
fn the_table_has_every_route_and_no_other() {
    let document = serde_json::to_value(openapi()).unwrap();
    let mut routes = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        routes.extend(methods.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())));
    }
    let known: BTreeSet<String> = ROWS.iter().map(Row::key).collect();
    let missing: Vec<_> = routes.difference(&known).collect();
    assert!(missing.is_empty(), "say in access_tests/table.rs who may use them, and on what: {missing:?}");
    let gone: Vec<_> = known.difference(&routes).collect();
    assert!(gone.is_empty(), "there are no such routes: {gone:?}");
}

#[tokio::test]
async fn every_route_for_every_role_and_reach() {
    let world = World::new().await;
    let targets = world.targets().await;
    let mut counts = [0_u32; 2];
    for row in ROWS {
        for target in &targets {
            let (method, path) = row.request(target);
            let body = body_of(&world, row, target);
            for (who, role) in ROLES.into_iter().enumerate() {
                for (place, reach) in REACHES.into_iter().enumerate() {
                    let head = world.catalog.head();
                    let answer = world.as_person((who, place), method, &path, &body).await;
                    let what = format!("{} as {} ({answer:?})", row.route, name_of(who, place));
                    let is_role_enough = row.action.is_none_or(|action| is_role_enough(role, action));
                    let is_allowed = is_role_enough && row.is_within(reach, target);
                    counts[usize::from(is_allowed)] += 1;
                    if is_allowed {
                        assert!(
                            ![400, 401, 403].contains(&answer.status) && answer.status < 500,
                            "{what} on {target:?}"
                        );
                        continue;
                    }
                    assert_eq!((answer.status, world.catalog.head()), (403, head), "{what} on {target:?}");
                    let says = answer.body["detail"].as_str().unwrap();
                    let expected = if is_role_enough { "the role does not reach " } else { "the role " };
                    assert!(
                        says.starts_with(expected) && (is_role_enough || says.ends_with("not allow this")),
                        "{what}"
                    );
                }
            }
        }
    }
    println!("matrix: {} allowed, {} refused", counts[1], counts[0]);
    assert!(counts.iter().all(|count| *count > 500), "{counts:?}");
}

/// Everything that is no credential, or no longer one: a name, its headers, and who is at the other end.
async fn bad_credentials(world: &World) -> Vec<(&'static str, Vec<String>)> {
    let person = |name: &str| TokenScope::Person { actor: actor(name), role: Role::Admin, reach: Reach::default() };
    let soon = world.catalog.now() + jiff::SignedDuration::from_secs(5);
    let (_, expired) = world.token(person("late"), Some(soon)).await;
    let (id, revoked) = world.token(person("gone"), None).await;
    world.revoke(id).await;
    let (_, device) = world.token(TokenScope::Device(parse("pc-1")), None).await;
    world.data.clock.advance(jiff::SignedDuration::from_secs(6));
    let good = world.secrets[&(4, 0)].clone();
    let bearer = |secret: &str| vec![format!("Bearer {secret}")];
    vec![
        ("none", vec![]),
        ("unknown", bearer("rf_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
        ("no secret", bearer("rf_")),
        ("expired", bearer(&expired)),
        ("revoked", bearer(&revoked)),
        ("a device's", bearer(&device)),
        ("two", vec![format!("Bearer {good}"), format!("Bearer {good}")]),
        ("another scheme", vec![format!("Basic {good}")]),
        ("no scheme", vec![good]),
        ("a web token, where none is taken", bearer("eyJhbGciOiJub25lIn0.e30.")),
    ]
}

fn refused(answer: &Answer, row: &Row, name: &str) {
    let is_open = row.action.is_none();
    assert_eq!(answer.status == 401, !is_open, "{} with {name}: {answer:?}", row.route);
}

#[tokio::test]
async fn no_route_takes_a_bad_credential() {
    let world = World::new().await;
    let targets = world.targets().await;
    let credentials = bad_credentials(&world).await;
    let head = world.catalog.head();
    for row in ROWS {
        let (method, path) = row.request(&targets[0]);
        let body = body_of(&world, row, &targets[0]);
        let method: Method = method.parse().unwrap();
        for (name, values) in &credentials {
            let headers: Vec<_> = values.iter().map(|value| ("authorization", value.as_str())).collect();
            let answer = world.send(method.clone(), &path, &headers, body.clone(), from_tcp).await;
            refused(&answer, row, name);
            if *name != "none" {
                // Not even root on the socket may have a bad one beside.
                let answer = world.send(method.clone(), &path, &headers, body.clone(), |_| {}).await;
                refused(&answer, row, name);
            }
        }
        let nobody = |extensions: &mut http::Extensions| {
            extensions.insert(Peer::Unix { uid: 65_534 });
        };
        refused(&world.send(method.clone(), &path, &[], body.clone(), nobody).await, row, "another user");
        for dns in ["eve.people.corp", "cert-ada.other.corp", "uid:0.people.corp", ".people.corp"] {
            let answer = world.send(method.clone(), &path, &[], body.clone(), with_certificate(dns)).await;
            refused(&answer, row, dns);
        }
        if method == Method::GET && row.action.is_some() {
            assert_eq!(world.send(Method::HEAD, &path, &[], String::new(), from_tcp).await.status, 401, "{path}");
        }
    }
    assert_eq!(world.catalog.head(), head, "nothing was changed");
}
