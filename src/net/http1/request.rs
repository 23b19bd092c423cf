//! The head of a request, written byte for byte as it is given.

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
        let is_blank = |end: Option<&u8>| matches!(end, Some(b' ' | b'\t'));
        // Blanks at the ends are no part of a value: another reader drops them. h11 refuses all of these, too.
        if is_blank(value.first())
            || is_blank(value.last())
            || value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | b'\x0b' | b'\x0c' | 0))
        {
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
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| IS_TOKEN[usize::from(*byte)])
}

const IS_TOKEN: [bool; 256] = {
    let (mut table, signs) = ([false; 256], *b"!#$%&'*+-.^_`|~");
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric() && byte < 128;
        byte += 1;
    }
    let mut at = 0;
    while at < signs.len() {
        table[signs[at] as usize] = true;
        at += 1;
    }
    table
};
