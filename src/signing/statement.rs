//! What the origin signs beside manifests, as text: one fact a line, so that people can read it and `minisign` can
//! check it.

use std::fmt::{Display, Write as _};
use std::str::{FromStr, Lines};

use jiff::Timestamp;

use crate::model::{Blake3Digest, DeviceId, KeyId, Platform, ProductName, PublicKey, Release, ReleaseId, Version};

/// The longest statement that is read.
pub const STATEMENT_MAX_BYTES: usize = 4 << 20;

/// A text is not a statement of the kind that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not a {kind}: {what}")]
pub struct NotAStatement {
    kind: &'static str,
    what: &'static str,
}

/// What a requester is to have now, and until when to believe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freshness {
    /// The key that signs.
    pub origin: KeyId,
    /// Who asked: see [`view_of`].
    pub view: Blake3Digest,
    /// What it was decided for; none where neither the inventory nor the request said.
    pub platform: Option<Platform>,
    /// The journal's last event when it was decided.
    pub sequence: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// From when on it is too old to be believed.
    pub expires: Timestamp,
    /// What is offered, in order of product, each product at most once.
    pub offers: Vec<OfferLine>,
}

/// One product's release in a [`Freshness`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OfferLine {
    /// The product.
    pub product: ProductName,
    /// The release's version.
    pub version: Version,
    /// Its place among the product's releases.
    pub sequence: u64,
    /// The digest of its manifest.
    pub release: ReleaseId,
}

impl OfferLine {
    /// The line of a release.
    pub fn of(release: &Release) -> Self {
        let manifest = &release.manifest;
        let (product, version) = (manifest.product.clone(), manifest.version.clone());
        Self { product, version, sequence: release.sequence, release: release.id }
    }
}

/// The digest that stands for a requester in its statements: of its proven identity, which it knows itself. So an answer
/// to one device cannot be passed off to another, and no group's name is told.
pub fn view_of(device: Option<&DeviceId>) -> Blake3Digest {
    let device = device.map_or("-", DeviceId::as_str);
    Blake3Digest::of(format!("ringfence view 1\ndevice {device}\n").as_bytes())
}

impl Freshness {
    /// Everything but the times, by which two statements that say the same are recognised.
    pub fn contents(&self) -> Blake3Digest {
        let timeless = Self { at: Timestamp::UNIX_EPOCH, expires: Timestamp::UNIX_EPOCH, ..self.clone() };
        Blake3Digest::of(timeless.text().as_bytes())
    }

    /// The text that is signed.
    pub fn text(&self) -> String {
        let Self { origin, view, platform, sequence, at, expires, offers } = self;
        let mut lines = String::new();
        for OfferLine { product, version, sequence, release } in offers {
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "offer {product} {version} {sequence} {release}");
        }
        let platform = platform.as_ref().map_or("-", Platform::as_str);
        let visible = Blake3Digest::of(lines.as_bytes());
        format!(
            "ringfence freshness 1\norigin {origin}\nview {view}\nplatform {platform}\nsequence {sequence}\nat {at}\n\
             expires {expires}\nvisible {visible}\n{lines}"
        )
    }

    /// Reads the text. Only the very text that [`Freshness::text`] writes is taken.
    pub fn parse(text: &str) -> Result<Self, NotAStatement> {
        let mut reader = Reader::new("freshness statement", text)?;
        reader.expect_first("ringfence freshness 1")?;
        let origin = reader.value("origin")?;
        let view = reader.value("view")?;
        let platform = match reader.text("platform")? {
            "-" => None,
            text => Some(reader.read(text)?),
        };
        let sequence = reader.value("sequence")?;
        let at = reader.value("at")?;
        let expires = reader.value("expires")?;
        let _: Blake3Digest = reader.value("visible")?;
        let mut offers: Vec<OfferLine> = Vec::new();
        while let Some(line) = reader.lines.next() {
            let words: Vec<&str> = line.split(' ').collect();
            let ["offer", product, version, place, release] = words[..] else {
                return Err(reader.wrong("a line is no offer"));
            };
            let (product, version) = (reader.read(product)?, reader.read(version)?);
            let line = OfferLine { product, version, sequence: reader.read(place)?, release: reader.read(release)? };
            if offers.last().is_some_and(|last| last.product >= line.product) {
                return Err(reader.wrong("the offers are not in order of product, each once"));
            }
            offers.push(line);
        }
        let read = Self { origin, view, platform, sequence, at, expires, offers };
        if read.text() == text {
            Ok(read)
        } else {
            Err(reader.wrong("it is spelt in another way, or its digest is wrong"))
        }
    }

    /// What it says of a product.
    pub fn offer(&self, product: &ProductName) -> Option<&OfferLine> {
        self.offers.iter().find(|line| line.product == *product)
    }
}

/// Where the origin's journal stands: for mirrors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalStatement {
    /// The key that signs.
    pub origin: KeyId,
    /// The last event's number.
    pub sequence: u64,
    /// Its hash, which covers all events before it.
    pub head: Blake3Digest,
    /// When that was so.
    pub at: Timestamp,
    /// From when on it is too old to be believed.
    pub expires: Timestamp,
}

impl JournalStatement {
    /// The text that is signed.
    pub fn text(&self) -> String {
        let Self { origin, sequence, head, at, expires } = self;
        format!("ringfence journal 1\norigin {origin}\nsequence {sequence}\nhead {head}\nat {at}\nexpires {expires}\n")
    }

    /// Reads the text. Only the very text that [`JournalStatement::text`] writes is taken.
    pub fn parse(text: &str) -> Result<Self, NotAStatement> {
        let mut reader = Reader::new("journal statement", text)?;
        reader.expect_first("ringfence journal 1")?;
        let (origin, sequence, head) = (reader.value("origin")?, reader.value("sequence")?, reader.value("head")?);
        let read = Self { origin, sequence, head, at: reader.value("at")?, expires: reader.value("expires")? };
        if read.text() == text { Ok(read) } else { Err(reader.wrong("it is spelt in another way")) }
    }
}

/// The text by which one key vouches for the next.
pub fn introduction(key: &PublicKey, after: KeyId, at: Timestamp) -> String {
    format!("ringfence key 1\nkey {key}\nafter {after}\nat {at}\n")
}

/// Lines of `name value`, in a fixed order.
struct Reader<'a> {
    kind: &'static str,
    lines: Lines<'a>,
}

impl<'a> Reader<'a> {
    fn new(kind: &'static str, text: &'a str) -> Result<Self, NotAStatement> {
        let reader = Self { kind, lines: text.lines() };
        if text.len() > STATEMENT_MAX_BYTES { Err(reader.wrong("it is too long")) } else { Ok(reader) }
    }

    fn wrong(&self, what: &'static str) -> NotAStatement {
        NotAStatement { kind: self.kind, what }
    }

    fn expect_first(&mut self, first: &str) -> Result<(), NotAStatement> {
        let is_expected = self.lines.next() == Some(first);
        is_expected.then_some(()).ok_or_else(|| self.wrong("it does not begin as one"))
    }

    fn text(&mut self, name: &str) -> Result<&'a str, NotAStatement> {
        let found = self.lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.ok_or_else(|| self.wrong("a line is missing or not in its place"))
    }

    fn value<T: FromStr>(&mut self, name: &str) -> Result<T, NotAStatement>
    where
        T::Err: Display,
    {
        let text = self.text(name)?;
        self.read(text)
    }

    fn read<T: FromStr>(&self, text: &str) -> Result<T, NotAStatement>
    where
        T::Err: Display,
    {
        text.parse().map_err(|_| self.wrong("a value cannot be read"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Freshness {
        let line = |product: &str, sequence| OfferLine {
            product: product.parse().unwrap(),
            version: "1.2".parse().unwrap(),
            sequence,
            release: ReleaseId(Blake3Digest::of(product.as_bytes())),
        };
        Freshness {
            origin: KeyId([7; 8]),
            view: view_of(Some(&"pc-1".parse().unwrap())),
            platform: Some("windows-x64".parse().unwrap()),
            sequence: 41,
            at: "2026-11-21T10:00:00Z".parse().unwrap(),
            expires: "2026-11-21T10:15:00Z".parse().unwrap(),
            offers: vec![line("av", 3), line("drivers", 1)],
        }
    }

    #[test]
    fn a_freshness_statement_is_read_as_it_was_written() {
        let statement = sample();
        assert_eq!(Freshness::parse(&statement.text()).unwrap(), statement);
        let bare = Freshness { platform: None, offers: Vec::new(), ..statement.clone() };
        assert_eq!(Freshness::parse(&bare.text()).unwrap(), bare);
        let later = Freshness { at: statement.expires, ..statement.clone() };
        assert_eq!(later.contents(), statement.contents());
        assert_ne!(bare.contents(), statement.contents());
        insta::assert_snapshot!(statement.text());
    }

    #[test]
    fn what_is_spelt_otherwise_is_refused() {
        let text = sample().text();
        let swapped = text.replace("offer av 1.2 3", "offer zz 1.2 3");
        let doubled = format!("{text}{}\n", text.lines().last().unwrap());
        let cut: String = text.lines().take(8).map(|line| format!("{line}\n")).collect();
        let respelt = text.replace("sequence 41", "sequence 041");
        for bad in ["", "ringfence freshness 1\n", &swapped, &doubled, &cut, &respelt, text.trim_end()] {
            assert!(Freshness::parse(bad).is_err(), "{bad}");
        }
        assert!(Freshness::parse(&"x".repeat(STATEMENT_MAX_BYTES + 1)).is_err());
    }

    #[test]
    fn a_journal_statement_is_read_as_it_was_written() {
        let Freshness { origin, view: head, sequence, at, expires, .. } = sample();
        let statement = JournalStatement { origin, sequence, head, at, expires };
        assert_eq!(JournalStatement::parse(&statement.text()).unwrap(), statement);
        assert!(JournalStatement::parse(&format!("{} ", statement.text())).is_err());
        assert!(JournalStatement::parse(&sample().text()).is_err());
    }
}
