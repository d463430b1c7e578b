use super::super::testing::small_segments;
use super::*;

fn open(dir: &Path) -> (Lines, Option<TornTail>) {
    let opened = Lines::open(dir, small_segments()).unwrap();
    (opened.lines, opened.torn)
}

fn line(number: u64) -> Vec<u8> {
    format!("{{\"report\":\"{number:0200}\"}}").into_bytes()
}

fn append(lines: &Lines, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        assert_eq!(lines.append(line(number)).unwrap(), number);
        lines.synced_blocking(number).unwrap();
    }
}

fn positions(lines: &Lines, after: u64) -> Vec<u64> {
    let mut positions = Vec::new();
    let last = lines.iterate(after, &mut |position, bytes| {
        assert_eq!(bytes, line(position));
        positions.push(position);
        Ok(())
    });
    assert_eq!(last.unwrap(), positions.last().copied().unwrap_or(after));
    positions
}

fn paths(dir: &Path) -> Vec<PathBuf> {
    segment::list(dir, Naming::FirstPosition).unwrap().into_iter().map(|segment| segment.path).collect()
}

fn age(path: &Path, second: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(second)).unwrap();
}

#[test]
fn positions_go_on_over_segments_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let (lines, _) = open(dir.path());
    assert!(positions(&lines, 0).is_empty());
    append(&lines, 1..=20);
    assert_eq!(lines.head(), 20);
    drop(lines);
    let (lines, torn) = open(dir.path());
    assert!(torn.is_none());
    assert_eq!(lines.head(), 20);
    append(&lines, 21..=25);
    assert!(paths(dir.path()).len() > 2);
    for after in [0, 1, 9, 24, 25] {
        assert_eq!(positions(&lines, after), (after + 1..=25).collect::<Vec<_>>());
    }
    let refused = lines.iterate(3, &mut |_, _| Err("not a report".to_owned())).unwrap_err();
    assert!(matches!(refused, JournalError::Rejected { line: 4, .. }));
    assert_eq!(lines.stats().appends, 5);
}

#[test]
fn a_torn_line_is_dropped_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let (lines, _) = open(dir.path());
    append(&lines, 1..=3);
    drop(lines);
    let path = paths(dir.path()).pop().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 5);
    fs::write(&path, &bytes).unwrap();
    let (lines, torn) = open(dir.path());
    let torn = torn.unwrap();
    assert_eq!((torn.segment, torn.set_aside, torn.bytes), (path, None, line(3).len() as u64 + 1 - 5));
    append(&lines, 3..=4);
    assert_eq!(positions(&lines, 0), [1, 2, 3, 4]);
}

#[test]
fn old_segments_go_in_order_and_positions_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (lines, _) = open(dir.path());
    append(&lines, 1..=40);
    let before = paths(dir.path());
    assert!(before.len() >= 5);
    let at = |second| Timestamp::from_second(second).unwrap();
    for (path, second) in before.iter().zip([100, 200, 500, 300]) {
        age(path, second);
    }
    assert_eq!(lines.remove_segments_before(at(50)).unwrap(), RemovedSegments::default());
    // The fourth is old as well, but the third is not, and a gap is never made.
    assert_eq!(lines.remove_segments_before(at(400)).unwrap().segments, 2);
    assert_eq!(paths(dir.path()), before[2..]);
    let kept = positions(&lines, 0);
    assert_eq!(kept.last(), Some(&40));
    assert_eq!(kept.len() as u64, 40 - kept[0] + 1);
    // However old, the segment being written to stays.
    lines.remove_segments_before(Timestamp::MAX).unwrap();
    assert_eq!(paths(dir.path()), before[before.len() - 1..]);
    drop(lines);
    let (lines, _) = open(dir.path());
    append(&lines, 41..=41);
}

#[test]
fn lines_missing_between_segments_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let (lines, _) = open(dir.path());
    append(&lines, 1..=30);
    let paths = paths(dir.path());
    let bytes = fs::read(&paths[1]).unwrap();
    fs::remove_file(&paths[1]).unwrap();
    let error = lines.iterate(0, &mut |_, _| Ok(())).unwrap_err();
    assert!(matches!(error, JournalError::MissingSegment { path } if path == paths[1]));
    fs::write(&paths[1], &bytes[..bytes.len() - 1]).unwrap();
    assert!(matches!(lines.iterate(0, &mut |_, _| Ok(())), Err(JournalError::Broken { fault: Fault::Cut, .. })));
    fs::write(&paths[1], [bytes.as_slice(), b"more\n"].concat()).unwrap();
    assert!(matches!(lines.iterate(0, &mut |_, _| Ok(())), Err(JournalError::Broken { .. })));
}

#[test]
fn only_single_lines_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let (lines, _) = open(dir.path());
    for wrong in [b"".to_vec(), b"a\nb".to_vec(), b"a\n".to_vec()] {
        assert!(matches!(lines.append(wrong), Err(JournalError::NotOneLine)));
    }
    assert!(matches!(lines.append(vec![b'x'; MAX_LINE_BYTES]), Err(JournalError::TooLong { .. })));
    assert!(matches!(lines.synced_blocking(1), Err(JournalError::NeverQueued { .. })));
    append(&lines, 1..=1);
}
