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

/// The layout of what begins like this, and what stands between values if it is a table.
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

fn recognise(text: &str, options: &Options) -> (Format, u8) {
    let text = text.trim_start();
    let lower = || text[..text.floor_char_boundary(2048)].to_ascii_lowercase();
    match text.as_bytes().first() {
        Some(b'{') => return (json_kind(text), b','),
        Some(b'[') => {
            let literal = text.trim_start_matches('[').split(']').next().unwrap_or("");
            if literal.parse::<Ipv6Addr>().is_err() {
                return (json_kind(text), b',');
            }
        }
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
