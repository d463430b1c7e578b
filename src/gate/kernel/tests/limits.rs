//! Bombs: too deep, too many, too large, too dense.

use super::*;

fn nested(depth: usize, innermost: Vec<u8>, wrap: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    (0..depth).fold(innermost, |bytes, _| wrap(&bytes))
}

#[test]
fn nesting_ends_at_the_limit() {
    let in_zip = |bytes: &[u8]| zip(&[("in", bytes)]);
    assert_eq!(found(&nested(4, driver(), in_zip)), [("in/in/in/in".to_owned(), KernelKind::PeDriver)]);
    for depth in [5, 9] {
        let scanned = scan(&nested(depth, driver(), in_zip));
        assert_eq!(whys(&scanned), ["it is nested more than 4 archives deep (gate.depth_max)"]);
        assert_eq!((scanned.unread[0].inside.as_str(), scanned.unread[0].is_opaque), ("in/in/in/in", false));
    }
    let scanned = scan(&nested(2_000, driver(), gzip));
    assert_eq!((scanned.unread_count, scanned.bodies), (1, 5), "2,000 gzips in one another");
    let in_executable = |bytes: &[u8]| [pe(GUI, 0, &[]), zip(&[("in", bytes)])].concat();
    assert_eq!(scan(&nested(6, driver(), in_executable)).unread_count, 1);
}

#[test]
fn gzip_of_zeros_is_a_bomb() {
    let bomb = gzip(&vec![0; 8 << 20]);
    assert!(bomb.len() < 16_000, "{}", bomb.len());
    assert_eq!(whys(&scan(&bomb)), ["it unpacks to more than 200 bytes for each of its own (gate.ratio_max)"],);
    let nothing_to_fear = gzip(&vec![0; 1 << 20]);
    assert_eq!(scan(&nothing_to_fear).unread, [], "small ones are read whatever their ratio");
}

#[test]
fn large_executables_are_told_by_their_headers_and_searched_for_archives() {
    let limits = ScanLimits { member_bytes_max: 4_000, ..ScanLimits::default() };
    let filler = vec![7; 300_000];
    let counts = |image: Vec<u8>| {
        let scanned = scan_with("f", &gzip(&tar(&[("large.exe", &image), ("text", b"text")])), &limits);
        (scanned.unread_count, scanned.kernel_count)
    };
    let user = pe(GUI, 0, &["kernel32.dll"]);
    assert_eq!(counts([user.clone(), filler.clone()].concat()), (0, 0));
    assert_eq!(counts([driver(), filler.clone()].concat()), (0, 1));
    for archive in [cab(&[("a", b"b")]), zip(&[("a", b"b")])] {
        assert_eq!(counts([user.clone(), filler.clone(), archive].concat()), (1, 0));
    }
    let mut far = [user, filler].concat();
    far[0x98 + 240 + 20..0x98 + 240 + 24].copy_from_slice(&200_000_u32.to_le_bytes());
    assert_eq!(counts(far), (1, 0), "its imports are not among what is held");
}

/// As 42.zip: each layer holds the next one many times.
#[test]
fn a_bomb_of_many_layers_ends_at_a_limit() {
    let zeros = zip(&[("0", &vec![0; 4 << 20])]);
    let layer = |bytes: &[u8]| {
        let names: Vec<String> = (0..16).map(|number| number.to_string()).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), bytes)).collect();
        zip(&files)
    };
    for (depth, why) in [(2, "gate.ratio_max"), (5, "gate.depth_max")] {
        let scanned = scan(&nested(depth, zeros.clone(), layer));
        assert!(whys(&scanned)[0].contains(why), "{depth}: {:?}", whys(&scanned));
        assert!(scanned.bodies < 100_000);
    }
}

#[test]
fn the_sum_of_unpacked_bytes_is_bounded() {
    let random: Vec<u8> =
        (0_u32..50_000).flat_map(|number| blake3::hash(&number.to_le_bytes()).as_bytes()[..2].to_vec()).collect();
    let limits = ScanLimits { unpacked_bytes_max: 60_000, ..ScanLimits::default() };
    let scanned = scan_with("f", &zip(&[("a", &random[..50_000]), ("b", &random[50_000..])]), &limits);
    assert_eq!(whys(&scanned), ["it unpacks to more than 60000 bytes (gate.unpacked_max_bytes)"]);
    assert_eq!(scanned.unread[0].inside, "b");
}

#[test]
fn members_are_counted_over_all_archives() {
    let limits = ScanLimits { members_max: 20, ..ScanLimits::default() };
    let names: Vec<String> = (0..9).map(|number| format!("{number}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    let inner = zip(&files);
    assert_eq!(scan_with("f", &tar(&[("one", &inner)]), &limits).unread, []);
    let scanned = scan_with("f", &tar(&[("one", &inner), ("two", &inner)]), &limits);
    assert_eq!(whys(&scanned), ["it has more than 20 members (gate.members_max)"]);
    let many: Vec<(&str, &[u8])> = vec![("same", b""); 21];
    assert_eq!(scan_with("f", &ar(&many), &limits).unread_count, 1);
}

#[test]
fn only_so_much_is_held_in_memory() {
    let filler = vec![7; 5_000];
    let large = stored_zip(&[("large", &filler)]);
    let limits = ScanLimits { member_bytes_max: 4_000, ..ScanLimits::default() };
    let scanned = scan_with("f", &gzip(&tar(&[("large.zip", &large), ("flt", &driver())])), &limits);
    assert_eq!((scanned.unread_count, scanned.kernel_count), (1, 1), "what follows is looked at");
    assert!(scanned.unread[0].why.ends_with("publish it as an artifact of its own"), "{scanned:?}");
    assert!(!scanned.unread[0].is_opaque);
    // Where all bytes are at hand nothing has to be held: as an artifact, in a tar, stored in a zip.
    for at_hand in [large.clone(), tar(&[("large.zip", &large)]), stored_zip(&[("large.zip", &large)])] {
        assert_eq!(scan_with("f", &at_hand, &limits).unread, []);
    }
    // Streams are never held, and what is of no known kind is passed over.
    let stream = gzip(&tar(&[("in.tgz", &gzip(&tar(&[("text", &vec![b'x'; 50_000]), ("flt", &driver())])))]));
    let scanned = scan_with("f", &stream, &limits);
    assert_eq!((scanned.unread_count, scanned.kernel_count), (0, 1));
}
