//! What a receipt is, what it says of a real site, and what is no receipt.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::testing::{Pair, changed, lose, site_key};
use super::*;
use crate::catalog::testing::parse;
use crate::model::{ReportEvent, SiteVersion};
use crate::signing::Signature;

async fn imported() -> (Pair, crate::model::Export) {
    let pair = Pair::new().await;
    pair.publish("1.0").await;
    let export = pair.export().await;
    pair.import(&export).await;
    (pair, export)
}

fn tally(rollout: u64, ring: &str) -> RingTally {
    RingTally {
        product: parse("intel"),
        rollout,
        ring: parse(ring),
        offered: 9,
        fetched: 7,
        installed: 6,
        healthy: 4,
        failed: 1,
        rolled_back: 1,
        pending: 3,
        silent: 2,
    }
}

#[tokio::test]
async fn a_receipt_says_what_the_site_serves_and_holds() {
    let (pair, export) = imported().await;
    pair.canaries_report("1.0", 0..3, ReportEvent::Healthy).await;
    let given = pair.give().await;
    assert!(given.text.len() < 4_096, "{}", given.text.len());
    let (receipt, id) = Receipt::parse(&given.text).unwrap();
    assert_eq!((id, receipt.number, receipt.previous), (given.receipt, 1, None));
    assert_eq!((receipt.bundle, receipt.applied), (Some(export.bundle), Some(export.bundle)));
    assert_eq!((receipt.outcome, receipt.root, receipt.missing_count), (ReceiptOutcome::Applied, export.root, 0));
    let seen = |group: &str, version: Option<&str>| SiteVersion {
        product: parse("intel"),
        group: parse(group),
        version: version.map(parse),
    };
    assert_eq!(receipt.versions[receipt.versions.len() - 2..], [seen("canaries", Some("1.0")), seen("everyone", None)]);
    let counts: Vec<_> = receipt.tallies.iter().map(|tally| (tally.ring.as_str(), tally.healthy)).collect();
    assert_eq!(counts, [("canary", 3)]);
    let signature = Signature::parse(&given.signature).unwrap();
    assert_eq!(signature.verify(&site_key().public(), given.text.as_bytes()), Ok(()));
    let words = receipt.words(id).join("\n");
    assert!(words.starts_with("Receipt 1 of site plant-7: bundle 1 is applied\n"), "{words}");
    assert!(words.lines().count() <= 40, "{words}");
    // The next one follows it.
    let (next, _) = Receipt::parse(&pair.give().await.text).unwrap();
    assert_eq!((next.number, next.previous), (2, Some(id)));
    assert_eq!(next.file_name(), "RECEIPT-plant-7-0002");
}

#[tokio::test]
async fn what_was_lost_since_is_told() {
    let (pair, export) = imported().await;
    let blob = Blake3Digest::of(b"1.0");
    lose(&pair.site, &blob);
    let (receipt, _) = Receipt::parse(&pair.give().await.text).unwrap();
    assert_eq!((receipt.outcome, receipt.missing, receipt.missing_count), (ReceiptOutcome::Partial, vec![blob], 1));
    assert_eq!(receipt.root, crate::bundle::root_of(&BTreeSet::from([export.state.blake3])));
    assert_eq!(receipt.reasons, ["1 object is no longer in the store, of bundle 1, which is served"]);
    assert_eq!(receipt.applied, Some(export.bundle));
}

#[tokio::test]
async fn a_site_that_was_refused_its_first_bundle_says_so() {
    let pair = Pair::new().await;
    let about = About {
        bundle: Some(crate::model::BundleId(Blake3Digest::of(b"other"))),
        sequence: 3,
        outcome: ReceiptOutcome::Refused,
        reasons: vec!["it is for site ship,\nnot plant-7".into(), "ü".repeat(400), String::new()],
        missing: BTreeSet::new(),
    };
    let (receipt, given) = pair.give_about(about).await;
    assert_eq!(Receipt::parse(&given.text), Ok((receipt.clone(), given.receipt)));
    assert_eq!(receipt.reasons[0], "it is for site ship, not plant-7");
    assert!(receipt.reasons[1].len() <= REASON_MAX_BYTES && receipt.reasons[1].ends_with('…'));
    assert_eq!((receipt.applied, receipt.applied_sequence), (None, 0));
    let present = About::present(&crate::model::Snapshot::default());
    assert_eq!((present.bundle, present.outcome), (None, ReceiptOutcome::Partial));
}

#[tokio::test]
async fn a_receipt_never_outgrows_its_bound() {
    let (pair, _) = imported().await;
    let snapshot = pair.site.snapshot();
    let about = About {
        reasons: vec!["x".repeat(1_000); 30],
        missing: (0..200u32).map(|n| Blake3Digest::of(&n.to_le_bytes())).collect(),
        outcome: ReceiptOutcome::Partial,
        ..About::present(&snapshot)
    };
    let tallies: Vec<_> = (1..2_000).map(|rollout| tally(rollout, "canary")).collect();
    let seen = Seen { tallies, ..Seen::default() };
    let (key, keys) = (site_key(), super::testing::only(&site_key()));
    let signer = Signer { key: &key, keys: &keys };
    let (receipt, given) = make(&snapshot, &parse("plant-7"), about, seen, pair.site.now(), signer);
    assert!(given.text.len() <= RECEIPT_MAX_BYTES && given.text.len() > RECEIPT_MAX_BYTES / 2, "{}", given.text.len());
    assert_eq!(Receipt::parse(&given.text), Ok((receipt.clone(), given.receipt)));
    assert_eq!((receipt.missing.len(), receipt.missing_count, receipt.reasons.len()), (100, 200, 20));
    assert_eq!(receipt.tallies[0].rollout, 1_999, "the newest first");
    assert_eq!(receipt.left_out.tallies as usize + receipt.tallies.len(), 1_999);
    assert_eq!(receipt.left_out.versions, 0);
}

#[tokio::test]
async fn what_contradicts_itself_is_no_receipt() {
    let (pair, _) = imported().await;
    let given = pair.give().await;
    type Change = (&'static str, fn(&mut Receipt));
    let changes: [Change; 17] = [
        ("number", |receipt| receipt.number = 0),
        ("number", |receipt| receipt.number = u64::MAX),
        ("none before", |receipt| receipt.previous = Some(ReceiptId(Blake3Digest::of(b"x")))),
        ("none before", |receipt| receipt.number = 2),
        ("no sequence", |receipt| receipt.sequence = 0),
        ("no sequence", |receipt| receipt.sequence = u64::MAX),
        ("no sequence", |receipt| receipt.bundle = None),
        ("no sequence", |receipt| receipt.applied_sequence = 0),
        ("applied", |receipt| receipt.missing_count = 1),
        ("applied", |receipt| (receipt.applied, receipt.applied_sequence) = (None, 0)),
        ("reasons", |receipt| receipt.reasons = vec!["a\nb".into()]),
        ("reasons", |receipt| receipt.reasons = vec!["x".into(); 21]),
        ("missing", |receipt| receipt.missing = vec![Blake3Digest::of(b"x")]),
        ("second", |receipt| receipt.trusted_time += jiff::SignedDuration::from_millis(1)),
        ("twice", |receipt| receipt.versions.push(receipt.versions[0].clone())),
        ("twice", |receipt| receipt.tallies = vec![tally(1, "canary"), tally(1, "canary")]),
        ("add up", |receipt| receipt.tallies = vec![RingTally { healthy: 6, ..tally(1, "canary") }]),
    ];
    for (why, change) in changes {
        let error = Receipt::parse(&changed(&given, change).text).unwrap_err();
        assert!(matches!(error, ReceiptError::Contradiction { .. }) && error.to_string().contains(why), "{error}");
    }
    let other = given.text.replace("\"format\":1", "\"format\":2");
    assert_eq!(Receipt::parse(&other), Err(ReceiptError::OtherFormat { found: 2 }));
    assert_eq!(Receipt::parse(&given.text.replacen("plant-7", "plant-8", 1)), Err(ReceiptError::OtherId));
    for text in ["", "{}", "[]", "{\"format\":1}", &given.text[..given.text.len() - 1], &format!("{}\n", given.text)] {
        assert!(matches!(Receipt::parse(text), Err(ReceiptError::Malformed { .. } | ReceiptError::OtherId)), "{text}");
    }
    assert!(matches!(Receipt::parse(&" ".repeat(RECEIPT_MAX_BYTES + 1)), Err(ReceiptError::TooLong { .. })));
}

#[test]
fn tallies_must_add_up() {
    let good = tally(1, "canary");
    assert!(is_consistent(&good));
    let changes: [fn(&mut RingTally); 7] = [
        |tally| tally.fetched = 10,
        |tally| tally.installed = 8,
        |tally| tally.healthy = 6,
        |tally| tally.failed = 9,
        |tally| tally.pending = 4,
        |tally| tally.silent = 4,
        |tally| tally.failed = u64::MAX,
    ];
    for change in changes {
        let mut bad = good.clone();
        change(&mut bad);
        assert!(!is_consistent(&bad), "{bad:?}");
    }
    let many = |offered| RingTally { offered, ..good.clone() };
    assert!(!is_consistent(&many(u64::MAX)) && is_consistent(&many(4_000_000)));
}

/// A short receipt with all, or as little as can be.
fn short(is_full: bool) -> ShortReceipt {
    let bundle = |text: &str, sequence| Some((crate::model::BundleId(Blake3Digest::of(text.as_bytes())), sequence));
    ShortReceipt {
        site: parse(&"s".repeat(if is_full { 64 } else { 1 })),
        number: if is_full { 1 << 53 } else { 1 },
        previous: is_full.then(|| ReceiptId(Blake3Digest::of(b"previous"))),
        receipt: ReceiptId(Blake3Digest::of(b"receipt")),
        bundle: if is_full { bundle("about", 1 << 53) } else { None },
        outcome: if is_full { ReceiptOutcome::Partial } else { ReceiptOutcome::Refused },
        applied: if is_full { bundle("applied", 300) } else { None },
        root: Sha256Digest::of(b"root"),
        trusted_time: "2026-11-21T10:00:00Z".parse().unwrap(),
        key: site_key().public().id,
    }
}

#[test]
fn the_short_form_is_read_as_it_was_written() {
    let same = ShortReceipt { applied: short(true).bundle, outcome: ReceiptOutcome::Applied, ..short(true) };
    for short in [short(true), short(false), same] {
        let signed = short.clone().sign(&site_key());
        assert_eq!(SignedShort::parse(&signed.code()), Ok(signed.clone()));
        assert_eq!(SignedShort::parse(&signed.code().to_lowercase()), Ok(signed.clone()));
        assert_eq!(SignedShort::parse(&signed.typed()), Ok(signed.clone()));
        let spaced = signed.typed().replace(' ', "   ").replace('\n', " \r\n\n").to_lowercase();
        assert_eq!(SignedShort::parse(&spaced), Ok(signed.clone()));
        assert_eq!(signed.verify(&site_key().public()), Ok(()));
        assert!(qr(&signed.code()).is_some());
        println!("short receipt: {} characters, {} lines", signed.code().len(), signed.typed().lines().count());
    }
    let text = short(false).text();
    assert!(text.starts_with("ringfence receipt 1\nsite s\nnumber 1\nprevious -\nreceipt "), "{text}");
    assert!(
        text.contains("\nbundle -\noutcome refused\napplied -\nroot ") && text.ends_with("\nkey 0909090909090909\n")
    );
}

#[test]
fn typing_errors_are_found_by_their_line() {
    let typed = short(true).sign(&site_key()).typed();
    let lines: Vec<&str> = typed.lines().collect();
    for (place, line) in lines.iter().enumerate().skip(1) {
        // Every single character, and two that changed places.
        for at in 3..line.len() {
            let old = line.as_bytes()[at];
            if old == b' ' {
                continue;
            }
            let new = if old == b'A' { 'B' } else { 'A' };
            let mut wrong: Vec<String> = lines.iter().map(ToString::to_string).collect();
            wrong[place].replace_range(at..=at, &new.to_string());
            let found = SignedShort::parse(&wrong.join("\n"));
            // Two check characters let one in a thousand pass; the whole's check does not.
            let is_found = [Err(ShortError::Mistyped { line: place }), Err(ShortError::Malformed)].contains(&found);
            assert!(is_found, "{found:?}");
        }
        let without: Vec<&str> = lines.iter().enumerate().filter(|(n, _)| *n != place).map(|(_, line)| *line).collect();
        assert_eq!(SignedShort::parse(&without.join("\n")), Err(ShortError::Malformed));
    }
    for text in ["", "RF1", "RF1:", "RF1:AAAA", "RF2:AAAA", "x", "RF1:ü", "RF1\nü ABCDE AB", &"A".repeat(10_000)] {
        assert!(SignedShort::parse(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn no_changed_short_receipt_verifies(place in any::<prop::sample::Index>(), new in 0usize..32) {
        let code = short(true).sign(&site_key()).code();
        let at = 4 + place.index(code.len() - 4);
        let mut changed = code.clone();
        changed.replace_range(at..=at, &"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[new..=new]);
        prop_assume!(changed != code);
        prop_assert!(SignedShort::parse(&changed).is_err());
    }

    #[test]
    fn nothing_that_is_typed_panics(text in "(RF1[:\n])?[ -~\n]{0,200}") {
        let _ = SignedShort::parse(&text);
        let _ = Receipt::parse(&text);
    }
}

/// Reads the code with zbar, which shares no code with what drew it.
#[test]
fn an_independent_reader_reads_the_code() {
    let code = short(true).sign(&site_key()).code();
    let drawn = qr(&code).unwrap();
    println!(
        "the longest code: {} columns, {} lines",
        drawn.lines().next().unwrap().chars().count(),
        drawn.lines().count()
    );
    let directory = tempfile::tempdir().unwrap();
    let picture = directory.path().join("code.pgm");
    std::fs::write(&picture, picture_of(&drawn, 4)).unwrap();
    let read = match std::process::Command::new("zbarimg").args(["--quiet", "--raw"]).arg(&picture).output() {
        Ok(read) => read,
        Err(cause) => {
            println!("SKIPPED an_independent_reader_reads_the_code: zbarimg (Debian zbar-tools) is missing: {cause}");
            return;
        }
    };
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let text = String::from_utf8(read.stdout).unwrap();
    assert_eq!(text.trim_end(), code);
    assert_eq!(SignedShort::parse(&text).unwrap().verify(&site_key().public()), Ok(()));
}

/// What a terminal shows, as a picture in PGM, with this many dots for each module.
fn picture_of(drawn: &str, dots: usize) -> Vec<u8> {
    let mut rows: Vec<Vec<u8>> = Vec::new();
    for line in drawn.lines() {
        let shade = |is_light: bool| if is_light { 255u8 } else { 0 };
        rows.push(line.chars().map(|block| shade(matches!(block, '█' | '▀'))).collect());
        rows.push(line.chars().map(|block| shade(matches!(block, '█' | '▄'))).collect());
    }
    let mut picture = format!("P5\n{} {}\n255\n", rows[0].len() * dots, rows.len() * dots).into_bytes();
    for row in rows {
        let wide: Vec<u8> = row.iter().flat_map(|module| std::iter::repeat_n(*module, dots)).collect();
        (0..dots).for_each(|_| picture.extend_from_slice(&wide));
    }
    picture
}
