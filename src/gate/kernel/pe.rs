//! PE: whether an image runs in the Windows kernel or in the firmware. Read by hand, and only as far as needed: a
//! stricter reader would pass over images that Windows loads all the same.
//!
//! An image counts if its subsystem is native (drivers; also the few programs that run before the first logon), one of
//! EFI's or the boot loader's, if it says that it is a WDM driver, or if it imports from the kernel.

use crate::model::KernelKind;

const SUBSYSTEM_NATIVE: u16 = 1;
/// EFI applications, boot and runtime drivers, ROM images, and Windows boot applications.
const SUBSYSTEMS_FIRMWARE: [u16; 5] = [10, 11, 12, 13, 16];
const WDM_DRIVER: u16 = 0x2000;
/// Modules of the kernel that are not called `.sys`.
const KERNEL_MODULES: [&str; 9] = [
    "ntoskrnl.exe",
    "ntkrnlpa.exe",
    "ntkrnlmp.exe",
    "ntkrpamp.exe",
    "hal.dll",
    "bootvid.dll",
    "kdcom.dll",
    "ci.dll",
    "pshed.dll",
];
/// The most modules whose names are read from an import table, and the longest name.
const IMPORTS_MAX: usize = 4096;
const NAME_BYTES_MAX: usize = 256;
const SECTION_BYTES: usize = 40;

/// What an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Image {
    /// Why it counts as kernel mode, if it does.
    pub(super) kernel: Option<KernelKind>,
    /// Where its sections end: what follows was appended.
    pub(super) overlay_at: usize,
    /// Whether its imports, if it has any, lie within the bytes that were given.
    pub(super) has_all_imports: bool,
}

struct Reader<'p> {
    bytes: &'p [u8],
    /// The section headers.
    sections: &'p [u8],
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_le_bytes(*chunk))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let number = bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))?;
    usize::try_from(number).ok()
}

/// The image, or none: a DOS program, or nothing that anybody loads.
pub(super) fn read(bytes: &[u8]) -> Option<Image> {
    let coff = u32_at(bytes, 0x3C)?;
    if bytes.get(coff..)?.first_chunk() != Some(b"PE\0\0") {
        return None;
    }
    let count = usize::from(u16_at(bytes, coff + 6)?);
    let optional = coff + 24;
    let table = optional + usize::from(u16_at(bytes, coff + 20)?);
    // The two formats differ before their directories.
    let directories = match u16_at(bytes, optional)? {
        0x10B => optional + 96,
        0x20B => optional + 112,
        _ => return None,
    };
    let subsystem = u16_at(bytes, optional + 68)?;
    let characteristics = u16_at(bytes, optional + 70)?;
    let sections = bytes.get(table..).unwrap_or_default();
    let sections = &sections[..sections.len().min(count * SECTION_BYTES)];
    let reader = Reader { bytes, sections };
    let has_imports = u32_at(bytes, directories - 4)? > 1;
    let imports = has_imports.then(|| u32_at(bytes, directories + 8)).flatten().filter(|address| *address != 0);
    let kernel = if SUBSYSTEMS_FIRMWARE.contains(&subsystem) {
        Some(KernelKind::PeFirmware)
    } else {
        let is_driver = subsystem == SUBSYSTEM_NATIVE
            || characteristics & WDM_DRIVER != 0
            || imports.is_some_and(|address| reader.imports_kernel(address));
        is_driver.then_some(KernelKind::PeDriver)
    };
    let has_all_imports = imports.is_none_or(|address| reader.place_of(address).saturating_add(20) <= bytes.len());
    Some(Image { kernel, overlay_at: reader.sections_end(), has_all_imports })
}

impl Reader<'_> {
    fn each_section(&self) -> impl Iterator<Item = [usize; 4]> {
        self.sections.chunks_exact(SECTION_BYTES).filter_map(|header| {
            // Its size in memory, its address, its size in the file, its place in the file.
            Some([u32_at(header, 8)?, u32_at(header, 12)?, u32_at(header, 16)?, u32_at(header, 20)?])
        })
    }

    fn sections_end(&self) -> usize {
        self.each_section().map(|[_, _, size, place]| place.saturating_add(size)).max().unwrap_or(0)
    }

    /// Where in the file an address of the loaded image is.
    fn place_of(&self, address: usize) -> usize {
        let holds = |section: &[usize; 4]| {
            (section[1]..section[1].saturating_add(section[0].max(section[2]))).contains(&address)
        };
        // Headers are loaded as they are.
        self.each_section().find(holds).map_or(address, |[_, start, _, place]| place.saturating_add(address - start))
    }

    fn imports_kernel(&self, address: usize) -> bool {
        let table = self.place_of(address);
        for index in 0..IMPORTS_MAX {
            let name = table.checked_add(index * 20 + 12).and_then(|at| u32_at(self.bytes, at));
            let Some(name) = name.filter(|name| *name != 0) else { return false };
            let Some(name) = self.bytes.get(self.place_of(name)..) else { continue };
            let name = name[..name.len().min(NAME_BYTES_MAX)].split(|byte| *byte == 0).next().unwrap_or_default();
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            if name.ends_with(".sys") || KERNEL_MODULES.contains(&name.as_str()) {
                return true;
            }
        }
        false
    }
}
