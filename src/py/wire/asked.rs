//! What is said of a request by keyword, as `request` of a client of httpx takes it.

use crate::py::once::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};

use super::body::Body;
use super::objects::HttpObjects;
use super::read::Target;
use crate::py::chooser::wishes::PyWishes;
use crate::py::convert::{Lazy, Names};

static MONOTONIC: Lazy = Lazy::new("time", "monotonic");
static SELECTION: Lazy = Lazy::upper("wished");

/// The phases of a request that httpx has timeouts for, in its order.
static PHASES: Names<4> = Names::new(["connect", "read", "write", "pool"]);

/// The keywords that make no more than a request. `follow_redirects` is for what comes after it.
#[derive(Default)]
pub(super) struct Asked<'py> {
    pub(super) headers: Option<Bound<'py, PyAny>>,
    params: Option<Bound<'py, PyAny>>,
    content: Option<Bound<'py, PyBytes>>,
    /// `content`, `data` and `json`, where one of them has to be encoded.
    encoded: Option<Bound<'py, PyDict>>,
    /// What is demanded of the proxy.
    wishes: Option<Bound<'py, PyDict>>,
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
    /// `None` where something is said that the package has to see to. Of a rotator's request wishes are understood, and
    /// extensions are left to the package; of a client's it is the other way round.
    pub(super) fn of(given: &Bound<'py, PyDict>, is_of_rotator: bool) -> PyResult<Option<Self>> {
        let mut asked = Self::default();
        for (name, value) in given {
            let name = name.cast::<PyString>()?;
            match name.to_str()? {
                // That no timeout is wanted is something said.
                "timeout" => asked.timeout = Some(value),
                "follow_redirects" => {}
                "session_id" | "country" | "region" | "tags" | "protocol" if is_of_rotator => {
                    note(&mut asked.wishes, name, &value)?;
                }
                "extensions" if is_of_rotator => return Ok(None),
                "headers" | "params" | "content" | "data" | "json" | "extensions" if value.is_none() => {}
                "headers" => asked.headers = Some(value),
                "params" => asked.params = Some(value),
                "content" => match value.cast_exact::<PyBytes>() {
                    Ok(bytes) => asked.content = Some(bytes.clone()),
                    Err(_) if value.is_exact_instance_of::<PyString>() => note(&mut asked.encoded, name, &value)?,
                    Err(_) => return Ok(None),
                },
                "data" if value.is_exact_instance_of::<PyDict>() => note(&mut asked.encoded, name, &value)?,
                "json" => note(&mut asked.encoded, name, &value)?,
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

    /// The body, as the package encodes it; `None` if that is not one of bytes.
    pub(super) fn body(&self, objects: &HttpObjects, py: Python<'py>) -> PyResult<Option<Body<'py>>> {
        let content = match (&self.content, &self.encoded) {
            (content, None) => return Ok(Some(Body::of(py, content.clone()))),
            (Some(content), Some(given)) => {
                given.set_item(intern!(py, "content"), content)?;
                given
            }
            (None, Some(given)) => given,
        };
        objects.encoded(content)
    }

    /// What is demanded of the proxy, and of the time (`time_left` in seconds), as the layers above read it off the extensions of
    /// the request; `None` without demands.
    pub(super) fn select(&mut self, py: Python<'py>, time_left: Option<f64>) -> PyResult<Option<Bound<'py, PyWishes>>> {
        if self.wishes.is_none() && time_left.is_none() {
            return Ok(None);
        }
        let wishes = self.wishes.get_or_insert_with(|| PyDict::new(py));
        if let Some(seconds) = time_left {
            let now: f64 = MONOTONIC.get(py)?.call0()?.extract()?;
            wishes.set_item(intern!(py, "deadline"), now + seconds)?;
        }
        wishes.set_item(intern!(py, "read_body"), true)?;
        wishes.set_item(intern!(py, "fixed_timeout"), self.timeout.is_some())?;
        let selection = SELECTION.get(py)?.call((), Some(wishes))?;
        let extensions = self.extensions.get_or_insert_with(|| PyDict::new(py));
        extensions.set_item(intern!(py, "proxywhirl"), &selection)?;
        Ok(Some(selection.cast_into()?))
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

/// Keeps what is said by keyword for what understands it.
fn note<'py>(
    kept: &mut Option<Bound<'py, PyDict>>,
    name: &Bound<'py, PyString>,
    value: &Bound<'py, PyAny>,
) -> PyResult<()> {
    kept.get_or_insert_with(|| PyDict::new(name.py())).set_item(name, value)
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
