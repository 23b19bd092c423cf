//! `SelectionContext`: what a caller wants of one selection.

mod draft;
mod overlay;

use pyo3::exceptions::{PyAttributeError, PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet};

use crate::pool::context::Context;
use crate::proxy::Id;
use crate::py::convert;
use crate::py::errors::{self, Fault};
use crate::sync::{Arc, ArcSwap, AtomicBool, Mutex, OnceLock, Ordering};
pub(crate) use draft::extract;
use draft::{Draft, FIELDS, Rest};
pub(crate) use overlay::{Overlay, complete};

/// What is known about a request when its proxy is chosen. Thread-safe. Extra keywords are kept as attributes.
///
/// Raises:
///     pydantic.ValidationError: A field is wrong.
#[pyclass(name = "SelectionContext", module = "proxywhirl", frozen, subclass, weakref)]
pub(crate) struct PyContext {
    first: Context,
    // Only for a context that is written to after it was made, which few are.
    later: OnceLock<Box<ArcSwap<Context>>>,
    rest: Mutex<Option<Box<Rest>>>,
    handed_out: AtomicBool,
}

impl PyContext {
    pub(crate) fn wrap(core: Context) -> Self {
        let excluded: Vec<Id> = core.excluded.ids().collect();
        let rest = (!excluded.is_empty()).then(|| Box::new(Rest { excluded, ..Rest::default() }));
        Self { first: core, later: OnceLock::new(), rest: Mutex::new(rest), handed_out: AtomicBool::new(false) }
    }

    /// The present state, as the core wants it.
    #[inline]
    pub(crate) fn core(&self, py: Python<'_>) -> PyResult<Seen<'_>> {
        // Relaxed: the lists are Python's, and seen as Python shows them.
        if self.handed_out.load(Ordering::Relaxed) {
            self.read_lists_again(py)?;
        }
        Ok(self.seen())
    }

    #[inline]
    fn seen(&self) -> Seen<'_> {
        match self.later.get() {
            None => Seen::First(&self.first),
            Some(later) => Seen::Later(later.load()),
        }
    }

    #[cold]
    fn read_lists_again(&self, py: Python<'_>) -> PyResult<()> {
        let (failed, excluded) = self.read(|rest| {
            let failed = rest.failed_out.as_ref().map(|list| list.clone_ref(py));
            (failed, rest.excluded_out.as_ref().map(|set| set.clone_ref(py)))
        });
        if let Some(failed) = failed {
            self.assign("failed_proxy_ids", failed.bind(py))?;
        }
        if let Some(excluded) = excluded {
            self.assign("exclude_proxy_ids", excluded.bind(py))?;
        }
        Ok(())
    }

    /// The same state as an object of a user's subclass, with the attributes of the one given.
    fn into_subclass_of<'py>(self, given: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = given.py();
        let class = given.get_type();
        let object = py.get_type::<Self>().call_method1("__new__", (&class,))?;
        let fresh = object.cast::<Self>()?.get();
        let state = Arc::new(self.first);
        fresh.later.get_or_init(|| Box::new(ArcSwap::new(state.clone()))).store(state);
        let rest = self.rest.lock().take();
        let stale = std::mem::replace(&mut *fresh.rest.lock(), rest);
        drop(stale);
        if let Ok(attributes) = given.getattr("__dict__") {
            object.getattr("__dict__")?.call_method1("update", (attributes,))?;
        }
        Ok(object)
    }

    fn rest<R>(&self, write: impl FnOnce(&mut Rest) -> R) -> R {
        write(self.rest.lock().get_or_insert_default())
    }

    fn read<R: Default>(&self, read: impl FnOnce(&Rest) -> R) -> R {
        self.rest.lock().as_ref().map_or_else(R::default, |rest| read(rest))
    }

    /// Sets one field: a copy is changed and put in place whole.
    fn assign(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut draft = Draft { context: Context::clone(&self.seen()), rest: self.rest.lock().take() };
        let outcome = draft.assign(name, value);
        *self.rest.lock() = draft.rest;
        outcome?;
        let next = Arc::new(draft.context);
        self.later.get_or_init(|| Box::new(ArcSwap::new(next.clone()))).store(next);
        Ok(())
    }
}

/// The state of a context, wherever it is kept.
pub(crate) enum Seen<'a> {
    First(&'a Context),
    Later(arc_swap::Guard<Arc<Context>>),
}

impl std::ops::Deref for Seen<'_> {
    type Target = Context;

    fn deref(&self) -> &Context {
        match self {
            Self::First(context) => context,
            Self::Later(context) => context,
        }
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyContext {
    #[new]
    #[pyo3(signature = (*, session_id=None, target_url=None, target_country=None, target_region=None, request_priority=None, timeout_ms=None, failed_proxy_ids=None, attempt_number=None, metadata=None, preferred_country=None, max_response_time_ms=None, min_success_rate=None, exclude_proxy_ids=None, **extra))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        session_id: Option<&Bound<'_, PyAny>>,
        target_url: Option<&Bound<'_, PyAny>>,
        target_country: Option<&Bound<'_, PyAny>>,
        target_region: Option<&Bound<'_, PyAny>>,
        request_priority: Option<&Bound<'_, PyAny>>,
        timeout_ms: Option<&Bound<'_, PyAny>>,
        failed_proxy_ids: Option<&Bound<'_, PyAny>>,
        attempt_number: Option<&Bound<'_, PyAny>>,
        metadata: Option<&Bound<'_, PyAny>>,
        preferred_country: Option<&Bound<'_, PyAny>>,
        max_response_time_ms: Option<&Bound<'_, PyAny>>,
        min_success_rate: Option<&Bound<'_, PyAny>>,
        exclude_proxy_ids: Option<&Bound<'_, PyAny>>,
        extra: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let given = [
            session_id,
            target_url,
            target_country,
            target_region,
            request_priority,
            timeout_ms,
            failed_proxy_ids,
            attempt_number,
            metadata,
            preferred_country,
            max_response_time_ms,
            min_success_rate,
            exclude_proxy_ids,
        ];
        let mut draft = Draft::default();
        let mut faults = Vec::new();
        for (name, value) in FIELDS.into_iter().zip(given) {
            let Some(value) = value else { continue };
            match draft.assign(name, value) {
                Ok(_) => {}
                Err(error) if error.is_instance_of::<PyTypeError>(py) || error.is_instance_of::<PyValueError>(py) => {
                    faults.push(Fault::new(name, error.value(py).str()?.to_string(), value));
                }
                Err(error) => return Err(error),
            }
        }
        if !faults.is_empty() {
            return Err(errors::validation(py, "SelectionContext", faults));
        }
        if let Some(extra) = extra.filter(|extra| !extra.is_empty()) {
            draft.rest().extra = Some(extra.unbind());
        }
        Ok(Self {
            first: draft.context,
            later: OnceLock::new(),
            rest: Mutex::new(draft.rest),
            handed_out: AtomicBool::new(false),
        })
    }

    fields! {
        /// Requests with the same one go through the same proxy under a session strategy.
        session_id: Option<String> = self.seen().session_id.as_deref().map(str::to_owned);
        /// Where the request goes.
        target_url: Option<String> = self.read(|rest| rest.target_url.as_deref().map(str::to_owned));
        /// The country asked for.
        target_country: Option<String> = self.seen().target_country.as_deref().map(str::to_owned);
        /// The region asked for.
        target_region: Option<String> = self.seen().target_region.as_deref().map(str::to_owned);
        /// How urgent the request is, 0 to 10.
        request_priority: Option<u8> = self.read(|rest| rest.request_priority);
        /// How long the request may take, in milliseconds.
        timeout_ms: Option<f64> = self.read(|rest| rest.timeout_ms);
    }

    /// Identifiers of proxies that have failed for this request, as given.
    #[getter]
    fn failed_proxy_ids(&self, py: Python<'_>) -> PyResult<Py<PyList>> {
        if let Some(list) = self.read(|rest| rest.failed_out.as_ref().map(|list| list.clone_ref(py))) {
            return Ok(list);
        }
        let texts: Vec<String> = self.read(|rest| rest.failed.iter().map(|id| id.to_string()).collect());
        let list = PyList::new(py, texts)?.unbind();
        self.handed_out.store(true, Ordering::Relaxed);
        Ok(self.rest(|rest| rest.failed_out.get_or_insert(list).clone_ref(py)))
    }

    /// Which attempt this is, from 1.
    #[getter]
    #[assigned]
    fn attempt_number(&self) -> u64 {
        self.read(|rest| rest.attempt_number).unwrap_or(1)
    }

    /// Anything the caller wants to keep with it.
    #[getter]
    #[assigned]
    fn metadata(&self, py: Python<'_>) -> Py<PyDict> {
        if let Some(dict) = self.read(|rest| rest.metadata.as_ref().map(|dict| dict.clone_ref(py))) {
            return dict;
        }
        let fresh = PyDict::new(py).unbind();
        self.rest(|rest| rest.metadata.get_or_insert(fresh).clone_ref(py))
    }

    fields! {
        /// The country asked for, by its older name.
        preferred_country: Option<String> = self.seen().preferred_country.as_deref().map(str::to_owned);
        /// Longest latency average allowed, in milliseconds.
        max_response_time_ms: Option<f64> = self.seen().thresholds.max_response_time_ms;
        /// Lowest success rate allowed, 0 to 1.
        min_success_rate: Option<f64> = self.seen().thresholds.min_success_rate;
    }

    /// Identifiers of proxies not to be chosen.
    #[getter]
    fn exclude_proxy_ids(&self, py: Python<'_>) -> PyResult<Py<PySet>> {
        if let Some(set) = self.read(|rest| rest.excluded_out.as_ref().map(|set| set.clone_ref(py))) {
            return Ok(set);
        }
        let ids = self.read(|rest| rest.excluded.clone());
        let set = PySet::empty(py)?;
        for id in ids {
            set.add(convert::uuid(py, id)?)?;
        }
        self.handed_out.store(true, Ordering::Relaxed);
        Ok(self.rest(|rest| rest.excluded_out.get_or_insert(set.unbind()).clone_ref(py)))
    }

    fn __getattr__<'py>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let extra = slf.get().read(|rest| rest.extra.as_ref().map(|extra| extra.clone_ref(py)));
        match extra.map(|extra| extra.into_bound(py).get_item(name)).transpose()?.flatten() {
            Some(value) => Ok(value),
            None => Err(PyAttributeError::new_err(format!("'SelectionContext' object has no attribute '{name}'"))),
        }
    }

    /// Whether it belongs to a request of a rotator, or to a lease.
    #[getter]
    fn _in_rotation(&self) -> bool {
        self.seen().in_rotation
    }

    #[staticmethod]
    fn _fields() -> Vec<&'static str> {
        FIELDS.to_vec()
    }

    fn _dump<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let py = slf.py();
        let dict = PyDict::new(py);
        for name in FIELDS {
            dict.set_item(name, slf.getattr(name)?)?;
        }
        if let Some(extra) = slf.get().read(|rest| rest.extra.as_ref().map(|extra| extra.clone_ref(py))) {
            dict.update(extra.bind(py).as_mapping())?;
        }
        Ok(dict)
    }

    #[classmethod]
    fn _from_state<'py>(
        cls: &Bound<'py, pyo3::types::PyType>,
        state: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        cls.call((), Some(state))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyDict>,))> {
        Ok((slf.get_type().getattr("_from_state")?, (Self::_dump(slf)?,)))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let py = slf.py();
        let shown = PyList::empty(py);
        for (name, value) in Self::_dump(slf)?.iter() {
            let name: String = name.extract()?;
            let empty = value.is_none() || value.len().is_ok_and(|len| len == 0);
            if empty || (name == "attempt_number" && value.eq(1)?) {
                continue;
            }
            // A session's name can be a secret of the user's.
            let text = if name == "session_id" { "'***'".to_owned() } else { value.repr()?.to_string() };
            shown.append(format!("{name}={text}"))?;
        }
        let shown: Vec<String> = shown.extract()?;
        Ok(format!("SelectionContext({})", shown.join(", ")))
    }

    fn __eq__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let Ok(other) = other.cast::<Self>() else { return Ok(py.NotImplemented()) };
        let same = Self::_dump(slf)?.eq(Self::_dump(other)?)?;
        Ok(same.into_pyobject(py)?.to_owned().into_any().unbind())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(rest) = self.rest.lock().as_ref() {
            visit.call(&rest.failed_out)?;
            visit.call(&rest.excluded_out)?;
            visit.call(&rest.metadata)?;
            visit.call(&rest.extra)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let rest = self.rest.lock().take();
        drop(rest);
    }

    #[setter(failed_proxy_ids)]
    fn set_failed_proxy_ids(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let stale = self.rest(|rest| rest.failed_out.take());
        drop(stale);
        self.assign("failed_proxy_ids", value)
    }

    #[setter(exclude_proxy_ids)]
    fn set_exclude_proxy_ids(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let stale = self.rest(|rest| rest.excluded_out.take());
        drop(stale);
        self.assign("exclude_proxy_ids", value)
    }
}
