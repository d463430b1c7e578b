//! Archives that lie, are cut short or make no sense.

use proptest::prelude::*;

use super::*;

fn only_why(bytes: &[u8]) -> String {
    let scanned = scan(bytes);
    assert_eq!(scanned.unread_count, 1, "{scanned:?}");
    assert!(!scanned.unread[0].is_opaque);
    scanned.unread[0].why.clone()
}

fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|window| window == what).unwrap()
}

#[test]
fn zips_that_lie_are_refused() {
    let sound = zip(&[("one", b"the first text"), ("two", b"the second text")]);
    assert_eq!(scan(&sound).unread, []);
    let entry = find(&sound, b"PK\x01\x02");
    let change = |at: usize, by: u8| {
        let mut archive = sound.clone();
        archive[at] = archive[at].wrapping_add(by);
        only_why(&archive)
    };
    assert_eq!(change(entry + 24, 0xFF), "its member one is longer than it says");
    assert_eq!(change(entry + 24, 1), "it ends inside its member one");
    assert_eq!(change(entry + 42, 1), "a member lies outside of it");
    let end = find(&sound, b"PK\x05\x06");
    assert_eq!(change(end + 10, 1), "its directory is not as long as it says");
    assert_eq!(change(end + 19, 0x7F), "its directory lies outside of it");
    assert_eq!(only_why(&sound[..end]), "its end is missing");
    let stored = stored_zip(&[("aaa", b"text"), ("bbb", b"text")]);
    let second = stored.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    let mut shared = stored.clone();
    shared[second + 42..second + 46].fill(0);
    assert_eq!(only_why(&shared), "two members share their bytes");
}

#[test]
fn tars_that_lie_are_refused() {
    let sound = tar(&[("one", &[b'x'; 600]), ("two", b"text")]);
    assert_eq!(scan(&sound).unread, []);
    // A size beyond the end, with a checksum that fits.
    let mut header = ::tar::Header::new_gnu();
    header.set_path("liar").unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    let lying = [header.as_bytes().as_slice(), &[0; 1024]].concat();
    assert_eq!(only_why(&lying), "it ends inside its member liar");
    assert_eq!(only_why(&gzip(&lying)), "it ends inside its member liar");
    header.set_entry_type(::tar::EntryType::GNULongName);
    header.set_cksum();
    let lying = [header.as_bytes().as_slice(), &[0; 1024]].concat();
    assert_eq!(only_why(&lying), "a name in it is too long", "nobody reserves memory for it");
    let mut broken = sound.clone();
    broken[512 + 1024] ^= 1;
    assert_eq!(only_why(&broken), "a header's checksum is wrong");
    assert_eq!(only_why(&sound[..512 + 1024 + 100]), "it ends inside a header");
}

#[test]
fn whatever_is_cut_short_is_refused() {
    let noise: Vec<u8> = (0_u32..400).flat_map(|number| *blake3::hash(&number.to_le_bytes()).as_bytes()).collect();
    let files: &[(&str, &[u8])] = &[("one", &noise), ("two", b"text")];
    for whole in [zip(files), gzip(&tar(files)), cab(files), ar(files)] {
        assert_eq!(scan(&whole).unread, []);
        assert!(scan(&whole[..whole.len() / 2]).unread_count > 0);
    }
    let mut gzipped = gzip(b"text");
    let last = gzipped.len() - 1;
    gzipped[last] ^= 1;
    assert!(scan(&gzipped).unread_count == 1, "its length is wrong at the end");
}

fn sample() -> impl Strategy<Value = Vec<u8>> {
    let files = || -> Vec<(&'static str, Vec<u8>)> {
        vec![("a.txt", b"text".to_vec()), ("d/flt.sys", driver()), ("m", module()), ("in.zip", zip(&[("x", b"y")]))]
    };
    (0..8_usize).prop_map(move |kind| {
        let owned = files();
        let files: Vec<(&str, &[u8])> = owned.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        match kind {
            0 => zip(&files),
            1 => gzip(&tar(&files)),
            2 => tar(&files),
            3 => cab(&files),
            4 => ar(&files),
            5 => cvd(&files),
            6 => [pe(GUI, 0, &["a.dll"]), cab(&files)].concat(),
            _ => [driver(), zip(&files)].concat(),
        }
    })
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(
        mut bytes in sample(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        length in any::<prop::sample::Index>(),
        is_cut: bool,
    ) {
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(length.index(bytes.len()));
        }
        let limits = ScanLimits { member_bytes_max: 1 << 16, ..ScanLimits::default() };
        let scanned = scan_with("f", &bytes, &limits);
        prop_assert!(scanned.kernel_mode.len() <= LISTED_MAX && scanned.unread.len() <= LISTED_MAX);
        prop_assert!(scanned.bodies <= 100_000);
    }

    #[test]
    fn noise_behind_a_known_beginning_is_bounded(
        magic in prop::sample::select(vec![
            &b"PK\x03\x04"[..], b"MSCF\0\0\0\0", b"\x1F\x8B\x08", b"!<arch>\n", b"MZ", b"\x7FELF\x02\x01", b"ClamAV-VDB:",
        ]),
        noise in proptest::collection::vec(any::<u8>(), 0..2_000),
    ) {
        let scanned = scan(&[magic, &noise].concat());
        prop_assert!(scanned.unread.len() <= LISTED_MAX);
    }
}
