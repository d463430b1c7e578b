//! What a body is, by its first bytes.

use super::tar;

/// How many first bytes tell what a body is: a tar header, behind the header of a ClamAV database.
pub(super) const HEAD_BYTES: usize = 1024;
/// What stands before the tar in a ClamAV database.
pub(super) const CVD_HEADER_BYTES: usize = 512;

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Nothing that is known here.
    Other,
    Pe,
    Elf,
    Zip,
    Cabinet,
    Gzip,
    Xz,
    Zstandard,
    Tar,
    Ar,
    /// A ClamAV database.
    Cvd,
    /// An archive or a compressed file of a kind that is not opened here.
    Opaque(&'static str),
}

/// Kinds that hold other files and are not opened here, by their first bytes.
const OPAQUE: &[(&[u8], &str)] = &[
    (b"BZh", "bzip2"),
    (b"7z\xBC\xAF\x27\x1C", "7z"),
    (b"Rar!\x1A\x07", "RAR"),
    (b"LZIP", "lzip"),
    (b"\x04\x22\x4D\x18", "LZ4"),
    (b"\xED\xAB\xEE\xDB", "RPM"),
    (b"MSWIM\0\0\0", "WIM"),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "a compound file (such as MSI)"),
    (b"070701", "cpio"),
    (b"070702", "cpio"),
    (b"070707", "cpio"),
    (b"hsqs", "SquashFS"),
];

impl Format {
    /// By the first [`HEAD_BYTES`], or all bytes of a shorter body.
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            [b'M', b'Z', ..] => Self::Pe,
            [0x7F, b'E', b'L', b'F', ..] => Self::Elf,
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] | [b'P', b'K', 7, 8, ..] => Self::Zip,
            [0x1F, 0x8B, 8, ..] => Self::Gzip,
            // Two bytes alone are met by chance, in signatures too; these 34 third ones are all that gzip 1.12 opens.
            [0x1F, 0x9D, flags, ..] if flags & 0x60 == 0 && flags & 0x1F <= 16 => Self::Opaque("compress (.Z)"),
            [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            // A frame, or one to be skipped, which may come first.
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Self::Zstandard,
            _ if head.starts_with(crate::gate::CABINET_SIGNATURE) => Self::Cabinet,
            _ if head.starts_with(b"!<arch>\n") => Self::Ar,
            _ if head.starts_with(b"ClamAV-VDB:") => Self::Cvd,
            _ if tar::is_header(head) => Self::Tar,
            _ => Self::opaque(head),
        }
    }

    fn opaque(head: &[u8]) -> Self {
        let known = OPAQUE.iter().find(|(magic, _)| head.starts_with(magic));
        known.map_or(Self::Other, |(_, words)| Self::Opaque(words))
    }
}

/// Whether a body begins as Windows executables do.
pub fn is_pe(bytes: &[u8]) -> bool {
    Format::of(&bytes[..bytes.len().min(HEAD_BYTES)]) == Format::Pe
}
