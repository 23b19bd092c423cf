//! SOCKS4 and 4a against replies in every split, truncated and of other protocols.

use proptest::prelude::*;
use proxywhirl::net::credentials::Credentials;
use proxywhirl::net::destination::Destination;
use proxywhirl::net::handshake::{Inexpressible, Malformed, Progress, Refusal};
use proxywhirl::net::socks4::{Reply, Socks4};

use crate::net_common::{Talk, play, splits};

const GRANTED: &[u8] = b"\0\x5a\0\0\0\0\0\0";

fn login(username: &str) -> Option<Credentials> {
    Some(Credentials { username: username.into(), password: "ignored".into() })
}

fn talk(host: &str, login: Option<Credentials>, reply: &[u8], piece: usize) -> Talk {
    let mut socks = Socks4::new(Destination::new(host, 443).unwrap(), login);
    let first = socks.start().unwrap();
    play(first, &[reply], piece, |bytes| socks.feed(bytes))
}

#[test]
fn addresses_and_names_in_every_split() {
    for piece in splits() {
        for granted in [GRANTED, b"\x04\x5a\x01\xbb\x0a\0\0\x01"] {
            let by_address = talk("10.0.0.1", None, granted, piece);
            assert_eq!(by_address.said, [b"\x04\x01\x01\xbb\x0a\0\0\x01\0"]);
            assert_eq!(by_address.end, Progress::Done { leftover: Vec::new() });
            let by_name = talk("shop.test", login("me"), granted, piece);
            assert_eq!(by_name.said, [b"\x04\x01\x01\xbb\0\0\0\x01me\0shop.test\0"]);
        }
    }
    let ended = talk("shop.test", None, &[GRANTED, b"hello"].concat(), 0);
    assert_eq!(ended.end, Progress::Done { leftover: b"hello".to_vec() });
}

#[test]
fn refusals_are_told_apart() {
    for code in (0..=255).filter(|code| *code != 90) {
        let reply = Reply::of_code(code).unwrap();
        assert_eq!(reply.code(), code);
        for piece in splits() {
            for rest in [&b"\0\0\0\0\0\0"[..], b"\0", b""] {
                let said = [&[0, code], rest].concat();
                assert_eq!(talk("a", None, &said, piece).end, Progress::Refused(Refusal::Socks4(reply)));
            }
        }
    }
    assert_eq!(Reply::of_code(90), None);
}

#[test]
fn what_cannot_be_said_is_not_sent() {
    let start = |host: &str, login| Socks4::new(Destination::new(host, 80).unwrap(), login).start();
    assert_eq!(start("::1", None), Err(Inexpressible::Ipv6));
    assert_eq!(start("shop.test", login("a\0b")), Err(Inexpressible::UserId));
    assert!(start("shop.test", login("")).is_ok());
}

#[test]
fn other_protocols() {
    for banner in [&b"HTTP/1.1 400 Bad\r\n\r\n"[..], b"SSH-2.0-x\r\n", b"\x05\0", b"\x15\x03\x01"] {
        for piece in splits() {
            assert_eq!(talk("a", None, banner, piece).end, Progress::Malformed(Malformed::NotSocks4));
        }
    }
    let mut socks = Socks4::new(Destination::new("a", 80).unwrap(), None);
    socks.start().unwrap();
    socks.feed(GRANTED);
    assert_eq!(socks.feed(b"more"), Progress::Malformed(Malformed::Ended));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_the_split_decides_nothing(reply: Vec<u8>, piece in 1usize..9) {
        let (whole, split) = (talk("shop.test", None, &reply, 0), talk("shop.test", None, &reply, piece));
        if let (Some(whole), Some(split)) = (whole.same_end(), split.same_end()) {
            prop_assert_eq!(whole, split);
        }
    }

    #[test]
    fn every_prefix_of_a_good_reply_wants_the_rest(cut in 0usize..8) {
        prop_assert_eq!(talk("a", None, &GRANTED[..cut], 0).end, Progress::NeedMore(if cut == 0 { 1 } else { 8 - cut }));
    }
}
