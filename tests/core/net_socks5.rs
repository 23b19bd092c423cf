//! SOCKS5 against replies in every split, truncated, oversized and of other protocols.

use proptest::prelude::*;
use proxywhirl::net::credentials::Credentials;
use proxywhirl::net::destination::Destination;
use proxywhirl::net::handshake::{Inexpressible, Malformed, Progress, Refusal};
use proxywhirl::net::socks5::{Reply, Socks5};

use crate::net_common::{Talk, play, splits};

const GRANTED: &[u8] = b"\x05\0\0\x01\0\0\0\0\0\0";

fn login(username: &str, password: &str) -> Option<Credentials> {
    Some(Credentials { username: username.into(), password: password.into() })
}

fn handshake(host: &str, login: Option<Credentials>) -> Socks5 {
    Socks5::new(Destination::new(host, 443).unwrap(), login)
}

fn talk(host: &str, login: Option<Credentials>, replies: &[&[u8]], piece: usize) -> Talk {
    let mut socks = handshake(host, login);
    let first = socks.start();
    play(first, replies, piece, |bytes| socks.feed(bytes))
}

#[test]
fn addresses_names_and_logins_in_every_split() {
    for piece in splits() {
        let by_name = talk("shop.test", None, &[b"\x05\0", GRANTED], piece);
        assert_eq!(by_name.said, [&b"\x05\x01\0"[..], b"\x05\x01\0\x03\x09shop.test\x01\xbb"]);
        assert_eq!(by_name.end, Progress::Done { leftover: Vec::new() });

        let named: &[u8] = b"\x05\0\0\x03\x04host\0\0";
        let by_login = talk("10.0.0.1", login("me", "pw"), &[b"\x05\x02", b"\x01\0", named], piece);
        assert_eq!(by_login.said, [&b"\x05\x02\x02\0"[..], b"\x01\x02me\x02pw", b"\x05\x01\0\x01\x0a\0\0\x01\x01\xbb"]);
        assert_eq!(by_login.end, Progress::Done { leftover: Vec::new() });

        let six = [b"\x05\0\0\x04".as_slice(), &[0; 18]].concat();
        let unasked = talk("::1", login("me", "pw"), &[b"\x05\0", &six], piece);
        assert_eq!(unasked.said[1][3], 4, "an IPv6 address is sent as one, and no login where none is wanted");
        assert_eq!(unasked.end, Progress::Done { leftover: Vec::new() });
    }
}

#[test]
fn what_follows_the_reply_is_the_tunnels() {
    for bound in [GRANTED, b"\x05\0\0\x03\0\0\0", b"\x05\0\0\x03\x04host\0\0"] {
        let reply = [bound, b"hello"].concat();
        let ended = talk("shop.test", None, &[b"\x05\0", &reply], 0);
        assert_eq!(ended.end, Progress::Done { leftover: b"hello".to_vec() });
        assert_eq!(ended.end.clone().client_speaks_first(), Progress::Malformed(Malformed::EarlyData));
    }
    // A driver that reads what is asked for has nothing left.
    let mut socks = handshake("shop.test", None);
    socks.start();
    let stream = [b"\x05\0".as_slice(), GRANTED, b"hello"].concat();
    let (mut at, mut want) = (0, 1);
    loop {
        let progress = socks.feed(&stream[at..at + want]);
        at += want;
        match progress {
            Progress::NeedMore(least) => want = least,
            Progress::Write(_) => want = 1,
            Progress::Done { leftover } => break assert!(leftover.is_empty()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(&stream[at..], b"hello");
}

#[test]
fn refusals_are_told_apart() {
    for code in 1..=255 {
        let reply = Reply::of_code(code).unwrap();
        assert_eq!(reply.code(), code);
        for piece in splits() {
            // Not every server sends an address with a refusal.
            for rest in [&b"\0\x01\0\0\0\0\0\0"[..], b"\0", b""] {
                let said = [&[5, code], rest].concat();
                let ended = talk("shop.test", None, &[b"\x05\0", &said], piece);
                assert_eq!(ended.end, Progress::Refused(Refusal::Socks5(reply)));
            }
        }
    }
    assert_eq!(Reply::of_code(0), None);
    let end = |login: Option<Credentials>, replies: &[&[u8]]| talk("shop.test", login, replies, 0).end;
    let method = |login_offered| Progress::Refused(Refusal::Method { login_offered });
    assert_eq!(end(None, &[b"\x05\xff"]), method(false));
    assert_eq!(end(None, &[b"\x05\x02"]), method(false), "a method that was not offered");
    assert_eq!(end(login("a", "b"), &[b"\x05\xff"]), method(true));
    assert_eq!(end(login("a", "b"), &[b"\x05\x01"]), method(true));
    assert_eq!(end(login("a", "b"), &[b"\x05\x02", b"\x01\x01"]), Progress::Refused(Refusal::Login));
    assert_eq!(end(login("a", "b"), &[b"\x05\x02", b"\x05\xff"]), Progress::Refused(Refusal::Login));
}

#[test]
fn lengths_of_a_login() {
    let too_long = Progress::Refused(Refusal::Inexpressible(Inexpressible::Login));
    for (user, password, is_sound) in
        [(1, 0, true), (1, 255, true), (255, 255, true), (256, 1, false), (1, 256, false), (0, 1, false)]
    {
        let (user, password) = ("u".repeat(user), "p".repeat(password));
        let mut socks = handshake("shop.test", login(&user, &password));
        socks.start();
        match socks.feed(b"\x05\x02") {
            Progress::Write(message) => {
                assert!(is_sound);
                assert_eq!(message.len(), 3 + user.len() + password.len());
            }
            other => {
                assert!(!is_sound);
                assert_eq!(other, too_long);
            }
        }
    }
    // Only the method that wants it minds.
    assert!(matches!(talk("a", login(&"u".repeat(300), ""), &[b"\x05\0", GRANTED], 0).end, Progress::Done { .. }));
}

#[test]
fn other_protocols_and_early_bytes() {
    let not_socks = Progress::Malformed(Malformed::NotSocks5);
    for banner in [&b"HTTP/1.1 400 Bad\r\n\r\n"[..], b"SSH-2.0-x\r\n", b"\x04\x5a", b"\0", b"\x15\x03\x01"] {
        for piece in splits() {
            assert_eq!(talk("a", None, &[banner], piece).end, not_socks, "{banner:?}");
            assert_eq!(talk("a", None, &[b"\x05\0", banner], piece).end, not_socks, "{banner:?}");
        }
    }
    assert_eq!(talk("a", None, &[b"\x05\0", b"\x05\0\0\x09\0\0\0\0\0\0"], 0).end, not_socks);
    let early = [b"\x05\0".as_slice(), GRANTED].concat();
    assert_eq!(talk("a", None, &[&early], 0).end, Progress::Malformed(Malformed::EarlyData));
}

#[test]
fn names_that_cannot_be_said() {
    for name in ["", "a b", "a\0b", "a\r\nHost: b", "b\u{fc}cher.test", &"x".repeat(256)] {
        assert!(Destination::new(name, 80).is_err(), "{name:?}");
    }
    assert!(Destination::new(&"x".repeat(255), 80).is_ok());
}

#[test]
fn nothing_is_told_in_debug() {
    let mut socks = handshake("shop.test", login("hostile77", "s3cr3tPw99"));
    socks.start();
    assert!(!format!("{:?}", socks.feed(b"\x05\x02")).contains("s3c"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_the_split_decides_nothing(
        replies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 1..4),
        starts_well: bool,
        has_login: bool,
        piece in 1usize..9,
    ) {
        let login = has_login.then(|| login("me", "pw")).flatten();
        let opening: &[u8] = if has_login { b"\x05\x02" } else { b"\x05\0" };
        let mut replies: Vec<&[u8]> = replies.iter().map(Vec::as_slice).collect();
        if starts_well {
            replies.insert(0, opening);
        }
        let whole = talk("shop.test", login.clone(), &replies, 0);
        let split = talk("shop.test", login, &replies, piece);
        if let (Some(whole), Some(split)) = (whole.same_end(), split.same_end()) {
            prop_assert_eq!(whole, split);
        }
    }

    #[test]
    fn every_prefix_of_a_good_reply_wants_more(cut in 0usize..21, six: bool) {
        let reply = if six { [b"\x05\0\0\x04".as_slice(), &[0; 18]].concat() } else { GRANTED.to_vec() };
        let cut = cut.min(reply.len() - 1);
        let mut socks = handshake("shop.test", None);
        socks.start();
        socks.feed(b"\x05\0");
        match socks.feed(&reply[..cut]) {
            Progress::NeedMore(least) => prop_assert!(least > 0 && cut + least <= reply.len()),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
