//! Heads of HTTP/1.1 (RFC 9112): a request's is written byte for byte as it is given, in the order given; a response's is
//! read by `httparse`, within limits.

use std::fmt;
use std::ops::Range;

use memchr::memchr;

/// A request head that must not be written: it would be read as something else than it is meant as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadRequest {
    /// The method is no token.
    Method,
    /// The target is empty, or has blanks or control characters.
    Target,
    /// The name of a header is no token.
    HeaderName,
    /// The value of a header has a line break or a zero byte.
    HeaderValue,
}

/// Writes a request head behind what is in `out`.
///
/// # Errors
/// [`BadRequest`]; `out` is then as before.
pub fn write_request<'a>(
    out: &mut Vec<u8>,
    method: &str,
    target: &str,
    headers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<(), BadRequest> {
    write_onward(out, method, "", target, headers)
}

/// The same with `onward` before the target, as `http://host` is for a proxy that passes the request on.
///
/// # Errors
/// [`BadRequest`]; `out` is then as before.
pub fn write_onward<'a>(
    out: &mut Vec<u8>,
    method: &str,
    onward: &str,
    target: &str,
    headers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<(), BadRequest> {
    let before = out.len();
    let written = write(out, method, [onward, target], headers);
    if written.is_err() {
        out.truncate(before);
    }
    written
}

fn write<'a>(
    out: &mut Vec<u8>,
    method: &str,
    target: [&str; 2],
    headers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<(), BadRequest> {
    if !is_token(method.as_bytes()) {
        return Err(BadRequest::Method);
    }
    let [onward, target] = target;
    let is_visible = |part: &str| part.bytes().all(|byte| byte.is_ascii_graphic());
    if target.is_empty() || !is_visible(onward) || !is_visible(target) {
        return Err(BadRequest::Target);
    }
    for part in [method, " ", onward, target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    for (name, value) in headers {
        if !is_token(name) {
            return Err(BadRequest::HeaderName);
        }
        if value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(BadRequest::HeaderValue);
        }
        for part in [name, b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// A token of RFC 9110, 5.6.2.
fn is_token(text: &[u8]) -> bool {
    let is_sign = |byte: &u8| b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || is_sign(byte))
}

/// How much of a head is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one head.
    pub bytes: usize,
    /// Headers of one head.
    pub headers: usize,
    /// Interim answers (1xx) before the real one.
    pub interim: usize,
}

impl Default for Limits {
    /// 64 KiB, as httpx has it; 128 headers, 8 interim answers.
    fn default() -> Self {
        Self { bytes: 64 << 10, headers: 128, interim: 8 }
    }
}

/// Why a response's head cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadResponse {
    /// It is not HTTP/1.
    NotHttp,
    /// More bytes than the limit.
    LongHead,
    /// More headers than the limit.
    ManyHeaders,
    /// More interim answers than the limit.
    ManyInterim,
    /// Lengths that are no numbers, or that contradict each other.
    ContentLength,
    /// A transfer coding other than `chunked`.
    TransferEncoding,
}

impl fmt::Display for BadResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHttp => "the answer is not HTTP",
            Self::LongHead => "the head of the answer is too long",
            Self::ManyHeaders => "the answer has too many headers",
            Self::ManyInterim => "the answer comes after too many interim ones",
            Self::ContentLength => "the answer's Content-Length cannot be read",
            Self::TransferEncoding => "the answer has a transfer coding other than chunked",
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

/// The head of a response, as it was received.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status.
    pub status: u16,
    /// Whether the version is 1.0.
    pub is_http_1_0: bool,
    bytes: Vec<u8>,
    reason: Range<usize>,
    headers: Vec<(Range<usize>, Range<usize>)>,
}

impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers carry cookies.
        write!(f, "ResponseHead({}, {} headers)", self.status, self.headers.len())
    }
}

impl ResponseHead {
    /// The reason; empty where it has bytes outside of ASCII.
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        &self.bytes[self.reason.clone()]
    }

    /// Names and values in the order of their arrival, names as they are written.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.headers.iter().map(|(name, value)| (&self.bytes[name.clone()], &self.bytes[value.clone()]))
    }

    /// The values of a header, in any case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers().filter(move |(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// Where the body ends (RFC 9112, 6.3).
    ///
    /// # Errors
    /// [`BadResponse::ContentLength`] and [`BadResponse::TransferEncoding`]: two readers could see two bodies.
    pub fn framing(&self, is_answer_to_head: bool) -> Result<Framing, BadResponse> {
        if is_answer_to_head || matches!(self.status, 100..=199 | 204 | 304) {
            return Ok(Framing::Empty);
        }
        let mut codings = self.values("transfer-encoding");
        if let Some(coding) = codings.next() {
            let is_chunked = coding.trim_ascii().eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
            return if is_chunked { Ok(Framing::Chunked) } else { Err(BadResponse::TransferEncoding) };
        }
        let mut length = None;
        for value in self.values("content-length") {
            for part in value.split(|byte| *byte == b',') {
                let found = number(part.trim_ascii()).ok_or(BadResponse::ContentLength)?;
                if length.is_some_and(|length| length != found) {
                    return Err(BadResponse::ContentLength);
                }
                length = Some(found);
            }
        }
        Ok(length.map_or(Framing::UntilClose, Framing::Length))
    }
}

/// A number in decimal digits alone.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    let text = text.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(text).ok())??;
    text.parse().ok()
}

/// Collects the head of a final response from pieces of any size; interim ones are passed over.
#[derive(Debug)]
pub struct HeadReader {
    limits: Limits,
    buffer: Vec<u8>,
    parsed_at: usize,
    /// Bytes of the buffer that were looked through for the end of a line.
    scanned: usize,
    interim: usize,
}

impl HeadReader {
    /// Within those limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, buffer: Vec::new(), parsed_at: 0, scanned: 0, interim: 0 }
    }

    /// What was read and is in no head yet: to be read into, and after the head the beginning of the body.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Takes what was read; the head once it is there. What follows it stays in the buffer.
    ///
    /// # Errors
    /// [`BadResponse`]
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<ResponseHead>, BadResponse> {
        self.buffer.extend_from_slice(bytes);
        self.head()
    }

    /// Takes what was read, up to the end of the head, and moves the input behind that.
    ///
    /// # Errors
    /// [`BadResponse`]
    pub fn take(&mut self, input: &mut &[u8]) -> Result<Option<ResponseHead>, BadResponse> {
        let head = self.feed(input)?;
        // What follows the head came with this piece: before it, the head was not whole.
        *input = &input[input.len() - if head.is_some() { self.buffer.len() } else { 0 }..];
        if head.is_some() {
            self.buffer.clear();
        }
        Ok(head)
    }

    /// The same, of what was read into the buffer.
    ///
    /// # Errors
    /// [`BadResponse`]
    pub fn head(&mut self) -> Result<Option<ResponseHead>, BadResponse> {
        loop {
            let empty = self.buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            if self.parsed_at == 0 && empty > 0 {
                // Empty lines before an answer, of which there may be some (RFC 9112, 2.2), count as its head.
                self.limits.bytes = self.limits.bytes.checked_sub(empty).ok_or(BadResponse::LongHead)?;
                self.buffer.drain(..empty);
                self.scanned = 0;
            }
            // Parsed again when a line has ended or half as much has come again: a head in single bytes costs linear time.
            let has_line = memchr(b'\n', self.buffer.get(self.scanned..).unwrap_or(&[])).is_some();
            let is_worth_it = has_line || self.buffer.len() >= self.parsed_at + self.parsed_at / 2;
            self.scanned = self.buffer.len();
            if self.buffer.is_empty() || !is_worth_it {
                return if self.buffer.len() > self.limits.bytes { Err(BadResponse::LongHead) } else { Ok(None) };
            }
            let Some(head) = self.parse()? else {
                self.parsed_at = self.buffer.len();
                return if self.buffer.len() > self.limits.bytes { Err(BadResponse::LongHead) } else { Ok(None) };
            };
            (self.parsed_at, self.scanned) = (0, 0);
            if head.bytes.len() > self.limits.bytes {
                return Err(BadResponse::LongHead);
            }
            // 101 is final: the connection speaks another protocol behind it.
            if !(100..200).contains(&head.status) || head.status == 101 {
                return Ok(Some(head));
            }
            self.interim += 1;
            if self.interim > self.limits.interim {
                return Err(BadResponse::ManyInterim);
            }
        }
    }

    /// Takes a whole head out of the buffer.
    fn parse(&mut self) -> Result<Option<ResponseHead>, BadResponse> {
        let mut headers = vec![httparse::EMPTY_HEADER; self.limits.headers];
        let mut response = httparse::Response::new(&mut headers);
        let end = match response.parse(&self.buffer) {
            Ok(httparse::Status::Complete(end)) => end,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(BadResponse::ManyHeaders),
            Err(_) => return Err(BadResponse::NotHttp),
        };
        let start = self.buffer.as_ptr() as usize;
        let range = |part: &[u8]| {
            let from = (part.as_ptr() as usize).wrapping_sub(start);
            // An empty part may be a constant of the parser's.
            if from.checked_add(part.len()).is_some_and(|to| to <= end) { from..from + part.len() } else { 0..0 }
        };
        let mut head = ResponseHead {
            status: response.code.unwrap_or(0),
            is_http_1_0: response.version == Some(0),
            bytes: Vec::new(),
            reason: range(response.reason.unwrap_or("").as_bytes()),
            headers: response.headers.iter().map(|one| (range(one.name.as_bytes()), range(one.value))).collect(),
        };
        let rest = self.buffer.split_off(end);
        head.bytes = std::mem::replace(&mut self.buffer, rest);
        Ok(Some(head))
    }
}
