//! Paths below `/shares/`. Unlike the other routes' they are decoded: clients write `{`, `}`, `+` and `~`, and some of
//! them letters, as `%XX`. It is done once and before the grammar of names is looked at, so that no second spelling
//! of `/` or `..` gets past it.

use std::borrow::Cow;

use crate::model::{ShareName, TargetName};

/// More than the longest share and path with every byte written as `%XX`.
const MAX_BYTES: usize = 1024;

/// What is asked for below `/shares/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::serve::device) struct ShareAddress {
    /// The share.
    pub(in crate::serve::device) share: ShareName,
    /// Where in it.
    pub(in crate::serve::device) place: Place,
}

/// Where in a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::serve::device) enum Place {
    /// A path without a trailing `/`.
    File(TargetName),
    /// A path with one; `None` is the share itself.
    Folder(Option<TargetName>),
}

impl ShareAddress {
    /// Reads what follows `/shares/`; `None` where it can name nothing.
    pub(in crate::serve::device) fn parse(text: &str) -> Option<Self> {
        let decoded = (text.len() <= MAX_BYTES).then(|| decode(text))??;
        let (share, path) = decoded.split_once('/')?;
        let place = match path.strip_suffix('/') {
            _ if path.is_empty() => Place::Folder(None),
            Some(folder) => Place::Folder(Some(folder.parse().ok()?)),
            None => Place::File(path.parse().ok()?),
        };
        Some(Self { share: share.parse().ok()?, place })
    }
}

/// Replaces each `%XX` by its byte. `None` where one is cut short, is not ASCII, or stands for `/` or the zero byte.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    let Some((plain, mut rest)) = text.split_once('%') else { return Some(Cow::Borrowed(text)) };
    let mut decoded = String::with_capacity(text.len());
    decoded.push_str(plain);
    loop {
        let (digits, after) = rest.split_at_checked(2)?;
        // `from_str_radix` alone would take a sign.
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let byte = u8::from_str_radix(digits, 16).ok().filter(|byte| is_hex && byte.is_ascii())?;
        if matches!(byte, b'/' | 0) {
            return None;
        }
        decoded.push(char::from(byte));
        match after.split_once('%') {
            Some((plain, next)) => {
                decoded.push_str(plain);
                rest = next;
            }
            None => {
                decoded.push_str(after);
                return Some(Cow::Owned(decoded));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(text: &str) -> Option<String> {
        match ShareAddress::parse(text)?.place {
            Place::File(path) => Some(path.to_string()),
            Place::Folder(_) => None,
        }
    }

    #[test]
    fn spellings_of_one_name() {
        let folder = "{00000000-0000-0000-0000-261121120000}";
        for spelling in ["%7B00000000-0000-0000-0000-261121120000%7D", "%7b00000000%2D0000-0000-0000-261121120000%7d"] {
            assert_eq!(file(&format!("vdi/{spelling}/mpam-fe.exe")).unwrap(), format!("{folder}/mpam-fe.exe"));
        }
        for spelling in ["a+b~c", "a%2Bb%7Ec", "%61+%62~c", "a%2bb%7ec"] {
            assert_eq!(file(&format!("s/{spelling}")).unwrap(), "a+b~c", "{spelling}");
        }
        assert_eq!(ShareAddress::parse("%73hare/x").unwrap().share.as_str(), "share");
    }

    #[test]
    fn folders_end_in_a_slash() {
        assert_eq!(ShareAddress::parse("s/").unwrap().place, Place::Folder(None));
        assert_eq!(ShareAddress::parse("s/x64/").unwrap().place, Place::Folder(Some("x64".parse().unwrap())));
        assert_eq!(ShareAddress::parse("s/x64").unwrap().place, Place::File("x64".parse().unwrap()));
    }

    #[test]
    fn refusals() {
        for bad in [
            "",
            "s",
            "/",
            "/x",
            "S/x",
            "s//",
            "s//x",
            "s/x//",
            "s/x//y",
            "s/../x",
            "s/x/..",
            "s/x/../",
            "s/./x",
            "s/.",
            "s/%2e%2e/x",
            "s/%2E./x",
            "s/x%2Fy",
            "s/x%2fy",
            "s%2Fx",
            "s/x%00",
            "s/x%",
            "s/x%4",
            "s/x%zz",
            "s/x%+4",
            "s/x%-1",
            "s/%C3%A9",
            "s/é",
            "s/%é",
            "s/x%25",
            "s/%2561",
            "s/%252e%252e/x",
            "s/a b",
            "s/a%20b",
            "s/a%0Ab",
            "s/a\\b",
            "s/a%5Cb",
            "s/a:b",
            "s/a?b",
            "s/con",
            "s/nul.txt",
            "s/LONGNA~1",
            "s/x.",
            "..%2f..%2fetc",
        ] {
            assert_eq!(ShareAddress::parse(bad), None, "{bad}");
        }
        assert_eq!(ShareAddress::parse(&format!("s/{}", "a/".repeat(600))), None);
        assert_eq!(ShareAddress::parse(&format!("s/{}", "%61".repeat(241))), None);
        assert!(ShareAddress::parse(&format!("s/{}", "%61".repeat(240))).is_some());
    }

    proptest! {
        /// Any spelling of a name is that name.
        #[test]
        fn encoded_names_come_back(name in "[a-z{}+~_]{1,12}(/[a-z{}+~_]{1,12}){0,3}", picks in any::<u64>()) {
            let encoded: String = name.bytes().enumerate().map(|(n, byte)| match byte {
                b'/' => "/".to_owned(),
                _ if picks >> (n % 64) & 1 == 1 => format!("%{byte:02X}"),
                _ => char::from(byte).to_string(),
            }).collect();
            let expected: Option<TargetName> = name.parse().ok();
            prop_assert_eq!(file(&format!("s/{encoded}")), expected.map(|name| name.to_string()));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,40}", tail in "[%0-9a-fA-F/.]{0,20}") {
            if let Some(address) = ShareAddress::parse(&format!("{text}{tail}")) {
                prop_assert!(!address.share.as_str().is_empty());
            }
        }
    }
}
