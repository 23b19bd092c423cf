//! A destination's response head, and how it goes back to the client.

use crate::fleet::http::body::Framing;
use crate::fleet::http::head::{BadHead, Facts, HEADERS_MAX, complete, is_hop_by_hop};

use super::request::is_named_in_connection;

/// A response head, understood.
#[derive(Debug)]
pub(crate) struct Answered {
    /// How long the head is.
    pub(crate) length: usize,
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    /// Whether the destination keeps its connection.
    pub(crate) keep_alive: bool,
    /// Whether the client's connection stays.
    pub(crate) stay: bool,
    /// Whether the head to send back is in `out`; else it goes back as it came.
    pub(crate) rewritten: bool,
}

/// Understands a response head; `None` while it is incomplete.
pub(crate) fn digest(
    bytes: &[u8],
    is_head: bool,
    may_stay: bool,
    out: &mut Vec<u8>,
) -> Result<Option<Answered>, BadHead> {
    let mut headers = [const { std::mem::MaybeUninit::uninit() }; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let parsed =
        httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut headers);
    let Some(length) = complete(parsed)? else {
        return Ok(None);
    };
    let (Some(status), Some(minor)) = (response.code, response.version) else {
        return Err(BadHead::Malformed);
    };
    let facts = Facts::of(response.headers, minor)?;
    let framing = if is_head || matches!(status, 100..=199 | 204 | 304) {
        Framing::None
    } else if facts.framed {
        facts.framing
    } else {
        Framing::UntilClose
    };
    let stay = may_stay && framing != Framing::UntilClose;
    // Without a field for this hop only, the bytes that came are the bytes to send: the usual case, and the fast one.
    let rewritten = facts.hop_by_hop || !stay || minor != 1;
    out.clear();
    if rewritten {
        let mut put = |piece: &[u8]| out.extend_from_slice(piece);
        put(b"HTTP/1.1 ");
        put(status.to_string().as_bytes());
        put(b" ");
        put(response.reason.unwrap_or_default().as_bytes());
        put(b"\r\n");
        for header in response.headers.iter() {
            let name = header.name;
            if facts.hop_by_hop && (is_hop_by_hop(name) || is_named_in_connection(name, response.headers)) {
                continue;
            }
            put(name.as_bytes());
            put(b": ");
            put(header.value);
            put(b"\r\n");
        }
        put(if stay { b"\r\n" } else { b"Connection: close\r\n\r\n" });
    }
    Ok(Some(Answered {
        length,
        status,
        framing,
        keep_alive: facts.keep_alive && framing != Framing::UntilClose,
        stay,
        rewritten,
    }))
}
