//! Archives for tests, by the writers of the crates; where those cannot write something, by hand.

use std::io::{Cursor, Write as _};

use ::cab::{CabinetBuilder, CompressionType};
use ::zip::write::{SimpleFileOptions, ZipWriter};

/// Three files, two of them in a folder, as a cabinet spells it.
pub(super) const FILES: &[(&str, &[u8])] =
    &[("a.txt", b"first"), ("deep/b.bin", b"second second second second"), ("deep/c.bin", &[7; 300])];

pub(super) fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    zip_by(|writer| add(writer, files))
}

pub(super) fn zip_with_folder(folder: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    zip_by(|writer| {
        writer.add_directory(folder, SimpleFileOptions::default()).unwrap();
        add(writer, files);
    })
}

pub(super) fn zip_with_link(name: &str, to: &str) -> Vec<u8> {
    zip_by(|writer| writer.add_symlink(name, to, SimpleFileOptions::default()).unwrap())
}

fn zip_by(write: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    write(&mut writer);
    writer.finish().unwrap().into_inner()
}

fn add(writer: &mut ZipWriter<Cursor<Vec<u8>>>, files: &[(&str, &[u8])]) {
    for (name, bytes) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
}

/// A cabinet with two files a folder.
pub(super) fn cab(files: &[(&str, &[u8])], compression: CompressionType) -> Vec<u8> {
    cab_by(files, 2, compression)
}

pub(super) fn cab_of_one_folder(files: &[(&str, &[u8])], compression: CompressionType) -> Vec<u8> {
    cab_by(files, files.len(), compression)
}

fn cab_by(files: &[(&str, &[u8])], files_a_folder: usize, compression: CompressionType) -> Vec<u8> {
    let mut builder = CabinetBuilder::new();
    for some in files.chunks(files_a_folder) {
        let folder = builder.add_folder(compression);
        for (name, _) in some {
            folder.add_file(name.replace('/', "\\"));
        }
    }
    let mut writer = builder.build(Cursor::new(Vec::new())).unwrap();
    let mut bodies = files.iter();
    while let Some(mut file) = writer.next_file().unwrap() {
        file.write_all(bodies.next().unwrap().1).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A cabinet of one LZX folder and block, which holds a stored run of at most 32 KiB; without checksums, so that damage
/// reaches the decompressor.
pub(super) fn lzx_cab(files: &[(&str, &[u8])]) -> Vec<u8> {
    let bytes: Vec<u8> = files.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
    let length = u32::try_from(bytes.len()).unwrap();
    // One bit for no translation, three for the kind of run, 24 for its length, padded to 16-bit words.
    let words = [0x3000 | (length >> 12) as u16, ((length & 0xFFF) << 4) as u16];
    let mut block: Vec<u8> = words.into_iter().flat_map(u16::to_le_bytes).collect();
    block.extend([1_u32; 3].into_iter().flat_map(u32::to_le_bytes));
    block.extend(&bytes);
    block.extend(vec![0; bytes.len() % 2]);
    raw_cab(0x1503, files, &[(&block, length as u16)])
}

/// A cabinet of one folder with these blocks, each with its decompressed length.
pub(super) fn raw_cab(compression: u16, files: &[(&str, &[u8])], blocks: &[(&[u8], u16)]) -> Vec<u8> {
    let mut entries = Vec::new();
    let mut start = 0_u32;
    for (name, bytes) in files {
        let size = u32::try_from(bytes.len()).unwrap();
        entries.extend(size.to_le_bytes());
        entries.extend(start.to_le_bytes());
        entries.extend([0; 8]);
        entries.extend(name.as_bytes());
        entries.push(0);
        start += size;
    }
    let mut data = Vec::new();
    for (packed, unpacked) in blocks {
        data.extend([0; 4]);
        data.extend(u16::try_from(packed.len()).unwrap().to_le_bytes());
        data.extend(unpacked.to_le_bytes());
        data.extend(*packed);
    }
    let mut head = b"MSCF".to_vec();
    let words = [0, 44 + entries.len() + data.len(), 0, 44, 0];
    head.extend(words.into_iter().flat_map(|word| u32::try_from(word).unwrap().to_le_bytes()));
    head.extend([3, 1]);
    let counts = [1, files.len(), 0, 0, 0];
    head.extend(counts.into_iter().flat_map(|count| u16::try_from(count).unwrap().to_le_bytes()));
    head.extend(u32::try_from(44 + entries.len()).unwrap().to_le_bytes());
    head.extend(u16::try_from(blocks.len()).unwrap().to_le_bytes());
    head.extend(compression.to_le_bytes());
    [head, entries, data].concat()
}

/// A self-extractor: code that speaks of cabinets, then the cabinet, then something more.
pub(super) fn executable(cab: &[u8]) -> Vec<u8> {
    let mut code = b"MZ".to_vec();
    code.extend([0x90; 700]);
    code.extend(b"MSCF is what this looks for: MSCF\0\0\0\0\xFF\xFF\xFF\x7F");
    code.extend([0x90; 700]);
    code.extend(cab);
    code.extend([0; 100]);
    code
}
