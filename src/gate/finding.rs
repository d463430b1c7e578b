//! What a gate can find.

use super::SignatureFinding;
use crate::model::{GateFinding, KernelContent, Platform, TargetName, Version};

/// The longest text of a finding that is kept, in characters: an external command may say much.
const TEXT_CHARS_MAX: usize = 4000;

/// One reason why a release may not be published. The text is a whole sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// Nothing to publish.
    #[error("a release needs at least one artifact")]
    NoArtifacts,
    /// More than the server takes.
    #[error("a release has at most {max} artifacts, this one has {count}")]
    TooManyArtifacts {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// The bytes are not as many as the publisher said.
    #[error("{target}: {declared} bytes were declared and {observed} arrived")]
    SizeDiffers {
        /// Which artifact.
        target: TargetName,
        /// What the publisher said.
        declared: u64,
        /// What arrived.
        observed: u64,
    },
    /// The bytes are not those that the publisher meant.
    #[error("{target}: the {algorithm} digest {declared} was declared, the bytes that arrived have {observed}")]
    DigestDiffers {
        /// Which artifact.
        target: TargetName,
        /// `blake3` or `sha256`.
        algorithm: &'static str,
        /// What the publisher said.
        declared: String,
        /// What arrived.
        observed: String,
    },
    /// One path twice.
    #[error("{target} for {platform} is there twice")]
    Duplicate {
        /// The path.
        target: TargetName,
        /// The platform.
        platform: Platform,
    },
    /// Two paths that one file system may take for the same.
    #[error("{first} and {second} differ only in case: Windows and many shares take them for one file")]
    CaseCollision {
        /// One path.
        first: TargetName,
        /// The other.
        second: TargetName,
    },
    /// A path that is both a file and a folder.
    #[error("{file} is a file, so {below} cannot be inside it")]
    FileIsFolder {
        /// The file.
        file: TargetName,
        /// The path below it.
        below: TargetName,
    },
    /// A version that would go backwards.
    #[error(
        "version {version} is not above {newest}, the newest of the product; say so (--allow-older) if that is meant"
    )]
    NotNewer {
        /// The version to publish.
        version: Version,
        /// The newest one there is.
        newest: Version,
    },
    /// Code for a kernel in a product that must not bring any.
    #[error("{}: {}; an intelligence product brings no kernel-mode code", place(target, inside), kind.words())]
    KernelMode {
        /// Which artifact.
        target: TargetName,
        /// Where in it; empty where it is the artifact itself.
        inside: String,
        /// What it is.
        kind: crate::model::KernelKind,
    },
    /// More of it than is listed.
    #[error("and {count} more places with kernel-mode code")]
    MoreKernelMode {
        /// How many.
        count: u64,
    },
    /// An archive that nobody can clear.
    #[error("{} cannot be looked through: {why}", place(target, inside))]
    Archive {
        /// Which artifact.
        target: TargetName,
        /// Where in it; empty where it is the artifact itself.
        inside: String,
        /// Why.
        why: String,
    },
    /// More of them than are listed.
    #[error("and {count} more that cannot be looked through")]
    MoreArchives {
        /// How many.
        count: u64,
    },
    /// A signature is missing or not good.
    #[error(transparent)]
    Signature(SignatureFinding),
    /// A share of the product cannot take the names.
    #[error("share {share} ({layout}): {why}")]
    Names {
        /// The share.
        share: String,
        /// Its layout.
        layout: String,
        /// What does not fit.
        why: String,
    },
    /// The organisation's own command turned it down, or could not be run to its end.
    #[error("{0}")]
    Command(String),
    /// The organisation's own command turned an artifact's Authenticode signature down.
    #[error("{target}: {why}")]
    Authenticode {
        /// Which artifact.
        target: TargetName,
        /// What it said.
        why: String,
    },
}

fn place(target: &TargetName, inside: &str) -> String {
    if inside.is_empty() { target.to_string() } else { format!("{target}, in it {inside}") }
}

impl From<KernelContent> for Finding {
    fn from(content: KernelContent) -> Self {
        let KernelContent { target, inside, kind } = content;
        Self::KernelMode { target, inside, kind }
    }
}

impl From<super::Unread> for Finding {
    fn from(unread: super::Unread) -> Self {
        let super::Unread { target, inside, why, .. } = unread;
        Self::Archive { target, inside, why }
    }
}

impl Finding {
    /// Which gate found it, as the journal and the API name it.
    pub fn gate(&self) -> &'static str {
        match self {
            Self::NoArtifacts | Self::TooManyArtifacts { .. } => "artifacts",
            Self::SizeDiffers { .. } | Self::DigestDiffers { .. } => "digests",
            Self::Duplicate { .. } | Self::CaseCollision { .. } | Self::FileIsFolder { .. } | Self::Names { .. } => {
                "names"
            }
            Self::NotNewer { .. } => "version",
            Self::KernelMode { .. } | Self::MoreKernelMode { .. } => "kernel_mode",
            Self::Archive { .. } | Self::MoreArchives { .. } => "archive",
            Self::Signature(_) => "signature",
            Self::Command(_) => "command",
            Self::Authenticode { .. } => "authenticode",
        }
    }

    /// The artifact that it concerns, if it is one.
    pub fn target(&self) -> Option<&TargetName> {
        match self {
            Self::SizeDiffers { target, .. }
            | Self::DigestDiffers { target, .. }
            | Self::Duplicate { target, .. }
            | Self::CaseCollision { second: target, .. }
            | Self::FileIsFolder { below: target, .. }
            | Self::KernelMode { target, .. }
            | Self::Archive { target, .. }
            | Self::Authenticode { target, .. } => Some(target),
            Self::Signature(finding) => finding.target(),
            Self::NoArtifacts
            | Self::TooManyArtifacts { .. }
            | Self::NotNewer { .. }
            | Self::MoreKernelMode { .. }
            | Self::MoreArchives { .. }
            | Self::Names { .. }
            | Self::Command(_) => None,
        }
    }

    /// As the journal keeps it and the API tells it.
    pub fn record(&self) -> GateFinding {
        let text: String = self.to_string().chars().take(TEXT_CHARS_MAX).collect();
        GateFinding { gate: self.gate().to_owned(), target: self.target().map(ToString::to_string), text }
    }
}
