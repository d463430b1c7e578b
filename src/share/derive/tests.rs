//! Archives that are built here, whole and damaged.

mod build;
mod damage;
mod refusals;

use super::*;
use build::{FILES, cab, executable, lzx_cab, zip};

/// Everything an archive holds, as the sink got it.
type Contents = Vec<(String, Vec<u8>)>;

fn unpack_all(archive: &[u8], limits: &UnpackLimits) -> Result<Contents, DeriveError> {
    let mut contents = Vec::new();
    unpack(archive, limits, &mut |member| {
        let mut bytes = Vec::new();
        member.body.read_to_end(&mut bytes)?;
        assert_eq!(bytes.len() as u64, member.size, "{}", member.name);
        contents.push((member.name.to_string(), bytes));
        Ok(())
    })?;
    Ok(contents)
}

fn contents(archive: &[u8]) -> Result<Contents, DeriveError> {
    unpack_all(archive, &UnpackLimits::default())
}

fn error(archive: &[u8]) -> String {
    contents(archive).unwrap_err().to_string()
}

fn expected(files: &[(&str, &[u8])]) -> Contents {
    files.iter().map(|(name, bytes)| (name.replace('\\', "/"), bytes.to_vec())).collect()
}

#[test]
fn every_format_gives_its_members() {
    let plain = ::cab::CompressionType::None;
    let packed = ::cab::CompressionType::MsZip;
    let archives = [
        zip(FILES),
        cab(FILES, plain),
        cab(FILES, packed),
        lzx_cab(FILES),
        executable(&cab(FILES, packed)),
        executable(&lzx_cab(FILES)),
    ];
    for (number, archive) in archives.iter().enumerate() {
        assert_eq!(contents(archive).unwrap(), expected(FILES), "archive {number}");
    }
}

#[test]
fn members_of_many_blocks_and_folders_arrive_whole() {
    let noise =
        |length: u32| -> Vec<u8> { (0..length).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect() };
    let (long, longer) = (noise(50_000), noise(70_001));
    let files: &[(&str, &[u8])] =
        &[("one.vdm", &long), ("two.vdm", b""), ("deep\\er\\three.vdm", &longer), ("four", b"4"), ("five", &long)];
    for archive in [cab(files, ::cab::CompressionType::MsZip), cab(files, ::cab::CompressionType::None)] {
        assert_eq!(contents(&archive).unwrap(), expected(files));
    }
    let with_slashes: Vec<_> = expected(files);
    let borrowed: Vec<(&str, &[u8])> = with_slashes.iter().map(|(name, bytes)| (&**name, &**bytes)).collect();
    assert_eq!(contents(&zip(&borrowed)).unwrap(), with_slashes);
}

#[test]
fn what_follows_a_cabinet_is_ignored() {
    let mut signed = cab(FILES, ::cab::CompressionType::MsZip);
    signed.extend([0x30; 5000]);
    assert_eq!(contents(&signed).unwrap(), expected(FILES));
}

#[test]
fn folders_of_a_zip_are_no_members() {
    assert_eq!(contents(&build::zip_with_folder("folder", FILES)).unwrap(), expected(FILES));
}

#[test]
fn an_archive_inside_stays_a_file() {
    let inner = zip(FILES);
    assert_eq!(contents(&zip(&[("inner.zip", &inner)])).unwrap(), [("inner.zip".to_owned(), inner)]);
}

#[test]
fn a_sink_may_fail_and_may_leave_bytes_unread() {
    let archive = cab(FILES, ::cab::CompressionType::MsZip);
    let mut names = Vec::new();
    let unread = unpack(&archive, &UnpackLimits::default(), &mut |member| {
        names.push(member.name.to_string());
        Ok(())
    });
    unread.unwrap();
    assert_eq!(names, ["a.txt", "deep/b.bin", "deep/c.bin"]);
    let full = unpack(&archive, &UnpackLimits::default(), &mut |_| Err(io_error("no space")));
    assert_eq!(full.unwrap_err().to_string(), "a member of the archive could not be written: no space");
}

fn io_error(text: &str) -> DeriveError {
    std::io::Error::other(text.to_owned()).into()
}

#[test]
fn md5_is_bare_hexadecimal() {
    // RFC 1321, appendix A.5.
    assert_eq!(md5_hex(b"abc"), "900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(md5_hex(b""), "d41d8cd98f00b204e9800998ecf8427e");
}

/// `cargo test --release --lib derive::tests::measure -- --ignored --nocapture`: one folder with many members must cost
/// what one member of the same bytes costs.
#[test]
#[ignore = "a measurement"]
fn measure_members_of_one_folder() {
    let noise: Vec<u8> = (0..8_u32 << 20).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    for members in [1, 512] {
        let names: Vec<String> = (0..members).map(|number| format!("m{number}")).collect();
        let files: Vec<(&str, &[u8])> =
            names.iter().map(String::as_str).zip(noise.chunks(noise.len() / members)).collect();
        let archive = build::cab_of_one_folder(&files, ::cab::CompressionType::MsZip);
        let start = std::time::Instant::now();
        assert_eq!(contents(&archive).unwrap().len(), members);
        println!("{members} members, {} MiB in {:?}", noise.len() >> 20, start.elapsed());
    }
}
