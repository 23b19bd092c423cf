//! Heads of requests and responses: parsed by httparse, judged here.

use std::io;

use httparse::{Header, Status};
use tokio::io::AsyncRead;

use super::body::Framing;
use super::buffer::Buffer;

/// A head with more fields is refused.
pub(crate) const HEADERS_MAX: usize = 128;

/// Why a head cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHead {
    /// Not HTTP, or HTTP that contradicts itself.
    Malformed,
    /// Longer than 64 KiB or with more than 128 fields.
    TooLarge,
}

/// What the fields of a head say about the message, beside what they say to the other side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// What `Transfer-Encoding` and `Content-Length` say; [`Framing::None`] if they are not there.
    pub(crate) framing: Framing,
    /// Whether there is a `Content-Length` or `Transfer-Encoding` at all.
    pub(crate) framed: bool,
    /// Whether the connection stays.
    pub(crate) keep_alive: bool,
    /// Whether the sender waits for `100 Continue`.
    pub(crate) expects: bool,
    /// Whether there is a field that is meant for the next hop only, `Transfer-Encoding` aside.
    pub(crate) hop_by_hop: bool,
}

/// Fields for the next hop only (RFC 9110, 7.6.1). `Transfer-Encoding` is not among them: bodies are passed on as framed.
pub(crate) fn is_hop_by_hop(name: &str) -> bool {
    const NAMES: [&str; 7] =
        ["connection", "keep-alive", "proxy-authorization", "proxy-authenticate", "proxy-connection", "te", "upgrade"];
    // Lengths first: nearly every field fails here.
    matches!(name.len(), 2 | 7 | 10 | 16 | 18 | 19) && NAMES.iter().any(|hop| name.eq_ignore_ascii_case(hop))
}

impl Facts {
    /// Judges the fields of a message of HTTP/1.`minor`.
    pub(crate) fn of(headers: &[Header<'_>], minor: u8) -> Result<Self, BadHead> {
        let mut facts =
            Self { framing: Framing::None, framed: false, keep_alive: minor == 1, expects: false, hop_by_hop: false };
        let mut length = None;
        let mut chunked = None;
        for header in headers {
            let name = header.name;
            if name.eq_ignore_ascii_case("content-length") {
                let value = parse_length(header.value)?;
                if length.is_some_and(|other| other != value) {
                    return Err(BadHead::Malformed);
                }
                length = Some(value);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                // Only the last encoding can be chunked, and without it the end of a request cannot be found.
                let last = tokens(header.value).last().unwrap_or(b"");
                chunked = Some(last.eq_ignore_ascii_case(b"chunked"));
            } else if name.eq_ignore_ascii_case("expect") {
                facts.expects = header.value.eq_ignore_ascii_case(b"100-continue");
            } else if is_hop_by_hop(name) {
                facts.hop_by_hop = true;
                if name.eq_ignore_ascii_case("connection") || name.eq_ignore_ascii_case("proxy-connection") {
                    for token in tokens(header.value) {
                        if token.eq_ignore_ascii_case(b"close") {
                            facts.keep_alive = false;
                        } else if token.eq_ignore_ascii_case(b"keep-alive") && minor == 0 {
                            facts.keep_alive = true;
                        }
                    }
                }
            }
        }
        facts.framed = length.is_some() || chunked.is_some();
        facts.framing = match (chunked, length) {
            // Both at once is how requests are smuggled (RFC 9112, 6.3).
            (Some(_), Some(_)) | (Some(false), None) => return Err(BadHead::Malformed),
            (Some(true), None) => Framing::Chunked,
            (None, Some(length)) => Framing::Length(length),
            (None, None) => Framing::None,
        };
        Ok(facts)
    }
}

/// The elements of a comma-separated field.
pub(crate) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn parse_length(value: &[u8]) -> Result<u64, BadHead> {
    // `parse` would take a sign.
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(BadHead::Malformed);
    }
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or(BadHead::Malformed)
}

/// What httparse makes of the bytes: `None` if the head is not complete yet.
pub(crate) fn complete(parsed: httparse::Result<usize>) -> Result<Option<usize>, BadHead> {
    match parsed {
        Ok(Status::Complete(length)) => Ok(Some(length)),
        Ok(Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => Err(BadHead::TooLarge),
        Err(_) => Err(BadHead::Malformed),
    }
}

/// How reading a head ended.
pub(crate) enum Read<T> {
    /// Here it is.
    Head(T),
    /// The stream ended before it began, as a kept-alive connection does, or in the middle of it.
    End,
    /// It cannot be used.
    Bad(BadHead),
}

/// Reads until `parse` finds a complete head in the buffer.
pub(crate) async fn read<R, T>(
    buffer: &mut Buffer,
    reader: &mut R,
    mut parse: impl FnMut(&[u8]) -> Result<Option<T>, BadHead>,
) -> io::Result<Read<T>>
where
    R: AsyncRead + Unpin,
{
    loop {
        if !buffer.is_empty() {
            match parse(buffer.filled()) {
                Ok(Some(head)) => return Ok(Read::Head(head)),
                Ok(None) => {}
                Err(bad) => return Ok(Read::Bad(bad)),
            }
        }
        match buffer.fill(reader).await {
            Ok(0) => return Ok(Read::End),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Ok(Read::Bad(BadHead::TooLarge));
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(head: &str) -> Result<Facts, BadHead> {
        let mut headers = [httparse::EMPTY_HEADER; 8];
        let mut request = httparse::Request::new(&mut headers);
        let text = format!("GET / HTTP/1.1\r\n{head}\r\n\r\n");
        assert!(request.parse(text.as_bytes()).unwrap().is_complete());
        Facts::of(request.headers, 1)
    }

    #[test]
    fn framing_is_read_and_contradictions_are_refused() {
        assert_eq!(facts("Content-Length: 7").unwrap().framing, Framing::Length(7));
        let chunked = facts("Transfer-Encoding: gzip, Chunked").unwrap();
        assert_eq!(chunked.framing, Framing::Chunked);
        for bad in [
            "Content-Length: -1",
            "Content-Length: +1",
            "Content-Length: 1, 1",
            "Content-Length: 99999999999999999999",
            "Content-Length: 1\r\nContent-Length: 2",
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip",
        ] {
            assert_eq!(facts(bad).unwrap_err(), BadHead::Malformed, "{bad}");
        }
    }

    #[test]
    fn connection_options_are_read() {
        assert!(facts("Host: a").unwrap().keep_alive);
        assert!(!facts("Connection: x, Close").unwrap().keep_alive);
        assert!(facts("Expect: 100-Continue").unwrap().expects);
        assert!(facts("Proxy-Connection: keep-alive").unwrap().hop_by_hop);
        assert!(!facts("Cookie: a=b").unwrap().hop_by_hop);
    }
}
