//! Bodies and heads, by what h11 reads and refuses, in every split.

use proptest::prelude::*;
use proxywhirl::wire::error::{Excess, Kind};
use proxywhirl::wire::limits::Limits;

use super::common::{Played, cut, get, play, sent};

fn chunked(body: &str) -> Played {
    get(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}").as_bytes())
}

fn headers(lines: &str) -> Played {
    get(format!("HTTP/1.1 200 OK\r\n{lines}\r\n").as_bytes())
}

#[test]
fn chunks_that_are_read() {
    for body in [
        "5\r\nhello\r\n0\r\n\r\n",
        "1\r\nh\r\n4\r\nello\r\n0\r\n\r\n",
        "0005\r\nhello\r\n000\r\n\r\n",
        "00000000000000000005\r\nhello\r\n0\r\n\r\n",
        "5;ext\r\nhello\r\n0;last=\"1\"\r\n\r\n",
        "5 \t\r\nhello\r\n0 \r\n\r\n",
        "5\r\nhello\r\n0\r\nTrailer: x\r\nOther:\r\n\r\n",
        "5\r\nhello\r\n0\r\nFolded: x\r\n  y\r\n\r\n",
        "5\r\nhello\r\n0\r\nBare: x\n\n",
        "5\r\nhello\r\n0\r\n\n",
    ] {
        let played = chunked(body);
        assert!(played.end.is_ok(), "{body:?}: {:?}", played.end);
        assert!(played.body == b"hello" && played.is_reusable, "{body:?}");
    }
    let hexadecimal = chunked(&format!("aB\r\n{}\r\n0\r\n\r\n", "x".repeat(0xab)));
    assert_eq!(hexadecimal.body.len(), 0xab);
}

#[test]
fn chunks_that_are_refused() {
    for (body, text) in [
        ("\r\nhello", "illegal chunk header"),
        ("x\r\n", "illegal chunk header"),
        ("-5\r\nhello", "illegal chunk header"),
        ("+5\r\nhello", "illegal chunk header"),
        ("0x5\r\nhello", "illegal chunk header"),
        (" 5\r\nhello", "illegal chunk header"),
        ("5 ;ext\r\nhello", "illegal chunk header"),
        ("5 5\r\nhello", "illegal chunk header"),
        ("5\nhello\r\n0\r\n\r\n", "illegal chunk header"),
        ("5;ext\nhello\r\n0\r\n\r\n", "illegal chunk header"),
        ("5\rhello", "illegal chunk header"),
        ("000000000000000000005\r\nhello", "illegal chunk header"),
        // One more than 64 bits hold, and one that wraps round to five.
        ("10000000000000000\r\nhello", "illegal chunk header"),
        ("10000000000000005\r\nhello", "illegal chunk header"),
        ("5\r\nhelloX\n0\r\n\r\n", "malformed chunk footer"),
        ("5\r\nhello\rX", "malformed chunk footer"),
        ("5\r\nhello\n0\r\n\r\n", "malformed chunk footer"),
        ("5\r\nhello0\r\n\r\n", "malformed chunk footer"),
        ("0\r\nno colon\r\n\r\n", "illegal header line"),
        ("0\r\n folded: first\r\n\r\n", "illegal header line"),
        ("0\r\na: \0\r\n\r\n", "illegal header line"),
        ("0\r\n: x\r\n\r\n", "illegal header line"),
    ] {
        let played = chunked(body);
        assert_eq!(played.end.as_ref().map_err(|error| error.text()), Err(text), "{body:?}");
        assert_eq!(*played.kind(), Kind::RemoteProtocol);
    }
}

#[test]
fn heads_that_httparse_refuses_and_h11_reads() {
    let played = headers("a: 1\r\n 2\r\n\t 3\r\nCookie: x\x01y\x7f\r\nb:\r\n c\r\nContent-Length: 0\r\n");
    let head = played.head.unwrap();
    let found: Vec<(&[u8], &[u8])> = head.headers().collect();
    let wanted: [(&[u8], &[u8]); 4] =
        [(b"a", b"1 2 3"), (b"Cookie", b"x\x01y\x7f"), (b"b", b"c"), (b"Content-Length", b"0")];
    assert_eq!(found, wanted);
    assert_eq!((head.status, head.reason()), (200, &b"OK"[..]));
    assert!(played.is_reusable);

    let foreign = get("HTTP/1.1 404 Nicht gefunden: f\u{fc}r\r\nContent-Length: 0\r\n\r\n".as_bytes());
    assert_eq!(foreign.head.unwrap().reason(), "Nicht gefunden: f\u{fc}r".as_bytes());
    let bare = get(b"HTTP/1.1 200\nContent-Length: 2\n\nok");
    assert_eq!((&*bare.body, bare.head.unwrap().reason()), (&b"ok"[..], &b""[..]));
}

#[test]
fn heads_that_are_refused() {
    for (lines, text) in [
        (" a: first\r\n", "illegal header line"),
        ("no colon\r\n", "illegal header line"),
        ("a : b\r\n", "illegal header line"),
        (": b\r\n", "illegal header line"),
        ("a: \0\r\n", "illegal header line"),
        ("a: b\x0bc\r\n", "illegal header line"),
        ("a: b\x0cc\r\n", "illegal header line"),
        ("a: b\rc\r\n", "illegal header line"),
        ("a: 1\r\n \0\r\n", "illegal header line"),
        ("Content-Length: 5, 6\r\n", "conflicting Content-Length headers"),
        ("Content-Length: 5\r\nContent-Length: 05\r\n", "conflicting Content-Length headers"),
        ("Content-Length: +5\r\n", "bad Content-Length"),
        ("Content-Length: 99999999999999999999\r\n", "bad Content-Length"),
        ("Content-Length:\r\n", "bad Content-Length"),
        ("Transfer-Encoding: gzip\r\n", "Only Transfer-Encoding: chunked is supported"),
        ("Transfer-Encoding: gzip, chunked\r\n", "Only Transfer-Encoding: chunked is supported"),
        ("Transfer-Encoding: identity\r\n", "Only Transfer-Encoding: chunked is supported"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "multiple Transfer-Encoding headers"),
    ] {
        let played = headers(lines);
        assert_eq!(played.end.as_ref().map_err(|error| error.text()), Err(text), "{lines:?}");
        assert_eq!(*played.kind(), Kind::RemoteProtocol);
    }
    for line in
        ["SSH-2.0-x", "HTTP/2 200", "HTTP/1.1 banana", "HTTP/1.1 099 x", "HTTP/1.1 2000 x", "<html>", "HTTP/1.1  200 x"]
    {
        let played = get(format!("{line}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        assert_eq!(played.text(), "illegal status line", "{line}");
    }
    // Lengths that contradict each other are refused also where there is no body.
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n";
    assert!(play(sent("HEAD", Limits::default()), [&answer[..]]).end.is_err());
    // A head that is wrong only by its headers is refused with its status line's fault too.
    assert_eq!(get(b"HTTP/1.1 099 x\r\na: 1\r\n 2\r\n\r\n").text(), "illegal status line");
}

#[test]
fn bodies_have_a_limit() {
    let limits = Limits { body: 10, ..Limits::default() };
    let read = |answer: &str| play(sent("GET", limits), [answer.as_bytes()]);
    let too_large = Kind::TooLarge(Excess::Body);
    // A length above it is refused before the body comes.
    let named = read("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n");
    assert_eq!((named.kind(), named.body.len()), (&too_large, 0));
    assert!(read("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789").end.is_ok());
    assert_eq!(read("HTTP/1.1 200 OK\r\n\r\n0123456789a").kind(), &too_large);
    assert!(read("HTTP/1.1 200 OK\r\n\r\n0123456789").end.is_ok());
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n";
    assert!(read(&format!("{chunks}5\r\n56789\r\n0\r\n\r\n")).end.is_ok());
    assert_eq!(read(&format!("{chunks}6\r\n56789a\r\n0\r\n\r\n")).kind(), &too_large);
}

/// Answers of all shapes, whole and broken.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let head = prop::sample::select(vec![
        "HTTP/1.1 200 OK\r\n",
        "\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
        "HTTP/1.0 404\r\n",
        "HTTP/1.1 204 No\n",
        "HTTP/1.1 200 OK\r\nfolded: a\r\n b\r\n",
        "HTTP/1.1 302 f\u{fc}r\r\nSet-Cookie: a=\x01\r\n",
        "garbage\r\n",
    ]);
    let framing = prop::sample::select(vec![
        "Content-Length: 5\r\n\r\n",
        "content-length: 7\n\n",
        "Transfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        "\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "odd\r\n\r\n",
    ]);
    let part = prop::sample::select(vec![
        "5\r\nhello\r\n",
        "a;x=y\r\n0123456789\r\n",
        "0\r\n\r\n",
        "0\r\nT: x\r\n y\r\n\r\n",
        "hello",
        "3\r\nab",
        "\r\n",
        "5 \r\n",
        "zz",
        "0\n\n",
    ]);
    (head, framing, prop::collection::vec(part, 0..6))
        .prop_map(|(head, framing, parts)| [head, framing, &parts.concat()].concat().into_bytes())
}

proptest! {
    #[test]
    fn the_split_decides_nothing(
        answer in answers(),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
        method in prop::sample::select(vec!["GET", "HEAD"]),
        flip in prop::option::of((any::<usize>(), prop::sample::select(b"\r\n :;0a\0\xff".to_vec()))),
    ) {
        let mut answer = answer;
        if let Some((at, byte)) = flip {
            let at = at % answer.len();
            answer[at] = byte;
        }
        let whole = play(sent(method, Limits::default()), [&*answer]);
        let split = play(sent(method, Limits::default()), cut(&answer, &cuts));
        let single = play(sent(method, Limits::default()), answer.chunks(1));
        prop_assert_eq!(whole.verdict(), split.verdict());
        prop_assert_eq!(whole.verdict(), single.verdict());
        prop_assert_eq!(single.left, 0);
        // What was used of the answer is the same, wherever it was cut.
        prop_assert!(whole.end.is_err() || whole.exchange.bytes_read() == single.exchange.bytes_read());
    }
}
