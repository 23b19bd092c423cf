//! The head of a response, and what it says of the body.

use std::fmt;
use std::ops::Range;

use memchr::memchr;

use super::number;

/// Why a response's head cannot be used. The texts are h11's where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadResponse {
    /// It does not begin as HTTP/1 does.
    NotHttp,
    /// It begins with an empty line.
    EmptyLine,
    /// A line is no header.
    HeaderLine,
    /// More bytes than the limit.
    LongHead,
    /// More headers than the limit.
    ManyHeaders,
    /// More interim answers than the limit.
    ManyInterim,
    /// A length that is no number.
    ContentLength,
    /// Lengths that contradict each other.
    ContentLengths,
    /// A transfer coding other than `chunked`.
    TransferEncoding,
    /// More transfer codings than one.
    TransferEncodings,
}

impl fmt::Display for BadResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHttp => "illegal status line",
            Self::EmptyLine => "no response line received",
            Self::HeaderLine => "illegal header line",
            Self::LongHead => "Receive buffer too long",
            Self::ManyHeaders => "too many headers",
            Self::ManyInterim => "too many interim responses",
            Self::ContentLength => "bad Content-Length",
            Self::ContentLengths => "conflicting Content-Length headers",
            Self::TransferEncoding => "Only Transfer-Encoding: chunked is supported",
            Self::TransferEncodings => "multiple Transfer-Encoding headers",
        })
    }
}

/// Where the body of a response ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// It has none.
    Empty,
    /// After so many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// Where the connection ends.
    UntilClose,
}

/// A part of the head's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// `None` beyond 4 GiB.
    pub(super) fn new(start: usize, end: usize) -> Option<Self> {
        Some(Self { start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? })
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.range()]
    }
}

/// The head of a response, as it was received.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status.
    pub status: u16,
    /// Whether the version is 1.0.
    pub is_http_1_0: bool,
    pub(super) bytes: Vec<u8>,
    pub(super) reason: Span,
    pub(super) headers: Vec<(Span, Span)>,
}

impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers carry cookies.
        write!(f, "ResponseHead({}, {} headers)", self.status, self.headers.len())
    }
}

impl ResponseHead {
    /// The reason, as it was sent.
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        self.reason.of(&self.bytes)
    }

    /// Names and values in the order of their arrival, names as they are written.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.headers.iter().map(|(name, value)| (name.of(&self.bytes), value.of(&self.bytes)))
    }

    /// The values of a header, in any case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers().filter(move |(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// Writes what frames the body in the one way in which h11 hands it out: a length that is given several times is given
    /// once, and the transfer coding is in small letters. To be called when [`Self::framing`] has found no fault.
    pub fn normalize_framing(&mut self) {
        let mut has_length = false;
        self.headers.retain_mut(|(name, value)| {
            let name = name.of(&self.bytes);
            if name.eq_ignore_ascii_case(b"transfer-encoding") {
                self.bytes[value.range()].make_ascii_lowercase();
            } else if name.eq_ignore_ascii_case(b"content-length") {
                let comma = memchr(b',', value.of(&self.bytes)).and_then(|at| u32::try_from(at).ok());
                value.end = comma.map_or(value.end, |at| value.start + at);
                return !std::mem::replace(&mut has_length, true);
            }
            true
        });
    }

    /// Where the body ends (RFC 9112, 6.3).
    ///
    /// # Errors
    /// [`BadResponse::ContentLength`], [`BadResponse::TransferEncoding`] and their plurals, also where there is no body:
    /// two readers could see two bodies.
    pub fn framing(&self, is_answer_to_head: bool) -> Result<Framing, BadResponse> {
        let mut codings = self.values("transfer-encoding");
        let coding = codings.next();
        if codings.next().is_some() {
            return Err(BadResponse::TransferEncodings);
        }
        if coding.is_some_and(|coding| !coding.eq_ignore_ascii_case(b"chunked")) {
            return Err(BadResponse::TransferEncoding);
        }
        let mut length: Option<&[u8]> = None;
        for part in self.values("content-length").flat_map(|value| value.split(|byte| *byte == b',')) {
            let part = part.trim_ascii();
            if length.is_some_and(|length| length != part) {
                return Err(BadResponse::ContentLengths);
            }
            length = Some(part);
        }
        let length = length.map(|length| number(length).ok_or(BadResponse::ContentLength)).transpose()?;
        Ok(match length {
            _ if is_answer_to_head || matches!(self.status, 100..=199 | 204 | 304) => Framing::Empty,
            _ if coding.is_some() => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        })
    }
}
