//! Lists of one proxy per line.

use std::num::NonZeroU16;

use compact_str::CompactString;

use super::label::{Label, Labels, heading};
use super::line;
use super::options::Options;
use super::parsed::{Parsed, Reason};
use super::record::ListEntry;
use super::words::is_blank;
use crate::net::address::Protocol;

/// Reads lines one after the other.
#[derive(Debug)]
pub(super) struct Lines {
    usual: Labels,
    /// What `plain` gives a line without a protocol of its own; `None` if that takes more than a protocol to say.
    simple: Option<Protocol>,
    /// Whether the user set the protocol: headings do not change it then.
    is_protocol_given: bool,
    longest: usize,
    number: u32,
}

impl Lines {
    pub(super) fn new(options: &Options) -> Self {
        let mut lines = Self {
            usual: options.labels(),
            simple: None,
            is_protocol_given: options.protocol.is_some(),
            longest: options.limits.line,
            number: 0,
        };
        lines.simplify();
        lines
    }

    fn simplify(&mut self) {
        self.simple = match (self.usual.protocols.as_slice(), self.usual.https, self.usual.foreign) {
            ([], false, false) => Some(Protocol::Http),
            ([one], false, false) => Some(*one),
            _ => None,
        };
    }

    /// Takes over what a heading says about the lines below it.
    fn head(&mut self, labels: Labels) {
        if !self.is_protocol_given {
            self.usual = labels;
            self.simplify();
        }
    }

    /// Reads one line, without its end.
    pub(super) fn line(&mut self, raw: &[u8], parsed: &mut Parsed) {
        self.number += 1;
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        parsed.lines += 1;
        if let Some(protocol) = self.simple
            && let Some(record) = plain(raw, self.number, protocol)
        {
            parsed.take(record);
            return;
        }
        self.unusual(raw, parsed);
    }

    /// A line that is longer than any may be, of which only the beginning is at hand.
    pub(super) fn too_long(&mut self, head: &[u8], parsed: &mut Parsed) {
        self.number += 1;
        parsed.lines += 1;
        self.refuse_length(head, parsed);
    }

    fn refuse_length(&self, raw: &[u8], parsed: &mut Parsed) {
        let head = String::from_utf8_lossy(&raw[..raw.len().min(256)]);
        parsed.reject(self.number, Reason::TooLong { limit: self.longest }, &head);
    }

    #[inline(never)]
    fn unusual(&mut self, raw: &[u8], parsed: &mut Parsed) {
        if memchr::memchr(b'\r', raw).is_some() {
            // Ends of lines as old Macs wrote them.
            for (place, piece) in raw.split(|b| *b == b'\r').enumerate() {
                if place > 0 {
                    self.number += 1;
                    parsed.lines += 1;
                }
                self.one(piece, parsed);
            }
        } else {
            self.one(raw, parsed);
        }
    }

    fn one(&mut self, raw: &[u8], parsed: &mut Parsed) {
        if raw.len() > self.longest {
            self.refuse_length(raw, parsed);
            return;
        }
        let text = String::from_utf8_lossy(raw);
        let text = text.trim_matches(is_blank);
        if text.is_empty() {
            parsed.blank += 1;
        } else if let Some(comment) = comment(text) {
            if let Some(labels) = heading(comment) {
                self.head(labels);
            }
            parsed.blank += 1;
        } else if let Some(title) = title(text) {
            match heading(title) {
                Some(labels) => self.head(labels),
                // Another section, to which the heading before does not extend.
                None => self.head(Labels::default()),
            }
            parsed.blank += 1;
        } else {
            parsed.line(line::read(text, self.number, &self.usual), self.number, text);
        }
    }
}

fn comment(line: &str) -> Option<&str> {
    line.strip_prefix('#').or_else(|| line.strip_prefix("//")).or_else(|| line.strip_prefix(';'))
}

/// The title of a section: `[ProxyList]`, `[socks5]`, `=== HTTP ===`, or a protocol and a colon.
fn title(line: &str) -> Option<&str> {
    if line.len() > 60 {
        return None;
    }
    if let Some(inside) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let named = inside.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '(' | ')'));
        return (named && inside.contains(char::is_alphabetic)).then_some(inside);
    }
    if let Some(label) = line.strip_suffix(':') {
        return heading(label).map(|_| label);
    }
    let rule = |c: char| matches!(c, '=' | '-' | '*' | '~' | '_');
    let inside = line.trim_matches(|c: char| rule(c) || is_blank(c));
    if inside.is_empty() {
        // A line across the page.
        return line.chars().all(|c| rule(c) || is_blank(c)).then_some("-").filter(|_| line.len() > 2);
    }
    let ruled = line.starts_with(rule) && line.ends_with(rule);
    let only = Label::parse(inside).is_some();
    (ruled && (only || heading(inside).is_some())).then_some(inside)
}

/// `a.b.c.d:port` and nothing else: what most lines of most lists are.
#[inline]
fn plain(raw: &[u8], line: u32, protocol: Protocol) -> Option<ListEntry> {
    if raw.len() > 21 {
        return None;
    }
    let mut at = 0;
    for octet in 0..4 {
        let start = at;
        let mut value = 0_u32;
        // The fourth digit is one too many, and is met below.
        while at < start + 4
            && let Some(digit) = raw.get(at).map(|b| b.wrapping_sub(b'0')).filter(|digit| *digit < 10)
        {
            value = value * 10 + u32::from(digit);
            at += 1;
        }
        let length = at - start;
        let separator = if octet == 3 { b':' } else { b'.' };
        if length == 0
            || length > 3
            || value > 255
            || (length > 1 && raw[start] == b'0')
            || raw.get(at) != Some(&separator)
        {
            return None;
        }
        at += 1;
    }
    let digits = &raw[at..];
    if digits.is_empty() || digits.len() > 5 || digits[0] == b'0' {
        return None;
    }
    let mut port = 0_u32;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        port = port * 10 + u32::from(digit);
    }
    let port = u16::try_from(port).ok().and_then(NonZeroU16::new)?;
    // Digits and dots, so it is UTF-8.
    let host = CompactString::from_utf8(&raw[..at - 1]).ok()?;
    Some(ListEntry { host, port: Some(port), protocol, line, details: None })
}
