//! Headers and bodies of any client, and what headers ask for.

use std::borrow::Cow;
use std::ffi::CString;

use crate::py::once::intern;
use pyo3::exceptions::{PyLookupError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PySlice, PyString};

use crate::clock::exact_wall;
use crate::judge::ban::BODY_LIMIT;
use crate::judge::retry_after as pause;
use crate::judge::status::may_ask_for_a_pause;
use crate::py::convert;

/// How long an answer asks to be left alone.
///
/// Args:
///     headers: A mapping, or pairs of name and value, as text or bytes.
///     now: Wall-clock seconds, for an answer without a `Date` of its own; by default the present.
///
/// Returns:
///     Seconds, from 0 to `LONGEST_HOLD`; `None` if it does not say, or not in a form that can be read.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (headers, now=None))]
pub(crate) fn retry_after(headers: &Bound<'_, PyAny>, now: Option<f64>) -> PyResult<Option<f64>> {
    seconds_asked(headers, now)
}

/// How long an answer asks to be left alone, if its status can ask for that: with 429 and 503.
///
/// Args:
///     status: The status.
///     headers: A mapping, or pairs of name and value, as text or bytes.
///
/// Returns:
///     As `retry_after`.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn pause_of(status: u16, headers: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
    if may_ask_for_a_pause(status) { seconds_asked(headers, None) } else { Ok(None) }
}

/// For how many seconds a proxy is held at a site.
///
/// Args:
///     outcome: The outcome of the attempt, or `AMBIGUOUS`.
///     asked: Seconds for which the answer asks to be left alone.
///
/// Returns:
///     `asked` after a rate limit; else `None`.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (outcome, asked))]
pub(crate) fn hold_of(outcome: &Bound<'_, PyAny>, asked: Option<f64>) -> PyResult<Option<f64>> {
    Ok(convert::judgement_of(outcome)?.hold(|| asked))
}

/// Whether the answer of a URL comes through a tunnel, as far as the URL tells: that of `https` does.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn is_tunnelled(url: &str) -> bool {
    crate::judge::status::is_tunnelled(url)
}

/// Whether a proxy may have made up an answer of that status: it wants credentials, or cannot reach the site.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn may_be_of_the_proxy(status: u16) -> bool {
    crate::judge::status::may_be_of_the_proxy(status)
}

/// The beginning of a body as text, whatever is in it: what ban rules look at.
///
/// Args:
///     body: The body, decoded as far as its `Content-Encoding` goes; text stays as it is.
///     content_type: Value of the header, for the charset.
///
/// Returns:
///     The text of the first 64 KiB.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (body, content_type=None))]
pub(crate) fn body_text(body: &Bound<'_, PyAny>, content_type: Option<&str>) -> PyResult<String> {
    text_of(body, content_type)
}

pub(in crate::py) fn seconds_asked(headers: &Bound<'_, PyAny>, now: Option<f64>) -> PyResult<Option<f64>> {
    let [value, date] = headers_of(headers, ["retry-after", "date"])?;
    let Some(value) = value else { return Ok(None) };
    Ok(pause::seconds(&value, date.as_deref(), || now.unwrap_or_else(|| exact_wall() as f64 / 1e6)))
}

/// The headers of those names, in any case: of a mapping or of pairs, whatever the client. Values of one name are joined.
pub(in crate::py) fn headers_of<const N: usize>(
    headers: &Bound<'_, PyAny>,
    names: [&str; N],
) -> PyResult<[Option<String>; N]> {
    let mut found = [const { None::<String> }; N];
    if headers.is_none() {
        return Ok(found);
    }
    let pairs = match headers.getattr_opt(intern!(headers.py(), "items"))? {
        Some(items) if items.is_callable() => items.call0()?,
        _ => headers.clone(),
    };
    for pair in pairs.try_iter()? {
        let mut pair = pair?.try_iter()?;
        let (Some(name), Some(value)) = (pair.next().transpose()?, pair.next().transpose()?) else { continue };
        let name = text(&name)?;
        for (wanted, found) in names.iter().zip(&mut found) {
            if name.eq_ignore_ascii_case(wanted) {
                let value = text(&value)?;
                *found = Some(found.take().map_or(value.clone(), |before| format!("{before}, {value}")));
            }
        }
    }
    Ok(found)
}

/// Text, or bytes as Latin-1.
fn text(value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().iter().map(|byte| char::from(*byte)).collect());
    }
    Ok(value.str()?.to_string_lossy().into_owned())
}

pub(super) fn text_of(body: &Bound<'_, PyAny>, content_type: Option<&str>) -> PyResult<String> {
    if let Ok(body) = body.cast::<PyString>() {
        return Ok(body.to_string_lossy().chars().take(BODY_LIMIT).collect());
    }
    let bytes = beginning(body)?;
    let charset = content_type.and_then(charset_of).filter(|charset| !is_utf8(charset));
    if let Some(charset) = charset.and_then(|charset| CString::new(charset).ok()) {
        let given = PyBytes::new(body.py(), &bytes);
        match PyString::from_encoded_object(&given, Some(&charset), Some(c"replace")) {
            Ok(text) => return Ok(text.to_string_lossy().into_owned()),
            // No charset that is known, or one that cannot be read leniently.
            Err(error)
                if error.is_instance_of::<PyLookupError>(body.py())
                    || error.is_instance_of::<PyValueError>(body.py()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn beginning<'a>(body: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(bytes) = body.cast::<PyBytes>() {
        let bytes = bytes.as_bytes();
        return Ok(Cow::Borrowed(&bytes[..bytes.len().min(BODY_LIMIT)]));
    }
    let py = body.py();
    let part = body.get_item(PySlice::new(py, 0, BODY_LIMIT as isize, 1))?;
    if let Ok(bytes) = part.cast::<PyByteArray>() {
        return Ok(Cow::Owned(bytes.to_vec()));
    }
    Ok(Cow::Owned(py.get_type::<PyBytes>().call1((part,))?.extract()?))
}

fn charset_of(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).filter_map(|part| part.split_once('=')).fold(None, |found, (name, value)| {
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        if is_charset { Some(value.trim().trim_matches(['"', '\''])) } else { found }
    })
}

fn is_utf8(charset: &str) -> bool {
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}
