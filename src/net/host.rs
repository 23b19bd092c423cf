//! Hosts: names and IP literals, in the one form that is stored, compared and dialled.

use std::net::{Ipv4Addr, Ipv6Addr};

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use super::address::AddressError;

/// Reads a host: a name, an IPv4 address in four plain octets, or an IPv6 address without brackets.
///
/// An international name becomes its ASCII form by UTS 46, as in browsers, curl and httpx. That mapping also turns digits
/// and dots of other scripts into plain ones, so that the result is what a client dials.
pub(crate) fn parse_host(text: &str) -> Result<Box<str>, AddressError> {
    if text.is_empty() {
        return Err(AddressError::NoHost);
    }
    if text.contains(':') {
        return match text.parse::<Ipv6Addr>() {
            Ok(ip) => Ok(ip.to_string().into()),
            Err(_) => Err(AddressError::BadHost),
        };
    }
    if text.is_ascii() && !has_punycode(text) {
        return ascii_host(text);
    }
    // Longer than any name can be, before the tables are asked.
    if text.len() > 1024 {
        return Err(AddressError::BadHost);
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let mapped = Uts46::new()
        .to_ascii(name.as_bytes(), AsciiDenyList::URL, Hyphens::Check, DnsLength::Verify)
        .map_err(|_| AddressError::BadHost)?;
    ascii_host(&mapped)
}

fn has_punycode(text: &str) -> bool {
    text.split('.').any(|label| label.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("xn--")))
}

fn ascii_host(text: &str) -> Result<Box<str>, AddressError> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if is_number(name) {
        return match text.parse::<Ipv4Addr>() {
            Ok(_) => Ok(text.into()),
            Err(_) => Err(AddressError::BadHost),
        };
    }
    let label_ok = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if name.len() > 253 || !name.split('.').all(label_ok) {
        return Err(AddressError::BadHost);
    }
    if text.bytes().any(|b| b.is_ascii_uppercase()) { Ok(text.to_ascii_lowercase().into()) } else { Ok(text.into()) }
}

/// Whether a resolver reads the name as a number: "2130706433", "0x7f.1" and "017.0.0.1" are ways to write an address
/// past a filter.
pub(crate) fn is_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or("");
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|b| b.is_ascii_digit()) || hex.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The IPv4 address that `inet_aton` reads: one to four numbers, decimal, octal or hexadecimal, the last of which fills
/// the bytes that are left.
pub(crate) fn loose_ipv4(text: &str) -> Option<Ipv4Addr> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let number = |part: &str| -> Option<u32> {
        if let Some(hex) = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
            return if hex.is_empty() { Some(0) } else { u32::from_str_radix(hex, 16).ok() };
        }
        if !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        match part.strip_prefix('0') {
            Some(octal) if !octal.is_empty() => u32::from_str_radix(octal, 8).ok(),
            _ => part.parse().ok(),
        }
    };
    let parts: Vec<u32> = text.splitn(5, '.').map(number).collect::<Option<_>>()?;
    let (last, front) = parts.split_last()?;
    if front.len() > 3 || front.iter().any(|octet| *octet > 255) {
        return None;
    }
    let room = 32 - 8 * front.len() as u32;
    if room < 32 && *last >= 1 << room {
        return None;
    }
    let high = front.iter().enumerate().fold(0_u32, |sum, (at, octet)| sum | octet << (24 - 8 * at));
    Some(Ipv4Addr::from(high | last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn international_names_are_stored_as_they_are_dialled() {
        for (text, host) in [
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("straße.example", "xn--strae-oqa.example"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("proxy。example", "proxy.example"),
            ("１２７.0.0.1", "127.0.0.1"),
            ("①②⑦.0.0.1", "127.0.0.1"),
            ("ｌｏｃａｌｈｏｓｔ", "localhost"),
            ("a_b.example", "a_b.example"),
        ] {
            assert_eq!(parse_host(text).as_deref(), Ok(host), "{text}");
        }
        for text in
            ["\u{200b}", "a\u{a0}b.example", "xn--a.example", "é/x", "é:80", "é@x", "１２７。１", "\u{ad}", "٣.٣.٣.٣x:"]
        {
            assert!(parse_host(text).is_err(), "{text:?} is {:?}", parse_host(text));
        }
        assert!(parse_host(&"é".repeat(10_000)).is_err());
    }

    #[test]
    fn reads_what_a_resolver_reads() {
        for (text, ip) in [
            ("2130706433", [127, 0, 0, 1]),
            ("0x7f.1", [127, 0, 0, 1]),
            ("017.0.0.1", [15, 0, 0, 1]),
            ("0x7f000001", [127, 0, 0, 1]),
            ("127.1", [127, 0, 0, 1]),
            ("10.1.258", [10, 1, 1, 2]),
            ("0", [0, 0, 0, 0]),
            ("1.2.3.4.", [1, 2, 3, 4]),
        ] {
            assert_eq!(loose_ipv4(text), Some(Ipv4Addr::from(ip)), "{text}");
        }
        for text in ["", "1.2.3.4.5", "256.1", "1.2.65536", "4294967296", "08", "a.1", "1..2", "0xg", "-1"] {
            assert_eq!(loose_ipv4(text), None, "{text}");
        }
    }
}
