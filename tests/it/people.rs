//! People: how far a role reaches, another user on the socket, an identity provider's tokens, last uses.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::support::tools::need;
use crate::support::{Answer, Run, Setup, TestServer, request, skip, wait_until};

fn as_bearer(server: &TestServer, method: &str, path: &str, token: &str, body: &Value) -> Answer {
    let authorization = format!("Bearer {token}");
    request(server.admin, method, path, &[("Authorization", &authorization)], body.to_string().as_bytes())
}

#[test]
fn a_role_reaches_what_its_token_names() {
    let server = TestServer::start();
    for product in ["defender-intel", "clam"] {
        server.cli(&["product", "add", product, "--class", "intelligence"]).ok();
    }
    let words = ["token", "create", "--actor", "bo", "--role", "operator", "--product", "defender-*"];
    let mut words = words.to_vec();
    words.extend(["--group", "canar*"]);
    let token = server.json(&words)["token"].as_str().unwrap().to_owned();
    let bo = |words: &[&str]| Run::of(server.command(words).env("RINGFENCE_TOKEN", &token));
    let hold = |product: &'static str, group: &'static str| {
        bo(&["hold", "add", product, "--group", group, "--reason", "for the test", "--yes"])
    };
    hold("defender-intel", "canaries").ok();
    let seq = server.journal_seq();
    hold("defender-intel", "everyone").complains(5, &["the role does not reach group everyone"]);
    hold("clam", "canaries").complains(5, &["the role does not reach product clam"]);
    bo(&["hold", "add", "defender-intel", "--everyone", "--reason", "for the test", "--yes"])
        .complains(5, &["all groups"]);
    bo(&["policy", "apply", server.root().join("policy.toml").to_str().unwrap(), "--yes"]).exits(5);
    bo(&["product", "list"]).ok();
    assert_eq!(server.journal_seq(), seq);
    let table = server.cli(&["token", "list"]).ok().stdout;
    assert!(table.contains("products defender-*; groups canar*") && table.contains("everywhere"), "{table}");
    server.cli(&["token", "create", "--device", "d", "--product", "x"]).exits(2);
}

#[test]
fn another_user_of_the_machine_is_refused() {
    need!("people::another_user_of_the_machine_is_refused", "setpriv", "curl");
    if !rustix::process::geteuid().is_root() {
        skip("people::another_user_of_the_machine_is_refused", "only root can become another user");
        return;
    }
    let server = TestServer::start();
    let socket = server.data().join("admin.sock");
    let ask = |uid: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", uid, "--regid", uid, "--clear-groups", "curl", "-s", "-o", "/dev/null"]);
        command.args(["-w", "%{http_code}", "--unix-socket"]).arg(&socket).arg("http://x/v1/status");
        Run::of(&mut command)
    };
    assert_eq!(ask("0").ok().stdout, "200");
    assert_ne!(ask("65534").code, 0, "the socket's mode lets nobody else connect");
    // Even with every door open, the kernel says who it is. Those that are not the test's own stay as they are.
    let own = server.root().parent().unwrap();
    for place in socket.ancestors().take_while(|place| place.starts_with(own)) {
        std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    assert_eq!(ask("65534").ok().stdout, "401");
    assert_eq!(ask("0").ok().stdout, "200");
}

/// An identity provider's key: what signs, and what is published.
struct Signer {
    key: EncodingKey,
    kid: &'static str,
    jwk: Value,
}

impl Signer {
    fn new(kid: &'static str) -> Self {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let point = pair.public_key_raw();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": x, "y": y});
        Self { key: EncodingKey::from_ec_der(&pair.serialize_der()), kid, jwk }
    }

    fn token(&self, name: &str, roles: &[&str]) -> String {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let claims = json!({"iss": "https://login.corp", "aud": ["ringfence"], "email": name, "roles": roles,
            "nbf": now - 5, "exp": now + 600});
        let header = Header { kid: Some(self.kid.into()), ..Header::new(Algorithm::ES256) };
        encode(&header, &claims, &self.key).unwrap()
    }
}

const OIDC: &str = r#"
[[person]]
name = "ada@corp"
role = "operator"
groups = ["canaries"]
[oidc]
issuer = "https://login.corp"
audience = "ringfence"
jwks_file = "jwks.json"
name_claim = "email"
roles_claim = "roles"
[oidc.roles]
editors = "publisher"
"#;

fn put_keys(root: &Path, keys: &[&Value]) {
    std::fs::write(root.join("jwks.next"), json!({ "keys": keys }).to_string()).unwrap();
    std::fs::rename(root.join("jwks.next"), root.join("jwks.json")).unwrap();
}

#[test]
fn an_identity_providers_tokens_are_taken_and_their_keys_change() {
    let setup = Setup::new().config(OIDC);
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    put_keys(setup.root(), &[&old.jwk]);
    let server = setup.start();
    let product = json!({"name": "feed", "class": "intelligence"});
    let status = |token: &str| as_bearer(&server, "GET", "/v1/status", token, &json!({})).status;
    let eve = old.token("eve@corp", &["editors"]);
    as_bearer(&server, "POST", "/v1/products", &eve, &product).expect(201);
    let journal = server.api("GET", "/v1/journal?limit=1000", None).json();
    assert!(journal["events"].as_array().unwrap().iter().any(|event| event["actor"] == "eve@corp"), "{journal}");
    // Whom the file names has its role and reach, whatever the token says.
    let ada = old.token("ada@corp", &["editors"]);
    let hold = |group: &str| json!({"product": "feed", "group": group, "reason": "for the test"});
    as_bearer(&server, "POST", "/v1/holds", &ada, &hold("canaries")).expect(201);
    as_bearer(&server, "POST", "/v1/holds", &ada, &hold("everyone")).expect(403);
    as_bearer(&server, "POST", "/v1/products", &ada, &product).expect(403);
    assert_eq!(status(&old.token("nobody@corp", &["others"])), 401);
    assert_eq!(status(&new.token("eve@corp", &["editors"])), 401);
    // The command line takes such a token as any other.
    Run::of(server.command(&["product", "list"]).env("RINGFENCE_TOKEN", &eve)).ok();
    put_keys(server.root(), &[&new.jwk]);
    let later = new.token("eve@corp", &["editors"]);
    wait_until("the new keys are read by themselves", || (status(&later) == 200).then_some(()));
    assert_eq!(status(&eve), 401);
    put_keys(server.root(), &[&new.jwk, &json!({"kty": "oct", "kid": "x", "k": "c2VjcmV0"})]);
    server.signal(rustix::process::Signal::HUP);
    wait_until("a bad set is complained of", || server.log().contains("is a shared secret").then_some(()));
    assert_eq!(status(&later), 200, "what was in force stays");
}

#[test]
fn a_server_does_not_start_on_keys_that_nobody_should_trust() {
    let setup = Setup::new().config(OIDC);
    put_keys(setup.root(), &[&json!({"kty": "oct", "kid": "x", "k": "c2VjcmV0"})]);
    setup.start_and_fail().complains(3, &["jwks.json is refused", "key \"x\" is a shared secret"]);
    Setup::new().config(OIDC).start_and_fail().complains(3, &["jwks.json cannot be read"]);
}

#[test]
fn when_a_token_was_last_used_outlives_a_restart() {
    let mut server = TestServer::start();
    let created = server.json(&["token", "create", "--device", "canary-1"]);
    let (id, secret) = (created["id"].clone(), created["token"].as_str().unwrap().to_owned());
    let listed = |server: &TestServer| {
        let list = server.json(&["token", "list"]);
        list["tokens"].as_array().unwrap().iter().find(|token| token["id"] == id).unwrap().clone()
    };
    assert!(listed(&server).get("last_used_at").is_none());
    let authorization = format!("Bearer {secret}");
    request(server.device, "GET", "/v1/offers/none", &[("Authorization", &authorization)], b"").expect(404);
    let used = listed(&server);
    assert_eq!(used["last_used_on"], "device", "{used}");
    assert!(server.stop().success());
    server.start_again();
    assert_eq!(listed(&server), used);
    let table = server.cli(&["token", "list"]).ok().stdout;
    assert!(table.contains("on device") && table.contains("on admin"), "{table}");
}
