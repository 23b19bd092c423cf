//! `CONNECT` (RFC 9110, 9.3.6): the request, and the head of the answer.
//!
//! The head is read with more leniency than an answer of a site: middleboxes write control characters into reasons, lines
//! without a colon, or bare line feeds, and all that counts is the status. So it is not `httparse` that reads it.

use std::fmt;

use memchr::memchr;

use super::destination::Destination;
use super::handshake::{Malformed, Progress, Refusal};
use super::latin_1;

/// Most bytes before the body of the answer, interim answers included.
pub const LONGEST_HEAD: usize = 64 << 10;
/// Most interim answers (1xx) before the real one.
pub const MOST_INTERIM: usize = 8;
/// Bytes of an error page that are looked at, of those that came together with the head.
const LONGEST_PAGE: usize = 4096;
/// Characters of a reason that are shown.
const LONGEST_REASON: usize = 100;

/// An answer outside of 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The reason, without control characters. The proxy wrote it: hide the login in it before it is shown or cut.
    pub reason: Box<str>,
    /// `Retry-After`, as it was sent.
    pub retry_after: Option<Box<str>>,
    /// `Date`, as it was sent.
    pub date: Option<Box<str>>,
    /// What else the proxy says of the reason: headers about the error, and the first bytes of the page.
    pub details: Box<str>,
}

impl Reply {
    /// The message for people, with the reason as `hide` leaves it, in ASCII, and cut to what fits a line.
    #[must_use]
    pub fn message(&self, hide: impl Fn(&str) -> String) -> String {
        let hidden: String = hide(&self.reason)
            .chars()
            .map(|letter| if letter.is_ascii() { letter } else { char::REPLACEMENT_CHARACTER })
            .collect();
        let end = hidden.char_indices().nth(LONGEST_REASON).map_or(hidden.len(), |(at, _)| at);
        let text = format!("the proxy answered CONNECT with {} {}", self.status, &hidden[..end]);
        text.trim_end().to_owned()
    }
}

impl fmt::Display for Reply {
    /// Without the reason, in which the proxy may repeat the login.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy answered CONNECT with {}", self.status)
    }
}

/// The handshake.
pub struct Connect {
    request: Vec<u8>,
    buffer: Vec<u8>,
    /// Bytes of the buffer in which no head ends.
    scanned: usize,
    /// Bytes that interim answers and empty lines took.
    skipped: usize,
    interim: usize,
    has_ended: bool,
}

impl Connect {
    /// Asks for a tunnel; `authorization` is a value of `Proxy-Authorization`, of which anything from its first line
    /// break on is left out.
    #[must_use]
    pub fn new(to: Destination, authorization: Option<Vec<u8>>) -> Self {
        let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n").into_bytes();
        if let Some(value) = authorization {
            let end = value.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0)).unwrap_or(value.len());
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(&value[..end]);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        Self { request, buffer: Vec::new(), scanned: 0, skipped: 0, interim: 0, has_ended: false }
    }

    /// What to write first.
    pub fn start(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.request)
    }

    /// Takes what was read. How long a head is cannot be known, so that it takes single bytes not to read beyond it; what
    /// was is given back as the leftover.
    pub fn feed(&mut self, bytes: &[u8]) -> Progress {
        if self.has_ended {
            return Progress::Malformed(Malformed::Ended);
        }
        self.buffer.extend_from_slice(bytes);
        let progress = self.next();
        self.has_ended = !matches!(progress, Progress::NeedMore(_));
        progress
    }

    fn next(&mut self) -> Progress {
        loop {
            self.skip_empty_lines();
            let known = self.buffer.len().min(5);
            if self.buffer[..known] != b"HTTP/"[..known] {
                return Progress::Malformed(Malformed::NotHttp);
            }
            let end = self.end_of_head();
            if self.skipped + end.unwrap_or(self.buffer.len()) > LONGEST_HEAD {
                return Progress::Malformed(Malformed::LongHead);
            }
            let Some(end) = end else { return Progress::NeedMore(1) };
            let Some((status, reason)) = status_line(&self.buffer[..end]) else {
                return Progress::Malformed(Malformed::NotHttp);
            };
            match status {
                200..=299 => return Progress::Done { leftover: self.buffer.split_off(end) },
                300.. => return Progress::Refused(Refusal::Connect(self.reply(status, reason, end))),
                _ => {}
            }
            // 100 and its kind announce the answer.
            self.interim += 1;
            if self.interim > MOST_INTERIM {
                return Progress::Malformed(Malformed::ManyInterim);
            }
            self.drop_front(end);
        }
    }

    fn skip_empty_lines(&mut self) {
        let empty = self.buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if empty > 0 {
            self.drop_front(empty);
        }
    }

    fn drop_front(&mut self, count: usize) {
        self.buffer.drain(..count);
        self.skipped += count;
        self.scanned = 0;
    }

    /// Where the first empty line ends. A line ends with a line feed, a carriage return before it or not (RFC 9112, 2.2).
    fn end_of_head(&mut self) -> Option<usize> {
        while let Some(at) = memchr(b'\n', &self.buffer[self.scanned..]) {
            let behind = self.scanned + at + 1;
            match &self.buffer[behind..] {
                [b'\n', ..] => return Some(behind + 1),
                [b'\r', b'\n', ..] => return Some(behind + 2),
                // Whether the line is empty is not known yet.
                [] | [b'\r'] => {
                    self.scanned = behind - 1;
                    return None;
                }
                _ => self.scanned = behind,
            }
        }
        self.scanned = self.buffer.len();
        None
    }

    fn reply(&self, status: u16, reason: String, end: usize) -> Reply {
        let (head, page) = self.buffer.split_at(end);
        let mut reply = Reply { status, reason: reason.into(), retry_after: None, date: None, details: "".into() };
        let mut details = Vec::new();
        for line in head.split(|byte| *byte == b'\n').skip(1) {
            let Some(colon) = memchr(b':', line) else { continue };
            let name = String::from_utf8_lossy(&line[..colon]).trim().to_ascii_lowercase();
            let value = String::from_utf8_lossy(&line[colon + 1..]).trim().to_owned();
            if ["error", "reason", "message"].iter().any(|word| name.contains(word)) {
                details.push(value.clone());
            }
            match name.as_str() {
                "retry-after" => reply.retry_after = reply.retry_after.or(Some(value.into())),
                "date" => reply.date = reply.date.or(Some(value.into())),
                _ => {}
            }
        }
        details.push(String::from_utf8_lossy(&page[..page.len().min(LONGEST_PAGE)]).into_owned());
        reply.details = details.join("\n").into();
        reply
    }
}

/// The status of three digits, and the reason without control characters: it is shown in errors and must not forge a line in
/// a log. Its letters are kept, since a login in it is hidden by them.
fn status_line(head: &[u8]) -> Option<(u16, String)> {
    let line = head.split(|byte| *byte == b'\n').next()?.trim_ascii();
    let (version, rest) = line.split_at(line.iter().position(u8::is_ascii_whitespace)?);
    let rest = rest.trim_ascii_start();
    let (digits, reason) = rest.split_at(rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len()));
    if !version.starts_with(b"HTTP/") || digits.len() != 3 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let reason = reason.trim_ascii();
    let text = std::str::from_utf8(reason).map_or_else(|_| latin_1(reason), str::to_owned);
    Some((status, text.chars().filter(|letter| !letter.is_control()).collect()))
}
