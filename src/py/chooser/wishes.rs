//! `Wishes`: what one request demands of its proxy.

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::proxy::Id;
use crate::py::convert;
use crate::py::lease::Demands;
use crate::py::once::intern;
use crate::rotation::chooser::{Stay, Wishes};
use crate::sync::Mutex;

/// What one request demands of its proxy.
///
/// Args:
///     session_id: Requests of the same id use the same proxy.
///     country: Country of the proxy.
///     region: Region of the proxy.
///     tags: Tags the proxy must have, all of them.
///     protocol: Protocol that it must speak, or several of which one will do.
///     context: A selection context that the other wishes are laid over.
///
/// Raises:
///     TypeError: `tags` is one string.
#[pyclass(name = "Wishes", module = "proxywhirl._core", frozen, subclass)]
pub(crate) struct PyWishes {
    pub(super) session_id: Option<Py<PyString>>,
    pub(super) country: Option<Py<PyString>>,
    pub(super) region: Option<Py<PyString>>,
    pub(super) tags: Option<Py<PyAny>>,
    pub(super) protocol: Option<Py<PyAny>>,
    pub(super) context: Option<Py<PyAny>>,
    hop: Mutex<Option<Id>>,
}

impl PyWishes {
    /// The session's id, which the context may name.
    pub(crate) fn session_of<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if let Some(session_id) = &self.session_id {
            return Ok(Some(session_id.bind(py).clone().into_any()));
        }
        let Some(context) = &self.context else { return Ok(None) };
        let named = context.bind(py).getattr(intern!(py, "session_id"))?;
        Ok((!named.is_none()).then_some(named))
    }

    /// On which proxy the request wants to stay.
    pub(super) fn stay(&self, py: Python<'_>, exclude: &Bound<'_, PyList>) -> PyResult<Stay> {
        if self.session_of(py)?.is_some() {
            return Ok(Stay::InSession);
        }
        let Some(id) = *self.hop.lock() else { return Ok(Stay::Anywhere) };
        let is_excluded = exclude.iter().any(|excluded| convert::id_of(&excluded) == Some(id));
        Ok(if is_excluded { Stay::Anywhere } else { Stay::On(id) })
    }

    /// What the proxy must be.
    pub(super) fn demands<'a, 'py>(&'a self, py: Python<'py>) -> PyResult<Demands<'a, 'py>> {
        Ok(Demands {
            country: self.country.as_ref().map(|country| country.bind(py).to_str()).transpose()?,
            region: self.region.as_ref().map(|region| region.bind(py).to_str()).transpose()?,
            tags: self.tags.as_ref().map(|tags| tags.bind(py)),
            protocol: self.protocol.as_ref().map(|protocol| protocol.bind(py)),
        })
    }

    /// The same for the core, to compare requests by.
    pub(super) fn core(&self, py: Python<'_>) -> PyResult<Wishes> {
        let text = |text: &Option<Py<PyString>>| -> PyResult<Option<Box<str>>> {
            text.as_ref().map(|text| Ok(text.bind(py).to_str()?.into())).transpose()
        };
        let texts = |value: &Bound<'_, PyAny>| match value.cast::<PyString>() {
            Ok(one) => Ok(vec![one.to_str()?.into()]),
            Err(_) => convert::texts(value),
        };
        let mut tags = self.tags.as_ref().map(|tags| convert::texts(tags.bind(py))).transpose()?;
        if let Some(tags) = &mut tags {
            tags.sort_unstable();
        }
        Ok(Wishes {
            session_id: text(&self.session_id)?,
            country: text(&self.country)?,
            region: text(&self.region)?,
            tags,
            protocols: self.protocol.as_ref().map(|protocols| texts(protocols.bind(py))).transpose()?,
            context: self.context.as_ref().map(|context| context.as_ptr() as usize),
            hop: *self.hop.lock(),
        })
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyWishes {
    #[new]
    #[pyo3(signature = (*, session_id=None, country=None, region=None, tags=None, protocol=None, context=None, **_others))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        session_id: Option<Py<PyString>>,
        country: Option<Py<PyString>>,
        region: Option<Py<PyString>>,
        tags: Option<Bound<'_, PyAny>>,
        protocol: Option<Bound<'_, PyAny>>,
        context: Option<Py<PyAny>>,
        _others: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let tags = match tags {
            Some(tags) if tags.is_instance_of::<PyString>() => {
                return Err(PyTypeError::new_err("tags must be a set or list of strings, not one string"));
            }
            // An iterator would be used up by the first attempt.
            Some(tags) if tags.len().is_err() => {
                let each = tags.try_iter()?.collect::<PyResult<Vec<_>>>()?;
                Some(PyList::new(tags.py(), each)?.into_any().unbind())
            }
            tags => tags.map(Bound::unbind),
        };
        let protocol = match protocol {
            Some(protocol) if !protocol.is_instance_of::<PyString>() => {
                let py = protocol.py();
                let each = protocol.try_iter()?.collect::<PyResult<Vec<_>>>()?;
                Some(PyTuple::new(py, each)?.into_any().unbind())
            }
            protocol => protocol.map(Bound::unbind),
        };
        Ok(Self { session_id, country, region, tags, protocol, context, hop: Mutex::new(None) })
    }

    getters! {
        /// The session's id as it was given.
        session_id: Option<Py<PyString>> = self.session_id.as_ref().map(|text| text.clone_ref(py));
        /// Country of the proxy.
        country: Option<Py<PyString>> = self.country.as_ref().map(|text| text.clone_ref(py));
        /// Region of the proxy.
        region: Option<Py<PyString>> = self.region.as_ref().map(|text| text.clone_ref(py));
        /// Tags of the proxy.
        tags: Option<Py<PyAny>> = self.tags.as_ref().map(|tags| tags.clone_ref(py));
        /// Protocols of the proxy.
        protocol: Option<Py<PyAny>> = self.protocol.as_ref().map(|protocol| protocol.clone_ref(py));
        /// The context that the others are laid over.
        context: Option<Py<PyAny>> = self.context.as_ref().map(|context| context.clone_ref(py));
    }

    /// The proxy of the hop before this one; `None` for a request that stays on none.
    #[getter]
    fn proxy_id<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let hop = *self.hop.lock();
        hop.map(|id| convert::uuid(py, id)).transpose()
    }

    #[setter]
    fn set_proxy_id(&self, proxy_id: Option<&Bound<'_, PyAny>>) {
        let id = proxy_id.and_then(convert::id_of);
        *self.hop.lock() = id;
    }

    /// Whether nothing is asked of the choice.
    fn is_plain(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.core(py)?.is_plain())
    }

    /// The session's id, which the context may name; `None` without one.
    fn session<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.session_of(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for part in [&self.tags, &self.protocol, &self.context].into_iter().flatten() {
            visit.call(part)?;
        }
        Ok(())
    }
}
