//! Requests, as they are written.

use proxywhirl::wire::error::{Kind, Stage};
use proxywhirl::wire::exchange::Exchange;
use proxywhirl::wire::limits::Limits;
use proxywhirl::wire::request::{Framing, Headers, Request};

fn request(headers: &[(&str, &str)]) -> Result<Request, proxywhirl::wire::error::Error> {
    Request::new("POST", "/a?b", Headers::from_iter(headers.iter().copied()))
}

fn exchange(headers: &[(&str, &str)]) -> Exchange {
    Exchange::new(&request(headers).unwrap(), "", &Headers::new(), Limits::default()).unwrap()
}

/// Takes what is to be written.
fn written(exchange: &mut Exchange) -> String {
    let bytes = exchange.outgoing().to_vec();
    exchange.wrote(bytes.len());
    assert!(exchange.outgoing().is_empty());
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_head_is_written_byte_for_byte() {
    let request = request(&[("X-CustomId", "1"), ("accept", "*/*"), ("Zed", "\u{ff}"), ("accept", "")]).unwrap();
    let first = Headers::from_iter([("Proxy-Authorization", "Basic eA==")]);
    let mut exchange = Exchange::new(&request, "http://shop.test:81", &first, Limits::default()).unwrap();
    assert_eq!(
        written(&mut exchange),
        "POST http://shop.test:81/a?b HTTP/1.1\r\nProxy-Authorization: Basic eA==\r\nX-CustomId: 1\r\naccept: */*\r\n\
         Zed: \u{ff}\r\naccept: \r\n\r\n"
    );
    // The headers of the proxy are not the request's.
    let mut direct = Exchange::new(&request, "", &Headers::new(), Limits::default()).unwrap();
    assert!(written(&mut direct).starts_with("POST /a?b HTTP/1.1\r\nX-CustomId: 1\r\n"));
    assert_eq!(format!("{exchange:?}"), "Exchange(121 bytes written, 0 to go, 0 read)");
    let shown = format!("{request:?} {direct:?}");
    assert!(!shown.contains("X-CustomId") && !shown.contains("88, 45, 67"), "{shown}");
}

#[test]
fn what_would_be_read_as_another_request_is_not_sent() {
    let refused = |method: &str, target: &str, name: &str, value: &str| {
        let request = Request::new(method, target, Headers::from_iter([(name, value)])).unwrap();
        let error = Exchange::new(&request, "", &Headers::new(), Limits::default()).unwrap_err();
        assert_eq!((&error.kind, error.stage, error.sent), (&Kind::LocalProtocol, Stage::Write, false));
        error.text().to_owned()
    };
    assert_eq!(refused("G T", "/", "a", "b"), "Illegal method characters");
    assert_eq!(refused("GET", "/ HTTP/1.1\r\nX: y", "a", "b"), "Illegal target characters");
    assert_eq!(refused("GET", "", "a", "b"), "Illegal target characters");
    assert_eq!(refused("GET", "/", "a b", "b"), "Illegal header name");
    assert_eq!(refused("GET", "/", "a", "b\r\nX: y"), "Illegal header value");
    assert_eq!(refused("GET", "/", "a", "b\nX: y"), "Illegal header value");
}

#[test]
fn the_headers_say_how_the_body_is_framed() {
    let framing = |headers: &[(&str, &str)]| {
        request(headers).map(|request| request.framing()).map_err(|error| {
            assert_eq!(error.kind, Kind::LocalProtocol);
            error.text().to_owned()
        })
    };
    assert_eq!(framing(&[]), Ok(Framing::Length(0)));
    assert_eq!(framing(&[("content-length", "5"), ("Content-Length", "5")]), Ok(Framing::Length(5)));
    assert_eq!(framing(&[("Transfer-Encoding", "Chunked"), ("Content-Length", "5")]), Ok(Framing::Chunked));
    for (headers, text) in [
        (&[("content-length", "5"), ("Content-Length", "6")][..], "conflicting Content-Length headers"),
        (&[("content-length", "-5")], "bad Content-Length"),
        (&[("content-length", "")], "bad Content-Length"),
        (&[("transfer-encoding", "gzip")], "Only Transfer-Encoding: chunked is supported"),
        (&[("transfer-encoding", "chunked"), ("transfer-encoding", "x")], "multiple Transfer-Encoding headers"),
    ] {
        assert_eq!(framing(headers), Err(text.to_owned()));
    }
}

#[test]
fn a_body_is_as_long_as_it_says() {
    let mut ten = exchange(&[("Content-Length", "10")]);
    assert!(ten.wants_body());
    ten.push(b"01234").unwrap();
    // Head and body go out together.
    assert_eq!(written(&mut ten), "POST /a?b HTTP/1.1\r\nContent-Length: 10\r\n\r\n01234");
    assert!(ten.wants_body());
    let early = ten.finish().unwrap_err();
    assert_eq!((early.text(), early.sent), ("Too little data for declared Content-Length", true));
    let late = ten.push(b"567890").unwrap_err();
    assert_eq!((late.text(), &late.kind), ("Too much data for declared Content-Length", &Kind::LocalProtocol));
    ten.push(b"56789").unwrap();
    assert!(!ten.wants_body());
    assert_eq!(written(&mut ten), "56789");
    assert!(ten.finish().is_ok() && ten.push(b"").is_ok());
    assert_eq!(ten.push(b"x").unwrap_err().text(), "Too much data for declared Content-Length");
    assert_eq!(exchange(&[]).push(b"x").unwrap_err().text(), "Too much data for declared Content-Length");
    assert!(!exchange(&[]).wants_body());
}

#[test]
fn chunks_are_framed_and_an_empty_piece_ends_nothing() {
    let mut chunked = exchange(&[("Transfer-Encoding", "chunked")]);
    written(&mut chunked);
    chunked.push(b"hello").unwrap();
    chunked.push(b"").unwrap();
    assert_eq!(written(&mut chunked), "5\r\nhello\r\n");
    chunked.push(&[b'x'; 300]).unwrap();
    assert!(written(&mut chunked).starts_with("12c\r\nxxx"));
    assert!(chunked.wants_body());
    chunked.finish().unwrap();
    assert!(!chunked.wants_body());
    assert_eq!(written(&mut chunked), "0\r\n\r\n");
    assert!(chunked.finish().is_ok() && chunked.outgoing().is_empty());
    assert_eq!(chunked.push(b"x").unwrap_err().text(), "Too much data for declared Content-Length");
}

#[test]
fn what_was_written_in_part_goes_on_where_it_stopped() {
    let mut exchange = exchange(&[("Content-Length", "3")]);
    assert!(!exchange.is_sent());
    let head = exchange.outgoing().to_vec();
    exchange.wrote(7);
    assert!(exchange.is_sent());
    exchange.push(b"abc").unwrap();
    assert_eq!(exchange.outgoing(), [&head[7..], b"abc"].concat());
}

#[test]
fn a_head_says_one_thing_to_every_reader() {
    let error = request(&[("Host", "a.test"), ("host", "b.test")]).unwrap_err();
    assert_eq!((error.kind, error.stage), (Kind::LocalProtocol, Stage::Write));
    let twice = request(&[("Content-Length", "3"), ("X-A", "1"), ("content-length", "3"), ("Zed", "2")]).unwrap();
    assert_eq!(
        twice.headers().iter().map(|(name, _)| name).collect::<Vec<_>>(),
        [&b"Content-Length"[..], b"X-A", b"Zed"]
    );
    assert_eq!(twice.framing(), Framing::Length(3));
    for value in [" a", "a ", "\ta", "a\t", " ", "a\u{b}b", "a\u{c}b"] {
        let request = request(&[("X-A", value)]).unwrap();
        assert!(request.write_head(&mut Vec::new(), "", &Headers::new()).is_err(), "{value:?}");
    }
}
