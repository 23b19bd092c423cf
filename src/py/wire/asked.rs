//! What is said of a request by keyword, as `request` of a client of httpx takes it.

use crate::py::once::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};

use super::objects::HttpObjects;
use super::read::Target;
use crate::py::convert::Names;

/// The phases of a request that httpx has timeouts for, in its order.
static PHASES: Names<4> = Names::new(["connect", "read", "write", "pool"]);

/// The keywords that make no more than a request. `follow_redirects` is for what comes after it.
#[derive(Default)]
pub(super) struct Asked<'py> {
    pub(super) headers: Option<Bound<'py, PyAny>>,
    params: Option<Bound<'py, PyAny>>,
    content: Option<Bound<'py, PyBytes>>,
    timeout: Option<Bound<'py, PyAny>>,
    extensions: Option<Bound<'py, PyDict>>,
}

/// A request, and what is known of it without looking at it again.
pub(super) struct Composed<'py> {
    pub(super) request: Bound<'py, PyAny>,
    pub(super) method: Bound<'py, PyString>,
    /// The URL as text.
    pub(super) url: Bound<'py, PyString>,
    pub(super) is_secure: bool,
    pub(super) target: Target,
    /// As httpx keeps them.
    pub(super) headers: Bound<'py, PyList>,
    pub(super) content: Bound<'py, PyBytes>,
    pub(super) timeouts: Bound<'py, PyAny>,
}

impl<'py> Asked<'py> {
    /// `None` where something is said that the package has to see to; extensions may be that, too.
    pub(super) fn of(given: &Bound<'py, PyDict>, takes_extensions: bool) -> PyResult<Option<Self>> {
        let mut asked = Self::default();
        for (name, value) in given {
            let name = name.cast::<PyString>()?;
            match name.to_str()? {
                // That no timeout is wanted is something said.
                "timeout" => asked.timeout = Some(value),
                "follow_redirects" => {}
                "extensions" if !takes_extensions => return Ok(None),
                "headers" | "params" | "content" | "extensions" if value.is_none() => {}
                "headers" => asked.headers = Some(value),
                "params" => asked.params = Some(value),
                "content" => match value.cast_into_exact::<PyBytes>() {
                    Ok(bytes) => asked.content = Some(bytes),
                    Err(_) => return Ok(None),
                },
                "extensions" => match value.cast::<PyDict>() {
                    Ok(extensions) => asked.extensions = Some(extensions.copy()?),
                    Err(_) => return Ok(None),
                },
                _ => return Ok(None),
            }
        }
        Ok(Some(asked))
    }

    /// The query that replaces that of the URL, if there is one; `None` where an empty one takes it off.
    pub(super) fn query(&self, class: &Py<PyAny>) -> PyResult<Option<Option<Bound<'py, PyString>>>> {
        let Some(params) = &self.params else { return Ok(Some(None)) };
        let query = class.bind(params.py()).call1((params,))?.str()?;
        Ok(if query.is_empty()? { None } else { Some(Some(query)) })
    }

    pub(super) fn content(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.content.clone().unwrap_or_else(|| PyBytes::new(py, b""))
    }

    /// The extensions of the request, and among them the timeouts.
    pub(super) fn extensions(
        &self,
        client: &Bound<'py, PyAny>,
        objects: &HttpObjects,
    ) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyAny>)> {
        let py = client.py();
        let extensions = self.extensions.clone().unwrap_or_else(|| PyDict::new(py));
        let name = intern!(py, "timeout");
        if let Some(timeouts) = extensions.get_item(name)? {
            return Ok((extensions, timeouts));
        }
        let timeouts = match &self.timeout {
            Some(given) if !given.is(&objects.unset) => timeouts(given, objects)?,
            _ => timeouts(&past(client, intern!(py, "_timeout"), name)?, objects)?,
        };
        extensions.set_item(name, &timeouts)?;
        Ok((extensions, timeouts.into_any()))
    }
}

/// An attribute of a client, past the property that gives it, where it is kept as is known; that costs a call of Python.
pub(super) fn past<'py>(
    client: &Bound<'py, PyAny>,
    kept: &Bound<'py, PyString>,
    property: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    match client.getattr_opt(kept)? {
        Some(found) => Ok(found),
        None => client.getattr(property),
    }
}

/// Seconds by phase, as `as_dict` of a timeout gives them.
fn timeouts<'py>(given: &Bound<'py, PyAny>, objects: &HttpObjects) -> PyResult<Bound<'py, PyDict>> {
    let py = given.py();
    let class = objects.timeout.bind(py);
    let dict = PyDict::new(py);
    if given.is_none() || given.is_exact_instance_of::<PyFloat>() || given.is_exact_instance_of::<PyInt>() {
        for phase in PHASES.get(py) {
            dict.set_item(phase, given)?;
        }
        return Ok(dict);
    }
    let made = if given.get_type().is(class) { given.clone() } else { class.call1((given,))? };
    for phase in PHASES.get(py) {
        dict.set_item(phase, made.getattr(phase)?)?;
    }
    Ok(dict)
}
