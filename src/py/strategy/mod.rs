//! The built-in strategies as Python classes: constructors and attributes here, rules in the core.

pub(super) mod composite;
pub(super) mod cost_aware;
pub(super) mod geo_targeted;
pub(super) mod least_used;
pub(super) mod names;
mod parts;
pub(super) mod performance;
pub(super) mod random;
pub(super) mod round_robin;
pub(super) mod session;
pub(super) mod weighted;

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::clock::{Reading, SystemClock};
use crate::pool::context::Context;
use crate::pool::query::{Notes, Query};
use crate::proxy::Verdict;
use crate::py::context;
use crate::py::convert::Lazy;
use crate::py::errors;
use crate::py::foreign::{ContextArgument, Foreign, PyArguments};
use crate::py::journal;
use crate::py::log;
use crate::py::pool::PyPool;
use crate::py::proxy::PyProxy;
use crate::py::strategy::parts::part;
use crate::strategy::config::Config;
use crate::strategy::{Shared, choose, kept, slots_left};
use crate::sync::{AtomicPtr, Mutex};
pub(crate) use parts::{chooser, shared};

pub(super) static PLAIN: Lazy = Lazy::upper("plain");
static NO_CONTEXT: Context = Context::nothing(false);

/// What the built-in strategies have in common. Thread-safe.
#[pyclass(name = "Strategy", module = "proxywhirl._core", frozen, subclass, weakref)]
pub(crate) struct PyStrategy {
    inner: Shared,
    config: Mutex<Option<Py<PyAny>>>,
    // Strategies written in Python that this one is made of: configured by the shim, visible to the collector.
    parts: Mutex<Vec<Py<PyAny>>>,
    // The class that the object was found to be of, if that is one of our own: its name is asked for once, not at every lease.
    plain_class: AtomicPtr<pyo3::ffi::PyTypeObject>,
}

impl PyStrategy {
    fn of(inner: Shared) -> Self {
        Self::of_parts(inner, Vec::new())
    }

    /// An object of `class` over this one.
    fn under<T>(self, class: T) -> PyClassInitializer<T>
    where
        T: pyo3::PyClass<BaseType = Self>,
    {
        PyClassInitializer::from(self).add_subclass(class)
    }

    /// The strategy of the core.
    #[inline]
    pub(crate) fn core(&self) -> &Shared {
        &self.inner
    }

    fn of_parts(inner: Shared, parts: Vec<Py<PyAny>>) -> Self {
        let (config, parts) = (Mutex::new(None), Mutex::new(parts));
        Self { inner, config, parts, plain_class: AtomicPtr::new(std::ptr::null_mut()) }
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyStrategy {
    /// The configuration given last; `None` before.
    #[getter]
    fn config(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.config.lock().as_ref().map(|config| config.clone_ref(py))
    }

    #[setter(config)]
    fn set_config(&self, value: &Bound<'_, PyAny>) {
        let fresh = (!value.is_none()).then(|| value.clone().unbind());
        let stale = std::mem::replace(&mut *self.config.lock(), fresh);
        drop(stale);
    }

    /// Chooses a proxy and counts one start on it.
    ///
    /// Args:
    ///     pool: The pool to choose from.
    ///     context: What is wanted: a `SelectionContext`, or any object with its attributes.
    ///
    /// Returns:
    ///     A proxy that is eligible at this moment.
    ///
    /// Raises:
    ///     ProxyPoolEmptyError: No proxy may be chosen.
    ///     StrategyMetadataError: The strategy lacks what it chooses by.
    ///     ValueError: A session strategy was asked without a session.
    #[pyo3(signature = (pool, context=None))]
    fn select<'py>(
        &self,
        pool: &Bound<'py, PyAny>,
        context: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = pool.py();
        let pool = pool.cast::<PyPool>().map_err(|_| PyTypeError::new_err("pool must be a ProxyPool"))?;
        match context {
            None => self.pick(py, pool, &NO_CONTEXT, None),
            Some(given) if given.is_none() => self.pick(py, pool, &NO_CONTEXT, None),
            Some(given) => match given.cast::<context::PyContext>() {
                Ok(own) => {
                    let core = own.get().core(py)?;
                    self.pick(py, pool, &core, Some(given))
                }
                Err(_) => self.pick(py, pool, &context::extract(given)?, Some(given)),
            },
        }
    }

    /// Ends one request on a proxy this strategy has chosen.
    ///
    /// Args:
    ///     proxy: The proxy.
    ///     success: Whether the request succeeded.
    ///     response_time_ms: Time to the answer in milliseconds; averaged on success only.
    #[pyo3(signature = (proxy, success, response_time_ms))]
    fn record_result(
        &self,
        py: Python<'_>,
        proxy: &Bound<'_, PyProxy>,
        success: bool,
        response_time_ms: f64,
    ) -> PyResult<()> {
        let response_time_ms = crate::py::convert::duration(response_time_ms)?;
        let core = &proxy.get().core;
        let verdict = if success { Verdict::Success(response_time_ms) } else { Verdict::Failure(response_time_ms) };
        self.inner.record(core, verdict, &Reading::now());
        journal::note_completion(core);
        if log::is_on(py) {
            log::tell(py, "result", self.inner.name(), core, Some(success))?;
        }
        Ok(())
    }

    /// Applies a configuration.
    ///
    /// Args:
    ///     config: A `StrategyConfig`, a dict, or any object with its attributes.
    ///
    /// Raises:
    ///     pydantic.ValidationError: A field is wrong.
    fn configure(&self, config: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = config.py();
        let plain = PLAIN.get(py)?.call1((config,))?;
        let core: Config = pythonize::depythonize(&plain)?;
        // Those that are there already: a fallback made from this configuration is not to be given it again.
        let parts: Vec<Py<PyAny>> = self.parts.lock().iter().map(|part| part.clone_ref(py)).collect();
        let fallback = plain.get_item("fallback_strategy").ok().filter(|name| !name.is_none());
        let fallback = fallback.map(|name| part(&name)).transpose()?;
        self.inner.configure(&core);
        if let Some(fallback) = fallback.filter(|_| core.enable_fallback != Some(false)) {
            self.inner.common().set_fallback(Some(shared(&fallback)?));
            self.parts.lock().push(fallback.unbind());
        }
        let stale = self.config.lock().replace(config.clone().unbind());
        drop(stale);
        for part in parts {
            part.bind(py).call_method1("configure", (config,))?;
        }
        Ok(())
    }

    /// What is left of the candidates after this strategy's own restrictions; counts no start.
    ///
    /// Args:
    ///     candidates: Proxies to choose among.
    ///     context: What is wanted.
    #[pyo3(signature = (candidates, context=None))]
    fn filter<'py>(
        &self,
        candidates: &Bound<'py, PyAny>,
        context: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let py = candidates.py();
        let objects: Vec<Bound<'py, PyAny>> = candidates.try_iter()?.collect::<PyResult<_>>()?;
        let pool = PyPool::of_objects(&objects)?;
        let wanted = match context.filter(|context| !context.is_none()) {
            Some(context) => context::extract(context)?,
            None => Context::default(),
        };
        let table = pool.table();
        let query = Query::new(&pool, &table, &wanted, &SystemClock);
        let query = query.or_thresholds(self.inner.common().thresholds());
        let left = slots_left(&*self.inner, &query).map_err(|refusal| errors::refusal(py, refusal))?;
        let left = left.into_iter().filter_map(|slot| table.proxy(slot)).map(|proxy| proxy.id());
        let objects =
            objects.into_iter().map(|object| Ok(object.cast_into::<PyProxy>()?)).collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, kept(objects, |object| object.get().core.id(), left).collect::<Vec<_>>())
    }

    /// Whether the strategy can choose from this pool as it is.
    fn validate_metadata(&self, pool: &Bound<'_, PyPool>) -> bool {
        self.inner.validate(&pool.get().core, &SystemClock)
    }

    /// The same, by the name of the plan.
    #[pyo3(signature = (pool, metadata=None))]
    fn validate_requirements(&self, pool: &Bound<'_, PyPool>, metadata: Option<&Bound<'_, PyAny>>) -> bool {
        let _ = metadata;
        self.inner.validate(&pool.get().core, &SystemClock)
    }

    /// Names of the proxy fields it cannot do without.
    #[getter]
    fn requires_metadata(&self) -> std::collections::HashSet<&'static str> {
        self.inner.required_fields().into_iter().collect()
    }

    /// Gives the proxies of a pool, present and future, the counting window that was configured, if one was.
    fn _keep_window(&self, pool: &Bound<'_, PyPool>) {
        if let Some(seconds) = self.inner.common().window() {
            pool.get().core.keep_window(seconds);
        }
    }

    /// Called once by a rotator that takes the strategy into service.
    fn _rotator_defaults(&self) {
        self.inner.enter_rotation();
    }

    fn __repr__(&self) -> String {
        format!("{}()", self.inner.name())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(config) = self.config.lock().as_ref() {
            visit.call(config)?;
        }
        for part in self.parts.lock().iter() {
            visit.call(part)?;
        }
        // What the core holds of Python's is visited where it is held: once per holder.
        let mut outcome = Ok(());
        self.inner.each_part(&mut |part| {
            if let Some(foreign) = part.as_any().and_then(|any| any.downcast_ref::<Foreign>())
                && outcome.is_ok()
            {
                outcome = foreign.traverse(&visit);
            }
        });
        outcome
    }

    fn __clear__(&self) {
        let config = self.config.lock().take();
        let parts = std::mem::take(&mut *self.parts.lock());
        self.inner.clear_parts();
        drop((config, parts));
    }
}

impl PyStrategy {
    #[inline]
    fn pick<'py>(
        &self,
        py: Python<'py>,
        pool: &Bound<'py, PyPool>,
        wanted: &Context,
        given: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let core = &pool.get().core;
        core.guard().catch_up(&SystemClock);
        let table = core.table();
        let context = given.map_or(ContextArgument::None, |context| ContextArgument::Given(context.as_ptr()));
        let asked = PyArguments { pool: pool.as_ptr(), context };
        let notes = Notes::default();
        let query = Query::asked(core, &table, wanted, None, &SystemClock, Some((&asked, &notes)));
        let choice = choose(&*self.inner, &query).map_err(|refusal| errors::refusal(py, refusal))?;
        let object = PyPool::object(py, &table, choice.0)?;
        if notes.any() {
            log::tell_notes(py, &notes, self.inner.name())?;
        }
        if journal::is_open()
            && let Ok(proxy) = object.cast::<PyProxy>()
        {
            journal::note_start(&proxy.get().core);
        }
        if log::is_on(py)
            && let Ok(proxy) = object.cast::<PyProxy>()
        {
            log::tell(py, "selected", self.inner.name(), &proxy.get().core, None)?;
        }
        Ok(object)
    }
}
