//! What a verified client certificate says, and which of it is an identity.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A client certificate that was verified against the listener's client CA; in the extensions of every request of its
/// connection. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate(pub Arc<CertificateNames>);

/// The names in a certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// The subject alternative names that are URIs.
    pub uris: Vec<String>,
    /// Those that are DNS names.
    pub dns: Vec<String>,
    /// The subject's common name, if it has exactly one.
    pub common_name: Option<String>,
    /// SHA-256 of the certificate.
    pub sha256: [u8; 32],
}

/// Where in a certificate a name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameSource {
    /// A subject alternative name of type URI.
    SanUri,
    /// One of type DNS.
    SanDns,
    /// The subject's common name.
    CommonName,
}

/// How an identity is read from a certificate: what the `*` of the pattern stands for in a name from this source. As
/// text `san-uri urn:ringfence:device:*`, `san-dns *.devices.corp` or `common-name *`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRule {
    source: NameSource,
    before: Box<str>,
    after: Box<str>,
}

/// A text is not a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an identity rule: write san-uri, san-dns or common-name, a space, and a pattern with one '*'")]
pub struct NotAnIdentityRule {
    text: String,
}

impl IdentityRule {
    /// The identity in the certificate by the first of these rules that finds one. A rule that finds two different ones
    /// makes the certificate useless: it must not be the holder's choice which.
    pub fn first<'c>(rules: &[Self], names: &'c CertificateNames) -> Option<&'c str> {
        rules.iter().find_map(|rule| {
            let mut found = rule.all(names);
            let first = found.next()?;
            Some(found.all(|other| other == first).then_some(first))
        })?
    }

    /// The SAN URI in which this rule finds `name`, if it looks at SAN URIs.
    pub fn san_uri(&self, name: &str) -> Option<String> {
        (self.source == NameSource::SanUri).then(|| format!("{}{name}{}", self.before, self.after))
    }

    fn all<'c>(&self, names: &'c CertificateNames) -> impl Iterator<Item = &'c str> {
        let candidates = match self.source {
            NameSource::SanUri => names.uris.as_slice(),
            NameSource::SanDns => names.dns.as_slice(),
            NameSource::CommonName => names.common_name.as_slice(),
        };
        let inner = |name: &'c String| name.strip_prefix(&*self.before)?.strip_suffix(&*self.after);
        candidates.iter().filter_map(inner).filter(|name| !name.is_empty())
    }
}

impl FromStr for IdentityRule {
    type Err = NotAnIdentityRule;

    fn from_str(text: &str) -> Result<Self, NotAnIdentityRule> {
        let error = || NotAnIdentityRule { text: text.chars().take(80).collect() };
        let (source, pattern) = text.split_once(' ').ok_or_else(error)?;
        let source = match source {
            "san-uri" => NameSource::SanUri,
            "san-dns" => NameSource::SanDns,
            "common-name" => NameSource::CommonName,
            _ => return Err(error()),
        };
        let (before, after) = pattern.trim().split_once('*').ok_or_else(error)?;
        let is_plain = !after.contains('*') && pattern.len() <= 256 && !pattern.trim().contains(' ');
        is_plain.then(|| Self { source, before: before.into(), after: after.into() }).ok_or_else(error)
    }
}

impl fmt::Display for IdentityRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            NameSource::SanUri => "san-uri",
            NameSource::SanDns => "san-dns",
            NameSource::CommonName => "common-name",
        };
        write!(f, "{source} {}*{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(uris: &[&str], dns: &[&str], common_name: Option<&str>) -> CertificateNames {
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        CertificateNames {
            uris: all(uris),
            dns: all(dns),
            common_name: common_name.map(Into::into),
            ..CertificateNames::default()
        }
    }

    fn first<'c>(rules: &[&str], names: &'c CertificateNames) -> Option<&'c str> {
        let rules: Vec<IdentityRule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        IdentityRule::first(&rules, names)
    }

    #[test]
    fn the_first_rule_that_finds_one_decides() {
        let all = names(&["urn:ringfence:device:pos-1"], &["pc-7.devices.corp", "www.corp"], Some("old name"));
        let rules = ["san-uri urn:ringfence:device:*", "san-dns *.devices.corp", "common-name *"];
        assert_eq!(first(&rules, &all), Some("pos-1"));
        assert_eq!(first(&rules[1..], &all), Some("pc-7"));
        assert_eq!(first(&rules[2..], &all), Some("old name"));
        assert_eq!(first(&[], &all), None);
    }

    #[test]
    fn two_names_are_none_and_no_later_rule_is_asked() {
        let two = names(&["urn:d:a", "urn:d:b"], &[], Some("c"));
        assert_eq!(first(&["san-uri urn:d:*", "common-name *"], &two), None);
        let same = names(&["urn:d:a", "urn:d:a", "urn:e:x"], &[], None);
        assert_eq!(first(&["san-uri urn:d:*"], &same), Some("a"));
        assert_eq!(first(&["san-uri urn:d:*"], &names(&["urn:d:"], &[], None)), None, "nothing is no name");
    }

    #[test]
    fn rules_as_text() {
        for text in ["san-uri urn:ringfence:device:*", "san-dns *.devices.corp", "common-name *"] {
            assert_eq!(text.parse::<IdentityRule>().unwrap().to_string(), text);
        }
        for text in ["", "*", "san-uri", "san-uri urn:x", "san-ip *", "common-name **", "common-name a *", "cn *"] {
            assert!(text.parse::<IdentityRule>().is_err(), "{text}");
        }
    }
}
