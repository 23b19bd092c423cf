//! Lists of one proxy per line.

use std::num::NonZeroU16;

use compact_str::CompactString;

use super::note;
use super::options::Options;
use super::parsed::{Parsed, Reason};
use super::record::Record;
use crate::proxy::address::{Address, AddressError, Protocol, parse_host, parse_port};

/// Reads lines one after the other.
#[derive(Debug)]
pub(super) struct Lines {
    protocol: Option<Protocol>,
    /// What a heading has said about the lines below it.
    section: Option<Protocol>,
    longest: usize,
    number: u32,
}

impl Lines {
    pub(super) fn new(options: &Options) -> Self {
        Self { protocol: options.protocol, section: None, longest: options.limits.line, number: 0 }
    }

    /// Reads one line, without its end.
    pub(super) fn line(&mut self, raw: &[u8], parsed: &mut Parsed) {
        self.number += 1;
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        parsed.lines += 1;
        if let Some(record) = plain(raw, self.number, self.protocol.or(self.section)) {
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
        let line = text.trim_matches(is_blank);
        if line.is_empty() {
            parsed.blank += 1;
        } else if let Some(comment) = comment(line) {
            if let Some(protocol) = heading(comment) {
                self.section = Some(protocol);
            }
            parsed.blank += 1;
        } else {
            match read(line, self.number, self.protocol.or(self.section)) {
                Ok(record) => parsed.take(record),
                Err(reason) => parsed.reject(self.number, reason, line),
            }
        }
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}' | '\0')
}

fn comment(line: &str) -> Option<&str> {
    line.strip_prefix('#').or_else(|| line.strip_prefix("//")).or_else(|| line.strip_prefix(';'))
}

/// The protocol that a heading such as `# SOCKS5 proxies (28)` announces for the lines below it.
fn heading(comment: &str) -> Option<Protocol> {
    let mut words = comment.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).take(6);
    let protocol = Protocol::parse(words.next()?)?;
    let usual = |word: &str| {
        word.bytes().all(|b| b.is_ascii_digit())
            || ["proxy", "proxies", "list", "servers", "total"].iter().any(|known| word.eq_ignore_ascii_case(known))
    };
    words.all(usual).then_some(protocol)
}

/// `a.b.c.d:port` and nothing else: what most lines of most lists are.
#[inline]
fn plain(raw: &[u8], line: u32, protocol: Option<Protocol>) -> Option<Record> {
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
    Some(Record { host, port: Some(port), protocol: protocol.unwrap_or(Protocol::Http), line, details: None })
}

const SEPARATORS: [char; 4] = [',', '|', ';', '\t'];

/// Reads one entry: an address, and whatever is noted behind or before it.
pub(super) fn read(line: &str, number: u32, protocol: Option<Protocol>) -> Result<Record, Reason> {
    let spoken = protocol.unwrap_or(Protocol::Http);
    // As copied from source code or a bulleted list.
    let line = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")).unwrap_or(line);
    let line = line.trim_matches(|c: char| is_blank(c) || matches!(c, '"' | '\'' | '`' | ','));
    let mut words = line.split(is_blank).filter(|word| !word.is_empty());
    let Some(first) = words.next() else { return Err(Reason::NoAddress) };
    let first = first.trim_matches(|c: char| matches!(c, '"' | '\'' | '`' | ','));
    let error = match one_word(first, spoken) {
        Ok((address, note)) => {
            let mut record = Record::new(address, number);
            let said = protocol.is_some() || first.contains("://");
            note::read(&mut record, note.into_iter().chain(words.flat_map(|word| word.split(SEPARATORS))), said);
            return Ok(record);
        }
        Err(error) => error,
    };
    in_words(line, number, protocol).ok_or(Reason::Address(error))
}

/// An address in one word, and what may be noted behind it without a blank.
fn one_word(word: &str, protocol: Protocol) -> Result<(Address, Option<&str>), AddressError> {
    let error = match address(word, protocol) {
        Ok(address) => return Ok((address, None)),
        Err(error) => error,
    };
    if let Some((head, tail)) = word.split_once(SEPARATORS)
        && let Ok(address) = address(head, protocol)
    {
        return Ok((address, Some(tail)));
    }
    // "1.2.3.4:80:US": two colons, so that the third part is no login.
    let body = word.split_once("://").map_or(word, |(_, rest)| rest);
    if let Some((head, tail)) = word.rsplit_once(':')
        && body.bytes().filter(|b| *b == b':').count() == 2
        && !body.contains(['@', '['])
        && let Ok(address) = address(head, protocol)
        && address.port.is_some()
        && address.host.contains('.')
    {
        return Ok((address, Some(tail)));
    }
    Err(error)
}

fn address(text: &str, protocol: Protocol) -> Result<Address, AddressError> {
    let mut address = Address::parse_line(text)?;
    if !text.contains("://") {
        address.protocol = protocol;
    }
    Ok(address)
}

/// `1.2.3.4 80`, `socks5 1.2.3.4 1080 user password`, `HTTP: 1.2.3.4:80`: an address in several words.
fn in_words(line: &str, number: u32, protocol: Option<Protocol>) -> Option<Record> {
    let mut words: Vec<&str> = line
        .split(|c: char| is_blank(c) || SEPARATORS.contains(&c))
        .map(|word| word.trim_matches(|c: char| matches!(c, '"' | '\'' | '`')))
        .filter(|word| !word.is_empty())
        .take(24)
        .collect();
    let mut spoken = protocol;
    let named = words.first().and_then(|word| Protocol::parse(word.trim_end_matches(':')));
    // "IP 1.2.3.4:80", "1) 1.2.3.4:80": an item's number or a label may stand before it.
    if let Some(named) = named {
        spoken = spoken.or(Some(named));
        words.remove(0);
    } else if words.len() > 1 && words[0].len() < 8 && words[0].ends_with([')', '.', ':']) {
        words.remove(0);
    }
    let said = spoken.is_some();
    let spoken = spoken.unwrap_or(Protocol::Http);
    let first = words.first()?;
    if let Ok((address, note)) = one_word(first, spoken) {
        let mut record = Record::new(address, number);
        note::read(&mut record, note.into_iter().chain(words.iter().skip(1).copied()), said);
        return Some(record);
    }
    let host = parse_host(first.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(first)).ok()?;
    let port = parse_port(words.get(1)?).ok()?;
    let mut address = Address { protocol: spoken, host, port: Some(port), credentials: None };
    let mut rest = 2;
    // Proxychains writes the login behind the port; only where a protocol stands in front is it surely no note.
    if named.is_some()
        && let (Some(user), Some(password)) = (words.get(2), words.get(3))
        && !user.starts_with('#')
    {
        let login = format!("{}:{}", crate::proxy::address::escape(user), crate::proxy::address::escape(password));
        let whole = format!("{}://{login}@{}", spoken.as_str(), address.authority());
        address = Address::parse(&whole).ok()?;
        rest = 4;
    } else if !address.host.contains(['.', ':']) {
        // Two words of prose, the second a number.
        return None;
    }
    let mut record = Record::new(address, number);
    note::read(&mut record, words.iter().skip(rest).copied(), said);
    Some(record)
}
