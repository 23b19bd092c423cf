//! Heads of HTTP/1.1 (RFC 9112): a request's is written byte for byte as it is given, in the order given; a response's is
//! read by `httparse`, within limits. What `httparse` refuses and h11 reads, the reader of httpx, is read as h11 does.

mod head;
mod lines;
mod reader;
mod request;

pub use head::{BadResponse, Framing, ResponseHead};
pub use lines::are_headers;
pub use reader::{HeadReader, Limits};
pub use request::{BadRequest, write_onward, write_request};

/// A number in decimal digits alone.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    let text = text.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(text).ok())??;
    text.parse().ok()
}
