//! `HttpObjects`: requests and responses of httpx, or of httpx2, whose attributes are set one by one.
//!
//! The constructors of httpx encode, copy and check what is known to be right here; they cost ten times what setting the
//! attributes costs. Which attributes there are is compared with an object of the public constructors before the first use
//! (`proxywhirl._httpx.objects`).

use crate::py::once::intern;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDelta, PyDict, PyList, PyString, PyTuple};

use super::answer::WireAnswer;
use super::asked::{Asked, Composed, past};
use super::bare;
use super::compose::{headers, lowered};
use super::url::{PlainUrl, plain};

/// Fills requests and responses of one package. Does not change; shared by threads.
///
/// Args:
///     response: The class of responses.
///     request: The class of requests.
///     url: The class of URLs.
///     headers: The class of headers.
///     parts: The named tuple that a URL keeps its parts in.
///     stream: The class of streams that consist of bytes.
///     params: The class of queries.
///     timeout: The class of timeouts.
///     unset: What stands for the timeout of the client.
///     encode: What makes a body of `content`, `data` and `json`, and names its headers; `None` where that is not known.
#[pyclass(name = "HttpObjects", module = "proxywhirl._core", frozen)]
pub(crate) struct HttpObjects {
    response: Py<PyAny>,
    request: Py<PyAny>,
    url: Py<PyAny>,
    headers: Py<PyAny>,
    parts: Py<PyAny>,
    pub(super) stream: Py<PyAny>,
    pub(super) params: Py<PyAny>,
    pub(super) timeout: Py<PyAny>,
    pub(super) unset: Py<PyAny>,
    pub(super) encode: Option<Py<PyAny>>,
    /// The arguments of those that are made without any.
    nothing: Py<PyTuple>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl HttpObjects {
    #[new]
    #[pyo3(signature = (*, response, request, url, headers, parts, stream, params, timeout, unset, encode))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        response: Py<PyAny>,
        request: Py<PyAny>,
        url: Py<PyAny>,
        headers: Py<PyAny>,
        parts: Py<PyAny>,
        stream: Py<PyAny>,
        params: Py<PyAny>,
        timeout: Py<PyAny>,
        unset: Py<PyAny>,
        encode: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        for class in [&response, &request, &url, &headers, &stream] {
            bare::check_object(class.bind(py))?;
        }
        bare::check_tuple(parts.bind(py))?;
        let nothing = PyTuple::empty(py).unbind();
        Ok(Self { response, request, url, headers, parts, stream, params, timeout, unset, encode, nothing })
    }

    /// A response whose body is still to be read.
    ///
    /// Args:
    ///     status: The status.
    ///     headers: Names and values as they were received.
    ///     extensions: Its extensions; the dictionary becomes the response's own.
    ///     stream: The body, a stream of the package; or bytes, for which one is made.
    fn response<'py>(
        &self,
        py: Python<'py>,
        status: u16,
        headers: &Bound<'py, PyList>,
        extensions: &Bound<'py, PyDict>,
        stream: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let made =
            self.head(py, status, self.headers_of(py, headers)?, extensions, &py.None().into_bound(py), false)?;
        let stream = match stream.cast::<PyBytes>() {
            Ok(bytes) => self.stream_of(py, bytes)?,
            Err(_) => stream.clone(),
        };
        made.setattr(intern!(py, "stream"), stream)?;
        made.setattr(intern!(py, "_num_bytes_downloaded"), 0)?;
        Ok(made)
    }

    /// A response that has been read.
    ///
    /// Args:
    ///     status: The status.
    ///     headers: Names and values as they were received.
    ///     extensions: Its extensions; the dictionary becomes the response's own.
    ///     request: The request.
    ///     body: The body as it came over the wire.
    ///     content: The body without its content coding.
    ///     elapsed: Seconds that the request took.
    #[allow(clippy::too_many_arguments)]
    fn whole_response<'py>(
        &self,
        py: Python<'py>,
        status: u16,
        headers: &Bound<'py, PyList>,
        extensions: &Bound<'py, PyDict>,
        request: &Bound<'py, PyAny>,
        body: &Bound<'py, PyBytes>,
        content: &Bound<'py, PyBytes>,
        elapsed: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let made = self.head(py, status, self.headers_of(py, headers)?, extensions, request, true)?;
        self.read(&made, body, content, elapsed)?;
        Ok(made)
    }

    /// A response that has been read, of an answer of the native engine: as `whole_response` makes it.
    ///
    /// Args:
    ///     answer: The answer, with its body.
    ///     extensions: Its extensions; the dictionary becomes the response's own.
    ///     request: The request.
    ///     elapsed: Seconds that the request took.
    ///
    /// Raises:
    ///     ValueError: The body has not been read.
    pub(super) fn answer<'py>(
        &self,
        py: Python<'py>,
        answer: &WireAnswer,
        extensions: &Bound<'py, PyDict>,
        request: &Bound<'py, PyAny>,
        elapsed: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (Some(body), Some(content)) = (&answer.body, &answer.content) else {
            return Err(PyValueError::new_err("the body has not been read"));
        };
        let list = PyList::empty(py);
        for (name, value) in answer.head().headers() {
            let written = PyBytes::new(py, name);
            // Some servers write them so.
            let is_lower = !name.iter().any(u8::is_ascii_uppercase);
            let lower = if is_lower { written.clone() } else { lowered(py, name) };
            list.append((written, lower, PyBytes::new(py, value)))?;
        }
        let made = self.head(py, answer.head().status, self.headers_with(py, &list)?, extensions, request, true)?;
        self.read(&made, body.bind(py), content.bind(py), elapsed)?;
        Ok(made)
    }

    /// A request whose body is known.
    ///
    /// Args:
    ///     method: The method, upper case.
    ///     url: The URL, an object of the package.
    ///     headers: Names and values as they are to be sent, all of them.
    ///     content: The body.
    ///     extensions: Its extensions; the dictionary becomes the request's own.
    fn request<'py>(
        &self,
        py: Python<'py>,
        method: &Bound<'py, PyString>,
        url: &Bound<'py, PyAny>,
        headers: &Bound<'py, PyList>,
        content: &Bound<'py, PyBytes>,
        extensions: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let headers = self.headers_of(py, headers)?;
        self.request_with(py, method, url, &headers, content, extensions)
    }

    /// A URL that needs no normalising.
    ///
    /// Args:
    ///     text: The URL.
    ///     query: Its query, in place of the URL's own; already escaped.
    ///
    /// Returns:
    ///     The URL; `None` if the package has to make it.
    #[pyo3(signature = (text, query=None))]
    fn url<'py>(&self, py: Python<'py>, text: &str, query: Option<&str>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(found) = plain(text) else { return Ok(None) };
        self.url_of(py, &found, query).map(Some)
    }

    /// A request as `build_request` of a client makes it.
    ///
    /// Args:
    ///     client: The client.
    ///     method: The method.
    ///     url: The URL.
    ///     given: What else is said of the request, by keyword.
    ///
    /// Returns:
    ///     The request; `None` if the package has to make it.
    fn plain_request<'py>(
        &self,
        client: &Bound<'py, PyAny>,
        method: &Bound<'py, PyAny>,
        url: &Bound<'py, PyAny>,
        given: &Bound<'py, PyDict>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(asked) = Asked::of(given, false)? else { return Ok(None) };
        Ok(self.compose(client, method, url, asked)?.map(|composed| composed.request))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for held in [&self.response, &self.request, &self.url, &self.headers, &self.parts, &self.stream] {
            visit.call(held)?;
        }
        for held in [&self.params, &self.timeout, &self.unset] {
            visit.call(held)?;
        }
        visit.call(&self.encode)?;
        visit.call(&self.nothing)
    }
}

impl HttpObjects {
    /// The request, and what is known of it; `None` if the package has to make it.
    pub(super) fn compose<'py>(
        &self,
        client: &Bound<'py, PyAny>,
        method: &Bound<'py, PyAny>,
        url: &Bound<'py, PyAny>,
        asked: Asked<'py>,
    ) -> PyResult<Option<Composed<'py>>> {
        let py = client.py();
        let (Ok(method), Ok(text)) = (method.cast_exact::<PyString>(), url.cast_exact::<PyString>()) else {
            return Ok(None);
        };
        // Without a scheme it may be the part of a base, or nothing.
        let Some(found) = plain(text.to_str()?) else { return Ok(None) };
        if has_params(&past(client, intern!(py, "_params"), intern!(py, "params"))?)? {
            return Ok(None);
        }
        let Some(query) = asked.query(&self.params)? else { return Ok(None) };
        let query = query.as_ref().map(|query| query.to_str()).transpose()?;
        let method = upper(method)?;
        let Some(body) = asked.body(self, py)? else { return Ok(None) };
        let defaults = past(client, intern!(py, "_headers"), intern!(py, "headers"))?.getattr(intern!(py, "_list"))?;
        let list = headers(defaults.cast()?, asked.headers.as_ref(), method.to_str()?, &found, &body)?;
        let Some(list) = list else { return Ok(None) };
        let content = body.content;
        let (extensions, timeouts) = asked.extensions(client, self)?;
        let made = (self.url_of(py, &found, query)?, self.headers_with(py, &list)?);
        let request = self.request_with(py, &method, &made.0, &made.1, &content, &extensions)?;
        let url = if query.is_none() && found.len() == text.len()? { text.clone() } else { found.text(py, query) };
        let (is_secure, target) = (found.scheme == "https", found.target(query));
        Ok(Some(Composed { request, method, url, is_secure, target, headers: list, content, timeouts }))
    }

    fn empty<'py>(&self, py: Python<'py>, class: &Py<PyAny>) -> PyResult<Bound<'py, PyAny>> {
        bare::object(class.bind(py), self.nothing.bind(py))
    }

    /// What a response has before its body, in the order in which the constructor sets it.
    fn head<'py>(
        &self,
        py: Python<'py>,
        status: u16,
        headers: Bound<'py, PyAny>,
        extensions: &Bound<'py, PyDict>,
        request: &Bound<'py, PyAny>,
        is_read: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let made = self.empty(py, &self.response)?;
        made.setattr(intern!(py, "status_code"), status)?;
        made.setattr(intern!(py, "headers"), headers)?;
        made.setattr(intern!(py, "_request"), request)?;
        made.setattr(intern!(py, "next_request"), py.None())?;
        made.setattr(intern!(py, "extensions"), extensions)?;
        made.setattr(intern!(py, "history"), PyList::empty(py))?;
        made.setattr(intern!(py, "is_closed"), is_read)?;
        made.setattr(intern!(py, "is_stream_consumed"), is_read)?;
        made.setattr(intern!(py, "default_encoding"), intern!(py, "utf-8"))?;
        Ok(made)
    }

    /// What a response has of a body that has been read.
    fn read<'py>(
        &self,
        made: &Bound<'py, PyAny>,
        body: &Bound<'py, PyBytes>,
        content: &Bound<'py, PyBytes>,
        elapsed: f64,
    ) -> PyResult<()> {
        let py = made.py();
        made.setattr(intern!(py, "stream"), self.stream_of(py, body)?)?;
        made.setattr(intern!(py, "_num_bytes_downloaded"), body.as_bytes().len())?;
        made.setattr(intern!(py, "_content"), content)?;
        made.setattr(intern!(py, "_elapsed"), delta(py, elapsed)?)
    }

    fn request_with<'py>(
        &self,
        py: Python<'py>,
        method: &Bound<'py, PyString>,
        url: &Bound<'py, PyAny>,
        headers: &Bound<'py, PyAny>,
        content: &Bound<'py, PyBytes>,
        extensions: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let made = self.empty(py, &self.request)?;
        made.setattr(intern!(py, "method"), method)?;
        made.setattr(intern!(py, "url"), url)?;
        made.setattr(intern!(py, "headers"), headers)?;
        made.setattr(intern!(py, "extensions"), extensions)?;
        made.setattr(intern!(py, "stream"), self.stream_of(py, content)?)?;
        made.setattr(intern!(py, "_content"), content)?;
        Ok(made)
    }

    fn url_of<'py>(&self, py: Python<'py>, found: &PlainUrl<'_>, query: Option<&str>) -> PyResult<Bound<'py, PyAny>> {
        let scheme = if found.scheme == "https" { intern!(py, "https") } else { intern!(py, "http") };
        let query = query.or(found.query);
        let port = found.port.into_pyobject(py)?;
        let (host, path) = (PyString::new(py, found.host), PyString::new(py, found.path));
        let query = query.map_or_else(|| py.None().into_bound(py), |query| PyString::new(py, query).into_any());
        let none = py.None().into_bound(py);
        let (scheme, user) = (scheme.clone().into_any(), intern!(py, "").clone().into_any());
        let parts = [scheme, user, host.into_any(), port, path.into_any(), query, none];
        let parts = bare::tuple(self.parts.bind(py), parts)?;
        let made = self.empty(py, &self.url)?;
        made.setattr(intern!(py, "_uri_reference"), parts)?;
        Ok(made)
    }

    fn stream_of<'py>(&self, py: Python<'py>, bytes: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyAny>> {
        let made = self.empty(py, &self.stream)?;
        made.setattr(intern!(py, "_stream"), bytes)?;
        Ok(made)
    }

    /// Headers keep each name twice: as it is written, and in lower case.
    fn headers_of<'py>(&self, py: Python<'py>, pairs: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyAny>> {
        let list = PyList::empty(py);
        for pair in pairs {
            let pair = pair.cast::<PyTuple>()?;
            if pair.len() != 2 {
                return Err(PyTypeError::new_err("a header must be a pair of name and value"));
            }
            let name = pair.get_borrowed_item(0)?;
            let lower = lowered(py, name.cast::<PyBytes>()?.as_bytes());
            list.append((name, lower, pair.get_borrowed_item(1)?))?;
        }
        self.headers_with(py, &list)
    }

    fn headers_with<'py>(&self, py: Python<'py>, list: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyAny>> {
        let made = self.empty(py, &self.headers)?;
        made.setattr(intern!(py, "_list"), list)?;
        made.setattr(intern!(py, "_encoding"), py.None())?;
        Ok(made)
    }
}

/// Whether there are parameters of the client's; the question that `bool` asks is one of Python's.
fn has_params(params: &Bound<'_, PyAny>) -> PyResult<bool> {
    match params.getattr_opt(intern!(params.py(), "_dict"))? {
        Some(kept) if kept.is_exact_instance_of::<PyDict>() => kept.is_truthy(),
        _ => params.is_truthy(),
    }
}

/// In upper case, as nearly all methods are written.
fn upper<'py>(method: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyString>> {
    if method.to_str()?.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(method.clone());
    }
    Ok(method.call_method0(intern!(method.py(), "upper"))?.cast_into()?)
}

/// A `timedelta`, rounded to microseconds as `timedelta(seconds=...)` rounds.
fn delta(py: Python<'_>, seconds: f64) -> PyResult<Bound<'_, PyDelta>> {
    let micros = (seconds * 1e6).round_ties_even() as i64;
    let (whole, rest) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    PyDelta::new(py, 0, i32::try_from(whole).unwrap_or(i32::MAX), rest as i32, true)
}
