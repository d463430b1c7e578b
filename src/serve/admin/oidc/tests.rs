//! Tokens of an identity provider: which are taken, and every way in which one is not.

use jsonwebtoken::{Algorithm, EncodingKey, encode};
use rcgen::{KeyPair, RsaKeySize, SignatureAlgorithm};
use serde_json::{Value, json};

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const NOW: i64 = 1_800_000_000;

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key that signs, and what the provider publishes of it.
struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
    jwk: Value,
}

impl Signer {
    fn ec(kid: &str) -> Self {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let point = pair.public_key_raw();
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig",
            "x": b64(&point[1..33]), "y": b64(&point[33..])});
        Self { key: EncodingKey::from_ec_der(&pair.serialize_der()), algorithm: Algorithm::ES256, jwk }
    }

    fn other(kid: &str, by: &'static SignatureAlgorithm, (algorithm, crv): (Algorithm, &str)) -> Self {
        let pair = KeyPair::generate_for(by).unwrap();
        let raw = pair.public_key_raw();
        let half = raw.len().div_ceil(2);
        let (key, jwk) = match algorithm {
            Algorithm::EdDSA => {
                let jwk = json!({"kty": "OKP", "crv": crv, "kid": kid, "x": b64(raw)});
                (EncodingKey::from_ed_der(&pair.serialize_der()), jwk)
            }
            _ => {
                let jwk = json!({"kty": "EC", "crv": crv, "kid": kid, "x": b64(&raw[1..half]), "y": b64(&raw[half..])});
                (EncodingKey::from_ec_der(&pair.serialize_der()), jwk)
            }
        };
        Self { key, algorithm, jwk }
    }

    fn rsa(kid: &str, algorithm: Algorithm) -> Self {
        let pair = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        // RSAPublicKey: a sequence of the modulus (257 bytes, the first of them 0) and the exponent 65537.
        let raw = pair.public_key_raw();
        let (n, e) = (&raw[8..8 + 257], &raw[raw.len() - 3..]);
        let jwk = json!({"kty": "RSA", "kid": kid, "alg": format!("{algorithm:?}"), "n": b64(n), "e": b64(e)});
        // PKCS #8 has 26 bytes before the key itself.
        Self { key: EncodingKey::from_rsa_der(&pair.serialize_der()[26..]), algorithm, jwk }
    }

    fn sign_with(&self, header: impl FnOnce(&mut jsonwebtoken::Header), claims: &Value) -> String {
        let mut head = jsonwebtoken::Header::new(self.algorithm);
        head.kid = self.jwk["kid"].as_str().map(Into::into);
        header(&mut head);
        encode(&head, claims, &self.key).unwrap()
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_with(|_| {}, claims)
    }
}

fn claims() -> Value {
    json!({"iss": "https://login.corp", "aud": "ringfence", "sub": "ada@corp", "exp": NOW + 300, "nbf": NOW - 10})
}

fn with(key: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[key] = value;
    claims
}

fn without(key: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(key);
    claims
}

struct Provider {
    dir: tempfile::TempDir,
    options: OidcOptions,
}

impl Provider {
    fn new(keys: &[&Value]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = OidcOptions {
            issuer: "https://login.corp".into(),
            audience: "ringfence".into(),
            jwks_file: dir.path().join("jwks.json"),
            name_claim: "sub".into(),
            roles_claim: Some("realm.roles".into()),
            roles: [("ops", Role::Operator), ("app", Role::Approver), ("look", Role::Auditor), ("root", Role::Admin)]
                .map(|(value, role)| (value.to_owned(), role))
                .into(),
            is_nbf_required: true,
        };
        let provider = Self { dir, options };
        provider.publish(keys);
        provider
    }

    /// Puts a new file in place of the old one, as tools that replace files do.
    fn publish(&self, keys: &[&Value]) {
        let next = self.dir.path().join("next");
        std::fs::write(&next, json!({ "keys": keys }).to_string()).unwrap();
        std::process::Command::new("mv").arg(&next).arg(&self.options.jwks_file).status().unwrap();
    }

    fn open(&self) -> Oidc {
        Oidc::open(self.options.clone()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn refused(&self) -> String {
        let path = self.options.jwks_file.display().to_string();
        let error = Oidc::open(self.options.clone()).err().expect("the set should be refused");
        error.to_string().replace(&path, "FILE")
    }
}

fn at(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(seconds).unwrap()
}

fn verify(oidc: &Oidc, token: &str) -> Result<Subject, IdTokenRefusal> {
    oidc.verify(token, at(NOW))
}

#[test]
fn every_algorithm_that_is_taken() {
    let signers = [
        Signer::ec("a"),
        Signer::other("b", &rcgen::PKCS_ECDSA_P384_SHA384, (Algorithm::ES384, "P-384")),
        Signer::other("c", &rcgen::PKCS_ED25519, (Algorithm::EdDSA, "Ed25519")),
        Signer::rsa("d", Algorithm::RS256),
        Signer::rsa("e", Algorithm::PS512),
    ];
    let keys: Vec<&Value> = signers.iter().map(|signer| &signer.jwk).collect();
    let oidc = Provider::new(&keys).open();
    for signer in &signers {
        let subject = verify(&oidc, &signer.sign(&claims())).unwrap_or_else(|error| panic!("{error} {}", signer.jwk));
        assert_eq!((subject.name.as_str(), subject.role), ("ada@corp", None));
        // Another key's name, and none at all where there are several.
        for kid in [Some("zz"), Some("a").filter(|_| signer.algorithm != Algorithm::ES256), None] {
            let token = signer.sign_with(|header| header.kid = kid.map(Into::into), &claims());
            assert_eq!(verify(&oidc, &token), Err(IdTokenRefusal::Signature), "{kid:?}");
        }
    }
}

#[test]
fn the_algorithm_is_the_keys_and_never_the_tokens() {
    let rsa = Signer::rsa("r", Algorithm::RS256);
    let oidc = Provider::new(&[&rsa.jwk]).open();
    // The key is for RS256 alone.
    let token = rsa.sign_with(|header| header.alg = Algorithm::PS256, &claims());
    assert_eq!(verify(&oidc, &token), Err(IdTokenRefusal::Signature));
    // The public key as a shared secret: the classic confusion.
    let secret = EncodingKey::from_secret(rsa.jwk["n"].as_str().unwrap().as_bytes());
    let mut header = jsonwebtoken::Header::new(Algorithm::HS256);
    header.kid = Some("r".into());
    let token = encode(&header, &claims(), &secret).unwrap();
    assert_eq!(verify(&oidc, &token), Err(IdTokenRefusal::Algorithm));
    for alg in ["none", "None", "HS512", "ES512", "ES256K", "", "rs256"] {
        let header = b64(json!({"alg": alg, "kid": "r"}).to_string().as_bytes());
        let token = format!("{header}.{}.", b64(claims().to_string().as_bytes()));
        assert_eq!(verify(&oidc, &token), Err(IdTokenRefusal::Algorithm), "{alg}");
    }
}

#[test]
fn what_is_not_a_token() {
    let ec = Signer::ec("a");
    let oidc = Provider::new(&[&ec.jwk]).open();
    let good = ec.sign(&claims());
    assert!(verify(&oidc, &good).is_ok());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    let forged = b64(with("sub", json!("eve")).to_string().as_bytes());
    let twice = b64(br#"{"alg":"ES256","alg":"ES256","kid":"a"}"#);
    let critical = b64(br#"{"alg":"ES256","kid":"a","crit":["exp"],"exp":1}"#);
    let cases = [
        (String::new(), IdTokenRefusal::NotAToken),
        ("a.b".into(), IdTokenRefusal::NotAToken),
        (format!("{good}.x"), IdTokenRefusal::NotAToken),
        (format!("{twice}.{payload}.{signature}"), IdTokenRefusal::NotAToken),
        (format!("{critical}.{payload}.{signature}"), IdTokenRefusal::NotAToken),
        (format!("{header}.{forged}.{signature}"), IdTokenRefusal::Signature),
        (format!("{header}.{payload}."), IdTokenRefusal::Signature),
        (format!("{header}.{payload}.!"), IdTokenRefusal::Signature),
        (format!("{good}{}", "A".repeat(16 << 10)), IdTokenRefusal::TooLong),
        (Signer::ec("a").sign(&claims()), IdTokenRefusal::Signature),
    ];
    for (token, expected) in cases {
        assert_eq!(verify(&oidc, &token), Err(expected), "{token}");
    }
}

#[test]
fn claims_are_all_checked() {
    use IdTokenRefusal as R;
    let ec = Signer::ec("a");
    let oidc = Provider::new(&[&ec.jwk]).open();
    let missing = |claim: &str| R::Claim(claim.to_owned());
    let cases = [
        (without("iss"), missing("iss")),
        (with("iss", json!("https://login.corp/")), R::Issuer),
        (with("iss", json!(["https://login.corp"])), R::Issuer),
        (without("aud"), missing("aud")),
        (with("aud", json!("other")), R::Audience),
        (with("aud", json!([])), R::Audience),
        (with("aud", json!({"ringfence": 1})), R::Audience),
        (without("exp"), missing("exp")),
        (with("exp", json!("soon")), missing("exp")),
        (with("exp", json!(NOW - 60)), R::Expired),
        (with("exp", json!(-1)), R::Expired),
        (without("nbf"), missing("nbf")),
        (with("nbf", json!(NOW + 61)), R::Early),
        (with("nbf", json!(null)), missing("nbf")),
        (without("sub"), missing("sub")),
        (with("sub", json!("two words")), missing("sub")),
        (with("sub", json!(7)), missing("sub")),
        (with("sub", json!("uid:0")), missing("sub")),
        (with("sub", json!("ringfence")), missing("sub")),
    ];
    for (claims, expected) in cases {
        assert_eq!(verify(&oidc, &ec.sign(&claims)), Err(expected), "{claims}");
    }
    for good in [
        with("aud", json!(["other", "ringfence"])),
        with("exp", json!(NOW - 59)),
        with("exp", json!(NOW as f64 + 0.5)),
        with("nbf", json!(NOW + 60)),
    ] {
        assert!(verify(&oidc, &ec.sign(&good)).is_ok(), "{good}");
    }
    assert_eq!(verify(&oidc, &ec.sign(&json!(["x"]))), Err(R::NotAToken));
    let mut provider = Provider::new(&[&ec.jwk]);
    provider.options.is_nbf_required = false;
    assert!(verify(&provider.open(), &ec.sign(&without("nbf"))).is_ok());
    assert_eq!(verify(&provider.open(), &ec.sign(&with("nbf", json!(NOW + 61)))), Err(R::Early));
}

#[test]
fn a_person_has_one_role() {
    let ec = Signer::ec("a");
    let oidc = Provider::new(&[&ec.jwk]).open();
    let role = |roles: Value| verify(&oidc, &ec.sign(&with("realm", json!({ "roles": roles }))));
    let cases = [
        (json!(["ops", "unknown"]), Some(Role::Operator)),
        (json!("app"), Some(Role::Approver)),
        (json!(["look"]), Some(Role::Auditor)),
        (json!(["look", "ops", "ops"]), Some(Role::Operator)),
        (json!(["ops", "app", "root"]), Some(Role::Admin)),
        (json!([]), None),
        (json!(["operator"]), None),
        (json!({"ops": true}), None),
    ];
    for (roles, expected) in cases {
        assert_eq!(role(roles.clone()).unwrap().role, expected, "{roles}");
    }
    assert_eq!(role(json!(["ops", "look", "app"])), Err(IdTokenRefusal::Roles));
    let whole = verify(&oidc, &ec.sign(&with("realm.roles", json!(["app"])))).unwrap();
    assert_eq!(whole.role, Some(Role::Approver), "a claim of the whole name comes first");
}

#[test]
fn a_set_with_one_bad_key_is_refused_as_a_whole() {
    let good = Signer::ec("a").jwk;
    let rsa = |bytes: usize, e: &[u8]| {
        let mut n = vec![0xff; bytes];
        n.insert(0, 0);
        json!({"kty": "RSA", "kid": "b", "n": b64(&n), "e": b64(e)})
    };
    let odd = [1_u8, 0, 1];
    let private = json!({"kty": "EC", "crv": "P-256", "kid": "b", "x": good["x"], "y": good["y"], "d": "AA"});
    let mut unnamed = good.clone();
    unnamed.as_object_mut().unwrap().remove("kid");
    let cases = [
        (json!({"kty": "oct", "kid": "b", "k": "c2VjcmV0"}), "key \"b\" is a shared secret"),
        (json!({"kty": "RSA", "kid": "b", "alg": "HS256", "n": "AQ", "e": "AQAB"}), "key \"b\" is a shared secret"),
        (json!({"kty": "EC", "kid": "b", "alg": "none", "crv": "P-256"}), "key \"b\" has the algorithm \"none\""),
        (rsa(128, &odd), "key \"b\" is RSA of 1024 bits; at least 2048 are needed"),
        (rsa(255, &odd), "key \"b\" is RSA of 2040 bits"),
        (rsa(2048, &odd), "key \"b\" is RSA of 16384 bits; at most 8192 are taken"),
        (rsa(256, &[1]), "key \"b\" is RSA with a modulus or exponent"),
        (rsa(256, &[1, 0]), "key \"b\" is RSA with a modulus or exponent"),
        (private, "key \"b\" is a private key"),
        (json!({"kty": "EC", "crv": "P-256", "kid": "b", "x": "AA", "y": "AA"}), "key \"b\" has no \"x\" and \"y\""),
        (json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), "key number 2 has no \"x\" of 32 bytes"),
        (good.clone(), "two of its keys have the kid \"a\""),
        (unnamed, "it has several keys, so each needs a \"kid\""),
    ];
    for (bad, expected) in cases {
        let message = Provider::new(&[&good, &bad]).refused();
        assert!(message.starts_with(&format!("the key set FILE is refused: {expected}")), "{message}");
    }
    let unusable = [
        json!({"kty": "EC", "crv": "P-521", "kid": "b"}),
        json!({"kty": "OKP", "crv": "X25519", "kid": "b", "x": "AA"}),
        json!({"kty": "AKP", "kid": "b", "alg": "ML-DSA-44"}),
        json!({"kty": "RSA", "kid": "b", "use": "enc", "alg": "RSA-OAEP", "n": rsa(256, &odd)["n"], "e": "AQAB"}),
    ];
    for other in unusable {
        assert_eq!(Provider::new(&[&good, &other]).open().keys.load().len(), 1, "{other} is for something else");
        assert!(Provider::new(&[&other]).refused().contains("none of its keys can verify"), "{other}");
    }
    let provider = Provider::new(&[]);
    for text in ["", "[]", "{\"keys\": 1}", "{\"keys\": [{}]}"] {
        std::fs::write(&provider.options.jwks_file, text).unwrap();
        assert!(provider.refused().contains("no JSON web key set"), "{text}");
    }
    std::fs::write(&provider.options.jwks_file, " ".repeat((1 << 20) + 1)).unwrap();
    assert!(provider.refused().contains("larger than"));
}

#[test]
fn keys_change_with_their_file_and_bad_ones_never_take_over() {
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let provider = Provider::new(&[&old.jwk]);
    let oidc = provider.open();
    assert_eq!(oidc.reload_if_changed().unwrap(), None);
    provider.publish(&[&old.jwk, &new.jwk]);
    assert!(verify(&oidc, &new.sign(&claims())).is_err());
    assert_eq!(oidc.reload_if_changed().unwrap(), Some(2));
    assert!(verify(&oidc, &new.sign(&claims())).is_ok() && verify(&oidc, &old.sign(&claims())).is_ok());
    provider.publish(&[&new.jwk, &json!({"kty": "oct", "k": "AAAA"})]);
    assert!(oidc.reload_if_changed().is_err());
    assert_eq!(oidc.reload_if_changed().unwrap(), None, "what was refused is not read twice");
    assert!(oidc.reload().is_err(), "unless it is asked for");
    assert!(verify(&oidc, &old.sign(&claims())).is_ok(), "what was in force stays");
    std::process::Command::new("rm").arg(&provider.options.jwks_file).status().unwrap();
    assert!(oidc.reload_if_changed().is_err());
    assert_eq!(oidc.reload_if_changed().unwrap(), None);
    assert!(verify(&oidc, &old.sign(&claims())).is_ok());
    provider.publish(&[&new.jwk]);
    assert_eq!(oidc.reload_if_changed().unwrap(), Some(1));
    assert!(verify(&oidc, &old.sign(&claims())).is_err() && verify(&oidc, &new.sign(&claims())).is_ok());
}
