//! Showing a line that could not be read, without what may be a secret in it.

use crate::net::address::{is_literal, parse_host, parse_port};

/// Bytes of a text that are looked at, and parts that are shown.
const MOST_BYTES: usize = 512;
const MOST_PARTS: usize = 12;

/// What an unreadable entry consists of, fit to be shown: the kind of each of its parts, and the signs between. Only what
/// `is_known` accepts is shown itself, for a list the names of protocols; anything else may be a user name, a password or a
/// token.
#[must_use]
pub fn excerpt(text: &str, is_known: impl Fn(&str) -> bool) -> String {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if matches!(text, "" | "{…}" | "[…]") {
        return text.to_owned();
    }
    let head = &text[..text.floor_char_boundary(MOST_BYTES)];
    let mut shown = String::with_capacity(64);
    let mut rest = head;
    if let Some((scheme, behind)) = head.split_once("://") {
        shown.push_str(if is_known(scheme) { scheme } else { "<scheme>" });
        shown.push_str("://");
        rest = behind;
    }
    let mut parts = 0;
    while !rest.is_empty() {
        if parts == MOST_PARTS {
            shown.push('…');
            return shown;
        }
        let (part, behind) = next_part(rest);
        shown.push_str(if is_known(part) { part } else { kind(part) });
        parts += 1;
        rest = behind;
        // Signs in a row are shown once.
        let Some(sign) = rest.chars().next().filter(|c| is_sign(*c)) else { continue };
        shown.push(if sign.is_whitespace() { ' ' } else { sign });
        rest = rest.trim_start_matches(|c: char| c == sign || (sign.is_whitespace() && c.is_whitespace()));
    }
    if head.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn is_sign(c: char) -> bool {
    c.is_whitespace() || matches!(c, ':' | '@' | ',' | '|' | ';' | '/' | '=' | '"' | '\'')
}

/// The part that a text begins with, and what follows. An IPv6 address is one part, brackets included.
fn next_part(text: &str) -> (&str, &str) {
    if text.starts_with('[')
        && let Some(end) = text.find(']')
    {
        return text.split_at(end + 1);
    }
    text.split_at(text.find(is_sign).unwrap_or(text.len()))
}

fn kind(part: &str) -> &str {
    if part.is_empty() {
        return "";
    }
    if let Some(inside) = part.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return if parse_host(inside).is_ok_and(|host| is_literal(&host)) { "<ipv6>" } else { "<text>" };
    }
    if part.bytes().all(|b| b.is_ascii_digit()) {
        return if parse_port(part).is_ok() { "<port>" } else { "<number>" };
    }
    match parse_host(part) {
        Ok(host) if is_literal(&host) => "<ip>",
        Ok(host) if host.contains('.') => "<name>",
        Ok(_) => "<word>",
        Err(_) => "<text>",
    }
}

#[cfg(test)]
mod tests {
    /// The vocabulary of these tests.
    fn excerpt(text: &str) -> String {
        super::excerpt(text, |part| matches!(part, "http" | "vmess" | "elite"))
    }

    #[test]
    fn shows_the_kind_of_each_part() {
        for (text, shown) in [
            ("1.2.3.4:99999", "<ip>:<number>"),
            ("http://bob:secret@1.2.3.4:0", "http://<word>:<word>@<ip>:<number>"),
            ("bob:secret:1.2.3.4:0", "<word>:<word>:<ip>:<number>"),
            ("1.2.3.4,80,bob,se%cret", "<ip>,<port>,<word>,<text>"),
            ("1.2.3.4 secret  words", "<ip> <word> <word>"),
            ("hello", "<word>"),
            ("[2001:db8::1]:x", "<ipv6>:<word>"),
            ("gate.example:0", "<name>:<number>"),
            ("vmess://c2VjcmV0", "vmess://<word>"),
            ("s3cret://1.2.3.4", "<scheme>://<ip>"),
            ("{…}", "{…}"),
            ("", ""),
        ] {
            assert_eq!(excerpt(text), shown, "{text}");
        }
        assert!(excerpt(&"x".repeat(10_000)).len() < 100);
        assert!(excerpt(&"ö:".repeat(10_000)).len() < 100);
        for hostile in ["[", "[é", "é://", "://", "@", ":::::", "\u{feff}", "é]["] {
            assert!(excerpt(hostile).len() < 100);
        }
    }
}
