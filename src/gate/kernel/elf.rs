//! ELF: whether a file is a Linux kernel module.
//!
//! A module is a relocatable object (ET_REL) with a section `.modinfo`, which every module has, or
//! `.gnu.linkonce.this_module`, which the kernel's loader looks for. Other relocatable objects (`.o` files, eBPF
//! programs, which the kernel verifies before it runs them) are not counted.

const ET_REL: u16 = 1;
const SECTIONS: [&[u8]; 2] = [b".modinfo", b".gnu.linkonce.this_module"];
/// The longest name that is compared, with its end.
const NAME_BYTES_MAX: usize = 32;

/// Numbers as this file has them: 32 or 64 bits, in its byte order.
struct Numbers<'e> {
    bytes: &'e [u8],
    is_64: bool,
    is_little: bool,
}

impl Numbers<'_> {
    fn take<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..)?.first_chunk().copied()
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.take(at).map(if self.is_little { u16::from_le_bytes } else { u16::from_be_bytes })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.take(at).map(if self.is_little { u32::from_le_bytes } else { u32::from_be_bytes })
    }

    /// A number as wide as an address of the file.
    fn word(&self, at_32: usize, at_64: usize) -> Option<usize> {
        if self.is_64 {
            let number = self.take(at_64).map(if self.is_little { u64::from_le_bytes } else { u64::from_be_bytes })?;
            usize::try_from(number).ok()
        } else {
            usize::try_from(self.u32(at_32)?).ok()
        }
    }
}

/// Whether it is a kernel module; none where its section table cannot be read, so that nobody can tell.
pub(super) fn is_module(bytes: &[u8]) -> Option<bool> {
    let (Some(class), Some(order)) = (bytes.get(4), bytes.get(5)) else { return Some(false) };
    let file = Numbers { bytes, is_64: *class == 2, is_little: *order != 2 };
    if file.u16(16) != Some(ET_REL) {
        return Some(false);
    }
    let table = file.word(0x20, 0x28)?;
    if table == 0 {
        return Some(false);
    }
    let at = |offset_32, offset_64| file.u16(if file.is_64 { offset_64 } else { offset_32 });
    let (entry_bytes, mut count, mut names) =
        (usize::from(at(0x2E, 0x3A)?), usize::from(at(0x30, 0x3C)?), usize::from(at(0x32, 0x3E)?));
    if entry_bytes < if file.is_64 { 64 } else { 40 } {
        return None;
    }
    let section = |index: usize| table.checked_add(index.checked_mul(entry_bytes)?);
    // Numbers that do not fit stand in the first section.
    if count == 0 {
        count = file.word(table.checked_add(20)?, table.checked_add(32)?)?;
    }
    if names == 0xFFFF {
        names = usize::try_from(file.u32(table.checked_add(if file.is_64 { 40 } else { 24 })?)?).ok()?;
    }
    let header = section(names)?;
    let text = file.word(header.checked_add(16)?, header.checked_add(24)?)?;
    for index in 0..count {
        let name = usize::try_from(file.u32(section(index)?)?).ok()?;
        let name = bytes.get(text.checked_add(name)?..)?;
        let name = name[..name.len().min(NAME_BYTES_MAX)].split(|byte| *byte == 0).next()?;
        if SECTIONS.contains(&name) {
            return Some(true);
        }
    }
    Some(false)
}
