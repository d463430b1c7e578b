//! What is refused, and with which words.

use super::build::{FILES, cab, executable, raw_cab, zip, zip_with_link};
use super::*;
use ::cab::CompressionType::{MsZip, None as Stored};

/// Every place where `pattern` stands.
fn places(bytes: &[u8], pattern: &[u8]) -> Vec<usize> {
    (0..bytes.len()).filter(|at| bytes[*at..].starts_with(pattern)).collect()
}

const CENTRAL: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";

#[test]
fn what_is_no_archive() {
    let text = "this is no zip, no cabinet and no executable with a cabinet inside; publish one of them, or choose a \
                layout that shows artifacts as they are";
    for bytes in [&b""[..], b"M", b"hello", &executable(b"no cabinet")] {
        assert_eq!(error(bytes), text);
    }
}

#[test]
fn bad_names() {
    for bad in ["../evil", "/etc/passwd", "a/../../b", "a//b", "nul", "C:evil", "a.", "sp ace", "PROGRA~1"] {
        let in_zip = contents(&zip(&[("fine", b"x"), (bad, b"x")]));
        assert!(matches!(in_zip, Err(DeriveError::BadName { .. })), "{bad}: {in_zip:?}");
        let in_cab = contents(&cab(&[("fine", b"x"), (bad, b"x")], MsZip));
        assert!(matches!(in_cab, Err(DeriveError::BadName { .. })), "{bad}: {in_cab:?}");
    }
    insta::assert_snapshot!(error(&cab(&[("..\\evil", b"x")], Stored)), @r#"the archive has a member with a bad name: "../evil" cannot be a target name: '.' and '..' would leave the release; rename it and pack the archive again"#);
}

#[test]
fn names_that_collide() {
    let same_case = [("a/B.vdm", &b"x"[..]), ("A/b.vdm", b"y")];
    insta::assert_snapshot!(error(&zip(&same_case)), @"A/b.vdm in the archive: a differs from it only in case, and many shares take them for one; spell both alike");
    let twice = [("a", &b"x"[..]), ("a", b"y")];
    insta::assert_snapshot!(error(&cab(&twice, MsZip)), @"a in the archive: two files want this path; publish one of them under another name");
    let folder = [("a", &b"x"[..]), ("a/b", b"y")];
    insta::assert_snapshot!(error(&zip(&folder)), @"a/b in the archive: a cannot be both a file and a folder; rename one of them");

    let mut renamed = zip(&[("one", b"x"), ("two", b"y")]);
    for at in places(&renamed, b"two") {
        renamed[at..at + 3].copy_from_slice(b"one");
    }
    insta::assert_snapshot!(error(&renamed), @"the archive is damaged or cut short (two members have the same name); get it from its publisher again");
}

#[test]
fn limits() {
    let limits = UnpackLimits { members_max: 2, total_bytes_max: 100, ratio_max: 200 };
    for archive in [zip(FILES), cab(FILES, MsZip)] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(unpack_all(&archive, &limits).unwrap_err(), @"the archive has 3 members and may have 2; publish its content as several archives");
            let limits = UnpackLimits { members_max: 3, ..limits };
            insta::assert_snapshot!(unpack_all(&archive, &limits).unwrap_err(), @"the archive unpacks to 332 bytes and may to 100; publish its content as several archives");
            let limits = UnpackLimits { total_bytes_max: 332, ..limits };
            assert_eq!(unpack_all(&archive, &limits).unwrap().len(), 3);
        }
    }
}

#[test]
fn bombs() {
    let zeros = vec![0; 4 << 20];
    for archive in [zip(&[("zeros", &zeros)]), cab(&[("zeros", &zeros)], MsZip)] {
        let result = contents(&archive);
        assert!(matches!(result, Err(DeriveError::RatioTooHigh { bytes: 4_194_304, .. })), "{result:?}");
    }
    // Two members that point at the same bytes.
    let mut shared = zip(&[("one", &[1; 50]), ("two", &[1; 50])]);
    let second = places(&shared, CENTRAL)[1];
    shared[second + 42..second + 46].fill(0);
    insta::assert_snapshot!(error(&shared), @"the archive is damaged or cut short (two members share their bytes); get it from its publisher again");
    // Folders that point at the same many blocks: the walk over them must not become their product.
    let block: (&[u8], u16) = (&[], 1);
    let mut folders = raw_cab(0, &[], &vec![block; 65_535]);
    let (size, count) = (folders.len(), 60_000_usize);
    let first: Vec<u8> = folders[36..44].to_vec();
    folders.extend(first.repeat(count));
    // Only the first folder stands in the directory's place; move the directory to hold all of them.
    let mut moved = folders[..36].to_vec();
    moved[26..28].copy_from_slice(&(count as u16).to_le_bytes());
    let start = u32::try_from(36 + count * 8).unwrap();
    let entry = [&start.to_le_bytes()[..], &first[4..]].concat();
    moved.extend(entry.repeat(count));
    moved.extend(&folders[44..size]);
    let total = u32::try_from(moved.len()).unwrap();
    moved[8..12].copy_from_slice(&total.to_le_bytes());
    insta::assert_snapshot!(error(&moved), @"the archive is damaged or cut short (two folders share their bytes); get it from its publisher again");
}

#[test]
fn what_is_not_read() {
    let mut encrypted = zip(FILES);
    for at in places(&encrypted, CENTRAL) {
        encrypted[at + 8] |= 1;
    }
    for at in places(&encrypted, LOCAL) {
        encrypted[at + 6] |= 1;
    }
    insta::assert_snapshot!(error(&encrypted), @"a.txt is encrypted in the archive; publish an archive without a password");

    let mut bzip2 = zip(FILES);
    for at in places(&bzip2, CENTRAL) {
        bzip2[at + 10] = 12;
    }
    insta::assert_snapshot!(error(&bzip2), @"a.txt in the archive is compressed with Bzip2, which Ringfence does not read; pack the archive as zip with deflate, or as one cabinet");

    insta::assert_snapshot!(error(&zip_with_link("link", "/etc/passwd")), @"link in the archive is a link or a device, which Ringfence does not read; pack the archive as zip with deflate, or as one cabinet");

    let quantum = raw_cab(0x1472, &[("a", b"x")], &[(b"x", 1)]);
    insta::assert_snapshot!(error(&quantum), @"the cabinet is compressed by method 0x1472, which Ringfence does not read; pack the archive as zip with deflate, or as one cabinet");

    let mut spanned = cab(FILES, MsZip);
    spanned[30] |= 2;
    insta::assert_snapshot!(error(&spanned), @"the cabinet is one of a set that is cut into several files, which Ringfence does not read; pack the archive as zip with deflate, or as one cabinet");
}

#[test]
fn an_archive_without_files() {
    for archive in [zip(&[]), raw_cab(0, &[], &[]), build::zip_with_folder("only", &[])] {
        assert_eq!(error(&archive), "the archive holds no file; publish one that does");
    }
}
