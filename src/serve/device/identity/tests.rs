//! Every order and combination of credentials, and that nothing else of a request is an identity.

use std::sync::Arc;

use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::model::{Actor, Event, EventRecord, Role};
use crate::serve::certificate::CertificateNames;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn snapshot(events: Vec<Event>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for event in events {
        let seq = snapshot.seq() + 1;
        let hash = Blake3Digest::of(&seq.to_be_bytes());
        let record = EventRecord { seq, time: at(0), actor: Actor::system(), event, prev: snapshot.head(), hash };
        snapshot.apply(&record).unwrap();
    }
    snapshot
}

fn token(secret: &str, scope: TokenScope, expires_at: Option<Timestamp>) -> Event {
    Event::TokenCreated { scope, hash: Blake3Digest::of(secret.as_bytes()), expires_at }
}

fn device_token(device: &str) -> Event {
    token(device, TokenScope::Device(device.parse().unwrap()), None)
}

/// Tokens of `a`, `b` and the denied `d`, one that has expired, one that is revoked, and a person's.
fn world() -> Snapshot {
    let a = || TokenScope::Device("a".parse().unwrap());
    let person = TokenScope::Person { actor: Actor::admin(), role: Role::Admin, reach: Default::default() };
    snapshot(vec![
        device_token("a"),
        device_token("b"),
        device_token("d"),
        token("expired", a(), Some(at(1))),
        token("revoked", a(), None),
        Event::TokenRevoked { token: 5 },
        token("person", person, None),
        Event::DeviceDenied { device: "d".parse().unwrap(), reason: "stolen".parse().unwrap() },
    ])
}

fn options() -> DeviceOptions {
    let rules = ["san-uri urn:ringfence:device:*", "common-name *"];
    DeviceOptions {
        header_trusted_from: vec!["10.0.0.0/8".parse().unwrap()],
        certificate_identity: rules.iter().map(|rule| rule.parse().unwrap()).collect(),
        proxies: vec!["proxy".parse().unwrap()],
        ..DeviceOptions::default()
    }
}

fn certificate(uris: &[&str], common_name: Option<&str>) -> ClientCertificate {
    let uris = uris.iter().map(|name| format!("urn:ringfence:device:{name}")).collect();
    let common_name = common_name.map(Into::into);
    ClientCertificate(Arc::new(CertificateNames { uris, common_name, ..CertificateNames::default() }))
}

fn hash(credential: &str) -> Option<Blake3Digest> {
    bearer(credential).map(|secret| Blake3Digest::of(secret.as_bytes()))
}

fn ask(headers: &HeaderMap, certificate: Option<&ClientCertificate>, address: &str) -> Result<Option<String>, ()> {
    let shown = Shown { headers, certificate, address: Some(address.parse().unwrap()) };
    let found = identify(hash, &options(), &shown, &world(), at(10));
    found.map(|device| device.map(|device| device.to_string())).map_err(|BadCredential| ())
}

/// One request: its token, the name in its certificate, its header, whether its address is trusted.
type Row = (Option<&'static str>, Option<&'static str>, Option<&'static str>, bool);

fn row((token, name, header, is_trusted): Row) -> Result<Option<String>, ()> {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).unwrap());
    }
    if let Some(header) = header {
        headers.insert(&DEVICE_HEADER, HeaderValue::from_static(header));
    }
    let certificate = name.map(|name| certificate(&[name], None));
    ask(&headers, certificate.as_ref(), if is_trusted { "10.1.2.3" } else { "192.0.2.1" })
}

/// The rule, told once more in other words than the code's: `None` stands for a bad credential.
fn expected((token, name, header, is_trusted): Row) -> Option<Option<&'static str>> {
    let token = match token {
        Some(device @ ("a" | "b")) => Some(device),
        Some(_) => return None,
        None => None,
    };
    let is_proxy = name == Some("proxy");
    let name = name.filter(|_| !is_proxy);
    let is_named = name.is_none_or(|name| name.parse::<DeviceId>().is_ok());
    let device = match (token, name) {
        (Some(token), Some(name)) if is_named && token != name => return None,
        (Some(token), _) => Some(token),
        (None, Some(_)) if !is_named => return None,
        (None, Some(name)) => Some(name),
        (None, None) if !is_trusted => None,
        (None, None) => header,
    };
    if device.is_some_and(|device| device == "d" || device.parse::<DeviceId>().is_err()) { None } else { Some(device) }
}

#[test]
fn every_combination() {
    let tokens = [None, Some("a"), Some("b"), Some("d"), Some("expired"), Some("revoked"), Some("person"), Some("x")];
    let names = [None, Some("a"), Some("b"), Some("d"), Some("proxy"), Some("no name")];
    let headers = [None, Some("a"), Some("b"), Some("d"), Some("no name")];
    let mut good = 0;
    for token in tokens {
        for name in names {
            for header in headers {
                for is_trusted in [false, true] {
                    let case = (token, name, header, is_trusted);
                    let wanted = expected(case).map(|device| device.map(str::to_owned)).ok_or(());
                    good += usize::from(wanted.is_ok());
                    assert_eq!(row(case), wanted, "{case:?}");
                }
            }
        }
    }
    assert!(good > 50, "{good}");
}

#[test]
fn the_cases_that_matter_spelt_out() {
    let is = |case: Row, device: &str| assert_eq!(row(case), Ok(Some(device.into())), "{case:?}");
    let bad = |case: Row| assert_eq!(row(case), Err(()), "{case:?}");
    is((Some("a"), Some("a"), Some("b"), true), "a");
    is((None, Some("a"), Some("b"), true), "a");
    is((None, Some("proxy"), Some("b"), true), "b");
    is((Some("a"), Some("proxy"), Some("b"), true), "a");
    assert_eq!(row((None, Some("proxy"), Some("b"), false)), Ok(None), "a proxy's header counts from its address only");
    assert_eq!(row((None, None, Some("b"), false)), Ok(None));
    bad((Some("a"), Some("b"), None, true));
    bad((None, Some("d"), None, false));
    bad((Some("d"), None, None, false));
    bad((None, None, Some("d"), true));
    bad((Some("expired"), Some("a"), Some("a"), true));
    bad((None, Some("no name"), Some("a"), true));
}

#[test]
fn certificates_that_name_nobody_or_two() {
    let none = HeaderMap::new();
    let nameless = certificate(&[], None);
    assert_eq!(ask(&none, Some(&nameless), "10.0.0.1"), Err(()));
    assert_eq!(ask(&none, Some(&certificate(&["a", "b"], Some("a"))), "10.0.0.1"), Err(()));
    assert_eq!(ask(&none, Some(&certificate(&[], Some("b"))), "10.0.0.1"), Ok(Some("b".into())));
    let shown = Shown { headers: &none, certificate: Some(&certificate(&["a"], None)), address: None };
    let without_rules = DeviceOptions::default();
    assert_eq!(identify(hash, &without_rules, &shown, &world(), at(10)), Err(BadCredential), "no rule, no name");
}

#[test]
fn two_of_one_credential_are_bad() {
    let mut headers = HeaderMap::new();
    headers.append(&DEVICE_HEADER, HeaderValue::from_static("a"));
    headers.append(&DEVICE_HEADER, HeaderValue::from_static("a"));
    assert_eq!(ask(&headers, None, "10.0.0.1"), Err(()));
    assert_eq!(ask(&headers, None, "192.0.2.1"), Ok(None), "from elsewhere they are not looked at");
    headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
    headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
    assert_eq!(ask(&headers, None, "192.0.2.1"), Err(()));
}

/// Headers that somebody might hope to be taken for an identity, and any others.
fn any_headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let hopeful = prop_oneof![
        Just("ringfence-device"),
        Just("x-forwarded-for"),
        Just("forwarded"),
        Just("x-real-ip"),
        Just("x-device"),
        Just("x-ssl-client-s-dn"),
        Just("x-forwarded-client-cert"),
        Just("from"),
        Just("host"),
        Just("cookie"),
        Just("proxy-authorization"),
    ];
    let name = prop_oneof![hopeful.prop_map(str::to_owned), "[a-z][a-z0-9-]{0,20}"];
    let value = prop_oneof![Just("b".to_owned()), Just("Bearer b".to_owned()), "[ -~]{0,40}"];
    prop::collection::vec((name, value), 0..12)
}

proptest! {
    #[test]
    fn nothing_but_the_credential_is_an_identity(extra in any_headers(), by_token: bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in extra.iter().filter(|(name, _)| name != "authorization") {
            headers.append(HeaderName::try_from(name.as_str()).unwrap(), HeaderValue::try_from(value.as_str()).unwrap());
        }
        prop_assert_eq!(ask(&headers, None, "192.0.2.1"), Ok(None), "no credential, no identity");
        if by_token {
            headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        }
        let certificate = (!by_token).then(|| certificate(&["a"], None));
        for address in ["192.0.2.1", "10.0.0.1"] {
            prop_assert_eq!(ask(&headers, certificate.as_ref(), address), Ok(Some("a".into())));
        }
    }
}

/// What identification and the deny list cost a request, with 100,000 tokens and 10,000 denied devices. No test:
/// `cargo test --release -- --ignored measure_identity --nocapture` prints the figures.
#[test]
#[ignore = "prints figures, proves nothing"]
fn measure_identity() {
    const ROUNDS: u32 = 500_000;
    let key = crate::control::TokenKey::from_bytes([7; 32]);
    let secret = |n: u32| {
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        format!("rf_{}", URL_SAFE_NO_PAD.encode(bytes))
    };
    let keyed = |credential: &str| bearer(credential)?.parse().ok().map(|secret| key.hash(&secret));
    let name = |n: u32| format!("site{}-terminal-{n}.corp.example", n % 700);
    let created = (0..100_000).map(|n| Event::TokenCreated {
        scope: TokenScope::Device(name(n).parse().unwrap()),
        hash: keyed(&format!("Bearer {}", secret(n))).unwrap(),
        expires_at: None,
    });
    let denied = (0..10_000).map(|n| {
        let (device, reason) = (name(200_000 + n).parse().unwrap(), "lost".parse().unwrap());
        Event::DeviceDenied { device, reason }
    });
    let snapshot = snapshot(created.chain(denied).collect());
    let options = options();
    let with =
        |header: HeaderName, value: String| HeaderMap::from_iter([(header, HeaderValue::try_from(value).unwrap())]);
    let tokens: Vec<_> = (0..1000).map(|n| with(AUTHORIZATION, format!("Bearer {}", secret(n * 97)))).collect();
    let headers: Vec<_> = (0..1000).map(|n| with(DEVICE_HEADER.clone(), name(n * 97))).collect();
    let nothing = vec![HeaderMap::new(); 1000];
    let certificates: Vec<_> = (0..1000).map(|n| certificate(&[&name(n * 97)], None)).collect();
    for (what, headers, has_certificate) in [
        ("token", &tokens, false),
        ("certificate", &nothing, true),
        ("header", &headers, false),
        ("none", &nothing, false),
    ] {
        let begun = std::time::Instant::now();
        for round in 0..ROUNDS as usize {
            let certificate = has_certificate.then(|| &certificates[round % 1000]);
            let address = Some("10.0.0.1".parse().unwrap());
            let shown = Shown { headers: &headers[round % 1000], certificate, address };
            let found = identify(keyed, &options, &shown, &snapshot, at(10));
            assert_eq!(std::hint::black_box(found).unwrap().is_some(), what != "none");
        }
        println!("{what:12} {:6.3} µs a request", begun.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS));
    }
}
