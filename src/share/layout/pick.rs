//! What goes into a plan and what comes out of it.

use jiff::Timestamp;

use crate::model::{Artifact, Platform, ProductName, Release, TargetName};

/// One product's release as the share shows it on one platform.
#[derive(Debug, Clone)]
pub struct Pick<'a> {
    /// The product.
    pub product: &'a ProductName,
    /// The release.
    pub release: &'a Release,
    /// The platform whose artifacts are taken; with none, those for every platform (`any`).
    pub platform: Option<&'a Platform>,
    /// Exactly the artifacts that this pick contributes.
    pub artifacts: Vec<&'a Artifact>,
    /// What the share showed before it, if that may still be shown. Only layouts with trees for it use it.
    pub previous: Option<Box<Pick<'a>>>,
    /// The whole second from which on the release is shown here. Stamps in paths come from it.
    pub since: Timestamp,
}

/// One file of a planned tree; with [`Body::Unpacked`], the files of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned<'a> {
    /// Where it stands in the share.
    pub path: TargetName,
    /// What it holds.
    pub body: Body<'a>,
    /// The product it comes from.
    pub product: &'a ProductName,
    /// The sequence of the release it comes from.
    pub sequence: u64,
    /// Files with the same non-empty set belong together and switch together; alone when empty.
    pub set: String,
    /// Whether it is an index that names the others of its set, and so has to be switched after them.
    pub last: bool,
}

/// What a planned file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// An artifact's bytes.
    Artifact(&'a Artifact),
    /// Generated text, at most 4 KiB.
    Text(String),
    /// The MD5 of an artifact as 32 hexadecimal characters, with no name and no line feed.
    Md5Of(&'a Artifact),
    /// The members of an archive; the path is the folder below which they go.
    Unpacked(&'a Artifact),
}

impl Body<'_> {
    /// What two bodies of one path are compared by: artifacts by their bytes, whatever release or platform names them.
    pub(super) fn key(&self) -> (u8, String) {
        match self {
            Self::Artifact(artifact) => (0, artifact.blake3.to_hex()),
            Self::Text(text) => (1, text.clone()),
            Self::Md5Of(artifact) => (2, artifact.blake3.to_hex()),
            Self::Unpacked(artifact) => (3, artifact.blake3.to_hex()),
        }
    }
}
