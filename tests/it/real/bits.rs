//! The requests of BITS, the downloader of Windows: the size by HEAD, then ranges, each bound to the file it began with.
//! It does not run here, so its requests are made by hand.

use crate::support::{Answer, ShareServer, random_bytes};

const PATH: &str = "tree/feed.bin";

fn shown(version: u64) -> Vec<u8> {
    random_bytes(version, 300_000)
}

/// What BITS needs of every answer: the length, never in chunks, and the validators.
#[track_caller]
fn check(answer: &Answer, length: usize) {
    assert_eq!(answer.content_length(), Some(length as u64), "{}", answer.head);
    assert_eq!(answer.header("transfer-encoding"), None, "{}", answer.head);
    assert_eq!(answer.header("accept-ranges"), Some("bytes"), "{}", answer.head);
    let etag = answer.header("etag").expect("an ETag");
    assert!(etag.starts_with('"') && etag.ends_with('"'), "a strong one: {etag}");
    assert!(answer.header("last-modified").is_some(), "{}", answer.head);
    assert_eq!(answer.header("content-encoding"), None, "{}", answer.head);
}

#[test]
fn the_size_then_ranges_of_it() {
    let shares = ShareServer::prompt("tree", "plain");
    let body = shown(1);
    shares.show("tree", "1", "feed.bin", &body);
    let head = shares.ask("HEAD", PATH, &[("Accept-Encoding", "identity"), ("User-Agent", "Microsoft BITS/7.8")]);
    let head = head.expect(200);
    check(&head, body.len());
    assert!(head.body.is_empty());
    let (modified, etag) = (head.header("last-modified").unwrap(), head.header("etag").unwrap());
    let mut got = Vec::new();
    while got.len() < body.len() {
        let end = (got.len() + 65_535).min(body.len() - 1);
        let range = format!("bytes={}-{end}", got.len());
        // Some versions name the date, others the tag.
        let condition = if got.is_empty() { ("If-Unmodified-Since", modified) } else { ("If-Range", etag) };
        let part = shares.ask("GET", PATH, &[("Range", &range), condition]).expect(206);
        check(&part, end + 1 - got.len());
        let place = format!("bytes {}-{end}/{}", got.len(), body.len());
        assert_eq!(part.header("content-range"), Some(&*place));
        got.extend_from_slice(&part.body);
    }
    assert!(got == body);
}

#[test]
fn several_ranges_come_in_their_order_with_short_heads() {
    let shares = ShareServer::prompt("tree", "plain");
    let body = shown(1);
    shares.show("tree", "1", "feed.bin", &body);
    let ranges = [(0, 99), (200, 299), (5_000, 70_000), (299_990, 299_999)];
    let asked: Vec<String> = ranges.iter().map(|(first, last)| format!("{first}-{last}")).collect();
    let range = format!("bytes={}", asked.join(","));
    let answer = shares.ask("GET", PATH, &[("Range", &range)]).expect(206);
    check(&answer, answer.body.len());
    let boundary = answer.header("content-type").and_then(|value| value.split_once("boundary=")).expect("parts").1;
    let mut rest = answer.body.as_slice();
    for (first, last) in ranges {
        let end = rest.windows(4).position(|window| window == b"\r\n\r\n").expect("a part's head") + 4;
        let head = std::str::from_utf8(&rest[..end]).unwrap();
        assert!(head.len() <= 180, "BITS reads at most 180 bytes of a part's head: {head:?}");
        assert!(head.contains(&format!("--{boundary}\r\n")), "{head:?}");
        assert!(
            head.to_lowercase().contains(&format!("content-range: bytes {first}-{last}/{}", body.len())),
            "{head:?}"
        );
        let length = last + 1 - first;
        assert!(rest[end..end + length] == body[first..=last]);
        rest = &rest[end + length..];
    }
    assert_eq!(rest, format!("\r\n--{boundary}--\r\n").as_bytes());
}

#[test]
fn a_switch_in_between_gives_the_whole_or_nothing() {
    let shares = ShareServer::prompt("tree", "plain");
    let (old, new) = (shown(1), shown(2));
    let before = shares.show("tree", "1", "feed.bin", &old);
    shares.show("tree", "2", "feed.bin", &new);
    // Forward, and then back to the very bytes that the download began with.
    for (body, is_old_content) in [(&new, false), (&old, true)] {
        let (modified, etag) = (before.header("last-modified").unwrap(), before.header("etag").unwrap());
        let range = ("Range", "bytes=100000-199999");
        shares.ask("GET", PATH, &[range, ("If-Unmodified-Since", modified)]).expect(412);
        let whole = shares.ask("GET", PATH, &[range, ("If-Range", modified)]).expect(200);
        check(&whole, body.len());
        assert!(whole.body == *body);
        let (by_match, by_range) = if is_old_content { (206, 206) } else { (412, 200) };
        shares.ask("GET", PATH, &[range, ("If-Match", etag)]).expect(by_match);
        let ranged = shares.ask("GET", PATH, &[range, ("If-Range", etag)]).expect(by_range);
        assert!(ranged.body == if is_old_content { &body[100_000..200_000] } else { &body[..] });
        // Without a condition the client is told the new size and tag, and compares them itself.
        let unbound = shares.ask("GET", PATH, &[range]).expect(206);
        check(&unbound, 100_000);
        assert_eq!(unbound.header("etag") == Some(etag), is_old_content);
        assert_ne!(unbound.header("last-modified"), Some(modified));
        if !is_old_content {
            shares.hold("tree", "2");
            shares.wait_for(PATH, &old);
        }
    }
}
