//! What the CA signs, and for whom it does not.

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, RsaKeySize, SanType, date_time_ymd,
};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::enrolment_ca::{Enrolment, SignError};
use super::error::AppError;
use crate::config::{EnrolCaFiles, EnrolSettings};
use crate::serve::IdentityRule;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

fn ca_params(year_of_end: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Enrolment CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(year_of_end, 1, 1);
    params
}

fn settings(dir: &Path, certificate: &str, key: &str) -> EnrolSettings {
    let files = EnrolCaFiles { certificate: dir.join("ca.pem"), key: dir.join("ca.key") };
    std::fs::write(&files.certificate, certificate).unwrap();
    std::fs::write(&files.key, key).unwrap();
    EnrolSettings { code_valid_for: DAY, token_valid_for: None, ca: Some(files), certificate_valid_for: 90 * DAY }
}

fn open(params: &CertificateParams, rules: &[&str]) -> Result<Enrolment, AppError> {
    let dir = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let rules: Vec<IdentityRule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    Enrolment::new(&settings(dir.path(), &certificate, &key.serialize_pem()), &rules, now())
}

fn csr(key: &KeyPair) -> String {
    CertificateParams::new(vec!["boss.corp".into()]).unwrap().serialize_request(key).unwrap().pem().unwrap()
}

fn der(pem: &str) -> Vec<u8> {
    x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap().1.contents
}

#[test]
fn a_certificate_says_what_the_enrolment_says() {
    let enrolment = open(&ca_params(2036), &["common-name *", "san-uri urn:corp:*:device"]).unwrap();
    let signed = enrolment.sign(&csr(&KeyPair::generate().unwrap()), &"pos-1".parse().unwrap(), now()).unwrap();
    assert_eq!(signed.chain.matches("BEGIN CERTIFICATE").count(), 2, "it and the CA");
    let bytes = der(&signed.chain);
    assert_eq!(signed.sha256, crate::model::Sha256Digest::of(&bytes).to_hex());
    let (_, read) = X509Certificate::from_der(&bytes).unwrap();
    assert_eq!(read.subject().to_string(), "CN=pos-1");
    let names = &read.subject_alternative_name().unwrap().unwrap().value.general_names;
    assert!(matches!(names.as_slice(), [GeneralName::URI("urn:corp:pos-1:device")]), "{names:?}");
    let usage = read.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any && usage.other.is_empty());
    assert!(!read.is_ca() && read.key_usage().unwrap().unwrap().value.flags == 1);
    let second = now().as_second();
    assert_eq!(read.validity().not_before.timestamp(), second - 300);
    assert_eq!(read.validity().not_after.timestamp(), second + 90 * 24 * 3600);
    assert_eq!(signed.not_after, now() + SignedDuration::from_hours(90 * 24));
    assert!((1..=20).contains(&read.raw_serial().len()) && read.raw_serial()[0] & 0x80 == 0);
    let (_, ca) =
        X509Certificate::from_der(&der(signed.chain.split_inclusive("END CERTIFICATE-----\n").nth(1).unwrap()))
            .map(|(rest, ca)| (rest.len(), ca.public_key().raw.to_vec()))
            .unwrap();
    let (_, ca) = x509_parser::x509::SubjectPublicKeyInfo::from_der(&ca).unwrap();
    read.verify_signature(Some(&ca)).unwrap();
    let other = enrolment.sign(&csr(&KeyPair::generate().unwrap()), &"pos-1".parse().unwrap(), now()).unwrap();
    assert_ne!(other.sha256, signed.sha256);
}

#[test]
fn names_of_any_length_and_the_default_uri() {
    let enrolment = open(&ca_params(2036), &[]).unwrap();
    let long = "d:@".repeat(42);
    let signed = enrolment.sign(&csr(&KeyPair::generate().unwrap()), &long.parse().unwrap(), now()).unwrap();
    let bytes = der(&signed.chain);
    let (_, read) = X509Certificate::from_der(&bytes).unwrap();
    assert_eq!(read.subject().to_string(), "");
    let san = read.subject_alternative_name().unwrap().unwrap();
    let uri = format!("urn:ringfence:device:{long}");
    assert!(san.critical && matches!(san.value.general_names.as_slice(), [GeneralName::URI(found)] if **found == *uri));
}

#[test]
fn good_keys_are_taken_and_no_others() {
    let enrolment = open(&ca_params(2036), &[]).unwrap();
    let sign = |csr: &str| enrolment.sign(csr, &"d".parse().unwrap(), now());
    let key = |algorithm| KeyPair::generate_for(algorithm).unwrap();
    let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA384, size).unwrap();
    for key in [
        key(&rcgen::PKCS_ECDSA_P256_SHA256),
        key(&rcgen::PKCS_ECDSA_P384_SHA384),
        key(&rcgen::PKCS_ED25519),
        rsa(RsaKeySize::_2048),
        rsa(RsaKeySize::_3072),
    ] {
        let signed = sign(&csr(&key)).unwrap();
        let bytes = der(&signed.chain);
        let (_, read) = X509Certificate::from_der(&bytes).unwrap();
        assert_eq!(read.public_key().raw, rcgen::PublicKeyData::subject_public_key_info(&key));
    }
    let refused = |csr: &str| match sign(csr) {
        Err(SignError::Request(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(refused(&csr(&key(&rcgen::PKCS_ECDSA_P521_SHA512))).starts_with("its key must be"));
    for text in ["", "x", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"] {
        refused(text);
    }
    assert!(refused(&csr(&key(&rcgen::PKCS_ED25519)).replace("REQUEST", "LOSS")).contains("not a CERTIFICATE REQUEST"));
}

/// A request with a flipped bit is refused. The few that are taken differ around what is signed, and give the same key
/// a certificate.
#[test]
fn a_request_must_be_signed_by_its_own_key() {
    use base64::Engine as _;
    let enrolment = open(&ca_params(2036), &[]).unwrap();
    let key = KeyPair::generate().unwrap();
    let good = der(&csr(&key));
    let mut taken = 0;
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let text = base64::engine::general_purpose::STANDARD.encode(&bad);
        let pem = format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n");
        if let Ok(signed) = enrolment.sign(&pem, &"d".parse().unwrap(), now()) {
            let bytes = der(&signed.chain);
            let (_, read) = X509Certificate::from_der(&bytes).unwrap();
            assert_eq!(read.public_key().raw, rcgen::PublicKeyData::subject_public_key_info(&key), "bit {bit}");
            taken += 1;
        }
    }
    assert!(taken < 32, "of {} bits {taken}", good.len() * 8);
}

#[test]
fn a_certificate_ends_with_its_ca() {
    let enrolment = open(&ca_params(2027), &[]).unwrap();
    let request = csr(&KeyPair::generate().unwrap());
    let end: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
    let signed = enrolment.sign(&request, &"d".parse().unwrap(), now()).unwrap();
    assert_eq!(signed.not_after, end);
    let late = enrolment.sign(&request, &"d".parse().unwrap(), end);
    assert!(matches!(late, Err(SignError::Expired)), "{late:?}");
}

#[test]
fn without_a_ca_and_with_a_wrong_one() {
    let none = EnrolSettings { code_valid_for: DAY, token_valid_for: None, ca: None, certificate_valid_for: DAY };
    let refused = Enrolment::new(&none, &[], now()).unwrap().sign("x", &"d".parse().unwrap(), now());
    assert!(matches!(refused, Err(SignError::NoCa)), "{refused:?}");

    let dir = tempfile::tempdir().unwrap();
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let certificate = ca_params(2036).self_signed(&key).unwrap().pem();
    let why = |certificate: &str, key: &str| {
        let opened = Enrolment::new(&settings(dir.path(), certificate, key), &[], now());
        opened.err().expect("it cannot be used").to_string()
    };
    assert!(why(&certificate, &other.serialize_pem()).contains("ca.key: it is not the key of"));
    assert!(why("nothing", &key.serialize_pem()).contains("there is no CERTIFICATE in it"));
    assert!(why(&certificate, &certificate).contains("it is not a private key"));
    let mut leaf = ca_params(2036);
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.subject_alt_names = vec![SanType::DnsName("x".try_into().unwrap())];
    assert!(why(&leaf.self_signed(&key).unwrap().pem(), &key.serialize_pem()).contains("not that of a CA"));
    let mut no_signing = ca_params(2036);
    no_signing.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    assert!(why(&no_signing.self_signed(&key).unwrap().pem(), &key.serialize_pem()).contains("not that of a CA"));
}
