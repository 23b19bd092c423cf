//! Finding out how a list is packed, encoded and laid out.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use super::delimited;
use super::options::{Format, Options};

/// How much of a list is looked at.
pub(super) const HEAD: usize = 4096;

pub(super) fn is_gzip(data: &[u8]) -> bool {
    data.starts_with(&[0x1f, 0x8b])
}

/// What kind of archive the data is; after unpacking, gzip is one too.
pub(super) fn archive(data: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 8] = [
        (b"PK\x03\x04", "a zip archive"),
        (b"PK\x05\x06", "a zip archive"),
        (b"\xfd7zXZ\x00", "an xz archive"),
        (b"BZh", "a bzip2 archive"),
        (b"\x28\xb5\x2f\xfd", "a zstandard archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"Rar!\x1a\x07", "a rar archive"),
        (b"\x1f\x8b", "an archive within an archive"),
    ];
    let found = KINDS.iter().find(|(head, _)| data.starts_with(head));
    found.map(|(_, kind)| *kind).filter(|kind| *kind != "a bzip2 archive" || data.get(4..10) == Some(b"1AY&SY"))
}

/// Two bytes to a character, and which comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wide {
    Little,
    Big,
}

/// Whether the text is UTF-16: by its mark, or by the zeros that plain characters have in it.
pub(super) fn wide(data: &[u8]) -> Option<Wide> {
    if data.starts_with(&[0xff, 0xfe]) {
        return Some(Wide::Little);
    }
    if data.starts_with(&[0xfe, 0xff]) {
        return Some(Wide::Big);
    }
    let head = &data[..data.len().min(64) & !1];
    if head.len() < 8 {
        return None;
    }
    let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|b| **b == 0).count() * 2 >= head.len() * 9 / 10;
    match (zeros(0), zeros(1)) {
        (false, true) => Some(Wide::Little),
        (true, false) => Some(Wide::Big),
        _ => None,
    }
}

/// UTF-16 as UTF-8; what is no character becomes the sign for that.
pub(super) fn narrow(data: &[u8], order: Wide) -> Vec<u8> {
    let mut text = String::with_capacity(data.len() / 2);
    let unit = |pair: &[u8]| match order {
        Wide::Little => u16::from_le_bytes([pair[0], pair[1]]),
        Wide::Big => u16::from_be_bytes([pair[0], pair[1]]),
    };
    let units = data.chunks_exact(2).map(unit);
    text.extend(
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).skip_while(|c| *c == '\u{feff}'),
    );
    text.into_bytes()
}

/// The layout of what begins like this, and the delimiter of values if it is a table.
pub(super) fn format(head: &[u8], options: &Options) -> (Format, u8) {
    let text = start(head);
    let delimiter = options.delimiter;
    match options.format {
        Some(Format::Tsv) => (Format::Tsv, delimiter.unwrap_or(b'\t')),
        Some(Format::Csv) => (Format::Csv, delimiter.or_else(|| delimited::delimiter(&text, options)).unwrap_or(b',')),
        Some(format) => (format, b','),
        None => recognise(&text, options),
    }
}

fn start(head: &[u8]) -> Cow<'_, str> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    String::from_utf8_lossy(&head[..head.len().min(HEAD)])
}

/// Whether what begins with a bracket is JSON. A list of lines may begin with `[ProxyList]`, `[http]`, `[+] 1.2.3.4:80`,
/// `[1] 1.2.3.4:80` or `[2001:db8::1]:80`, and YAML with `{name: x}`.
fn begins_json(text: &str) -> bool {
    let Some(inside) = text.strip_prefix('{') else {
        let inside = text.trim_start_matches('[');
        let line = inside.lines().next().unwrap_or("");
        let literal = line.split(']').next().unwrap_or("");
        return match inside.trim_start().bytes().next() {
            None | Some(b'"' | b'{' | b']') => true,
            // Numbers in a list, unless the bracket is closed at once and an entry follows.
            Some(b'0'..=b'9' | b'-') => {
                literal.parse::<Ipv6Addr>().is_err()
                    && line.split_once(']').is_none_or(|(_, rest)| !rest.contains(|c: char| c.is_ascii_digit()))
            }
            Some(b't' | b'f' | b'n') => {
                inside.starts_with("true") || inside.starts_with("false") || inside.starts_with("null")
            }
            Some(_) => false,
        };
    };
    matches!(inside.trim_start().bytes().next(), None | Some(b'"' | b'}'))
}

fn recognise(text: &str, options: &Options) -> (Format, u8) {
    let text = text.trim_start();
    let lower = || text[..text.floor_char_boundary(2048)].to_ascii_lowercase();
    match text.as_bytes().first() {
        Some(b'{' | b'[') if begins_json(text) => return (json_kind(text), b','),
        Some(b'"') => {
            // A list of quoted values, or a value on each line.
            let line = text.lines().next().unwrap_or("").trim();
            let inner = line.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            let whole = inner.is_some_and(|inner| !inner.is_empty() && !inner.contains('"'));
            if whole && text.lines().nth(1).is_some_and(|next| next.starts_with('"')) {
                return (Format::JsonLines, b',');
            }
        }
        Some(b'<') => {
            let lower = lower();
            if [
                "<html",
                "<!doctype",
                "<table",
                "<tr",
                "<body",
                "<head",
                "<div",
                "<pre",
                "<textarea",
                "<tbody",
                "<section",
            ]
            .iter()
            .any(|tag| lower.contains(tag))
            {
                return (Format::Html, b',');
            }
        }
        _ => {}
    }
    match options.delimiter.or_else(|| delimited::delimiter(text, options)) {
        Some(b'\t') => (Format::Tsv, b'\t'),
        Some(delimiter) => (Format::Csv, delimiter),
        None => (Format::Text, b','),
    }
}

/// One value per line if the first line is a whole value and another begins on the next.
fn json_kind(text: &str) -> Format {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let whole = lines.next().is_some_and(|line| serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok());
    if whole && lines.next().is_some_and(|line| line.trim_start().starts_with(['{', '[', '"'])) {
        Format::JsonLines
    } else {
        Format::Json
    }
}
