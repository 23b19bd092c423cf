//! URLs that need no normalising: the parts of those are found by one pass, without `httpx.URL`.
//!
//! httpx lowers, escapes and resolves what it is given. A URL for which each of these changes nothing is taken apart here;
//! any other goes to `httpx.URL`, so that there is one set of rules.

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::read::Target;

/// The parts of such a URL, as `httpx.URL` keeps them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PlainUrl<'a> {
    pub(super) scheme: &'a str,
    pub(super) host: &'a str,
    pub(super) port: Option<u16>,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

impl PlainUrl<'_> {
    /// Its length as text.
    pub(super) fn len(&self) -> usize {
        let port = self.port.map_or(0, |port| 2 + port.max(1).ilog10() as usize);
        self.scheme.len() + 3 + self.host.len() + port + self.path.len() + self.query.map_or(0, |query| 1 + query.len())
    }

    /// It as text, as `str` of the URL of httpx; `query` in place of its own.
    pub(super) fn text<'py>(&self, py: Python<'py>, query: Option<&str>) -> Bound<'py, PyString> {
        let mut text = format!("{}://{}", self.scheme, self.host);
        if let Some(port) = self.port {
            text.push_str(&format!(":{port}"));
        }
        text.push_str(self.path);
        self.add_query(&mut text, query);
        PyString::new(py, &text)
    }

    /// Where a request goes to; `query` in place of its own.
    pub(super) fn target(&self, query: Option<&str>) -> Target {
        let mut path = String::from(if self.path.is_empty() { "/" } else { self.path });
        self.add_query(&mut path, query);
        Target { host: self.host.to_owned(), port: self.port.map(i64::from), path }
    }

    fn add_query(&self, text: &mut String, query: Option<&str>) {
        if let Some(query) = query.or(self.query) {
            text.push('?');
            text.push_str(query);
        }
    }
}

/// `httpx.URL` refuses longer ones.
const LONGEST: usize = 65_536;

/// Takes a URL apart; `None` if it has to be normalised, or is none.
pub(super) fn plain(text: &str) -> Option<PlainUrl<'_>> {
    if text.len() > LONGEST {
        return None;
    }
    let (scheme, rest) = match text.strip_prefix("https://") {
        Some(rest) => ("https", rest),
        None => ("http", text.strip_prefix("http://")?),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let (host, port) = match authority.split_once(':') {
        Some((host, digits)) => (host, Some(port(digits)?)),
        None => (authority, None),
    };
    if !is_plain_host(host) {
        return None;
    }
    let default = if scheme == "https" { 443 } else { 80 };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    let has_dots = path.split('/').any(|part| part == "." || part == "..");
    if has_dots || !path.bytes().all(is_path_byte) || !query.unwrap_or("").bytes().all(is_query_byte) {
        return None;
    }
    Some(PlainUrl { scheme, host, port: port.filter(|port| *port != default), path, query })
}

/// Digits alone, without a leading zero: `int()` of Python takes more.
fn port(digits: &str) -> Option<u16> {
    if digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// A name in lower case. One that looks like an address is for httpx to check, unless it plainly is one.
fn is_plain_host(host: &str) -> bool {
    if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        // Of the same strictness as `ipaddress.IPv4Address`.
        return host.parse::<std::net::Ipv4Addr>().is_ok();
    }
    // One in Punycode is decoded by httpx, which may find that it is no name.
    !host.is_empty()
        && !host.contains("xn--")
        && host.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-'))
}

fn is_path_byte(byte: u8) -> bool {
    // A percent sign begins an escape or has to be escaped.
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'?' | b'`' | b'{' | b'}' | b'%')
}

fn is_query_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'%')
}

#[cfg(test)]
mod tests {
    use super::{PlainUrl, plain};

    #[test]
    fn parts_of_a_plain_url() {
        let parts = |scheme, host, port, path, query| Some(PlainUrl { scheme, host, port, path, query });
        assert_eq!(plain("http://a.test"), parts("http", "a.test", None, "", None));
        assert_eq!(plain("https://a-1.test:443/x"), parts("https", "a-1.test", None, "/x", None));
        assert_eq!(plain("http://127.0.0.1:8080?"), parts("http", "127.0.0.1", Some(8080), "", Some("")));
        assert_eq!(plain("http://a/b/?c=/d?e"), parts("http", "a", None, "/b/", Some("c=/d?e")));
    }

    #[test]
    fn the_length_is_that_of_the_text() {
        let texts = ["http://a.test", "https://a-1.test/x", "http://127.0.0.1:8080?", "http://a:9/b/?c=/d?e"];
        for text in texts {
            assert_eq!(plain(text).map(|found| found.len()), Some(text.len()), "{text}");
        }
        assert_eq!(plain("http://a.test:80/").map(|found| found.len()), Some("http://a.test/".len()));
    }

    #[test]
    fn what_needs_rules_is_left_to_httpx() {
        let others = [
            "",
            "a",
            "/a",
            "ftp://a",
            "HTTP://a",
            "http://A",
            "http://",
            "http:///a",
            "http://u@a",
            "http://u:p@a:1",
            "http://[::1]",
            "http://1.2.3",
            "http://01.2.3.4",
            "http://a:",
            "http://a:080",
            "http://a:x",
            "http://a:99999",
            "http://a/../b",
            "http://a/.",
            "http://a/%20",
            "http://a/ ",
            "http://a/\u{e4}",
            "http://a?{}\"",
            "http://a#b",
            "http://a/{",
            "http://\u{e4}",
            "http://a_b",
            "http://xn--a",
            "http://a.xn--bcher-kva.test",
            "http://a?%41",
        ];
        for other in others {
            assert_eq!(plain(other), None, "{other}");
        }
    }
}
