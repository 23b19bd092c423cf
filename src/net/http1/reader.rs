//! Heads of responses out of pieces of any size.

use std::fmt;
use std::mem::{self, MaybeUninit};

use httparse::{Error, Header, ParserConfig, Response, Status};
use memchr::memchr;

use super::head::{BadResponse, ResponseHead, Span};
use super::lines;

/// How much of a head is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one head.
    pub bytes: usize,
    /// Headers of one head.
    pub headers: usize,
    /// Interim answers (1xx) before the real one.
    pub interim: usize,
    /// Whether empty lines may come before a head. A client may pass over them (RFC 9112, 2.2); h11 does not.
    pub empty_lines: bool,
}

impl Default for Limits {
    /// 64 KiB, where httpx has 100; 128 headers, 8 interim answers; empty lines are passed over.
    fn default() -> Self {
        Self { bytes: 64 << 10, headers: 128, interim: 8, empty_lines: true }
    }
}

/// Headers for which there is room without an allocation.
const USUAL: usize = 48;

/// Collects the head of a final response from pieces of any size; interim ones are passed over.
pub struct HeadReader {
    limits: Limits,
    buffer: Vec<u8>,
    parsed_at: usize,
    /// Bytes of the buffer that were looked through for the end of a line.
    scanned: usize,
    interim: usize,
}

impl fmt::Debug for HeadReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers carry cookies.
        write!(f, "HeadReader({} bytes)", self.buffer.len())
    }
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

    /// The same, of what was read into the buffer.
    ///
    /// # Errors
    /// [`BadResponse`]
    pub fn head(&mut self) -> Result<Option<ResponseHead>, BadResponse> {
        let mut buffer = mem::take(&mut self.buffer);
        let found = self.find(&buffer);
        if let Ok((used, _)) = found {
            buffer.drain(..used);
        }
        self.buffer = buffer;
        found.map(|(_, head)| head)
    }

    /// Takes the input up to the end of the head, and moves it behind that. A head that comes in one piece is not copied
    /// but into what is handed out.
    ///
    /// # Errors
    /// [`BadResponse`]
    pub fn take(&mut self, input: &mut &[u8]) -> Result<Option<ResponseHead>, BadResponse> {
        if self.buffer.is_empty() {
            let (used, head) = self.find(input)?;
            *input = &input[used..];
            if head.is_none() {
                self.buffer.extend_from_slice(input);
                *input = &[];
            }
            return Ok(head);
        }
        let head = self.feed(input)?;
        // What follows the head came with this piece: before it, the head was not whole.
        let rest = if head.is_some() { mem::take(&mut self.buffer).len() } else { 0 };
        *input = &input[input.len() - rest..];
        Ok(head)
    }

    /// Nothing more is received: whether what is there could have become a head.
    ///
    /// # Errors
    /// [`BadResponse`]
    pub fn ended(&self) -> Result<(), BadResponse> {
        if self.buffer.is_empty() { Ok(()) } else { self.parse(&self.buffer).map(|_| ()) }
    }

    /// Finds the head in all that was read and is in no head yet. Says how much of that is used.
    fn find(&mut self, bytes: &[u8]) -> Result<(usize, Option<ResponseHead>), BadResponse> {
        let mut used = 0;
        loop {
            if self.parsed_at == 0 {
                // Empty lines before an answer count as its head.
                let empty = bytes[used..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
                if empty > 0 && !self.limits.empty_lines {
                    return Err(BadResponse::EmptyLine);
                }
                self.limits.bytes = self.limits.bytes.checked_sub(empty).ok_or(BadResponse::LongHead)?;
                used += empty;
                self.scanned = self.scanned.saturating_sub(empty);
            }
            let rest = &bytes[used..];
            // Parsed again when a line has ended or half as much has come again: a head in single bytes costs linear time.
            let has_line = memchr(b'\n', rest.get(self.scanned..).unwrap_or(&[])).is_some();
            let is_worth_it = has_line || rest.len() >= self.parsed_at + self.parsed_at / 2;
            self.scanned = rest.len();
            let found = if rest.is_empty() || !is_worth_it { None } else { self.parse(rest)? };
            let Some((end, head)) = found else {
                if is_worth_it {
                    self.parsed_at = rest.len();
                }
                return if rest.len() > self.limits.bytes { Err(BadResponse::LongHead) } else { Ok((used, None)) };
            };
            if end > self.limits.bytes {
                return Err(BadResponse::LongHead);
            }
            used += end;
            (self.parsed_at, self.scanned) = (0, 0);
            // 101 is final: the connection speaks another protocol behind it.
            if !(100..200).contains(&head.status) || head.status == 101 {
                return Ok((used, Some(head)));
            }
            self.interim += 1;
            if self.interim > self.limits.interim {
                return Err(BadResponse::ManyInterim);
            }
        }
    }

    /// The head that these bytes begin with, and its length.
    fn parse(&self, bytes: &[u8]) -> Result<Option<(usize, ResponseHead)>, BadResponse> {
        let mut usual = [const { MaybeUninit::uninit() }; USUAL];
        let usual = &mut usual[..USUAL.min(self.limits.headers)];
        match parse(bytes, usual) {
            Err(Error::TooManyHeaders) if self.limits.headers > USUAL => of_parser(
                parse(bytes, &mut vec![MaybeUninit::uninit(); self.limits.headers]),
                bytes,
                self.limits.headers,
            ),
            parsed => of_parser(parsed, bytes, self.limits.headers),
        }
    }
}

type Parsed = Result<Option<(usize, ResponseHead)>, Error>;

fn of_parser(parsed: Parsed, bytes: &[u8], most: usize) -> Result<Option<(usize, ResponseHead)>, BadResponse> {
    match parsed {
        Ok(Some((_, head))) if head.status < 100 => Err(BadResponse::NotHttp),
        Ok(found) => Ok(found),
        Err(Error::TooManyHeaders) => Err(BadResponse::ManyHeaders),
        Err(Error::HeaderName | Error::HeaderValue | Error::NewLine) => by_lines(bytes, most),
        Err(_) => Err(BadResponse::NotHttp),
    }
}

fn parse<'b>(bytes: &'b [u8], headers: &mut [MaybeUninit<Header<'b>>]) -> Parsed {
    let mut response = Response::new(&mut []);
    let end = match ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, headers)? {
        Status::Complete(end) => end,
        Status::Partial => return Ok(None),
    };
    let span = |part: &[u8]| {
        let start = (part.as_ptr() as usize).wrapping_sub(bytes.as_ptr() as usize);
        // An empty part may be a constant of the parser's.
        let span = if start.checked_add(part.len())? <= end { (start, start + part.len()) } else { (0, 0) };
        Span::new(span.0, span.1)
    };
    let spans = response.headers.iter().map(|one| Some((span(one.name.as_bytes())?, span(one.value)?)));
    let head = || {
        Some(ResponseHead {
            status: response.code?,
            is_http_1_0: response.version == Some(0),
            bytes: bytes[..end].to_vec(),
            reason: reason(bytes)?,
            headers: collect(spans, response.headers.len())?,
        })
    };
    head().map(|head| Some((end, head))).ok_or(Error::TooManyHeaders)
}

/// Collected with room for all at once, which an iterator of options does not promise.
fn collect(spans: impl Iterator<Item = Option<(Span, Span)>>, count: usize) -> Option<Vec<(Span, Span)>> {
    let mut collected = Vec::with_capacity(count);
    for span in spans {
        collected.push(span?);
    }
    Some(collected)
}

/// Where the reason is: behind `HTTP/1.1 200 `. The parser hands none out that has bytes beyond ASCII.
fn reason(bytes: &[u8]) -> Option<Span> {
    let (line, _) = lines::line(bytes);
    let start = 13.min(line.len());
    Span::new(start, line.len())
}

/// Reads a head whose status line the parser has read and whose headers it has refused.
fn by_lines(bytes: &[u8], most: usize) -> Result<Option<(usize, ResponseHead)>, BadResponse> {
    let Some(end) = lines::end(bytes) else { return Ok(None) };
    let (line, rest) = lines::line(&bytes[..end]);
    let status = [line, b"\r\n\r\n"].concat();
    let Ok(Some((_, mut head))) = parse(&status, &mut []) else { return Err(BadResponse::NotHttp) };
    if head.status < 100 {
        return Err(BadResponse::NotHttp);
    }
    lines::each(rest, |name, value| {
        if head.headers.len() == most {
            return Err(BadResponse::ManyHeaders);
        }
        let start = head.bytes.len();
        head.bytes.extend_from_slice(name);
        head.bytes.extend_from_slice(value);
        let (middle, end) = (start + name.len(), head.bytes.len());
        let spans = Span::new(start, middle).zip(Span::new(middle, end)).ok_or(BadResponse::LongHead)?;
        head.headers.push(spans);
        Ok(())
    })?;
    Ok(Some((end, head)))
}
