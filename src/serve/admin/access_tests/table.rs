//! What every route is and what it is on. A route that is missing here fails the matrix: decide first who may use it.

use serde_json::{Value, json};

use super::world::Target;
use crate::serve::admin::Action;

/// What a change is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// Nothing that a reach could leave out.
    Nothing,
    /// A product, whatever group.
    Product,
    /// A product and one group.
    ProductAndGroup,
    /// A product and every group.
    ProductEverywhere,
    /// All there is.
    Everything,
}

/// A request to a route. `{names}` in its path are filled in from the target.
pub(super) struct Row {
    /// None: no credential is asked for.
    pub(super) action: Option<Action>,
    pub(super) route: &'static str,
    pub(super) on: On,
    pub(super) body: fn(&Target) -> Value,
}

const fn row(action: Action, route: &'static str, on: On, body: fn(&Target) -> Value) -> Row {
    Row { action: Some(action), route, on, body }
}

const fn open(route: &'static str) -> Row {
    Row { action: None, route, on: On::Nothing, body: empty }
}

const fn read(route: &'static str) -> Row {
    row(Action::Read, route, On::Nothing, empty)
}

const fn because(action: Action, route: &'static str, on: On) -> Row {
    row(action, route, on, |_| json!({"reason": "for the test"}))
}

fn empty(_: &Target) -> Value {
    json!({})
}

/// A text body, which goes out as it is.
fn policy(_: &Target) -> Value {
    json!("POLICY")
}

fn share(target: &Target) -> Value {
    json!({"name": "new-share", "group": target.group, "layout": "plain", "products": [target.product]})
}

fn back(target: &Target, groups: &[&str]) -> Value {
    json!({"product": target.product, "from": "2.0", "to": "1.0", "groups": groups, "reason": "for the test"})
}

use Action::{Administer, Approve, Follow, Operate, Publish, Read};
use On::{Everything, Nothing, Product, ProductAndGroup, ProductEverywhere};

/// A key of minisign's manual.
const PUBLIC_KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

/// Every route, some of them with more than one kind of object.
pub(super) const ROWS: &[Row] = &[
    open("GET /healthz"),
    open("GET /metrics"),
    open("GET /readyz"),
    read("GET /v1/devices"),
    read("GET /v1/devices/{device}"),
    row(Read, "GET /v1/explain", Nothing, empty),
    read("GET /v1/denials"),
    read("GET /v1/enrolments"),
    read("GET /v1/freshness"),
    read("GET /v1/keys"),
    read("GET /v1/keys/trusted"),
    read("GET /v1/holds"),
    read("GET /v1/journal"),
    read("GET /v1/journal/head"),
    read("GET /v1/pins"),
    read("GET /v1/policy"),
    read("GET /v1/policy/history"),
    read("GET /v1/policy/history/{policy}"),
    read("GET /v1/products"),
    read("GET /v1/products/{product}/releases"),
    read("GET /v1/products/{product}/releases/{version}"),
    read("GET /v1/rollouts"),
    read("GET /v1/rollouts/{rollout}"),
    read("GET /v1/rollouts/{rollout}/timeline"),
    read("GET /v1/shares"),
    read("GET /v1/shares/{share}"),
    read("GET /v1/shares/{share}/blobs/{blake3}"),
    read("GET /v1/shares/{share}/tree"),
    read("GET /v1/site/receipts/latest"),
    read("GET /v1/sites"),
    read("GET /v1/sites/{site}"),
    read("GET /v1/status"),
    read("GET /v1/store/stats"),
    row(Read, "POST /v1/journal/verify", Nothing, |_| json!({"heads": []})),
    row(Read, "POST /v1/policy/check", Nothing, policy),
    row(Read, "POST /v1/policy/plan", Nothing, policy),
    row(Publish, "GET /v1/uploads/{upload}", Nothing, empty),
    row(Publish, "PATCH /v1/uploads/{upload}", Nothing, empty),
    row(Publish, "DELETE /v1/uploads/{upload}", Nothing, empty),
    row(Publish, "POST /v1/uploads", Nothing, empty),
    row(Operate, "POST /v1/bundles", Everything, |target| json!({"site": "plant-7", "groups": [target.group]})),
    row(Operate, "GET /v1/bundles/{bundle}/BUNDLE.json", Everything, empty),
    row(Operate, "GET /v1/bundles/{bundle}/BUNDLE.sig", Everything, empty),
    row(Operate, "GET /v1/bundles/{bundle}/volumes/{volume}", Everything, empty),
    row(Operate, "DELETE /v1/bundles/{bundle}", Everything, empty),
    row(Publish, "POST /v1/products", Product, |target| json!({"name": target.product, "class": "intelligence"})),
    row(
        Publish,
        "POST /v1/products/{product}/releases",
        Product,
        |target| json!({"version": "9.1", "artifacts": [{"target": "file", "upload": target.upload}]}),
    ),
    row(Approve, "POST /v1/products/{product}/releases/{draft}/approve", Product, empty),
    because(Approve, "POST /v1/products/{product}/releases/{version}/withdraw", Product),
    row(
        Approve,
        "POST /v1/rollouts/expedite",
        ProductEverywhere,
        |target| json!({"product": target.product, "version": "3.0", "criteria": "exploited in the wild"}),
    ),
    row(Approve, "POST /v1/rollouts/{emergency}/approve", ProductEverywhere, empty),
    row(
        Operate,
        "POST /v1/holds",
        ProductAndGroup,
        |target| json!({"product": target.product, "group": target.group, "reason": "for the test"}),
    ),
    row(
        Operate,
        "POST /v1/holds",
        ProductEverywhere,
        |target| json!({"product": target.product, "version": "1.0", "reason": "for the test"}),
    ),
    row(
        Operate,
        "POST /v1/holds",
        ProductEverywhere,
        |target| json!({"product": target.product, "ring": "broad", "reason": "for the test"}),
    ),
    row(
        Operate,
        "POST /v1/holds",
        ProductEverywhere,
        |target| json!({"product": target.product, "devices": {"id": "pc-*"}, "reason": "for the test"}),
    ),
    because(Operate, "POST /v1/holds/{hold}/lift", ProductAndGroup),
    because(Operate, "POST /v1/holds/{hold_on_everyone}/lift", ProductEverywhere),
    row(
        Operate,
        "POST /v1/pins",
        ProductAndGroup,
        |target| json!({"product": target.product, "group": target.group, "version": "1.0", "reason": "for the test"}),
    ),
    because(Operate, "POST /v1/pins/{pin}/remove", ProductAndGroup),
    row(Operate, "POST /v1/policy/apply", Everything, policy),
    row(Operate, "POST /v1/rollouts", Product, |target| json!({"product": target.product, "version": "2.0"})),
    because(Operate, "POST /v1/rollouts/{rollout}/pause", Product),
    because(Operate, "POST /v1/rollouts/{rollout}/resume", Product),
    because(Operate, "POST /v1/rollouts/{rollout}/halt", Product),
    because(Operate, "POST /v1/rollouts/{rollout}/promote", Product),
    because(Operate, "POST /v1/rollouts/{emergency}/pause", ProductEverywhere),
    because(Operate, "POST /v1/rollouts/{emergency}/resume", ProductEverywhere),
    because(Operate, "POST /v1/rollouts/{emergency}/halt", ProductEverywhere),
    because(Operate, "POST /v1/rollouts/{emergency}/promote", ProductEverywhere),
    row(
        Operate,
        "POST /v1/rollouts/{rollout}/signal",
        Product,
        |_| json!({"signal": "pass", "source": "prometheus", "reason": "for the test"}),
    ),
    row(Operate, "POST /v1/rollouts/rollback", ProductAndGroup, |target| back(target, &[&target.group])),
    row(Operate, "POST /v1/rollouts/rollback", ProductEverywhere, |target| back(target, &[])),
    because(Operate, "POST /v1/products/{product}/reset", Product),
    row(Operate, "POST /v1/shares", ProductAndGroup, share),
    row(Operate, "PUT /v1/shares/{share}/targets", ProductAndGroup, |_| {
        json!({"target": "host:/srv/share", "switch": 1, "staged_at": "2026-01-01T00:00:00Z", "state": "failed",
            "written_bytes": 0, "tree_files": 0, "tree_bytes": 0})
    }),
    row(Operate, "POST /v1/devices/import", Everything, |_| json!({"devices": [{"id": "pc-1"}]})),
    row(Operate, "POST /v1/devices/remove", Everything, |_| json!({"devices": ["pc-1"]})),
    // Of a reach that names groups only, the group of the device decides: a test of its own.
    because(Operate, "POST /v1/devices/{device}/deny", Everything),
    because(Operate, "POST /v1/devices/{device}/allow", Everything),
    row(Operate, "POST /v1/enrolments", Everything, |_| json!({"device": "pc-1"})),
    row(Operate, "POST /v1/store/verify", Everything, empty),
    row(Operate, "POST /v1/store/scrub", Everything, empty),
    row(Operate, "POST /v1/store/sweep", Everything, empty),
    row(Operate, "POST /v1/store/rebuild", Everything, empty),
    row(Operate, "POST /v1/site/imports", Everything, |_| json!({"manifest": "{}", "signature": ""})),
    row(Operate, "PUT /v1/site/imports/{bundle}/volumes/{volume}", Everything, empty),
    row(Operate, "POST /v1/site/imports/{bundle}/finish", Everything, empty),
    row(Operate, "DELETE /v1/site/imports/{bundle}", Everything, empty),
    row(Operate, "POST /v1/receipts", Everything, |_| json!({"short": "RF1:AAAA"})),
    row(Operate, "POST /v1/site/receipts", Everything, empty),
    read("GET /v1/mirror"),
    row(Follow, "GET /v1/follow/hello", Everything, empty),
    row(Follow, "GET /v1/follow/journal", Everything, empty),
    row(Follow, "GET /v1/follow/statement", Everything, empty),
    row(Follow, "GET /v1/follow/blobs/{blake3}", Everything, empty),
    row(Follow, "GET /v1/follow/blobs/{blake3}/groups", Everything, empty),
    row(
        Follow,
        "POST /v1/follow/signed",
        Everything,
        |target| json!({"ask": "freshness", "device": "pc-1", "product": target.product, "current": "1.0"}),
    ),
    row(Follow, "POST /v1/follow/tallies", Everything, |_| json!({"name": "mirror-1", "tallies": []})),
    row(Administer, "GET /v1/tokens", Nothing, empty),
    row(Administer, "POST /v1/tokens", Everything, |_| json!({"actor": "new", "role": "auditor"})),
    row(Administer, "POST /v1/tokens", Everything, |_| json!({"device": "pc-1"})),
    row(
        Administer,
        "POST /v1/tokens",
        ProductAndGroup,
        |target| json!({"actor": "new", "role": "auditor", "products": [target.product], "groups": [target.group]}),
    ),
    row(
        Administer,
        "POST /v1/tokens",
        ProductEverywhere,
        |target| json!({"actor": "new", "role": "admin", "products": [target.product]}),
    ),
    row(Administer, "POST /v1/keys/trusted", Everything, |_| json!({"key": PUBLIC_KEY, "name": "vendor"})),
    because(Administer, "POST /v1/keys/trusted/{key}/revoke", Everything),
    row(Administer, "POST /v1/keys/rotate", Everything, empty),
    because(Administer, "POST /v1/keys/{key}/retire", Everything),
    row(Administer, "POST /v1/tokens/{token}/revoke", ProductAndGroup, empty),
    row(Administer, "POST /v1/tokens/{device_token}/revoke", Everything, empty),
];

impl Row {
    /// The route as the document names it.
    pub(super) fn key(&self) -> String {
        let mut key = self.route.to_owned();
        for name in
            ["hold", "hold_on_everyone", "pin", "rollout", "emergency", "token", "device_token", "upload", "key"]
        {
            key = key.replace(&format!("{{{name}}}"), "{id}");
        }
        key.replace("{device}", "{id}").replace("{policy}", "{seq}").replace("{draft}", "{version}")
    }

    /// Method and path for this target.
    pub(super) fn request(&self, target: &Target) -> (&'static str, String) {
        let (method, path) = self.route.split_once(' ').unwrap();
        let blake3 = "ab".repeat(32);
        let filled = [
            ("product", target.product.clone()),
            ("share", target.share.clone()),
            ("hold", target.hold.to_string()),
            ("hold_on_everyone", target.hold_on_everyone.to_string()),
            ("pin", target.pin.to_string()),
            ("rollout", target.rollout.to_string()),
            ("emergency", target.emergency.to_string()),
            ("token", target.token.to_string()),
            ("device_token", target.device_token.to_string()),
            ("upload", target.upload.clone()),
            ("policy", target.policy.to_string()),
            ("version", "3.0".into()),
            ("draft", "9.0".into()),
            ("device", "pc-1".into()),
            ("bundle", blake3.clone()),
            ("volume", "1".into()),
            ("blake3", blake3),
            ("key", "E7620F1842B4E81F".into()),
            ("site", "plant-7".into()),
        ];
        let path =
            filled.iter().fold(path.to_owned(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
        let query = if path == "/v1/explain" { format!("?product={}", target.product) } else { String::new() };
        (method, path + &query)
    }

    /// Whether a reach that names (or does not name) products and groups has what this is on.
    pub(super) fn is_within(&self, (products, groups): (bool, bool), target: &Target) -> bool {
        let product = !products || target.is_product_within;
        match self.on {
            On::Nothing => true,
            On::Product => product,
            On::ProductAndGroup => product && (!groups || target.is_group_within),
            On::ProductEverywhere => product && !groups,
            On::Everything => !products && !groups,
        }
    }
}
