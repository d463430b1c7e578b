//! What the grammar cannot say of `[enrol]`.

use std::path::Path;
use std::time::Duration;

use super::error::Finding;
use super::file::EnrolTable;
use super::settings::{EnrolCaFiles, EnrolSettings};
use super::validate::length;
use super::values::Length;

/// A code that waits for longer has been forgotten somewhere.
const CODE_LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// Ten years: beyond that a date can be a mistake only.
const CERTIFICATE_LONGEST: Duration = Duration::from_secs(3653 * 24 * 3600);

pub(super) fn enrol_settings(table: EnrolTable, base: &Path) -> Result<EnrolSettings, Finding> {
    let EnrolTable { code_valid_for, token_valid_for, ca_certificate, ca_key, certificate_valid_for } = table;
    let ca = match (ca_certificate, ca_key) {
        (Some(certificate), Some(key)) => {
            Some(EnrolCaFiles { certificate: base.join(certificate), key: base.join(key) })
        }
        (None, None) => None,
        (Some(_), None) => return Err(half("enrol.ca_certificate", "enrol.ca_key")),
        (None, Some(_)) => return Err(half("enrol.ca_key", "enrol.ca_certificate")),
    };
    Ok(EnrolSettings {
        code_valid_for: at_most("enrol.code_valid_for", code_valid_for, CODE_LONGEST)?,
        token_valid_for: token_valid_for.map(|valid| length("enrol.token_valid_for", valid)).transpose()?,
        ca,
        certificate_valid_for: at_most("enrol.certificate_valid_for", certificate_valid_for, CERTIFICATE_LONGEST)?,
    })
}

fn half(given: &'static str, missing: &'static str) -> Finding {
    Finding { key: given.into(), message: format!("{given} is set without {missing}: a CA needs both") }
}

fn at_most(key: &'static str, value: Length, longest: Duration) -> Result<Duration, Finding> {
    let value = length(key, value)?;
    if value > longest {
        let days = longest.as_secs() / (24 * 3600);
        return Err(Finding { key: key.into(), message: format!("{key} is too long: at most {days}d") });
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(table: EnrolTable) -> String {
        enrol_settings(table, Path::new("/etc")).unwrap_err().message
    }

    #[test]
    fn a_ca_is_both_files_beside_the_configuration() {
        let (certificate, key) = (Some("ca.pem".into()), Some("/secret/ca.key".into()));
        let both = EnrolTable { ca_certificate: certificate.clone(), ca_key: key.clone(), ..EnrolTable::default() };
        let files = EnrolCaFiles { certificate: "/etc/ca.pem".into(), key: "/secret/ca.key".into() };
        assert_eq!(enrol_settings(both, Path::new("/etc")).unwrap().ca, Some(files));
        let text = refused(EnrolTable { ca_certificate: certificate, ..EnrolTable::default() });
        assert_eq!(text, "enrol.ca_certificate is set without enrol.ca_key: a CA needs both");
        let text = refused(EnrolTable { ca_key: key, ..EnrolTable::default() });
        assert_eq!(text, "enrol.ca_key is set without enrol.ca_certificate: a CA needs both");
    }

    #[test]
    fn times_have_bounds() {
        let days = |days: u64| Length(Duration::from_secs(days * 24 * 3600));
        let text = refused(EnrolTable { code_valid_for: days(31), ..EnrolTable::default() });
        assert_eq!(text, "enrol.code_valid_for is too long: at most 30d");
        refused(EnrolTable { code_valid_for: days(0), ..EnrolTable::default() });
        refused(EnrolTable { token_valid_for: Some(days(0)), ..EnrolTable::default() });
        refused(EnrolTable { certificate_valid_for: days(4000), ..EnrolTable::default() });
    }
}
