//! One request and its answer: what is reused, what is early, what is cut off.

use proxywhirl::wire::error::{Kind, Stage};
use proxywhirl::wire::exchange::{Event, Exchange};
use proxywhirl::wire::limits::Limits;
use proxywhirl::wire::request::{Headers, Request};

use super::common::{Played, get, play, sent};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn to(method: &str, answer: &str) -> Played {
    play(sent(method, Limits::default()), [answer.as_bytes()])
}

fn post(headers: &[(&str, &str)]) -> Exchange {
    let request = Request::new("POST", "/", Headers::from_iter(headers.iter().copied())).unwrap();
    Exchange::new(&request, "", &Headers::new(), Limits::default()).unwrap()
}

#[test]
fn a_connection_is_reused_after_an_answer_that_is_whole() {
    let played = get(OK);
    assert!(played.is_reusable && played.end.is_ok() && played.body == b"ok");
    assert_eq!(played.exchange.bytes_read(), OK.len() as u64);
    for (answer, why) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", "it says close"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: x, Close\r\n\r\nok", "it says close among others"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nProxy-Connection: close\r\n\r\nok", "the proxy says close"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", "HTTP/1.0, as h11"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\noktail", "bytes that are not the answer's"),
        ("HTTP/1.1 204 No\r\n\r\nx", "bytes behind an answer without a body"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "two lengths, of which another reader may believe the other",
        ),
    ] {
        let played = get(answer.as_bytes());
        assert!(played.end.is_ok() && !played.is_reusable && !played.exchange.is_reusable(), "{why}");
    }
    assert!(!upgrading(b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\n\r\n").is_reusable, "another protocol");
    let closed = post(&[("Connection", "close")]);
    assert!(!play(written(closed), [OK]).is_reusable, "we say close");
    assert!(!get(&OK[..OK.len() - 1]).exchange.is_reusable(), "the rest is not read");
    let connect = play(sent("CONNECT", Limits::default()), [&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"[..]]);
    assert!(connect.end.is_ok() && connect.body.is_empty() && !connect.is_reusable, "a tunnel");
}

fn written(mut exchange: Exchange) -> Exchange {
    exchange.wrote(exchange.outgoing().len());
    exchange
}

#[test]
fn bytes_behind_an_answer_are_left_and_seen_later_too() {
    let played = get(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\noktail");
    assert_eq!((played.left, &*played.body), (4, &b"ok"[..]));
    let mut played = get(OK);
    assert!(played.exchange.is_reusable());
    assert!(matches!(played.exchange.received(&mut &b"x"[..]), Ok(Event::End)));
    assert!(!played.exchange.is_reusable());
    let mut played = get(OK);
    played.exchange.ended().unwrap();
    assert!(!played.exchange.is_reusable(), "the connection has ended");
}

#[test]
fn answers_without_a_body() {
    for (method, answer) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ] {
        let played = to(method, answer);
        assert!(played.end.is_ok() && played.body.is_empty() && played.is_reusable, "{method} {answer}");
    }
}

#[test]
fn interim_answers_are_passed_over() {
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let played = get(answer.as_bytes());
    assert_eq!((played.head.unwrap().status, &*played.body, played.is_reusable), (200, &b"ok"[..], true));
    let flood = "HTTP/1.1 100 Continue\r\n\r\n".repeat(9);
    assert_eq!(get(flood.as_bytes()).text(), "too many interim responses");
}

/// The answer to a GET that asks for another protocol.
fn upgrading(answer: &[u8]) -> Played {
    let request = Request::new("GET", "/", Headers::from_iter([("Host", "shop.test"), ("Upgrade", "x")])).unwrap();
    let exchange = Exchange::new(&request, "", &Headers::new(), Limits::default()).unwrap();
    play(written(exchange), [answer])
}

#[test]
fn another_protocol_only_where_one_was_asked_for() {
    let answer = b"HTTP/1.1 101 Switch\r\nContent-Length: 3\r\n\r\nraw";
    let switched = upgrading(answer);
    assert!(switched.end.is_ok());
    assert_eq!((switched.head.unwrap().status, switched.left, switched.is_reusable), (101, 3, false));
    for exchange in [sent("GET", Limits::default()), written(post(&[("Upgrade", "")]))] {
        let refused = play(exchange, [&answer[..]]);
        assert_eq!(
            (refused.kind(), refused.text()),
            (&Kind::RemoteProtocol, "101, and no other protocol was asked for")
        );
        assert!(refused.head.is_none() && !refused.is_reusable);
    }
}

#[test]
fn a_head_begins_with_its_status_line() {
    let after_interim = b"HTTP/1.1 100 Continue\r\n\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for answer in [&[b"\r\n", OK].concat()[..], &[b"\n", OK].concat(), &[b"\r", OK].concat(), after_interim] {
        for pieces in [vec![answer], answer.chunks(1).collect()] {
            let refused = play(sent("GET", Limits::default()), pieces);
            assert_eq!((refused.kind(), refused.text()), (&Kind::RemoteProtocol, "no response line received"));
        }
    }
}

#[test]
fn a_connection_that_ends_before_the_answer_does() {
    let nothing = play(sent("GET", Limits::default()), []);
    assert_eq!(nothing.text(), "Server disconnected without sending a response.");
    assert!(nothing.exchange.is_untouched());
    let error = nothing.end.unwrap_err();
    assert_eq!((error.kind, error.stage, error.sent), (Kind::RemoteProtocol, Stage::Head, true));

    let half = get(b"HTTP/1.1 200 OK\r\nContent-Le");
    assert_eq!(half.text(), "Server disconnected without sending a response.");
    assert!(!half.exchange.is_untouched());

    let short = get(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    assert_eq!(
        short.text(),
        "peer closed connection without sending complete message body (received 5 bytes, expected 10)"
    );
    assert_eq!((short.kind(), &*short.body), (&Kind::RemoteProtocol, &b"hello"[..]));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (rest, text) in [
        ("", "peer closed connection without sending complete message body (incomplete chunked read)"),
        ("5\r\nhel", "peer closed connection without sending complete message body (incomplete chunked read)"),
        ("5\r\nhello\r\n", "peer closed connection without sending complete message body (incomplete chunked read)"),
        (
            "5\r\nhello\r\n0\r\n",
            "peer closed connection without sending complete message body (incomplete chunked read)",
        ),
        ("5", "peer unexpectedly closed connection"),
        ("5;x", "peer unexpectedly closed connection"),
        ("0\r\nX: y\r\n", "peer unexpectedly closed connection"),
    ] {
        assert_eq!(get([chunked, rest].concat().as_bytes()).text(), text, "{rest:?}");
    }
    let until_close = get(b"HTTP/1.1 200 OK\r\n\r\nall of it");
    assert!(until_close.end.is_ok() && until_close.body == b"all of it" && !until_close.exchange.is_reusable());
    assert!(until_close.exchange.is_ended());
}

#[test]
fn an_early_answer_is_read_and_the_connection_is_not_reused() {
    // Half of the body is written when the server has heard enough.
    let mut refused = post(&[("Content-Length", "10")]);
    refused.push(b"01234").unwrap();
    let mut refused = written(refused);
    let mut input = &b"HTTP/1.1 413 Large\r\nContent-Length: 2\r\n\r\nno"[..];
    assert!(matches!(refused.received(&mut input), Ok(Event::Head(head)) if head.status == 413));
    assert!(!refused.wants_body() && refused.outgoing().is_empty(), "no more is sent");
    assert!(refused.push(b"56789").is_ok() && refused.finish().is_ok() && refused.outgoing().is_empty());
    assert!(matches!(refused.received(&mut input), Ok(Event::Data(b"no"))));
    assert!(matches!(refused.received(&mut input), Ok(Event::End)));
    assert!(!refused.is_reusable());

    // A server that answers while it reads gets all of it.
    let mut echo = written(post(&[("Content-Length", "10")]));
    let mut input = &b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"[..];
    assert!(matches!(echo.received(&mut input), Ok(Event::Head(_))));
    assert!(echo.wants_body());
    echo.push(b"0123456789").unwrap();
    let played = play(written(echo), [input]);
    assert!(!played.is_reusable);

    // So it is with what is in the buffer and was not written.
    let mut buffered = post(&[("Content-Length", "2")]);
    buffered.push(b"ab").unwrap();
    buffered.wrote(5);
    assert!(!play(buffered, [OK]).is_reusable);
}

#[test]
fn an_answer_is_read_though_the_request_could_not_be_written() {
    let mut exchange = written(post(&[("Content-Length", "10")]));
    exchange.push(b"01234").unwrap();
    exchange.stop_writing();
    assert!(exchange.outgoing().is_empty() && !exchange.wants_body());
    let played = play(exchange, [&b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\nno"[..]]);
    assert_eq!((played.head.unwrap().status, &*played.body, played.is_reusable), (400, &b"no"[..], false));
}
