//! What is found, where it is found, and what is refused to be looked through.

pub(crate) mod build;
mod damage;
mod limits;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;
use crate::model::KernelKind;
use build::*;

fn scan_with(name: &str, bytes: &[u8], limits: &ScanLimits) -> Scanned {
    let mut scanned = Scanned::default();
    scanned.look_at(&name.parse().unwrap(), bytes, limits);
    scanned
}

fn scan(bytes: &[u8]) -> Scanned {
    scan_with("artifact", bytes, &ScanLimits::default())
}

/// Where kernel-mode content is, and of what kind. Everything must have been looked through.
fn found(bytes: &[u8]) -> Vec<(String, KernelKind)> {
    let scanned = scan(bytes);
    assert_eq!(scanned.unread, []);
    scanned.kernel_mode.into_iter().map(|content| (content.inside, content.kind)).collect()
}

fn whys(scanned: &Scanned) -> Vec<&str> {
    scanned.unread.iter().map(|unread| unread.why.as_str()).collect()
}

#[test]
fn executables_are_told_by_what_they_are() {
    let kind = |bytes: &[u8]| found(bytes).first().map(|(_, kind)| *kind);
    for user in [
        pe(GUI, 0x8160, &["KERNEL32.dll", "ntdll.dll", "hal.dll.mui"]),
        pe(3, 0, &[]),
        b"MZ".to_vec(),
        b"MZ and then no image".to_vec(),
        elf(1, ".text"),
        elf(3, ".modinfo"),
        b"\x7FELF".to_vec(),
        b"plain text".to_vec(),
        Vec::new(),
    ] {
        assert_eq!(kind(&user), None, "{:?}", &user[..user.len().min(16)]);
    }
    for driver in [
        driver(),
        pe(NATIVE, 0, &[]),
        pe(GUI, 0x2000, &[]),
        pe(GUI, 0, &["kernel32.dll", "NTOSKRNL.exe"]),
        pe(GUI, 0, &["FltMgr.SYS"]),
        pe(GUI, 0, &["HAL.dll"]),
    ] {
        assert_eq!(kind(&driver), Some(KernelKind::PeDriver));
    }
    assert_eq!(kind(&pe(10, 0, &[])), Some(KernelKind::PeFirmware));
    assert_eq!(kind(&module()), Some(KernelKind::ElfModule));
    assert_eq!(kind(&elf(1, ".gnu.linkonce.this_module")), Some(KernelKind::ElfModule));
}

#[test]
fn a_name_alone_makes_a_driver() {
    let named = |name: &str| scan_with(name, b"text", &ScanLimits::default()).kernel_count;
    assert_eq!((named("a.sys"), named("x/A.SYS"), named("sys"), named("a.sys.txt")), (1, 1, 0, 0));
    let inside = found(&zip(&[("x\\b.Sys. ", b""), ("c.system", b"")]));
    assert_eq!(inside, [("x\\b.Sys. ".to_owned(), KernelKind::DriverName)]);
}

#[test]
fn every_kind_of_archive_is_looked_into() {
    let files: &[(&str, &[u8])] = &[("readme.txt", b"text"), ("deep/flt", &driver()), ("mod", &module())];
    let expected = [("deep/flt".to_owned(), KernelKind::PeDriver), ("mod".to_owned(), KernelKind::ElfModule)];
    let archives = [
        ("zip", zip(files)),
        ("stored zip", stored_zip(files)),
        ("tar", tar(files)),
        ("tar.gz", gzip(&tar(files))),
        ("cab", cab(files)),
        ("ar", ar(files)),
        ("cvd", cvd(files)),
        ("executable with a cabinet", [pe(GUI, 0, &[]), cab(files), vec![0; 64]].concat()),
        ("executable with a zip", [pe(GUI, 0, &[]), zip(files)].concat()),
        ("executable with a zip and a signature behind", [pe(GUI, 0, &[]), zip(files), vec![7; 999]].concat()),
        ("zip with a comment in front", [b"PK\x07\x08 in front ".to_vec(), zip(files)].concat()),
    ];
    for (kind, archive) in archives {
        assert_eq!(found(&archive), expected, "{kind}");
    }
    assert_eq!(found(&gzip(&driver())), [(String::new(), KernelKind::PeDriver)]);
    let two_members = [gzip(b""), gzip(&driver())].concat();
    assert_eq!(found(&two_members), [(String::new(), KernelKind::PeDriver)], "gzip joins its members");
}

#[test]
fn archives_in_archives_are_looked_into() {
    let inner = zip(&[("flt.bin", &driver())]);
    let nested = tar(&[("a/in.zip", &inner), ("b.cab", &cab(&[("x/in.tgz", &gzip(&tar(&[("m", &module())])))]))]);
    let expected =
        [("a/in.zip/flt.bin".to_owned(), KernelKind::PeDriver), ("b.cab/x/in.tgz/m".to_owned(), KernelKind::ElfModule)];
    assert_eq!(found(&nested), expected);
    assert_eq!(scan(&gzip(&zip(&[("a.txt", b"x"), ("b.txt", b"y")]))).bodies, 4, "the gzip, the zip and its members");
}

#[test]
fn long_names_of_tar_are_read_and_shortened() {
    let name = format!("{}/driver.sys", "d".repeat(150));
    let found = found(&tar(&[(name.as_str(), b"")]));
    assert_eq!(found[0].1, KernelKind::DriverName);
    assert!(found[0].0.ends_with('…') && found[0].0.chars().count() == 121, "{found:?}");
}

#[test]
fn hits_are_counted_and_the_first_are_listed() {
    let names: Vec<String> = (0..50).map(|number| format!("{number}.sys")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let scanned = scan(&zip(&files));
    assert_eq!((scanned.kernel_mode.len(), scanned.kernel_count), (LISTED_MAX, 50));
}

/// A tar with the member `d/x.sys`, as `xz` compresses it.
const XZ: &str = "/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4Cf/AF5dADILywMN3RQuvtY5dnXP0k64TB8fh21rsa+tQG0vrMBhFLsWX4aJ8GRNV2Nl\
    k1B6D3SrfmmEX7mGp42GXHJ0lZS8tspcPD8fyOP3tBXmjR36fnomGi181FxUzJABAAAAAADgXMmdR5K1sgABeoBQAAAASkUHE7HE\
    Z/sCAAAAAARZWg==";

#[test]
fn xz_and_zstandard_are_opened_and_compared_with_their_checks() {
    let xz = STANDARD.decode(XZ).unwrap();
    let plain = tar(&[("d/x.sys", b"text"), ("module", &module())]);
    let zstandard = compress_to_vec(&plain[..], CompressionLevel::Fastest);
    let skippable = [&b"\x50\x2A\x4D\x18\x03\0\0\0abc"[..], &zstandard].concat();
    let twice = [&xz[..], &xz].concat();
    assert_eq!(found(&xz), [("d/x.sys".into(), KernelKind::DriverName)]);
    assert_eq!(found(&twice).len(), 1, "a tar ends before the second");
    let both = [("d/x.sys".into(), KernelKind::DriverName), ("module".into(), KernelKind::ElfModule)];
    assert_eq!(found(&zstandard), both);
    assert_eq!(found(&skippable), both);
    // As Debian packages hold them.
    let package = ar(&[("debian-binary", b"2.0\n"), ("data.tar.xz", &xz), ("more.tar.zst", &zstandard)]);
    assert_eq!(found(&package).len(), 3);
    for good in [&xz, &zstandard] {
        for at in (0..good.len()).step_by(7) {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            let scanned = scan(&bad);
            assert!(scanned.kernel_count > 0 || !scanned.unread.is_empty() || at < 6, "byte {at} of {}", good.len());
        }
        let cut = scan(&good[..good.len() - 9]);
        assert!(!cut.unread.is_empty() && !cut.unread[0].is_opaque);
    }
}

#[test]
fn a_decoder_gets_no_more_memory_than_the_strongest_compression_needs() {
    // A frame that asks for a window of 2 GiB, and a block header whose dictionary is as large as xz can say.
    let zstandard = scan(b"\x28\xB5\x2F\xFD\0\xA8\x01\0\0");
    assert!(whys(&zstandard)[0].to_lowercase().contains("window"), "{:?}", whys(&zstandard));
    let mut xz = STANDARD.decode(XZ).unwrap();
    let filter = xz.windows(2).position(|pair| pair == [0x21, 0x01]).unwrap();
    xz[filter + 2] = 40;
    let header = usize::from(xz[12]) * 4;
    let check = crc32(&xz[12..12 + header]).to_le_bytes();
    xz[12 + header..16 + header].copy_from_slice(&check);
    assert!(whys(&scan(&xz))[0].contains("memory"), "{:?}", whys(&scan(&xz)));
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[test]
fn what_is_not_opened_is_told() {
    for (bytes, kind) in [(&b"LZIP\x01"[..], "lzip"), (b"BZh91AY", "bzip2"), (b"7z\xBC\xAF\x27\x1C", "7z")] {
        let scanned = scan(&tar(&[("data", bytes)]));
        assert_eq!(scanned.unread.len(), 1);
        assert!(scanned.unread[0].is_opaque && scanned.unread[0].inside == "data");
        assert_eq!(whys(&scanned), [format!("it is {kind}, which is not opened here")]);
    }
    let is_compress = |flags: &u8| !scan(&[0x1F, 0x9D, *flags, 0]).unread.is_empty();
    assert_eq!(
        (0..=255).filter(is_compress).collect::<Vec<u8>>(),
        [(0..=16), (0x80..=0x90)].into_iter().flatten().collect::<Vec<_>>()
    );
    let mut encrypted = zip(&[("a", b"text"), ("b", &driver())]);
    let directory = encrypted.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    encrypted[directory + 8] |= 1;
    let scanned = scan(&encrypted);
    assert_eq!(whys(&scanned), ["its member a is encrypted, which is not opened here"]);
    assert!(scanned.unread[0].is_opaque);
    assert_eq!(scanned.kernel_count, 1, "its neighbours are looked at all the same");
    let seven_zip = scan(&[pe(GUI, 0, &[]), b"7z\xBC\xAF\x27\x1C and more".to_vec()].concat());
    assert_eq!(whys(&seven_zip), ["it is an executable with 7z appended, which is not opened here"]);
}
