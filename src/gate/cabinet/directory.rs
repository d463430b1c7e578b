//! A cabinet's directory: header, folders, files, and the heads of its data blocks ([MS-CAB] section 2).

use super::{CABINET_SIGNATURE, Cabinet, CabinetError, CabinetFile, Folder};

const FLAG_PREVIOUS: u16 = 1;
const FLAG_NEXT: u16 = 2;
const FLAG_RESERVE: u16 = 4;
/// Folder numbers from here on mean that a file goes on in another cabinet.
const FOLDER_CONTINUED: u16 = 0xFFFD;
/// The most decompressed bytes of a block. More would overrun the decompressor's buffer.
const BLOCK_BYTES_MAX: u16 = 32_768;
/// The longest name of a member.
const NAME_BYTES_MAX: usize = 256;

/// Little-endian numbers from a slice.
struct Cursor<'c> {
    bytes: &'c [u8],
    at: usize,
}

impl<'c> Cursor<'c> {
    fn take(&mut self, count: usize) -> Result<&'c [u8], CabinetError> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| CabinetError::damaged("its directory points past its end"))?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CabinetError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u8(&mut self) -> Result<u8, CabinetError> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, CabinetError> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, CabinetError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Text up to a zero byte, which is passed.
    fn text(&mut self) -> Result<String, CabinetError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().take(NAME_BYTES_MAX).position(|byte| *byte == 0);
        let length = length.ok_or_else(|| CabinetError::damaged("a name in it has no end"))?;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Ok(text)
    }
}

/// Whether a cabinet may begin here: its fixed fields are as they must be, and it does not reach past the end.
pub fn looks_like_header(bytes: &[u8]) -> bool {
    let mut cursor = Cursor { bytes, at: CABINET_SIGNATURE.len() };
    let mut fields = || -> Result<bool, CabinetError> {
        let (reserved1, size, reserved2) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        let (files_at, reserved3, version) = (cursor.u32()?, cursor.u32()?, cursor.u16()?);
        Ok((reserved1, reserved2, reserved3, version) == (0, 0, 0, 0x0103)
            && size as usize <= bytes.len()
            && files_at < size)
    };
    fields().unwrap_or(false)
}

fn spanned() -> CabinetError {
    CabinetError::Unsupported("the cabinet is one of a set that is cut into several files".to_owned())
}

pub(super) fn read_directory(bytes: &[u8]) -> Result<Cabinet<'_>, CabinetError> {
    let mut cursor = Cursor { bytes, at: 0 };
    if cursor.take(CABINET_SIGNATURE.len())? != CABINET_SIGNATURE {
        return Err(CabinetError::NotOne);
    }
    cursor.u32()?;
    let size = cursor.u32()? as usize;
    // Signed cabinets carry their signature behind their end.
    let bytes = bytes.get(..size).ok_or_else(|| CabinetError::damaged("its end is missing"))?;
    cursor = Cursor { bytes, at: 16 };
    let files_at = cursor.u32()? as usize;
    cursor.take(6)?;
    let (folder_count, file_count, flags) = (cursor.u16()?, cursor.u16()?, cursor.u16()?);
    cursor.take(4)?;
    if flags & (FLAG_PREVIOUS | FLAG_NEXT) != 0 {
        return Err(spanned());
    }
    let (mut folder_reserve_bytes, mut block_reserve_bytes) = (0, 0);
    if flags & FLAG_RESERVE != 0 {
        let header_reserve_bytes = cursor.u16()?;
        (folder_reserve_bytes, block_reserve_bytes) = (cursor.u8()?, cursor.u8()?);
        cursor.take(header_reserve_bytes.into())?;
    }
    let mut folders = Vec::with_capacity(folder_count.into());
    // Folders that share blocks would make the walk over them, and what they unpack to, a product of their numbers.
    let mut unclaimed_bytes = bytes.len();
    for _ in 0..folder_count {
        let folder = read_folder(&mut cursor, block_reserve_bytes, unclaimed_bytes)?;
        unclaimed_bytes -= folder.blocks.len();
        folders.push(folder);
        cursor.take(folder_reserve_bytes.into())?;
    }
    cursor.at = files_at;
    for _ in 0..file_count {
        read_file(&mut cursor, &mut folders)?;
    }
    folders.iter_mut().try_for_each(check_places)?;
    Ok(Cabinet { bytes, folders, block_reserve_bytes })
}

/// Reads a folder whose blocks may take at most `bytes_max` of the cabinet.
fn read_folder(cursor: &mut Cursor<'_>, block_reserve_bytes: u8, bytes_max: usize) -> Result<Folder, CabinetError> {
    let start = cursor.u32()? as usize;
    let (block_count, compression) = (cursor.u16()?, cursor.u16()?);
    if !matches!(compression & 0x0F, 0 | 1 | 3) {
        return Err(CabinetError::Unsupported(format!("the cabinet is compressed by method {compression:#06x}")));
    }
    let mut blocks = Cursor { bytes: cursor.bytes, at: start };
    let mut unpacked_bytes = 0_u32;
    for _ in 0..block_count {
        blocks.u32()?;
        let (packed, unpacked) = (blocks.u16()?, blocks.u16()?);
        if unpacked == 0 {
            return Err(spanned());
        }
        if unpacked > BLOCK_BYTES_MAX {
            return Err(CabinetError::damaged("a block is longer than a block can be"));
        }
        blocks.take(usize::from(block_reserve_bytes) + usize::from(packed))?;
        unpacked_bytes += u32::from(unpacked);
        if blocks.at - start > bytes_max {
            return Err(CabinetError::damaged("two folders share their bytes"));
        }
    }
    Ok(Folder { blocks: start..blocks.at, block_count, compression, unpacked_bytes, files: Vec::new() })
}

fn read_file(cursor: &mut Cursor<'_>, folders: &mut [Folder]) -> Result<(), CabinetError> {
    let (size, start, folder) = (cursor.u32()?, cursor.u32()?, cursor.u16()?);
    cursor.take(6)?;
    let name = cursor.text()?;
    if folder >= FOLDER_CONTINUED {
        return Err(spanned());
    }
    let name = name.replace('\\', "/");
    let folder = folders.get_mut(usize::from(folder));
    let folder = folder.ok_or_else(|| CabinetError::damaged("a member belongs to a folder that is not there"))?;
    folder.files.push(CabinetFile { start: start.into(), size: size.into(), name });
    Ok(())
}

/// Puts a folder's files in order, and refuses any that reach into the next one or past the folder's end.
fn check_places(folder: &mut Folder) -> Result<(), CabinetError> {
    folder.files.sort_by_key(|file| (file.start, file.size));
    let mut end = 0;
    for file in &folder.files {
        if file.start < end {
            return Err(CabinetError::damaged("two members share their bytes"));
        }
        end = file.start + file.size;
    }
    if end > folder.unpacked_bytes.into() {
        return Err(CabinetError::damaged("a member reaches past the end of its folder"));
    }
    Ok(())
}
