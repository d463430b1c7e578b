//! Target names: the relative path of an artifact, safe on every file system a share may be written to.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest whole path in bytes, so that a Windows client with a 260-character limit can still prefix a drive and share.
const MAX_BYTES: usize = 240;
/// Deepest nesting.
const MAX_COMPONENTS: usize = 16;

/// The path of an artifact inside its release: `/`-separated components of `A-Z a-z 0-9 . _ - { } + ~`.
///
/// A value of this type never leaves its root and can be written on Linux, Windows and SMB: no empty, `.` or `..`
/// components, no trailing dot, no reserved Windows name, no 8.3 alias (`LONGNA~1`). `+` and `~` are allowed because
/// Debian's pool files carry them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetName(Arc<str>);

/// Why a text is not a target name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} cannot be a target name: {why}")]
pub struct TargetNameError {
    text: String,
    why: &'static str,
}

impl TargetName {
    /// The path with `/` between components, never starting with one.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key under which two names collide on a file system that ignores case.
    pub fn case_fold(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

fn check_component(component: &str) -> Result<(), &'static str> {
    const RESERVED: [&str; 4] = ["con", "prn", "aux", "nul"];
    if component.is_empty() {
        return Err("a component is empty (leading, trailing or doubled '/')");
    }
    if component == "." || component == ".." {
        return Err("'.' and '..' would leave the release");
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-{}+~".contains(&byte);
    if !component.bytes().all(allowed) {
        return Err("only letters, digits and . _ - { } + ~ are allowed between '/'");
    }
    if component.ends_with('.') {
        return Err("Windows drops a trailing dot");
    }
    let stem = component.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix).is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    if RESERVED.contains(&stem.as_str()) || numbered("com") || numbered("lpt") {
        return Err("Windows reserves that name for a device");
    }
    let is_alias =
        |(head, tail): (&str, &str)| head.len() <= 6 && !tail.is_empty() && tail.bytes().all(|b| b.is_ascii_digit());
    if stem.rsplit_once('~').is_some_and(is_alias) {
        return Err("Windows may take that for the short alias of another file");
    }
    Ok(())
}

impl FromStr for TargetName {
    type Err = TargetNameError;

    fn from_str(text: &str) -> Result<Self, TargetNameError> {
        let error = |why| TargetNameError { text: text.chars().take(80).collect(), why };
        if text.len() > MAX_BYTES {
            return Err(error("a path has at most 240 characters"));
        }
        if text.split('/').count() > MAX_COMPONENTS {
            return Err(error("a path has at most 16 components"));
        }
        text.split('/').try_for_each(check_component).map_err(error)?;
        Ok(Self(text.into()))
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Serialize for TargetName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TargetName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn real_names() {
        for good in [
            "mpam-fe.exe",
            "x64/mpam-fe.exe",
            "{00000000-0000-0000-0000-261121120000}/mpam-fe.exe",
            "pool/main/c/clamav/clamav_1.4.3+dfsg-1~deb12u1_amd64.deb",
            "daily-27000.cdiff",
            ".htaccess",
        ] {
            assert!(good.parse::<TargetName>().is_ok(), "{good}");
        }
    }

    #[test]
    fn refusals() {
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "a/../b",
            "..",
            "a//b",
            "a/",
            "a\\b",
            "C:evil",
            "a b",
            "a.",
            "nul",
            "NUL.txt",
            "com1",
            "x/LPT9.log",
            "PROGRA~1",
            "a\0",
            "é",
            "a%2e",
            "a/./b",
            &"a".repeat(241),
            &"a/".repeat(17),
        ] {
            assert!(bad.parse::<TargetName>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_name_stays_below_its_root(text in "[A-Za-z./~{}\\\\-]{0,40}") {
            if let Ok(name) = text.parse::<TargetName>() {
                let path = std::path::Path::new(name.as_str());
                prop_assert!(path.components().all(|c| matches!(c, std::path::Component::Normal(_))));
            }
        }
    }
}
