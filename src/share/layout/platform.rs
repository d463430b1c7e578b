//! Platforms as the layouts of one vendor see them: an operating system and a processor, in their several spellings.

use crate::model::{Artifact, Platform};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Os {
    Windows,
    Linux,
    Mac,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Arch {
    X64,
    X86,
    Arm64,
}

impl Arch {
    /// The word in the platforms and folders of Windows.
    pub(super) const fn windows_folder(self) -> &'static str {
        match self {
            Self::X64 => "x64",
            Self::X86 => "x86",
            Self::Arm64 => "arm64",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "x64" | "x86_64" | "amd64" => Some(Self::X64),
            "x86" | "i386" => Some(Self::X86),
            "arm64" | "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }
}

/// `linux-x64` and its like; nothing for a platform that is not spelt as system and processor.
pub(super) fn parse(platform: &Platform) -> Option<(Os, Arch)> {
    let (os, arch) = platform.as_str().split_once('-')?;
    Some((parse_os(os)?, Arch::parse(arch)?))
}

fn parse_os(text: &str) -> Option<Os> {
    match text {
        "windows" => Some(Os::Windows),
        "linux" => Some(Os::Linux),
        "mac" | "macos" => Some(Os::Mac),
        _ => None,
    }
}

/// The processor of an artifact for Windows: from its platform, or else from the first folder of its path when that
/// has one of the names of Windows. Nothing for an artifact of another system.
pub(super) fn windows_arch(artifact: &Artifact) -> Option<Arch> {
    if let Some((os, arch)) = parse(&artifact.platform) {
        return (os == Os::Windows).then_some(arch);
    }
    if !may_be_windows(artifact) {
        return None;
    }
    let (folder, _) = artifact.target.as_str().split_once('/')?;
    Arch::parse(folder).filter(|arch| arch.windows_folder() == folder)
}

/// Whether nothing in the platform says that the artifact is for another system.
pub(super) fn may_be_windows(artifact: &Artifact) -> bool {
    let platform = artifact.platform.as_str();
    parse_os(platform.split_once('-').map_or(platform, |(os, _)| os)).is_none_or(|os| os == Os::Windows)
}
