//! An admin API over a real data directory, with two of everything: one within a limited reach, one outside.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use http::{Method, Request};
use jiff::{SignedDuration, Timestamp};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use crate::bundle::{ImportOptions, Imports};
use crate::catalog::Catalog;
use crate::catalog::testing::{World as Data, actor, parse};
use crate::control::{TokenKey, create_token, revoke_token};
use crate::model::{Actor, Reach, Role, TokenScope};
use crate::publish::testing::LIMITS;
use crate::publish::{Publisher, Uploads};
use crate::serve::Peer;
use crate::serve::admin::{
    About, AdminApi, AdminServices, Maintenance, MaintenanceError, People, RebuildResult, StoreCheck, StoreStats,
    SweepResult,
};
use crate::serve::certificate::{CertificateNames, ClientCertificate};
use crate::share::Shares;
use crate::telemetry::Metrics;

pub(super) const POLICY: &str = r#"
[approve]
intelligence = "other"
platform = "other"
[[ring]]
name = "broad"
[[group]]
name = "labs"
match = { tag = "lab" }
ring = "broad"
[[group]]
name = "desk"
match = "any"
ring = "broad"
[plan.intelligence]
start = "manual"
emergency = { bake_times = 0.1, approvers = [APPROVERS] }
[plan.intelligence.broad]
waves = ["50% bake 1h", "100% bake 1h"]
gate = { samples = 20, failures = "2%", silence = "5%", within = "30m" }
SHARES
"#;

pub(super) const ROLES: [Role; 5] = [Role::Auditor, Role::Publisher, Role::Approver, Role::Operator, Role::Admin];

/// Whether a reach names products, and whether it names groups.
pub(super) const REACHES: [(bool, bool); 3] = [(false, false), (true, false), (true, true)];

/// One of everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Target {
    pub(super) product: String,
    pub(super) group: String,
    pub(super) is_product_within: bool,
    pub(super) is_group_within: bool,
    pub(super) share: String,
    pub(super) hold: u64,
    pub(super) hold_on_everyone: u64,
    pub(super) pin: u64,
    pub(super) rollout: u64,
    pub(super) emergency: u64,
    pub(super) token: u64,
    pub(super) device_token: u64,
    pub(super) upload: String,
    pub(super) policy: u64,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

pub(super) struct World {
    pub(super) data: Data,
    pub(super) catalog: Arc<Catalog>,
    pub(super) api: AdminApi,
    pub(super) text: String,
    /// Secrets by role and reach.
    pub(super) secrets: BTreeMap<(usize, usize), String>,
    key: TokenKey,
}

struct NoStore;

impl Maintenance for NoStore {
    fn stats(&self) -> Result<StoreStats, MaintenanceError> {
        Ok(StoreStats { blobs: 0, bytes: 0, index_bytes: 0, uploads_open: 0, free_bytes: 0 })
    }

    fn verify(&self) -> Result<StoreCheck, MaintenanceError> {
        Ok(StoreCheck { checked: 0, checked_bytes: 0, damaged: Vec::new(), missing: Vec::new(), took_ms: 0 })
    }

    fn scrub(&self) -> Result<StoreCheck, MaintenanceError> {
        self.verify()
    }

    fn sweep(&self) -> Result<SweepResult, MaintenanceError> {
        Ok(SweepResult { examined: 0, removed: 0, removed_bytes: 0, took_ms: 0 })
    }

    fn rebuild(&self) -> Result<RebuildResult, MaintenanceError> {
        Ok(RebuildResult { blobs: 0, took_ms: 0 })
    }
}

/// The name of the person with this role and reach.
pub(super) fn name_of(role: usize, reach: usize) -> String {
    format!("{}-{reach}", ROLES[role])
}

pub(super) fn reach_of((products, groups): (bool, bool)) -> Reach {
    let products: &[&str] = if products { &["intel*"] } else { &[] };
    let groups: &[&str] = if groups { &["labs"] } else { &[] };
    serde_json::from_value(json!({ "products": products, "groups": groups })).unwrap()
}

impl World {
    pub(super) async fn new() -> Self {
        let data = Data::new();
        let catalog = data.catalog();
        let uploads = Uploads::new(catalog.store().clone(), crate::publish::UploadLimits { open_max: 4_000, ..LIMITS });
        let people = [("cert-ada", Role::Operator), ("admin-2", Role::Auditor)];
        let key = TokenKey::from_bytes([7; 32]);
        let imports = ImportOptions { dir: data.dir.path().join("imports"), ..ImportOptions::default() };
        let api = AdminApi::new(AdminServices {
            publisher: Arc::new(Publisher::new(catalog.clone(), uploads, 8, crate::publish::GateOptions::default())),
            shares: Arc::new(Shares::new(catalog.clone())),
            exporter: Arc::new(
                crate::bundle::Exporter::open(catalog.clone(), data.dir.path(), SignedDuration::from_hours(1)).unwrap(),
            ),
            imports: Arc::new(Imports::open(catalog.clone(), imports).unwrap()),
            download_grace: SignedDuration::from_hours(1),
            token_key: key.clone(),
            metrics: Metrics::new(Registry::default()),
            maintenance: Arc::new(NoStore),
            readiness: Box::new(|| Ok(())),
            about: About {
                started_at: catalog.now(),
                data: data.dir.path().to_owned(),
                journal_dir: data.options.journal_dir.clone(),
                listeners: BTreeMap::new(),
            },
            json_body_max_bytes: 1 << 20,
            catalog: catalog.clone(),
            people: people.into_iter().map(|(name, role)| (parse(name), role, Reach::default())).collect::<People>(),
            oidc: None,
            origin: crate::control::testing::origin(),
            code_valid_for: SignedDuration::from_hours(24),
            certificate_identity: vec!["san-dns *.people.corp".parse().unwrap()],
        });
        let mut world = Self { data, catalog, api, text: String::new(), secrets: BTreeMap::new(), key };
        world.people().await;
        world
    }

    async fn people(&mut self) {
        let mut approvers = Vec::new();
        for (role, known) in ROLES.into_iter().enumerate() {
            for (place, reach) in REACHES.into_iter().enumerate() {
                approvers.push(format!("{:?}", name_of(role, place)));
                let scope =
                    TokenScope::Person { actor: actor(&name_of(role, place)), role: known, reach: reach_of(reach) };
                let secret = self.token(scope, None).await.1;
                self.secrets.insert((role, place), secret);
            }
        }
        let shares: String = [("intel", "labs"), ("other", "labs"), ("intel", "desk")]
            .map(|(product, group)| {
                format!("[[share]]\nname = \"{product}-{group}\"\ngroup = \"{group}\"\nlayout = \"plain\"\nproducts = [\"{product}\"]\n")
            })
            .concat();
        self.text = POLICY.replace("APPROVERS", &approvers.join(", ")).replace("SHARES", &shares);
        for product in ["intel", "other"] {
            self.root("POST", "/v1/products", &json!({"name": product, "class": "intelligence"})).await;
        }
        let applied = self.send(Method::POST, "/v1/policy/apply", &[], self.text.clone(), |_| {}).await;
        assert_eq!(applied.status, 200, "{applied:?}");
        for product in ["intel", "other"] {
            for version in ["1.0", "2.0", "3.0", "9.0"] {
                self.publish(product, version).await;
            }
            // 9.0 stays a draft; 2.0 is what emergencies are asked for.
            for version in ["1.0", "2.0", "3.0"] {
                let path = format!("/v1/products/{product}/releases/{version}/approve");
                let answer = self.as_person((4, 0), "POST", &path, "{}").await;
                assert_eq!(answer.status, 200, "{answer:?}");
            }
        }
    }

    /// As the unix socket's root, which must succeed.
    pub(super) async fn root(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.send(method.parse().unwrap(), path, &[], body.to_string(), |_| {}).await;
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        answer.body
    }

    async fn publish(&self, product: &str, version: &str) {
        let upload = self.upload(version).await;
        let body = json!({"version": version, "artifacts": [{"target": "file", "upload": upload}]});
        self.root("POST", &format!("/v1/products/{product}/releases"), &body).await;
    }

    /// A complete upload of root's.
    pub(super) async fn upload(&self, text: &str) -> String {
        let length = text.len().to_string();
        let opened = self.send(Method::POST, "/v1/uploads", &[("upload-length", &length)], String::new(), |_| {}).await;
        let id = opened.body["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/uploads/{id}");
        let sent = self.send(Method::PATCH, &path, &[("upload-offset", "0")], text.to_owned(), |_| {}).await;
        assert_eq!(sent.status, 204);
        id
    }

    pub(super) async fn token(&self, scope: TokenScope, expires_at: Option<Timestamp>) -> (u64, String) {
        let created = create_token(&self.catalog, &Actor::admin(), &self.key, scope, expires_at).await.unwrap();
        (created.0.id, created.1.expose())
    }

    pub(super) async fn revoke(&self, token: u64) {
        revoke_token(&self.catalog, &Actor::admin(), token).await.unwrap();
    }

    /// One of everything for each product and group; the first lies within every reach.
    pub(super) async fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        for (product, group) in [("intel", "labs"), ("other", "labs"), ("intel", "desk")] {
            let id = |answer: Value| answer["id"].as_u64().unwrap();
            let on = |extra: Value| {
                let mut body = json!({"product": product, "reason": "for the test"});
                body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
                body
            };
            let rollouts = self.root("GET", &format!("/v1/rollouts?product={product}"), &json!({})).await;
            let mut rollouts = rollouts["rollouts"].as_array().unwrap().iter();
            let rollout = rollouts.find(|found| found["kind"] == "release").unwrap()["id"].as_u64().unwrap();
            let emergencies = self.root("GET", &format!("/v1/rollouts?product={product}&state=all"), &json!({})).await;
            let known = emergencies["rollouts"].as_array().unwrap().iter().find(|found| found["kind"] == "expedite");
            let emergency = match known {
                Some(known) => known["id"].as_u64().unwrap(),
                None => {
                    let asked = json!({"product": product, "version": "2.0", "criteria": "exploited in the wild"});
                    id(self.root("POST", "/v1/rollouts/expedite", &asked).await)
                }
            };
            let reach = json!({"products": [product], "groups": [group]});
            let reach: Reach = serde_json::from_value(reach).unwrap();
            let scope = TokenScope::Person { actor: actor("victim"), role: Role::Auditor, reach };
            targets.push(Target {
                product: product.into(),
                group: group.into(),
                is_product_within: product == "intel",
                is_group_within: group == "labs",
                share: format!("{product}-{group}"),
                hold: id(self.root("POST", "/v1/holds", &on(json!({"group": group}))).await),
                hold_on_everyone: id(self.root("POST", "/v1/holds", &on(json!({"version": "1.0"}))).await),
                pin: id(self.root("POST", "/v1/pins", &on(json!({"group": group, "version": "1.0"}))).await),
                rollout,
                emergency,
                token: self.token(scope, None).await.0,
                device_token: self.token(TokenScope::Device(parse("pc-1")), None).await.0,
                upload: self.upload("x").await,
                policy: self.catalog.snapshot().policies().last().unwrap().seq,
            });
        }
        targets
    }

    /// As the person with this role and reach.
    pub(super) async fn as_person(&self, who: (usize, usize), method: &str, path: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {}", self.secrets[&who]);
        let headers = [("authorization", bearer.as_str()), ("upload-length", "3"), ("upload-offset", "0")];
        self.send(method.parse().unwrap(), path, &headers, body.to_owned(), from_tcp).await
    }

    /// Over the unix socket as root, unless `change` puts another peer in its place.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
        change: impl FnOnce(&mut http::Extensions),
    ) -> Answer {
        self.send_bytes(method, path, headers, body.into_bytes(), change).await
    }

    pub(super) async fn send_bytes(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
        change: impl FnOnce(&mut http::Extensions),
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body)).unwrap();
        request.extensions_mut().insert(Peer::Unix { uid: 0 });
        change(request.extensions_mut());
        let response = self.api.call(request).await;
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 8 << 20).await.unwrap();
        Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() }
    }
}

pub(super) fn from_tcp(extensions: &mut http::Extensions) {
    extensions.insert(Peer::Tcp("127.0.0.1".parse().unwrap()));
}

/// Over TLS, with a client certificate of this DNS name.
pub(super) fn with_certificate(dns: &str) -> impl FnOnce(&mut http::Extensions) {
    let names = CertificateNames { dns: vec![dns.to_owned()], ..CertificateNames::default() };
    move |extensions| {
        from_tcp(extensions);
        extensions.insert(ClientCertificate(Arc::new(names)));
    }
}
