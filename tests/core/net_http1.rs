//! Heads of HTTP/1.1: written byte for byte, read in every split and within limits.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proxywhirl::net::http1::{BadRequest, BadResponse, Framing, HeadReader, Limits, ResponseHead, write_request};

fn read(answer: &[u8], piece: usize) -> Result<Option<(ResponseHead, Vec<u8>)>, BadResponse> {
    let mut reader = HeadReader::new(Limits::default());
    let mut parts = answer.chunks(if piece == 0 { answer.len().max(1) } else { piece });
    while let Some(part) = parts.next() {
        if let Some(head) = reader.feed(part)? {
            let rest = parts.flatten().copied();
            return Ok(Some((head, reader.buffer().iter().copied().chain(rest).collect())));
        }
    }
    Ok(None)
}

fn framing(headers: &str) -> Result<Framing, BadResponse> {
    let answer = format!("HTTP/1.1 200 Ok\r\n{headers}\r\n");
    read(answer.as_bytes(), 0).unwrap().unwrap().0.framing(false)
}

#[test]
fn requests_are_written_as_they_are_given() {
    let mut out = b"before".to_vec();
    let headers: [(&[u8], &[u8]); 4] =
        [(b"X-CustomId", b"1"), (b"accept", b"*/*"), (b"Zed", b"\xff \t\xff"), (b"accept", b"")];
    write_request(&mut out, "GET", "http://shop.test/a?b", headers).unwrap();
    assert_eq!(
        out,
        b"beforeGET http://shop.test/a?b HTTP/1.1\r\nX-CustomId: 1\r\naccept: */*\r\nZed: \xff \t\xff\r\naccept: \r\n\r\n"
    );
}

#[test]
fn requests_that_would_be_read_as_another_are_not_written() {
    let mut out = b"before".to_vec();
    let mut written = |method: &str, target: &str, name: &[u8], value: &[u8]| {
        let written = write_request(&mut out, method, target, [(name, value)]);
        assert_eq!(out, b"before");
        written.unwrap_err()
    };
    for method in ["", "G T", "GET\r\n", "GET/"] {
        assert_eq!(written(method, "/", b"a", b"b"), BadRequest::Method);
    }
    for target in ["", "/a b", "/a\r\nX: y", "/\0", "/\u{fc}"] {
        assert_eq!(written("GET", target, b"a", b"b"), BadRequest::Target);
    }
    for name in [&b""[..], b"a b", b"a:", b"a\r\n", b"\xff"] {
        assert_eq!(written("GET", "/", name, b"b"), BadRequest::HeaderName);
    }
    for value in [&b"a\r\nX: y"[..], b"\n", b"\r", b"\0", b" a", b"a\t", b"a\x0bb"] {
        assert_eq!(written("GET", "/", b"a", value), BadRequest::HeaderValue);
    }
}

#[test]
fn responses_in_every_split() {
    let answer = b"\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 Fine\r\nSet-Cookie: a=b\r\nset-cookie:c\r\nETag:\r\n\r\nbody";
    for piece in 0..30 {
        let (head, rest) = read(answer, piece).unwrap().unwrap();
        assert_eq!((head.status, head.is_http_1_0, head.reason()), (200, false, &b"Fine"[..]));
        let headers: Vec<(&[u8], &[u8])> = head.headers().collect();
        assert_eq!(headers, [(&b"Set-Cookie"[..], &b"a=b"[..]), (b"set-cookie", b"c"), (b"ETag", b"")]);
        assert_eq!(head.values("SET-COOKIE").collect::<Vec<_>>(), [b"a=b".as_slice(), b"c"]);
        assert_eq!(rest, b"body");
        assert!(!format!("{head:?}").contains("a=b"));
    }
    let (head, _) = read(b"HTTP/1.0 404\n\n", 1).unwrap().unwrap();
    assert_eq!((head.status, head.is_http_1_0, head.reason()), (404, true, &b""[..]));
    assert_eq!(read(b"HTTP/1.1 101 Switch\r\n\r\n", 0).unwrap().unwrap().0.status, 101);
}

#[test]
fn where_a_body_ends() {
    assert_eq!(framing(""), Ok(Framing::UntilClose));
    assert_eq!(framing("Content-Length: 5\r\n"), Ok(Framing::Length(5)));
    assert_eq!(framing("Content-Length: 5, 5\r\ncontent-length: 5\r\n"), Ok(Framing::Length(5)));
    assert_eq!(framing("Transfer-Encoding: Chunked\r\nContent-Length: 5\r\n"), Ok(Framing::Chunked));
    for odd in ["-1", "+5", "5x", "", "99999999999999999999"] {
        assert_eq!(framing(&format!("Content-Length: {odd}\r\n")), Err(BadResponse::ContentLength), "{odd}");
    }
    for odd in ["5, 6", "5,", "5, 05", "5\r\nContent-Length: 6"] {
        assert_eq!(framing(&format!("Content-Length: {odd}\r\n")), Err(BadResponse::ContentLengths), "{odd}");
    }
    for odd in ["gzip", "gzip, chunked", "xchunked", "identity", ""] {
        assert_eq!(framing(&format!("Transfer-Encoding: {odd}\r\n")), Err(BadResponse::TransferEncoding), "{odd}");
    }
    let twice = framing("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n");
    assert_eq!(twice, Err(BadResponse::TransferEncodings));
    for status in [204, 304] {
        let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(read(answer.as_bytes(), 0).unwrap().unwrap().0.framing(false), Ok(Framing::Empty));
    }
    let (head, _) = read(b"HTTP/1.1 200 Ok\r\nContent-Length: 5\r\n\r\n", 0).unwrap().unwrap();
    assert_eq!(head.framing(true), Ok(Framing::Empty));
}

#[test]
fn what_is_no_answer_and_what_has_no_end() {
    for (bad, why) in [
        (&b"SSH-2.0-x\r\n"[..], BadResponse::NotHttp),
        (b"HTTP/2 200\r\n\r\n", BadResponse::NotHttp),
        (b"HTTP/1.1 banana\r\n\r\n", BadResponse::NotHttp),
        (b"HTTP/1.1 099 No\r\n\r\n", BadResponse::NotHttp),
        (b"HTTP/1.1 200 Ok\r\n fold: first\r\n\r\n", BadResponse::HeaderLine),
        (b"HTTP/1.1 200 Ok\r\nno colon\r\n\r\n", BadResponse::HeaderLine),
        (b"HTTP/1.1 200 Ok\r\na: \0\r\n\r\n", BadResponse::HeaderLine),
    ] {
        for piece in [0, 1, 3] {
            assert_eq!(read(bad, piece).map(|_| ()), Err(why), "{bad:?} in pieces of {piece}");
        }
    }
    // A folded line is one with the line before it, as h11 reads it.
    for piece in [0, 1, 3] {
        let (head, rest) = read(b"HTTP/1.1 200 Ok\r\nfold: a\r\n \t b\r\n\r\nbody", piece).unwrap().unwrap();
        assert_eq!(head.headers().collect::<Vec<_>>(), [(&b"fold"[..], &b"a b"[..])]);
        assert_eq!((head.reason(), &*rest), (&b"Ok"[..], &b"body"[..]));
    }
    let began = Instant::now();
    let limit = Limits::default();
    for (start, part, end) in [
        (&b"HTTP/1.1 200 Ok\r\nX: "[..], &b"y"[..], BadResponse::LongHead),
        (b"HTTP/1.1 200 Ok\r\n", b"X: y\r\n", BadResponse::ManyHeaders),
        (b"", b"\r\n", BadResponse::LongHead),
        (b"", b"\n", BadResponse::LongHead),
        (b"", b"HTTP/1.1 100 Go on\r\n\r\n", BadResponse::ManyInterim),
    ] {
        let answer = [start, &part.repeat(2 * limit.bytes / part.len())].concat();
        for piece in [0, 1, 7] {
            assert_eq!(read(&answer, piece).map(|_| ()), Err(end), "{part:?} in pieces of {piece}");
        }
    }
    // Far above what linear time takes on a busy machine, far below what quadratic time does.
    assert!(began.elapsed() < Duration::from_secs(60));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_the_split_decides_nothing(
        start in prop::sample::select(vec!["", "HTTP/1.1 ", "HTTP/1.1 200 Ok\r\n", "HTTP/1.1 100 x\r\n\r\n"]),
        rest in prop::collection::vec(prop::sample::select(b"\r\n\r\n: aH0123\x00\xff".to_vec()), 0..80),
        piece in 1usize..9,
    ) {
        let answer = [start.as_bytes(), &rest].concat();
        match (read(&answer, 0), read(&answer, piece)) {
            (Ok(whole), Ok(split)) => prop_assert_eq!(whole, split),
            (Err(whole), Err(split)) => prop_assert_eq!(whole, split),
            // A part that is wrong by itself may be waited upon for the end of its line.
            (whole, split) => prop_assert!(
                matches!((&whole, &split), (Ok(None), Err(_)) | (Err(_), Ok(None))), "{:?} {:?}", whole, split
            ),
        }
    }
}
