//! Requests as the origin reads them: whole, with their bodies.

use std::io;

use tokio::io::AsyncWriteExt;

use crate::fleet::http::body::{Chunks, Framing, Scanner};
use crate::fleet::http::buffer::Buffer;
use crate::fleet::http::head::{self, BadHead, Facts, HEADERS_MAX, Read, complete};
use crate::fleet::net::Wire;

/// A request with its body.
pub(super) struct Asked {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    /// The host asked for: lower case, without port.
    pub(super) site: String,
    /// The head as it came: most answers need no more of it than is above.
    head: Vec<u8>,
    /// Without the chunked coding.
    pub(super) body: Vec<u8>,
    pub(super) keep_alive: bool,
    /// HTTP/1.1: chunks are understood.
    pub(super) modern: bool,
    pub(super) is_head: bool,
}

impl Asked {
    /// All fields in order, their names in lower case.
    pub(super) fn headers(&self) -> Vec<(String, &[u8])> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&self.head) {
            Ok(_) => request.headers.iter().map(|header| (header.name.to_ascii_lowercase(), header.value)).collect(),
            // It was parsed once already.
            Err(_) => Vec::new(),
        }
    }

    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(super) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }
}

/// How reading a request ended.
pub(super) enum Reading {
    Asked(Asked),
    /// The connection ended.
    End,
    /// To be answered with this status.
    Bad(u16),
}

/// Longer bodies are refused; they are held in memory.
const BODY_MAX: u64 = 64 * 1024 * 1024;

/// Reads one request.
pub(super) async fn read<W: Wire>(wire: &mut W, buffer: &mut Buffer) -> io::Result<Reading> {
    let (mut asked, facts, length) = match head::read(buffer, wire, digest).await? {
        Read::Head(head) => head,
        Read::End => return Ok(Reading::End),
        Read::Bad(BadHead::TooLarge) => return Ok(Reading::Bad(431)),
        Read::Bad(BadHead::Malformed) => return Ok(Reading::Bad(400)),
    };
    buffer.consume(length);
    if matches!(facts.framing, Framing::Length(length) if length > BODY_MAX) {
        return Ok(Reading::Bad(413));
    }
    let mut scanner = Scanner::new(facts.framing);
    if facts.expects && buffer.is_empty() && !scanner.is_done() {
        wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        wire.flush().await?;
    }
    while !scanner.is_done() {
        if buffer.is_empty() && buffer.fill(wire).await? == 0 {
            return Ok(Reading::End);
        }
        let body = &mut asked.body;
        let n = match &mut scanner {
            Scanner::Chunked(chunks) => advance(chunks, buffer.filled(), body),
            other => other.advance(buffer.filled()).inspect(|n| {
                body.extend_from_slice(&buffer.filled()[..*n]);
            }),
        };
        let Ok(n) = n else {
            return Ok(Reading::Bad(400));
        };
        buffer.consume(n);
        if asked.body.len() as u64 > BODY_MAX {
            return Ok(Reading::Bad(413));
        }
    }
    Ok(Reading::Asked(asked))
}

fn advance(chunks: &mut Chunks, bytes: &[u8], body: &mut Vec<u8>) -> io::Result<usize> {
    chunks.advance(bytes, |data| body.extend_from_slice(data))
}

fn digest(bytes: &[u8]) -> Result<Option<(Asked, Facts, usize)>, BadHead> {
    let mut headers = [const { std::mem::MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut []);
    let Some(length) = complete(request.parse_with_uninit_headers(bytes, &mut headers))? else {
        return Ok(None);
    };
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(BadHead::Malformed);
    };
    let facts = Facts::of(request.headers, minor)?;
    let site = request
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("host"))
        .map_or("", |header| std::str::from_utf8(header.value).unwrap_or_default());
    let asked = Asked {
        method: method.to_owned(),
        // The absolute form must be understood by origins too (RFC 9112, 3.2.2).
        target: path_of(target).to_owned(),
        site: without_port(site).to_ascii_lowercase(),
        head: bytes[..length].to_vec(),
        body: Vec::new(),
        keep_alive: minor == 1 && facts.keep_alive,
        modern: minor == 1,
        is_head: method == "HEAD",
    };
    Ok(Some((asked, facts, length)))
}

fn path_of(target: &str) -> &str {
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        _ => target,
    }
}

fn without_port(host: &str) -> &str {
    match host.rfind(']') {
        Some(end) => &host[..=end],
        None => host.split(':').next().unwrap_or(host),
    }
}
