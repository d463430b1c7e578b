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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::kernel::tests::build::{GUI, driver, pe};

    /// Where the security directory's entry stands in the test image, and where its checksum does.
    const SECURITY: usize = 0x98 + 112 + 4 * 8;
    const CHECKSUM: usize = 0x98 + 64;

    fn sign(mut image: Vec<u8>, signature: &[u8]) -> Vec<u8> {
        let place = image.len() as u32;
        image[SECURITY..SECURITY + 4].copy_from_slice(&place.to_le_bytes());
        image[SECURITY + 4..SECURITY + 8].copy_from_slice(&(signature.len() as u32).to_le_bytes());
        image.extend(signature);
        image
    }

    #[test]
    fn only_what_carries_a_signature_is_told() {
        for unsigned in [&b""[..], b"text", b"MZ", &pe(GUI, 0, &[]), &driver()] {
            assert_eq!(authenticode_digest_of(unsigned), None);
        }
        assert!(authenticode_digest_of(&sign(driver(), &[1; 16])).is_some());
    }

    #[test]
    fn the_digest_leaves_out_what_a_signature_changes() {
        let image = pe(GUI, 0, &["a.dll"]);
        let digest = |bytes: &[u8]| authenticode_digest_of(bytes).unwrap().sha256.unwrap();
        let signed = sign(image.clone(), &[1; 16]);
        // By hand: everything but the checksum, the directory's entry and the signature.
        let covered =
            [&signed[..CHECKSUM], &signed[CHECKSUM + 4..SECURITY], &signed[SECURITY + 8..image.len()]].concat();
        let expected: String = sha2::Sha256::digest(covered).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest(&signed), expected);
        assert_eq!(digest(&sign(image.clone(), &[2; 32])), expected, "another signature");
        let mut summed = signed.clone();
        summed[CHECKSUM] ^= 1;
        assert_eq!(digest(&summed), expected, "another checksum");
        let mut changed = signed;
        changed[0x205] ^= 1;
        assert_ne!(digest(&changed), expected, "another import");
    }

    #[test]
    fn headers_that_contradict_one_another_have_no_digest() {
        let mut image = sign(pe(GUI, 0, &[]), &[1; 16]);
        let section = 0x98 + 240;
        image[section + 16..section + 20].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(authenticode_digest_of(&image), Some(Signed { sha256: None }));
    }
}
