//! The headers of a request as `httpx.Client.build_request` puts them together: those of the client, of which the caller's
//! replace the ones of the same name; `Host` first, and the length of the body last.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use smallvec::SmallVec;

use super::body::Body;
use super::url::PlainUrl;

/// A header as httpx keeps it: as it is written, in lower case, and its value.
pub(super) type Header<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

/// The methods whose requests have a length even without a body.
const WITH_LENGTH: [&str; 3] = ["POST", "PUT", "PATCH"];
/// What httpx and httpx2 understand differently, or what decides on more than itself.
const LEFT_TO_HTTPX: [&[u8]; 2] = [b"transfer-encoding", b"host"];

/// The headers of a request; `None` if httpx has to make them.
///
/// `defaults` are the client's, as it keeps them.
pub(super) fn headers<'py>(
    defaults: &Bound<'py, PyList>,
    given: Option<&Bound<'py, PyAny>>,
    method: &str,
    url: &PlainUrl<'_>,
    body: &Body<'py>,
) -> PyResult<Option<Bound<'py, PyList>>> {
    let py = defaults.py();
    let Some(own) = own_headers(given)? else { return Ok(None) };
    let has = |headers: &[Header<'_>], lower: &[u8]| headers.iter().any(|(_, name, _)| name.as_bytes() == lower);
    let has_length = has(&own, b"content-length") || has(&body.headers, b"content-length");
    if !has_length && method == "QUERY" {
        // Which of the packages gives that a length is theirs to say.
        return Ok(None);
    }
    let all = PyList::empty(py);
    all.append((PyBytes::new(py, b"Host"), PyBytes::new(py, b"host"), netloc(py, url)))?;
    if !has_length && WITH_LENGTH.contains(&method) {
        all.append(header(py, b"Content-Length", b"0"))?;
    }
    // Most bodies have one header, many have none.
    let mut told: SmallVec<[&Header<'py>; 2]> = body.headers.iter().collect();
    for default in defaults {
        let lower = default.cast::<PyTuple>()?.get_item(1)?;
        let lower = lower.cast::<PyBytes>()?.as_bytes();
        if LEFT_TO_HTTPX.contains(&lower) || lower == b"content-length" {
            return Ok(None);
        }
        if !has(&own, lower) {
            told.retain(|(_, name, _)| name.as_bytes() != lower);
            all.append(default)?;
        }
    }
    told.retain(|(_, name, _)| !has(&own, name.as_bytes()));
    for header in own.iter().chain(told) {
        all.append(header)?;
    }
    Ok(Some(all))
}

/// A header as httpx keeps it.
pub(super) fn header<'py>(py: Python<'py>, name: &[u8], value: &[u8]) -> Header<'py> {
    (PyBytes::new(py, name), lowered(py, name), PyBytes::new(py, value))
}

/// What the caller gave: a dictionary or pairs, of text or bytes.
fn own_headers<'py>(given: Option<&Bound<'py, PyAny>>) -> PyResult<Option<Vec<Header<'py>>>> {
    let Some(given) = given else { return Ok(Some(Vec::new())) };
    let mut found = Vec::new();
    let mut add = |name: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>| -> bool {
        let (Some(name), Some(value)) = (ascii(name), ascii(value)) else { return false };
        let lower = lowered(name.py(), name.as_bytes());
        let is_plain = !LEFT_TO_HTTPX.contains(&lower.as_bytes());
        found.push((name, lower, value));
        is_plain
    };
    let is_plain = if let Ok(pairs) = given.cast_exact::<PyDict>() {
        pairs.iter().all(|(name, value)| add(&name, &value))
    } else if let Ok(pairs) = given.cast_exact::<PyList>() {
        pairs.iter().all(|pair| {
            let Ok(pair) = pair.cast::<PyTuple>() else { return false };
            matches!((pair.len(), pair.get_item(0), pair.get_item(1)), (2, Ok(name), Ok(value)) if add(&name, &value))
        })
    } else {
        false
    };
    Ok(is_plain.then_some(found))
}

/// Bytes as they are, text in ASCII; anything else is for httpx to encode or to refuse.
fn ascii<'py>(text: &Bound<'py, PyAny>) -> Option<Bound<'py, PyBytes>> {
    if let Ok(bytes) = text.cast_exact::<PyBytes>() {
        return Some(bytes.clone());
    }
    let text = text.cast_exact::<PyString>().ok()?;
    let written = text.to_str().ok().filter(|written| written.is_ascii())?;
    Some(PyBytes::new(text.py(), written.as_bytes()))
}

fn netloc<'py>(py: Python<'py>, url: &PlainUrl<'_>) -> Bound<'py, PyBytes> {
    match url.port {
        None => PyBytes::new(py, url.host.as_bytes()),
        Some(port) => PyBytes::new(py, format!("{}:{port}", url.host).as_bytes()),
    }
}

/// A name in lower case, as `bytes.lower` makes it.
pub(super) fn lowered<'py>(py: Python<'py>, name: &[u8]) -> Bound<'py, PyBytes> {
    let mut short = [0_u8; 64];
    match short.get_mut(..name.len()) {
        Some(copy) => {
            copy.copy_from_slice(name);
            copy.make_ascii_lowercase();
            PyBytes::new(py, copy)
        }
        None => PyBytes::new(py, &name.to_ascii_lowercase()),
    }
}
