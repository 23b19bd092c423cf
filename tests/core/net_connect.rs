//! `CONNECT` against answers in every split, without an end, with headers without an end, and of other protocols.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proxywhirl::net::connect::{Connect, LONGEST_HEAD, MOST_INTERIM, Reply};
use proxywhirl::net::credentials::Credentials;
use proxywhirl::net::destination::Destination;
use proxywhirl::net::handshake::{Malformed, Progress, Refusal};
use proxywhirl::net::redact::LoginSecrets;

use crate::net_common::{Talk, play, splits};

fn talk(answer: &[u8], piece: usize) -> Talk {
    let mut connect = Connect::new(Destination::new("shop.test", 443).unwrap(), None);
    let first = connect.start();
    play(first, &[answer], piece, |bytes| connect.feed(bytes))
}

fn refused(answer: &[u8], piece: usize) -> Reply {
    match talk(answer, piece).end {
        Progress::Refused(Refusal::Connect(reply)) => reply,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_request_names_the_target_and_the_login() {
    let said = |host: &str, authorization: Option<&[u8]>| {
        let to = Destination::new(host, 443).unwrap();
        String::from_utf8(Connect::new(to, authorization.map(<[u8]>::to_vec)).start()).unwrap()
    };
    assert_eq!(said("shop.test", None), "CONNECT shop.test:443 HTTP/1.1\r\nHost: shop.test:443\r\n\r\n");
    assert!(said("::1", None).starts_with("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n"));
    let login = Credentials { username: "us".into(), password: "p\u{e4}ss".into() };
    assert!(said("a", Some(login.basic().as_bytes())).ends_with("\r\nProxy-Authorization: Basic dXM6cMOkc3M=\r\n\r\n"));
    // A value given by a user is no way to add a header.
    assert!(said("a", Some(b"Bearer x\r\nX-Evil: y")).ends_with("Proxy-Authorization: Bearer x\r\n\r\n"));
}

#[test]
fn the_way_is_open_in_every_split() {
    for piece in splits() {
        for answer in [
            &b"HTTP/1.1 200 Connection established\r\n\r\n"[..],
            b"HTTP/1.0 200\n\n",
            b"\r\n\r\nHTTP/1.1  299  Fine \r\nno colon\r\n: \r\n\x01:\xff\r\n\r\n",
            b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 103\n\nHTTP/1.1 204 Ok\r\n\n",
        ] {
            assert_eq!(talk(answer, piece).end, Progress::Done { leftover: Vec::new() }, "{answer:?}");
        }
    }
    let ended = talk(b"HTTP/1.1 200 Ok\r\n\r\nhello\r\n\r\n", 0).end;
    assert_eq!(ended, Progress::Done { leftover: b"hello\r\n\r\n".to_vec() });
    assert_eq!(ended.client_speaks_first(), Progress::Malformed(Malformed::EarlyData));
}

#[test]
fn refusals_keep_what_they_tell() {
    for piece in splits() {
        let reply = refused(
            b"HTTP/1.1 429 Slow \x1b[31m d\xfcwn\r\nRetry-After: 7\r\nretry-after: 8\r\ndate: now\r\nX-Error-Text: why\r\n\r\n",
            piece,
        );
        assert_eq!((reply.status, &*reply.reason), (429, "Slow [31m d\u{fc}wn"));
        assert_eq!((reply.retry_after.as_deref(), reply.date.as_deref()), (Some("7"), Some("now")));
        assert!(reply.details.starts_with("why"));
    }
    assert!(refused(b"HTTP/1.1 403 No\r\n\r\n<html>quota", 0).details.contains("quota"));
    assert!(refused(&[b"HTTP/1.1 403 No\r\n\r\n".as_slice(), &[b'x'; 50_000]].concat(), 0).details.len() < 5_000);
    assert_eq!(refused(b"HTTP/1.1 301\r\n\r\n", 0).status, 301);
    let long = refused(&[b"HTTP/1.1 502 ".as_slice(), &[b'x'; 500], b"\r\n\r\n"].concat(), 0);
    assert!(long.message(str::to_owned).len() < 200);
    assert_eq!(long.message(|_| "***".into()), "the proxy answered CONNECT with 502 ***");
}

#[test]
fn a_login_with_letters_beyond_ascii_is_hidden_in_the_reason() {
    let secrets = LoginSecrets::new("bob", "p\u{e4}sswort12");
    for answer in [
        "HTTP/1.1 407 bad login bob:p\u{e4}sswort12, na\u{ef}ve\r\n\r\n".as_bytes(),
        b"HTTP/1.1 407 bad login bob:p\xe4sswort12, na\xefve\r\n\r\n",
    ] {
        let message = refused(answer, 0).message(|text| secrets.scrub(text));
        assert_eq!(message, "the proxy answered CONNECT with 407 bad login ***, na\u{fffd}ve");
    }
}

#[test]
fn what_is_not_http_is_told_at_its_first_bytes() {
    for banner in [&b"SSH-2.0-OpenSSH_9\r\n"[..], b"\x05\xff", b"\x15\x03\x01\0\x02", b"HTTQ/1.1 200 Ok", b"htt"] {
        for piece in splits() {
            assert_eq!(talk(banner, piece).end, Progress::Malformed(Malformed::NotHttp), "{banner:?}");
        }
    }
    for line in ["HTTP/1.1 banana", "HTTP/1.1", "HTTP/1.1 20", "HTTP/1.1 2000", "HTTP/1.1 +20", "HTTP/ 2 0 0"] {
        let answer = format!("{line}\r\n\r\n");
        assert_eq!(talk(answer.as_bytes(), 1).end, Progress::Malformed(Malformed::NotHttp), "{line}");
    }
}

#[test]
fn floods_end_at_a_limit_in_linear_time() {
    let began = Instant::now();
    let endless = |part: &[u8]| part.repeat(2 * LONGEST_HEAD / part.len());
    for (start, part, end) in [
        (&b"HTTP/1.1 200 Ok\r\nX: "[..], &b"y"[..], Malformed::LongHead),
        (b"HTTP/1.1 200 Ok\r\n", b"X: y\r\n", Malformed::LongHead),
        (b"HTTP/1.1 200 Ok\n", b"a\n", Malformed::LongHead),
        (b"", b"\n", Malformed::LongHead),
        (b"", b"\r\n", Malformed::LongHead),
        (b"HTTP/", b"\r", Malformed::LongHead),
        (b"", b"HTTP/1.1 100 Go on\r\n\r\n", Malformed::ManyInterim),
    ] {
        let answer = [start, &endless(part)].concat();
        for piece in [0, 1, 7] {
            assert_eq!(talk(&answer, piece).end, Progress::Malformed(end), "{part:?} in pieces of {piece}");
        }
    }
    // Far above what linear time takes on a busy machine, far below what quadratic time does.
    assert!(began.elapsed() < Duration::from_secs(60));
    let patient = [&b"HTTP/1.1 100 Go on\r\n\r\n".repeat(MOST_INTERIM)[..], b"HTTP/1.1 200 Ok\r\n\r\n"].concat();
    assert_eq!(talk(&patient, 0).end, Progress::Done { leftover: Vec::new() });
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_the_split_decides_nothing(
        start in prop::sample::select(vec!["", "HTTP/1.1 ", "HTTP/1.1 200 Ok", "HTTP/1.1 100\r\n\r\n", "HTTP/1.0 403 No\r\nX"]),
        rest in prop::collection::vec(prop::sample::select(b"\r\n\r\n: aH0123\x00\xff".to_vec()), 0..80),
        piece in 1usize..9,
    ) {
        let answer = [start.as_bytes(), &rest].concat();
        match (talk(&answer, 0).end, talk(&answer, piece).end) {
            // What of the page came with the head hangs on the split.
            (Progress::Refused(Refusal::Connect(whole)), Progress::Refused(Refusal::Connect(split))) => {
                prop_assert_eq!((whole.status, whole.reason), (split.status, split.reason));
            }
            (Progress::Done { .. }, end) => {
                let is_done = matches!(end, Progress::Done { .. });
                prop_assert!(is_done);
            },
            (whole, split) => prop_assert_eq!(whole, split),
        }
    }
}
