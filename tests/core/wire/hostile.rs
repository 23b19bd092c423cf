//! Servers that do it on purpose: nothing grows without end, and nothing takes more than linear time.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proxywhirl::net::http1;
use proxywhirl::wire::error::Kind;
use proxywhirl::wire::exchange::{Event, Exchange};
use proxywhirl::wire::limits::Limits;

use super::common::{cut, play, sent};

/// Feeds an endless answer until it is refused; how much was read of it by then.
fn endless(start: &[u8], part: &[u8], most: usize) -> (String, u64) {
    let mut exchange = sent("GET", Limits::default());
    let feed = |exchange: &mut Exchange, mut piece: &[u8]| loop {
        match exchange.received(&mut piece) {
            Ok(Event::More) => return None,
            Ok(Event::End) => panic!("an end of what has none"),
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind, Kind::RemoteProtocol);
                return Some(error.text().to_owned());
            }
        }
    };
    assert_eq!(feed(&mut exchange, start), None);
    for _ in 0..most {
        if let Some(text) = feed(&mut exchange, part) {
            return (text, exchange.bytes_read());
        }
    }
    panic!("read on for ever: {part:?}");
}

#[test]
fn what_has_no_end_is_refused() {
    let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let trailers = [&chunks[..], b"0\r\n"].concat();
    let extension = [&chunks[..], b"5;"].concat();
    let blanks = [&chunks[..], b"5 "].concat();
    let began = Instant::now();
    for (start, part, text) in [
        (&b"HTTP/1.1 200 OK\r\nX: "[..], &b"y"[..], "Receive buffer too long"),
        (b"HTTP/1.1 200 OK\r\nX: \0", b"y", "Receive buffer too long"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", "too many headers"),
        (b"HTTP/1.1 200 OK\r\nX: \x01\r\n", b"X: y\r\n", "Receive buffer too long"),
        (b"", b"\r\n", "no response line received"),
        (b"", b"HTTP/1.1 100 Go on\r\n\r\n", "too many interim responses"),
        (&trailers, b"X: y\r\n", "too many headers"),
        (&trailers, b"yyyy", "Receive buffer too long"),
        (&extension, b"yyyy", "Receive buffer too long"),
        (&blanks, b" ", "Receive buffer too long"),
        (chunks, b"1;ext=abcdefgh\r\nx\r\n", "Receive buffer too long"),
        (chunks, b"0", "illegal chunk header"),
    ] {
        let (found, read) = endless(start, part, 200_000);
        assert_eq!(found, text, "{:?}", String::from_utf8_lossy(part));
        assert!(read <= 200_000, "{read} bytes of {part:?}");
    }
    // Far above what linear time takes on a busy machine, far below what quadratic time does.
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_head_of_folded_lines_or_many_headers_keeps_to_the_limits() {
    let head = http1::Limits { bytes: 4096, headers: 60, interim: 1, ..Limits::default().head };
    let limits = Limits { head, ..Limits::default() };
    let read = |answer: &str| play(sent("GET", limits), [answer.as_bytes()]);
    let answer = |lines: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{lines}\r\n");
    assert!(read(&answer(&"a: b\r\n".repeat(59))).end.is_ok());
    assert_eq!(read(&answer(&"a: b\r\n".repeat(60))).text(), "too many headers");
    assert!(read(&answer(&["a: \x01\r\n"; 59].concat())).end.is_ok());
    assert_eq!(read(&answer(&["a: \x01\r\n"; 60].concat())).text(), "too many headers");
    assert!(read(&answer(&format!("a: b{}\r\n", "\r\n c".repeat(1000)))).end.is_ok());
    assert_eq!(read(&answer(&format!("a: b{}\r\n", "\r\n c".repeat(1025)))).text(), "Receive buffer too long");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        start in prop::sample::select(vec![
            "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        ]),
        rest in prop::collection::vec(prop::sample::select(b"\r\n\r\n:; \tah0159fF\x00\xff".to_vec()), 0..80),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        let answer = [start.as_bytes(), &rest].concat();
        let whole = play(sent("GET", Limits::default()), [&*answer]);
        let split = play(sent("GET", Limits::default()), cut(&answer, &cuts));
        prop_assert_eq!(whole.verdict(), split.verdict());
    }
}
