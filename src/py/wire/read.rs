//! What a request of httpx consists of. Its properties make new objects of what it keeps, so the attributes behind them are
//! read where they are as known; else the properties are.

use crate::py::once::intern;
use pyo3::exceptions::PyOverflowError;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::wire::request::Headers;

/// The parts of a URL, as httpx and httpx2 keep them: `scheme, userinfo, host, port, path, query, fragment`.
struct Parts<'py>(Bound<'py, PyTuple>);

impl<'py> Parts<'py> {
    /// `None` where the URL keeps its parts in another way.
    fn of(url: &Bound<'py, PyAny>) -> Option<Self> {
        let held = url.getattr_opt(intern!(url.py(), "_uri_reference")).ok()??;
        let parts = held.cast_into::<PyTuple>().ok()?;
        let is_text = |at| parts.get_borrowed_item(at).is_ok_and(|part| part.is_exact_instance_of::<PyString>());
        (parts.len() == 7 && [0, 1, 2, 4].into_iter().all(is_text)).then_some(Self(parts))
    }

    fn text(&self, at: usize) -> PyResult<Option<Bound<'py, PyString>>> {
        let part = self.0.get_item(at)?;
        if part.is_none() { Ok(None) } else { Ok(Some(part.cast_into()?)) }
    }

    fn port(&self) -> PyResult<Option<Bound<'py, PyAny>>> {
        let port = self.0.get_item(3)?;
        Ok((!port.is_none()).then_some(port))
    }

    /// Path and query, as they are sent.
    fn target(&self) -> PyResult<Option<String>> {
        let (path, query) = (self.text(4)?, self.text(5)?);
        let path = path.as_ref().map_or(Ok("/"), |path| path.to_str())?;
        let mut target = String::from(if path.is_empty() { "/" } else { path });
        if let Some(query) = &query {
            target.push('?');
            target.push_str(query.to_str()?);
        }
        // The properties encode it, and say what cannot be.
        Ok(target.is_ascii().then_some(target))
    }

    /// The URL as text; `None` where it has a part that nearly none has.
    fn url(&self) -> PyResult<Option<String>> {
        let [Some(scheme), Some(user), Some(host)] = [self.text(0)?, self.text(1)?, self.text(2)?] else {
            return Ok(None);
        };
        let (scheme, host) = (scheme.to_str()?, host.to_str()?);
        if !user.to_str()?.is_empty() || scheme.is_empty() || host.is_empty() || host.contains(':') {
            return Ok(None);
        }
        if !self.0.get_borrowed_item(6)?.is_none() {
            return Ok(None);
        }
        let mut url = format!("{scheme}://{host}");
        if let Some(port) = self.port()? {
            url.push(':');
            url.push_str(port.str()?.to_str()?);
        }
        if let Some(path) = self.text(4)? {
            url.push_str(path.to_str()?);
        }
        if let Some(query) = self.text(5)? {
            url.push('?');
            url.push_str(query.to_str()?);
        }
        Ok(Some(url))
    }
}

/// Where a request goes to.
pub(super) struct Target {
    pub(super) host: String,
    /// As it was written: httpx takes any number.
    pub(super) port: Option<i64>,
    /// Path and query.
    pub(super) path: String,
}

impl Target {
    /// Of a URL.
    pub(super) fn of(url: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = url.py();
        if let Some(parts) = Parts::of(url)
            && let (Some(host), Some(path)) = (parts.text(2)?, parts.target()?)
            && host.to_str()?.is_ascii()
        {
            return Ok(Self {
                host: host.to_str()?.to_owned(),
                port: parts.port()?.as_ref().map(number).transpose()?,
                path,
            });
        }
        let host = url.getattr(intern!(py, "raw_host"))?;
        let path = url.getattr(intern!(py, "raw_path"))?;
        let port = url.getattr(intern!(py, "port"))?;
        let port = if port.is_none() { None } else { Some(number(&port)?) };
        Ok(Self { host: ascii(&host)?, port, path: ascii(&path)? })
    }
}

/// A port; one that is beyond all numbers is as good as the highest.
fn number(port: &Bound<'_, PyAny>) -> PyResult<i64> {
    match port.extract::<i64>() {
        Err(error) if error.is_instance_of::<PyOverflowError>(port.py()) => Ok(i64::MAX),
        found => found,
    }
}

/// What httpx has encoded is ASCII.
fn ascii(bytes: &Bound<'_, PyAny>) -> PyResult<String> {
    let text = std::str::from_utf8(bytes.cast::<PyBytes>()?.as_bytes());
    text.map(str::to_owned).map_err(|_| PyValueError::new_err("the URL has bytes outside of ASCII"))
}

/// The headers of a request: tuples of the name as it is written, perhaps something else, and the value.
struct Listed<'py>(Bound<'py, PyList>);

impl<'py> Listed<'py> {
    fn of(headers: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = headers.py();
        // Kept as written, in lower case, and the value; the property leaves out the second.
        let held = headers.getattr_opt(intern!(py, "_list"))?;
        let held = match held.and_then(|held| held.cast_into::<PyList>().ok()) {
            Some(held) => held,
            None => headers.getattr(intern!(py, "raw"))?.cast_into::<PyList>()?,
        };
        Ok(Self(held))
    }

    /// Calls with each name and value.
    fn each(&self, mut call: impl FnMut(&Bound<'_, PyBytes>, &Bound<'_, PyBytes>)) -> PyResult<()> {
        for header in &self.0 {
            let header = header.cast::<PyTuple>()?;
            if !matches!(header.len(), 2 | 3) {
                return Err(PyTypeError::new_err("a header must be a pair of name and value"));
            }
            let (name, value) = (header.get_item(0)?, header.get_item(header.len() - 1)?);
            call(name.cast::<PyBytes>()?, value.cast::<PyBytes>()?);
        }
        Ok(())
    }
}

/// The headers, `Host` before the others (RFC 9110, 7.2), as h11 writes them.
pub(super) fn headers_of(given: &Bound<'_, PyAny>) -> PyResult<Headers> {
    in_order(&Listed::of(given)?)
}

/// The same of headers as httpx keeps them.
pub(super) fn headers_in(list: &Bound<'_, PyList>) -> PyResult<Headers> {
    in_order(&Listed(list.clone()))
}

/// Bytes of a header that there is room for at once.
const USUAL: usize = 48;

fn in_order(listed: &Listed<'_>) -> PyResult<Headers> {
    let count = listed.0.len();
    let mut headers = Headers::with_capacity(count, count * USUAL);
    for is_host in [true, false] {
        listed.each(|name, value| {
            if name.as_bytes().eq_ignore_ascii_case(b"host") == is_host {
                headers.push(name.as_bytes(), value.as_bytes());
            }
        })?;
    }
    Ok(headers)
}

/// Scheme, URL, and a ready `Proxy-Authorization`.
type Facts<'py> = (Bound<'py, PyString>, Bound<'py, PyString>, Option<Py<PyBytes>>);

/// What a rotation asks of a request.
///
/// Args:
///     request: A request of httpx or httpx2.
///
/// Returns:
///     The scheme, the URL as text, and the last `Proxy-Authorization` if there is one.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn request_facts<'py>(request: &Bound<'py, PyAny>) -> PyResult<Facts<'py>> {
    let py = request.py();
    let url = request.getattr(intern!(py, "url"))?;
    let parts = Parts::of(&url);
    let scheme = match parts.as_ref().map(|parts| parts.text(0)).transpose()?.flatten() {
        Some(scheme) => scheme,
        None => url.getattr(intern!(py, "scheme"))?.cast_into::<PyString>()?,
    };
    let text = match parts.as_ref().map(Parts::url).transpose()?.flatten() {
        Some(text) => PyString::new(py, &text),
        None => url.str()?,
    };
    let mut found = None;
    Listed::of(&request.getattr(intern!(py, "headers"))?)?.each(|name, value| {
        if name.as_bytes().eq_ignore_ascii_case(b"proxy-authorization") {
            found = Some(value.clone().unbind());
        }
    })?;
    Ok((scheme, text, found))
}
