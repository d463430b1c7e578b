//! A reader that takes nothing at all is cut off after the window, however much the kernel would still take for it.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{feed, metric};
use crate::support::wait_until;

#[test]
fn a_reader_that_takes_nothing_is_gone_after_the_window() {
    // At this pace the bytes that the kernel holds alone would give the reader another 128 s.
    let (server, blob) =
        feed("[limits]\nslow_reader_window = \"2s\"\nslow_reader_bytes_per_second = \"1 KiB\"\n", 30 << 20);
    let mut stream = TcpStream::connect(server.device).unwrap();
    let begun = Instant::now();
    stream.write_all(format!("GET {blob} HTTP/1.1\r\nHost: x\r\nRingfence-Device: d\r\n\r\n").as_bytes()).unwrap();
    let dropped = "ringfence_serve_connections_dropped_total{listener=\"device\",reason=\"slow_reader\"}";
    wait_until("the reader is cut off", || (metric(&server, dropped) > 0).then_some(()));
    eprintln!("a total stall was cut after {:?}", begun.elapsed());
    assert!(begun.elapsed() > Duration::from_secs(1));
}
