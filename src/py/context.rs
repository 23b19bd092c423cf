//! `SelectionContext`: what a caller wants of one selection.

use pyo3::exceptions::{PyAttributeError, PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet, PyString};

use crate::pool::context::{Context, Excluded};
use crate::proxy::Id;
use crate::py::convert;
use crate::py::errors::{self, Fault};
use crate::sync::{Arc, ArcSwap, AtomicBool, Mutex, OnceLock, Ordering};

const FIELDS: [&str; 13] = [
    "session_id",
    "target_url",
    "target_country",
    "target_region",
    "request_priority",
    "timeout_ms",
    "failed_proxy_ids",
    "attempt_number",
    "metadata",
    "preferred_country",
    "max_response_time_ms",
    "min_success_rate",
    "exclude_proxy_ids",
];

/// What the core has no use for, and what must be handed back as it came.
#[derive(Default)]
struct Rest {
    target_url: Option<Box<str>>,
    request_priority: Option<u8>,
    timeout_ms: Option<f64>,
    attempt_number: Option<u64>,
    failed: Vec<Box<str>>,
    excluded: Vec<Id>,
    // Handed out and therefore perhaps changed since: read again before each selection.
    failed_out: Option<Py<PyList>>,
    excluded_out: Option<Py<PySet>>,
    metadata: Option<Py<PyDict>>,
    extra: Option<Py<PyDict>>,
}

impl Rest {
    /// What can be copied without Python: the lists that were handed out are in the other fields, the extra keywords are
    /// the caller's to copy.
    fn copy(&self, py: Python<'_>) -> Self {
        Self {
            target_url: self.target_url.clone(),
            request_priority: self.request_priority,
            timeout_ms: self.timeout_ms,
            attempt_number: self.attempt_number,
            failed: self.failed.clone(),
            excluded: self.excluded.clone(),
            metadata: self.metadata.as_ref().map(|metadata| metadata.clone_ref(py)),
            ..Self::default()
        }
    }
}

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

/// A context in the making.
#[derive(Default)]
struct Draft {
    context: Context,
    rest: Option<Box<Rest>>,
}

impl Draft {
    fn rest(&mut self) -> &mut Rest {
        self.rest.get_or_insert_default()
    }

    fn assign(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        match name {
            "session_id" => {
                let text = convert::optional_text(value)?;
                self.context.session_id = text;
            }
            "target_country" => {
                let text = convert::optional_text(value)?;
                self.context.target_country = text;
            }
            "preferred_country" => {
                let text = convert::optional_text(value)?;
                self.context.preferred_country = text;
            }
            "target_region" => {
                let text = convert::optional_text(value)?;
                self.context.target_region = text;
            }
            "max_response_time_ms" => {
                let limit = convert::optional_amount(value)?;
                self.context.thresholds.max_response_time_ms = limit;
            }
            "min_success_rate" => {
                let limit = convert::optional_amount(value)?;
                if limit.is_some_and(|limit| limit > 1.0) {
                    return Err(PyValueError::new_err("Input should be less than or equal to 1"));
                }
                self.context.thresholds.min_success_rate = limit;
            }
            "target_url" => {
                let text = if value.is_none() { None } else { Some(value.str()?.to_str()?.into()) };
                self.rest().target_url = text;
            }
            "request_priority" => {
                let priority = if value.is_none() { None } else { Some(convert::count(value)?) };
                if priority.is_some_and(|priority| priority > 10) {
                    return Err(PyValueError::new_err("Input should be less than or equal to 10"));
                }
                self.rest().request_priority = priority.map(|priority| priority as u8);
            }
            "timeout_ms" => {
                let ms = convert::optional_amount(value)?;
                self.rest().timeout_ms = ms;
            }
            "attempt_number" => {
                let number = convert::count(value)?;
                if number == 0 {
                    return Err(PyValueError::new_err("Input should be greater than or equal to 1"));
                }
                self.rest().attempt_number = Some(number);
            }
            "failed_proxy_ids" => {
                let failed = id_texts(value)?;
                self.rest().failed = failed;
                self.exclude();
            }
            "exclude_proxy_ids" => {
                let mut excluded = Vec::new();
                for item in value.try_iter().map_err(|_| PyTypeError::new_err("Input should be a valid set"))? {
                    let id = convert::id_of(&item?);
                    excluded.push(id.ok_or_else(|| PyValueError::new_err("Input should be a valid UUID"))?);
                }
                self.rest().excluded = excluded;
                self.exclude();
            }
            "metadata" => {
                let dict =
                    value.cast::<PyDict>().map_err(|_| PyTypeError::new_err("Input should be a valid dictionary"))?;
                let dict = dict.clone().unbind();
                self.rest().metadata = Some(dict);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The two documented lists of proxies not to be chosen become one set. A text that is no UUID excludes no proxy.
    fn exclude(&mut self) {
        let rest = self.rest();
        let ids: Vec<Id> =
            rest.failed.iter().filter_map(|text| Id::parse(text)).chain(rest.excluded.iter().copied()).collect();
        self.context.excluded = Excluded::new(ids);
    }
}

fn id_texts(value: &Bound<'_, PyAny>) -> PyResult<Vec<Box<str>>> {
    if value.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("Input should be a valid list"));
    }
    let items = value.try_iter().map_err(|_| PyTypeError::new_err("Input should be a valid list"))?;
    items.map(|item| Ok(item?.str()?.to_str()?.into())).collect()
}

/// The core's view of a context: our own class at no cost, any other object by its attributes.
pub(crate) fn extract(object: &Bound<'_, PyAny>) -> PyResult<Context> {
    if let Ok(own) = object.cast::<PyContext>() {
        return Ok(Context::clone(&*own.get().core(object.py())?));
    }
    Ok(read_foreign(object)?.context)
}

/// An object of another class, by its attributes of the documented names.
fn read_foreign(object: &Bound<'_, PyAny>) -> PyResult<Draft> {
    let mut draft = Draft::default();
    for name in FIELDS {
        if let Ok(value) = object.getattr(name)
            && (!value.is_none() || matches!(name, "session_id" | "target_country"))
        {
            draft.assign(name, &value)?;
        }
    }
    Ok(draft)
}

/// What a lease knows of its request beyond the core's context. The Python objects belong to the caller of the lease.
pub(crate) struct Overlay<'a, 'py> {
    /// What the caller gave as context.
    pub(crate) base: Option<&'a Bound<'py, PyAny>>,
    /// The target.
    pub(crate) url: Option<&'a Bound<'py, PyAny>>,
    /// Which attempt of the request this is, from 1.
    pub(crate) attempt: u64,
    /// Tags that were demanded.
    pub(crate) tags: Option<&'a Bound<'py, PyAny>>,
    /// Milliseconds that the request may take: a number, `None`, or a callable that returns either.
    pub(crate) timeout: Option<&'a Bound<'py, PyAny>>,
}

/// The context that a strategy written in Python is given at one attempt: everything the caller gave, with what the lease
/// knows laid over. The caller's own object is left alone.
pub(crate) fn complete<'py>(
    py: Python<'py>,
    core: &Context,
    overlay: &Overlay<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let base = overlay.base.filter(|base| !base.is_none());
    let own = base.and_then(|base| base.cast::<PyContext>().ok());
    let (mut rest, extra) = match (own, base) {
        (Some(own), _) => own.get().read(|rest| (rest.copy(py), rest.extra.as_ref().map(|extra| extra.clone_ref(py)))),
        (None, Some(base)) => (read_foreign(base)?.rest.map_or_else(Rest::default, |rest| *rest), attributes_of(base)?),
        (None, None) => (Rest::default(), None),
    };
    if let Some(url) = overlay.url {
        rest.target_url = Some(crate::py::lease::text_of(url)?.to_str()?.into());
    }
    // A caller that counts attempts of its own goes on counting.
    rest.attempt_number = Some(rest.attempt_number.unwrap_or(1) + overlay.attempt.saturating_sub(1));
    rest.timeout_ms = shorter(rest.timeout_ms, overlay.timeout)?;
    for id in core.excluded.ids() {
        let text = id.to_string();
        if rest.excluded.contains(&id) || rest.failed.iter().any(|failed| failed.eq_ignore_ascii_case(&text)) {
            continue;
        }
        rest.failed.push(text.into());
        if overlay.attempt == 1 {
            // Nothing has failed yet: the caller excludes it.
            rest.excluded.push(id);
        }
    }
    let extra = match overlay.tags.filter(|tags| !tags.is_none()) {
        None => extra.map(|extra| extra.bind(py).copy()).transpose()?,
        Some(tags) => {
            let extra = extra.map_or_else(|| Ok(PyDict::new(py)), |extra| extra.bind(py).copy())?;
            let tags: Vec<String> = convert::texts(tags)?.into_iter().map(String::from).collect();
            extra.set_item("tags", PySet::new(py, tags)?)?;
            Some(extra)
        }
    };
    rest.extra = extra.map(Bound::unbind);
    let made = PyContext {
        first: core.clone(),
        later: OnceLock::new(),
        rest: Mutex::new(Some(Box::new(rest))),
        handed_out: AtomicBool::new(false),
    };
    match own.filter(|own| !own.is_exact_instance_of::<PyContext>()) {
        None => Ok(Bound::new(py, made)?.into_any()),
        Some(subclass) => made.into_subclass_of(subclass),
    }
}

/// The attributes of an object beyond the documented names.
fn attributes_of(object: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyDict>>> {
    let Ok(held) = object.getattr("__dict__") else { return Ok(None) };
    let Ok(held) = held.cast_into::<PyDict>() else { return Ok(None) };
    let extra = PyDict::new(object.py());
    for (name, value) in held {
        let known = name.extract::<String>().map_or(true, |name| name.starts_with('_') || FIELDS.contains(&&*name));
        if !known {
            extra.set_item(name, value)?;
        }
    }
    Ok(Some(extra.unbind()))
}

/// The shorter of two times in milliseconds, where the second may have to be asked for.
fn shorter(own: Option<f64>, other: Option<&Bound<'_, PyAny>>) -> PyResult<Option<f64>> {
    let Some(other) = other.filter(|other| !other.is_none()) else { return Ok(own) };
    let other: Option<f64> = if other.is_callable() { other.call0()?.extract()? } else { other.extract()? };
    Ok(match (own, other) {
        (Some(own), Some(other)) => Some(own.min(other)),
        (own, other) => own.or(other),
    })
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

    /// Requests with the same one go through the same proxy under a session strategy.
    #[getter]
    fn session_id(&self) -> Option<String> {
        self.seen().session_id.as_deref().map(str::to_owned)
    }

    /// Where the request goes.
    #[getter]
    fn target_url(&self) -> Option<String> {
        self.read(|rest| rest.target_url.as_deref().map(str::to_owned))
    }

    /// The country asked for.
    #[getter]
    fn target_country(&self) -> Option<String> {
        self.seen().target_country.as_deref().map(str::to_owned)
    }

    /// The region asked for.
    #[getter]
    fn target_region(&self) -> Option<String> {
        self.seen().target_region.as_deref().map(str::to_owned)
    }

    /// How urgent the request is, 0 to 10.
    #[getter]
    fn request_priority(&self) -> Option<u8> {
        self.read(|rest| rest.request_priority)
    }

    /// How long the request may take, in milliseconds.
    #[getter]
    fn timeout_ms(&self) -> Option<f64> {
        self.read(|rest| rest.timeout_ms)
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
    fn attempt_number(&self) -> u64 {
        self.read(|rest| rest.attempt_number).unwrap_or(1)
    }

    /// Anything the caller wants to keep with it.
    #[getter]
    fn metadata(&self, py: Python<'_>) -> Py<PyDict> {
        if let Some(dict) = self.read(|rest| rest.metadata.as_ref().map(|dict| dict.clone_ref(py))) {
            return dict;
        }
        let fresh = PyDict::new(py).unbind();
        self.rest(|rest| rest.metadata.get_or_insert(fresh).clone_ref(py))
    }

    /// The country asked for, by its older name.
    #[getter]
    fn preferred_country(&self) -> Option<String> {
        self.seen().preferred_country.as_deref().map(str::to_owned)
    }

    /// Longest latency average allowed, in milliseconds.
    #[getter]
    fn max_response_time_ms(&self) -> Option<f64> {
        self.seen().thresholds.max_response_time_ms
    }

    /// Lowest success rate allowed, 0 to 1.
    #[getter]
    fn min_success_rate(&self) -> Option<f64> {
        self.seen().thresholds.min_success_rate
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

    #[setter(session_id)]
    fn set_session_id(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("session_id", value)
    }

    #[setter(target_url)]
    fn set_target_url(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("target_url", value)
    }

    #[setter(target_country)]
    fn set_target_country(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("target_country", value)
    }

    #[setter(target_region)]
    fn set_target_region(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("target_region", value)
    }

    #[setter(request_priority)]
    fn set_request_priority(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("request_priority", value)
    }

    #[setter(timeout_ms)]
    fn set_timeout_ms(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("timeout_ms", value)
    }

    #[setter(failed_proxy_ids)]
    fn set_failed_proxy_ids(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let stale = self.rest(|rest| rest.failed_out.take());
        drop(stale);
        self.assign("failed_proxy_ids", value)
    }

    #[setter(attempt_number)]
    fn set_attempt_number(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("attempt_number", value)
    }

    #[setter(metadata)]
    fn set_metadata(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("metadata", value)
    }

    #[setter(preferred_country)]
    fn set_preferred_country(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("preferred_country", value)
    }

    #[setter(max_response_time_ms)]
    fn set_max_response_time_ms(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("max_response_time_ms", value)
    }

    #[setter(min_success_rate)]
    fn set_min_success_rate(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("min_success_rate", value)
    }

    #[setter(exclude_proxy_ids)]
    fn set_exclude_proxy_ids(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let stale = self.rest(|rest| rest.excluded_out.take());
        drop(stale);
        self.assign("exclude_proxy_ids", value)
    }
}
