//! Header lines by the grammar of h11, for the heads that `httparse` refuses: sites that no browser and no httpx stumbles
//! over fold lines, or put control characters into cookies (<https://github.com/python-hyper/h11/issues/57>).

use memchr::{memchr_iter, memchr3};

use super::head::BadResponse;
use super::request::is_token;

/// Where the lines up to the first empty one end, that one included.
pub(super) fn end(text: &[u8]) -> Option<usize> {
    memchr_iter(b'\n', text).find_map(|at| match text.get(at + 1..)? {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// A line without its end, and what follows it.
pub(super) fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = text.splitn(2, |byte| *byte == b'\n');
    let line = parts.next().unwrap_or(text);
    (line.strip_suffix(b"\r").unwrap_or(line), parts.next().unwrap_or(&[]))
}

/// Hands each header to `found`, up to the empty line. A folded line is one with the line before it, and a blank between
/// them.
///
/// # Errors
/// [`BadResponse::HeaderLine`], and what `found` says.
pub(super) fn each(
    mut text: &[u8],
    mut found: impl FnMut(&[u8], &[u8]) -> Result<(), BadResponse>,
) -> Result<(), BadResponse> {
    let mut whole = Vec::new();
    loop {
        let (first, rest) = line(text);
        if first.is_empty() {
            return Ok(());
        }
        whole.clear();
        whole.extend_from_slice(first);
        text = rest;
        while let [b' ' | b'\t', ..] = text {
            let (more, rest) = line(text);
            whole.push(b' ');
            whole.extend_from_slice(trim_start(more));
            text = rest;
        }
        let (name, value) = header(&whole).ok_or(BadResponse::HeaderLine)?;
        found(name, value)?;
    }
}

/// Whether these lines, up to an empty one, are headers.
#[must_use]
pub fn are_headers(text: &[u8]) -> bool {
    each(text, |_, _| Ok(())).is_ok()
}

fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], trim_end(trim_start(&line[colon + 1..])));
    let is_plain = memchr3(0, b'\r', 0x0b, value).is_none() && !value.contains(&0x0c);
    (is_token(name) && is_plain).then_some((name, value))
}

fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    text
}

fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}
