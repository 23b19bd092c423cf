//! What clients say in SOCKS 4, 4a and 5 (RFC 1928, 1929), and what they are answered. No I/O: each function looks at what
//! has come, and is asked again with more.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What was found in the bytes that have come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    /// More is needed.
    More,
    /// This, in so many bytes.
    This(T, usize),
    /// What makes no sense: the connection is closed, after this answer.
    Bad(&'static [u8]),
}

/// A request for a tunnel.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
}

pub(super) const LOGIN: u8 = 2;
pub(super) const NO_LOGIN: u8 = 0;
/// No way to log in is acceptable.
pub(super) const NO_METHOD: [u8; 2] = [5, 0xff];
pub(super) const WELCOME: [u8; 2] = [1, 0];
pub(super) const WRONG: [u8; 2] = [1, 1];
const BAD_COMMAND: &[u8] = &[5, 7, 0, 1, 0, 0, 0, 0, 0, 0];
const REFUSED4: &[u8] = &reply4(false);
const BAD_ADDRESS: &[u8] = &[5, 8, 0, 1, 0, 0, 0, 0, 0, 0];

/// The ways to log in that a client of SOCKS5 offers.
pub(super) fn methods(input: &[u8]) -> Found<Vec<u8>> {
    let Some((&count, rest)) = input.get(1).zip(input.get(2..)) else { return Found::More };
    match rest.get(..usize::from(count)) {
        Some(methods) => Found::This(methods.to_vec(), 2 + methods.len()),
        None => Found::More,
    }
}

/// User name and password (RFC 1929).
pub(super) fn login(input: &[u8]) -> Found<(Vec<u8>, Vec<u8>)> {
    if input.first().is_some_and(|version| *version != 1) {
        return Found::Bad(&WRONG);
    }
    let text = |at: usize| input.get(at).and_then(|length| input.get(at + 1..at + 1 + usize::from(*length)));
    let Some(user) = text(1) else { return Found::More };
    let Some(password) = text(2 + user.len()) else { return Found::More };
    Found::This((user.to_vec(), password.to_vec()), 3 + user.len() + password.len())
}

/// What a client of SOCKS5 wants.
pub(super) fn request5(input: &[u8]) -> Found<Target> {
    let Some(head) = input.get(..5) else { return Found::More };
    if head[0] != 5 {
        return Found::Bad(&[]);
    }
    if head[1] != 1 {
        return Found::Bad(BAD_COMMAND);
    }
    let (from, length) = match head[3] {
        1 => (4, 4),
        3 => (5, usize::from(head[4])),
        4 => (4, 16),
        _ => return Found::Bad(BAD_ADDRESS),
    };
    let Some(address) = input.get(from..from + length) else { return Found::More };
    let Some(port) = input.get(from + length..from + length + 2) else { return Found::More };
    let host = match (head[3], <[u8; 4]>::try_from(address), <[u8; 16]>::try_from(address)) {
        (1, Ok(four), _) => Ipv4Addr::from(four).to_string(),
        (4, _, Ok(sixteen)) => Ipv6Addr::from(sixteen).to_string(),
        _ => match std::str::from_utf8(address) {
            Ok(name) => name.to_owned(),
            Err(_) => return Found::Bad(BAD_ADDRESS),
        },
    };
    Found::This(Target { host, port: u16::from_be_bytes([port[0], port[1]]) }, from + length + 2)
}

/// What a client of SOCKS4 or 4a wants, and its user id.
pub(super) fn request4(input: &[u8]) -> Found<(Target, Vec<u8>)> {
    let Some(head) = input.get(..8) else { return Found::More };
    if head[1] != 1 {
        return Found::Bad(REFUSED4);
    }
    let until_zero = |at: usize| input.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0));
    let too_long = if input.len() > 1024 { Found::Bad(REFUSED4) } else { Found::More };
    let Some(length) = until_zero(8) else { return too_long };
    let (user, mut used) = (input[8..8 + length].to_vec(), 9 + length);
    // An address that no host has says that a name follows (4a).
    let host = if head[4..7] == [0, 0, 0] && head[7] != 0 {
        let Some(length) = until_zero(used) else { return too_long };
        let name = std::str::from_utf8(&input[used..used + length]).map(str::to_owned);
        used += length + 1;
        match name {
            Ok(name) => name,
            Err(_) => return Found::Bad(REFUSED4),
        }
    } else {
        Ipv4Addr::new(head[4], head[5], head[6], head[7]).to_string()
    };
    Found::This((Target { host, port: u16::from_be_bytes([head[2], head[3]]) }, user), used)
}

/// The answer to a request of SOCKS5. The status is what HTTP would say; 200 opens the way.
pub(super) fn reply5(status: u16) -> [u8; 10] {
    let code = match status {
        200 => 0,
        403 => 2,
        // The target could not be reached through any proxy, and in time.
        502 => 4,
        504 => 6,
        _ => 1,
    };
    [5, code, 0, 1, 0, 0, 0, 0, 0, 0]
}

/// The answer to a request of SOCKS4.
pub(super) const fn reply4(is_open: bool) -> [u8; 8] {
    [0, if is_open { 90 } else { 91 }, 0, 0, 0, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_pieces<T: std::fmt::Debug + PartialEq>(read: impl Fn(&[u8]) -> Found<T>, whole: &[u8]) -> (T, usize) {
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), Found::More, "{end} bytes");
        }
        let more = [whole, b"more"].concat();
        match read(&more) {
            Found::This(found, used) => (found, used),
            other => panic!("{other:?}"),
        }
    }

    fn target(host: &str, port: u16) -> Target {
        Target { host: host.into(), port }
    }

    #[test]
    fn messages_in_pieces_of_any_size() {
        assert_eq!(in_pieces(methods, &[5, 2, 0, 2]), (vec![0, 2], 4));
        assert_eq!(in_pieces(login, b"\x01\x02me\x03you"), ((b"me".to_vec(), b"you".to_vec()), 8));
        assert_eq!(in_pieces(request5, b"\x05\x01\x00\x03\x06x.test\x01\xbb"), (target("x.test", 443), 13));
        assert_eq!(in_pieces(request5, &[5, 1, 0, 1, 127, 0, 0, 1, 0, 80]), (target("127.0.0.1", 80), 10));
        let six = [&[5, 1, 0, 4][..], &[0; 15], &[1, 0, 80]].concat();
        assert_eq!(in_pieces(request5, &six), (target("::1", 80), 22));
        let four = [4, 1, 0, 80, 10, 0, 0, 1, b'm', b'e', 0];
        assert_eq!(in_pieces(request4, &four), ((target("10.0.0.1", 80), b"me".to_vec()), 11));
        let name = b"\x04\x01\x00\x50\x00\x00\x00\x01me\x00x.test\x00";
        assert_eq!(in_pieces(request4, name), ((target("x.test", 80), b"me".to_vec()), 18));
    }

    #[test]
    fn what_makes_no_sense_is_answered_in_its_protocol() {
        assert_eq!(request5(&[5, 3, 0, 1, 0]), Found::Bad(BAD_COMMAND));
        assert_eq!(request5(&[5, 1, 0, 9, 0]), Found::Bad(BAD_ADDRESS));
        assert_eq!(login(&[5]), Found::Bad(&WRONG));
        assert_eq!(request4(&[4, 2, 0, 0, 0, 0, 0, 0]), Found::Bad(REFUSED4));
        let endless = [&[4, 1, 0, 80, 10, 0, 0, 1][..], &[b'a'; 2000]].concat();
        assert_eq!(request4(&endless), Found::Bad(REFUSED4));
    }
}
