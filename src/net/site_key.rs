//! The site of a URL: its host in one spelling, and that host's registrable domain.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use compact_str::CompactString;

/// The meaning of a byte in the search for the end of the host.
const PLAIN: u8 = 0;
const END: u8 = 1;
const AT: u8 = 2;
const COLON: u8 = 3;
const OPEN: u8 = 4;
const CLOSE: u8 = 5;

// One look per byte: hosts are read for every lease.
const CLASSES: [u8; 256] = {
    let mut classes = [PLAIN; 256];
    // The backslash as browsers take it: `http://a\@b` leads to a.
    let mut ends = [b'/', b'?', b'#', b'\\'].as_slice();
    while let [end, rest @ ..] = ends {
        classes[*end as usize] = END;
        ends = rest;
    }
    classes[b'@' as usize] = AT;
    classes[b':' as usize] = COLON;
    classes[b'[' as usize] = OPEN;
    classes[b']' as usize] = CLOSE;
    classes
};

/// The host in a URL as it is written there, or in a host and port without a scheme. Brackets, user and port are left out.
#[inline]
#[must_use]
pub fn host_of(url: &str) -> Option<&str> {
    let url = url.trim_ascii();
    let bytes = url.as_bytes();
    let mut from = authority(bytes);
    let mut port = usize::MAX;
    let mut bracket = usize::MAX;
    let mut at = from;
    while at < bytes.len() {
        match CLASSES[bytes[at] as usize] {
            PLAIN => {}
            END => break,
            AT => {
                from = at + 1;
                port = usize::MAX;
                bracket = usize::MAX;
            }
            COLON => port = port.min(at),
            OPEN if at == from => bracket = 0,
            CLOSE if bracket == 0 => bracket = at,
            _ => {}
        }
        at += 1;
    }
    let host = match bracket {
        usize::MAX => &url[from..at.min(port)],
        0 => return None,
        end => &url[from + 1..end],
    };
    (!host.is_empty()).then_some(host)
}

/// Where the authority begins: after `scheme://` or `//`, else at the beginning.
#[inline]
fn authority(bytes: &[u8]) -> usize {
    if bytes.starts_with(b"//") {
        return 2;
    }
    let end = bytes.iter().position(|byte| matches!(CLASSES[*byte as usize], END | COLON | AT));
    match end {
        Some(colon) if bytes[colon..].starts_with(b"://") => colon + 3,
        _ => 0,
    }
}

/// The registrable domain of a host, in lower case and ASCII; the host itself where it has none: an address, a single
/// label, a public suffix.
#[must_use]
pub fn site_key_of_host(host: &str) -> CompactString {
    let host = one_spelling_of_host(host);
    if host.contains(':') || host.parse::<Ipv4Addr>().is_ok() {
        return CompactString::from(host);
    }
    match psl::domain_str(&host) {
        Some(domain) => CompactString::from(domain),
        None => CompactString::from(host),
    }
}

/// A host in the one spelling that is compared: lower case and ASCII, without a dot at its end; an IPv6 address in its
/// shortest form, without its zone, which names a link of this machine.
#[must_use]
pub fn one_spelling_of_host(host: &str) -> Cow<'_, str> {
    if host.contains(':') {
        let address = host.split('%').next().unwrap_or(host);
        return Cow::Owned(match address.parse::<Ipv6Addr>() {
            Ok(address) => address.to_string(),
            Err(_) => host.to_ascii_lowercase(),
        });
    }
    match one_spelling(host) {
        Cow::Borrowed(host) => Cow::Borrowed(host.strip_suffix('.').unwrap_or(host)),
        Cow::Owned(mut host) => {
            if host.ends_with('.') {
                host.pop();
            }
            Cow::Owned(host)
        }
    }
}

/// Lower case, escapes undone, labels in other scripts as punycode.
fn one_spelling(host: &str) -> Cow<'_, str> {
    let plain = |byte: &u8| byte.is_ascii() && !byte.is_ascii_uppercase() && *byte != b'%';
    if host.as_bytes().iter().all(plain) {
        return Cow::Borrowed(host);
    }
    let host = unescaped(host).to_lowercase();
    if host.is_ascii() {
        return Cow::Owned(host);
    }
    // The other full stops of the standard for international names.
    let labels = host.split(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']);
    Cow::Owned(labels.map(ascii_label).collect::<Vec<_>>().join("."))
}

fn unescaped(host: &str) -> String {
    let mut bytes = Vec::with_capacity(host.len());
    let mut rest = host.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match tail {
            [high, low, ..] if *first == b'%' => {
                let digit = |byte: &u8| (*byte as char).to_digit(16);
                digit(high).zip(digit(low)).map(|(high, low)| (high * 16 + low) as u8)
            }
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| host.to_owned())
}

fn ascii_label(label: &str) -> Cow<'_, str> {
    if label.is_ascii() {
        return Cow::Borrowed(label);
    }
    idna::punycode::encode_str(label).map_or(Cow::Borrowed(label), |code| Cow::Owned(format!("xn--{code}")))
}

/// The site a URL belongs to: the registrable domain of its host by the public suffix list, or the host itself if that is
/// an address, a single label or a public suffix. `None` without a host.
#[must_use]
pub fn site_key(url: &str) -> Option<CompactString> {
    host_of(url).map(site_key_of_host).filter(|key| !key.is_empty())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_in_urls_of_every_form() {
        for (url, host) in [
            ("https://www.example.com/a/b?c=d#e", Some("www.example.com")),
            ("https://www.example.com:8443", Some("www.example.com")),
            ("http://user:pass@example.com:80/", Some("example.com")),
            ("http://us@er:p@ss@example.com/", Some("example.com")),
            ("http://example.com?x=http://other.org/", Some("example.com")),
            ("http://example.com#@other.org", Some("example.com")),
            ("http://example.com\\@other.org", Some("example.com")),
            ("http://[::1]:8080/x", Some("::1")),
            ("http://u:p@[2001:db8::1]/x", Some("2001:db8::1")),
            ("http://[::1/x", None),
            ("//cdn.example.com/x", Some("cdn.example.com")),
            ("example.com:443/x", Some("example.com")),
            ("example.com/http://x", Some("example.com")),
            ("  http://example.com  ", Some("example.com")),
            ("http:///x", None),
            ("http://:80/", None),
            ("http://user@/", None),
            ("", None),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }

    #[test]
    fn one_site_for_all_its_spellings() {
        for (url, key) in [
            ("https://WWW.Example.COM./", "example.com"),
            ("https://a.b.example.co.uk", "example.co.uk"),
            ("https://co.uk", "co.uk"),
            ("https://someone.github.io", "someone.github.io"),
            ("http://localhost:8000", "localhost"),
            ("http://printer.", "printer"),
            ("http://10.0.0.1:80", "10.0.0.1"),
            ("http://[2001:DB8:0:0::1]:80", "2001:db8::1"),
            ("http://[fe80::1%25eth0]", "fe80::1"),
            ("http://shop.m\u{fc}nchen.de", "xn--mnchen-3ya.de"),
            ("http://shop.M\u{dc}NCHEN.de", "xn--mnchen-3ya.de"),
            ("http://shop.m%C3%BCnchen.de", "xn--mnchen-3ya.de"),
            ("http://shop.XN--MNCHEN-3YA.de", "xn--mnchen-3ya.de"),
            ("http://\u{98df}\u{72ee}.\u{516c}\u{53f8}.cn/", "xn--85x722f.xn--55qx5d.cn"),
            ("http://\u{5e74}b\u{7d44}\u{91d1}\u{516b}\u{5148}\u{751f}.jp/", "xn--b-007a3d339cdx0amhkh68a.jp"),
            ("http://www\u{3002}example\u{3002}com/", "example.com"),
            ("http://a.b.nowhere/", "b.nowhere"),
        ] {
            assert_eq!(site_key(url).as_deref(), Some(key), "{url}");
        }
        assert_eq!(site_key("http:///x"), None);
        assert_eq!(site_key("http://./"), None);
    }
}
