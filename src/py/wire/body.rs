//! The body of a request, and the headers that tell of it. What is not bytes is encoded by the package itself, so that there is
//! one set of rules, and one set of errors.

use crate::py::once::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::compose::{Header, header};
use super::objects::HttpObjects;

/// See the module.
pub(super) struct Body<'py> {
    pub(super) content: Bound<'py, PyBytes>,
    /// Headers that are sent where nothing else is said of the same name.
    pub(super) headers: Vec<Header<'py>>,
}

impl<'py> Body<'py> {
    /// Of bytes as they are sent.
    pub(super) fn of(py: Python<'py>, content: Option<Bound<'py, PyBytes>>) -> Self {
        let content = content.unwrap_or_else(|| PyBytes::new(py, b""));
        let headers = match content.as_bytes().len() {
            0 => Vec::new(),
            length => vec![header(py, b"Content-Length", length.to_string().as_bytes())],
        };
        Self { content, headers }
    }
}

impl HttpObjects {
    /// The body that the package makes of `content`, `data` and `json`; `None` where it is not one of bytes, or where the package
    /// does not say how it encodes.
    pub(super) fn encoded<'py>(&self, given: &Bound<'py, PyDict>) -> PyResult<Option<Body<'py>>> {
        let py = given.py();
        let Some(encode) = &self.encode else { return Ok(None) };
        let made = encode.bind(py).call((), Some(given))?;
        let Ok((told, stream)) = made.extract::<(Bound<'py, PyDict>, Bound<'py, PyAny>)>() else { return Ok(None) };
        if !stream.get_type().is(&self.stream) {
            return Ok(None);
        }
        let Some(content) = stream.getattr_opt(intern!(py, "_stream"))? else { return Ok(None) };
        let Ok(content) = content.cast_into_exact::<PyBytes>() else { return Ok(None) };
        let mut headers = Vec::with_capacity(told.len());
        for (name, value) in &told {
            let (Ok(name), Ok(value)) = (name.cast::<PyString>(), value.cast::<PyString>()) else { return Ok(None) };
            headers.push(header(py, name.to_str()?.as_bytes(), value.to_str()?.as_bytes()));
        }
        Ok(Some(Body { content, headers }))
    }
}
