//! What a gate can find.

use crate::model::{Platform, TargetName, Version};

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
}
