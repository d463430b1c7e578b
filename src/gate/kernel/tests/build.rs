//! Drivers, modules and archives for tests: executables by hand, archives by the writers of the crates where they can.

use std::io::{Cursor, Write as _};

use ::cab::{CabinetBuilder, CompressionType};
use ::zip::write::{SimpleFileOptions, ZipWriter};
use flate2::Compression;
use flate2::write::GzEncoder;

pub(crate) const GUI: u16 = 2;
pub(crate) const NATIVE: u16 = 1;

/// A PE32+ image of one section, which holds its imports.
pub(crate) fn pe(subsystem: u16, characteristics: u16, imports: &[&str]) -> Vec<u8> {
    const OPTIONAL: usize = 0x98;
    let mut image = vec![0; 0x400];
    image[..2].copy_from_slice(b"MZ");
    put32(&mut image, 0x3C, 0x80);
    image[0x80..0x84].copy_from_slice(b"PE\0\0");
    put16(&mut image, 0x84, 0x8664);
    put16(&mut image, 0x86, 1);
    put16(&mut image, 0x94, 240);
    put16(&mut image, 0x96, 0x22);
    put16(&mut image, OPTIONAL, 0x20B);
    put32(&mut image, OPTIONAL + 32, 0x1000);
    put32(&mut image, OPTIONAL + 36, 0x200);
    put32(&mut image, OPTIONAL + 56, 0x2000);
    put32(&mut image, OPTIONAL + 60, 0x200);
    put16(&mut image, OPTIONAL + 68, subsystem);
    put16(&mut image, OPTIONAL + 70, characteristics);
    put32(&mut image, OPTIONAL + 108, 16);
    if !imports.is_empty() {
        put32(&mut image, OPTIONAL + 120, 0x1000);
        put32(&mut image, OPTIONAL + 124, 20 * (imports.len() as u32 + 1));
    }
    let section = OPTIONAL + 240;
    image[section..section + 6].copy_from_slice(b".rdata");
    for (at, number) in [(8, 0x200), (12, 0x1000), (16, 0x200), (20, 0x200)] {
        put32(&mut image, section + at, number);
    }
    let mut name_at = 0x300;
    for (index, name) in imports.iter().enumerate() {
        put32(&mut image, 0x200 + index * 20 + 12, 0x1000 + name_at as u32 - 0x200);
        image[name_at..name_at + name.len()].copy_from_slice(name.as_bytes());
        name_at += name.len() + 1;
    }
    image
}

fn put16(bytes: &mut [u8], at: usize, number: u16) {
    bytes[at..at + 2].copy_from_slice(&number.to_le_bytes());
}

fn put32(bytes: &mut [u8], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

/// A driver: what this room is there to find.
pub(crate) fn driver() -> Vec<u8> {
    pe(NATIVE, 0, &["ntoskrnl.exe"])
}

/// A 64-bit little-endian ELF file of this type, with one named section beside the table of names.
pub(crate) fn elf(kind: u16, section: &str) -> Vec<u8> {
    let names = format!("\0{section}\0.shstrtab\0");
    let table = 64 + names.len();
    let mut file = vec![0; table + 3 * 64];
    file[..7].copy_from_slice(b"\x7FELF\x02\x01\x01");
    put16(&mut file, 16, kind);
    file[40..48].copy_from_slice(&(table as u64).to_le_bytes());
    put16(&mut file, 58, 64);
    put16(&mut file, 60, 3);
    put16(&mut file, 62, 2);
    file[64..table].copy_from_slice(names.as_bytes());
    put32(&mut file, table + 64, 1);
    put32(&mut file, table + 128, section.len() as u32 + 2);
    file[table + 128 + 24..table + 128 + 32].copy_from_slice(&64_u64.to_le_bytes());
    file
}

pub(crate) fn module() -> Vec<u8> {
    elf(1, ".modinfo")
}

pub(crate) fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    zip_by(files, ::zip::CompressionMethod::Deflated)
}

pub(crate) fn stored_zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    zip_by(files, ::zip::CompressionMethod::Stored)
}

fn zip_by(files: &[(&str, &[u8])], method: ::zip::CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) fn cab(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = CabinetBuilder::new();
    for (name, _) in files {
        builder.add_folder(CompressionType::MsZip).add_file(name.replace('/', "\\"));
    }
    let mut writer = builder.build(Cursor::new(Vec::new())).unwrap();
    let mut bodies = files.iter();
    while let Some(mut file) = writer.next_file().unwrap() {
        file.write_all(bodies.next().unwrap().1).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub(crate) fn ar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = b"!<arch>\n".to_vec();
    for (name, bytes) in files {
        archive.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100644, bytes.len()).as_bytes());
        archive.extend(*bytes);
        archive.extend(vec![b'\n'; bytes.len() % 2]);
    }
    archive
}

/// A ClamAV database: 512 bytes of text, then a gzipped tar.
pub(crate) fn cvd(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut database = b"ClamAV-VDB:21 Nov 2026 10-00 +0000:1:1:90:X:X:builder:1".to_vec();
    database.resize(512, b' ');
    database.extend(gzip(&tar(files)));
    database
}
