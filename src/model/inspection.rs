//! What the release gates saw in a release, and why they turned one down.

use serde::{Deserialize, Serialize};

use super::{KeyId, Stamp, TargetName, Version};

/// Why a body counts as kernel-mode content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KernelKind {
    /// A PE image for the native subsystem, or one that imports from the Windows kernel.
    PeDriver,
    /// A file that is named as a driver (`.sys`).
    DriverName,
    /// A relocatable ELF object with a `.modinfo` section: a Linux kernel module.
    ElfModule,
    /// A PE image for the firmware or the boot loader (EFI).
    PeFirmware,
}

impl KernelKind {
    /// What it is, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::PeDriver => "a Windows driver (PE image for the kernel)",
            Self::DriverName => "named as a Windows driver (.sys)",
            Self::ElfModule => "a Linux kernel module (ELF with .modinfo)",
            Self::PeFirmware => "a program for the firmware (PE image for EFI)",
        }
    }
}

/// Kernel-mode content that was found in an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelContent {
    /// The artifact.
    pub target: TargetName,
    /// Where in it, for example `drivers.cab/x64/flt.sys`; empty where it is the artifact itself.
    pub inside: String,
    /// What it is.
    pub kind: KernelKind,
}

/// A signature that was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedSignature {
    /// The artifact whose bytes it covers; the whole manifest where absent.
    pub target: Option<TargetName>,
    /// The trusted key.
    pub key: KeyId,
    /// The signature's trusted comment.
    pub comment: String,
}

/// An Authenticode signature that stands in an artifact. It was not verified here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authenticode {
    /// The artifact.
    pub target: TargetName,
    /// The SHA-256 Authenticode digest of the image, in hexadecimal.
    pub sha256: String,
    /// Whether the configured command verified it; absent where none is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
}

/// What the gates saw in a release that passed them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inspection {
    /// Kernel-mode content; only a platform product has any.
    pub kernel_mode: Vec<KernelContent>,
    /// Verified signatures.
    pub signatures: Vec<VerifiedSignature>,
    /// Authenticode signatures.
    pub authenticode: Vec<Authenticode>,
    /// For how long the external command ran, where there is one.
    pub command_ms: Option<u64>,
    /// How many bodies were looked at, those inside archives included.
    pub bodies: u64,
    /// What was found and did not stop the release: what could not be looked through, shares that it does not fill.
    pub notes: Vec<GateFinding>,
}

/// One finding of a gate, as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateFinding {
    /// Which gate: `artifacts`, `digests`, `names`, `version`, `signature`, `kernel_mode`, `archive`, `command` or
    /// `authenticode`.
    pub gate: String,
    /// The artifact, if it concerns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The finding as a whole sentence.
    pub text: String,
}

/// A publication that the gates turned down. Of each version the last one is kept, until the version is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The version that was to be published.
    pub version: Version,
    /// Who tried, and when.
    pub refused: Stamp,
    /// Everything the gates found.
    pub findings: Vec<GateFinding>,
}
