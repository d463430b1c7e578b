//! Authenticode: whether a Windows executable carries a signature, and the digest that the signature would cover.
//!
//! Nothing is verified here: chains, revocation and time stamps are for a command that knows the organisation's roots.

use object::LittleEndian;
use object::pe::IMAGE_DIRECTORY_ENTRY_SECURITY;
use object::read::pe::{ImageNtHeaders, PeFile, PeFile32, PeFile64};
use sha2::Digest as _;

use super::{contain, is_pe};

/// More sections than any loader takes; each is read once more for the digest.
const SECTIONS_MAX: usize = 96;

/// A signature that stands in an executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The image's SHA-256 Authenticode digest in hexadecimal; absent where its headers contradict one another.
    pub sha256: Option<String>,
}

/// The signature of an executable; none where the bytes are no executable, or one that carries no signature.
pub fn authenticode_digest_of(bytes: &[u8]) -> Option<Signed> {
    if !is_pe(bytes) {
        return None;
    }
    // Whatever the libraries do with hostile bytes: it is no signature.
    contain(|| {
        PeFile64::parse(bytes).ok().and_then(|file| signed(&file)).or_else(|| signed(&PeFile32::parse(bytes).ok()?))
    })
    .ok()
    .flatten()
}

fn signed<Pe: ImageNtHeaders>(file: &PeFile<'_, Pe>) -> Option<Signed> {
    let entry = file.data_directory(IMAGE_DIRECTORY_ENTRY_SECURITY)?;
    if entry.virtual_address.get(LittleEndian) == 0 || entry.size.get(LittleEndian) == 0 {
        return None;
    }
    let total: u64 =
        file.section_table().iter().map(|section| u64::from(section.size_of_raw_data.get(LittleEndian))).sum();
    // Sections that share their bytes would be read over and over.
    if file.section_table().len() > SECTIONS_MAX || total > file.data().len() as u64 {
        return Some(Signed { sha256: None });
    }
    let mut hasher = Hasher(sha2::Sha256::new());
    let digested = authenticode::authenticode_digest(file, &mut hasher);
    let hex = || hasher.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Some(Signed { sha256: digested.is_ok().then(hex) })
}

/// The `authenticode` crate speaks an older version of the digest traits.
struct Hasher(sha2::Sha256);

impl digest::Update for Hasher {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}
