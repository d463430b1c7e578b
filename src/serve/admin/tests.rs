//! The tables of the admin API: who may do what, and which routes there are.

use super::*;
use crate::model::Role;

#[test]
fn every_role_reads_and_only_an_admin_does_everything() {
    use Action::{Administer, Approve, Follow, Operate, Publish, Read};
    let allowed = |role| -> Vec<Action> {
        [Read, Publish, Approve, Operate, Administer, Follow].into_iter().filter(|action| may(role, *action)).collect()
    };
    assert_eq!(allowed(Role::Auditor), [Read]);
    assert_eq!(allowed(Role::Publisher), [Read, Publish]);
    assert_eq!(allowed(Role::Approver), [Read, Approve]);
    assert_eq!(allowed(Role::Operator), [Read, Operate]);
    assert_eq!(allowed(Role::Mirror), [Read, Follow]);
    assert_eq!(allowed(Role::Admin), [Read, Publish, Approve, Operate, Administer, Follow]);
}

#[test]
fn the_document_has_every_route() {
    let document = serde_json::to_value(openapi()).unwrap();
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            routes.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    routes.sort();
    let expected = "\
DELETE /v1/bundles/{bundle}
DELETE /v1/site/imports/{bundle}
DELETE /v1/uploads/{id}
GET /healthz
GET /metrics
GET /readyz
GET /v1/bundles/{bundle}/BUNDLE.json
GET /v1/bundles/{bundle}/BUNDLE.sig
GET /v1/bundles/{bundle}/volumes/{volume}
GET /v1/denials
GET /v1/devices
GET /v1/devices/{id}
GET /v1/enrolments
GET /v1/explain
GET /v1/follow/blobs/{blake3}
GET /v1/follow/blobs/{blake3}/groups
GET /v1/follow/hello
GET /v1/follow/journal
GET /v1/follow/statement
GET /v1/freshness
GET /v1/holds
GET /v1/journal
GET /v1/journal/head
GET /v1/keys
GET /v1/keys/trusted
GET /v1/mirror
GET /v1/pins
GET /v1/policy
GET /v1/policy/history
GET /v1/policy/history/{seq}
GET /v1/products
GET /v1/products/{product}/releases
GET /v1/products/{product}/releases/{version}
GET /v1/rollouts
GET /v1/rollouts/{id}
GET /v1/rollouts/{id}/timeline
GET /v1/shares
GET /v1/shares/{share}
GET /v1/shares/{share}/blobs/{blake3}
GET /v1/shares/{share}/tree
GET /v1/site/receipts/latest
GET /v1/sites
GET /v1/sites/{site}
GET /v1/status
GET /v1/store/stats
GET /v1/tokens
GET /v1/uploads/{id}
PATCH /v1/uploads/{id}
POST /v1/bundles
POST /v1/devices/import
POST /v1/devices/remove
POST /v1/devices/{id}/allow
POST /v1/devices/{id}/deny
POST /v1/enrolments
POST /v1/follow/signed
POST /v1/follow/tallies
POST /v1/holds
POST /v1/holds/{id}/lift
POST /v1/journal/verify
POST /v1/keys/rotate
POST /v1/keys/trusted
POST /v1/keys/trusted/{id}/revoke
POST /v1/keys/{id}/retire
POST /v1/pins
POST /v1/pins/{id}/remove
POST /v1/policy/apply
POST /v1/policy/check
POST /v1/policy/plan
POST /v1/products
POST /v1/products/{product}/releases
POST /v1/products/{product}/releases/{version}/approve
POST /v1/products/{product}/releases/{version}/withdraw
POST /v1/products/{product}/reset
POST /v1/receipts
POST /v1/rollouts
POST /v1/rollouts/expedite
POST /v1/rollouts/rollback
POST /v1/rollouts/{id}/approve
POST /v1/rollouts/{id}/halt
POST /v1/rollouts/{id}/pause
POST /v1/rollouts/{id}/promote
POST /v1/rollouts/{id}/resume
POST /v1/rollouts/{id}/signal
POST /v1/shares
POST /v1/site/imports
POST /v1/site/imports/{bundle}/finish
POST /v1/site/receipts
POST /v1/store/rebuild
POST /v1/store/scrub
POST /v1/store/sweep
POST /v1/store/verify
POST /v1/tokens
POST /v1/tokens/{id}/revoke
POST /v1/uploads
PUT /v1/shares/{share}/targets
PUT /v1/site/imports/{bundle}/volumes/{volume}";
    assert_eq!(routes.join("\n"), expected);
}

#[tokio::test]
async fn a_device_is_within_reach_by_its_group_and_all_products() {
    let policy = "[[ring]]\nname = \"r\"\n[[group]]\nname = \"tills\"\nmatch = { id = \"pos-*\" }\nring = \"r\"\n";
    let (catalog, _) = crate::catalog::testing::World::new().open();
    let of = |products: &[&str], groups: &[&str]| {
        let globs = |texts: &[&str]| texts.iter().map(|text| crate::model::NameGlob(text.parse().unwrap())).collect();
        let reach = crate::model::Reach { products: globs(products), groups: globs(groups) };
        Person::new("bo".parse().unwrap(), Role::Operator, reach)
    };
    let may = |person: &Person, device: &str| {
        let device = device.parse().unwrap();
        let actor = person.on_device(&catalog, &device);
        actor.map(|actor| actor.to_string()).map_err(|problem| problem.status().as_u16())
    };
    let (everything, tills, one_product) = (of(&[], &[]), of(&[], &["tills"]), of(&["av"], &["tills"]));
    assert_eq!(may(&tills, "pos-1"), Err(403), "no policy, no group");
    crate::control::apply_policy(&catalog, everything.on_everything().unwrap(), policy.into(), None).await.unwrap();
    assert_eq!(may(&tills, "pos-1"), Ok("bo".into()));
    assert_eq!(may(&tills, "dc-1"), Err(403), "it is in no group");
    assert_eq!(may(&of(&[], &["servers"]), "pos-1"), Err(403));
    assert_eq!(may(&one_product, "pos-1"), Err(403), "a denial concerns all products");
    assert_eq!(may(&everything, "dc-1"), Ok("bo".into()));
}
