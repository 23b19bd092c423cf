//! The built-in strategies as Python classes: constructors and attributes here, rules in the core.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyList, PyString, PyType};

use crate::clock::{Reading, SystemClock};
use crate::pool::context::Context;
use crate::pool::order::TieBreak;
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
use crate::py::session::PySessionManager;
use crate::session::SessionManager;
use crate::strategy::composite::Composite;
use crate::strategy::config::Config;
use crate::strategy::cost_aware::CostAware;
use crate::strategy::geo_targeted::GeoTargeted;
use crate::strategy::least_used::LeastUsed;
use crate::strategy::performance::Performance;
use crate::strategy::random::Random;
use crate::strategy::round_robin::RoundRobin;
use crate::strategy::session::SessionPersistence;
use crate::strategy::weighted::Weighted;
use crate::strategy::{Kind, NAMES, Shared, Strategy, choose, kept, slots_left};
use crate::sync::{Arc, AtomicPtr, Mutex, Ordering};

static RESOLVE: Lazy = Lazy::upper("resolve");
static PLAIN: Lazy = Lazy::upper("plain");
static ADAPT: Lazy = Lazy::upper("adapt");
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

/// The object that stands for the strategy which chooses for a Python object: a built-in one itself, else one made over what
/// was adapted.
#[inline]
pub(crate) fn chooser<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyStrategy>> {
    match object.cast::<PyStrategy>() {
        Ok(own) if is_plain(own)? => Ok(own.clone()),
        _ => Bound::new(object.py(), PyStrategy::of(adapted(object)?)),
    }
}

/// The core's strategy for a Python object: a built-in one as it is, an adapter called through the border, anything else
/// adapted first.
pub(crate) fn shared(object: &Bound<'_, PyAny>) -> PyResult<Shared> {
    match object.cast::<PyStrategy>() {
        Ok(own) if is_plain(own)? => Ok(own.get().inner.clone()),
        _ => adapted(object),
    }
}

/// The core's strategy for any object but a plain one of our own.
#[cold]
fn adapted(object: &Bound<'_, PyAny>) -> PyResult<Shared> {
    if object.cast::<PyStrategy>().is_ok() {
        let adapted = ADAPT.get(object.py())?.call1((object,))?;
        // A subclass that overrides nothing comes back as it is.
        return match adapted.cast::<PyStrategy>() {
            Ok(own) => Ok(own.get().inner.clone()),
            Err(_) => Ok(Arc::new(Foreign::new(&adapted)?)),
        };
    }
    if object.hasattr("_call_select")? {
        return Ok(Arc::new(Foreign::new(object)?));
    }
    let resolved = RESOLVE.get(object.py())?.call1((object,))?;
    match resolved.cast::<PyStrategy>() {
        Ok(own) if is_plain(own)? => Ok(own.get().inner.clone()),
        _ => Ok(Arc::new(Foreign::new(&resolved)?)),
    }
}

/// Whether an object is of one of our own classes, not of a user's subclass.
#[inline]
fn is_plain(object: &Bound<'_, PyStrategy>) -> PyResult<bool> {
    // Relaxed: the pointer is compared, never followed. An object that is given another class is asked anew.
    let class = object.get_type_ptr();
    let known = &object.get().plain_class;
    if known.load(Ordering::Relaxed) == class {
        return Ok(true);
    }
    let module = object.get_type().module()?;
    let module = module.to_str()?;
    let is_plain = module == "proxywhirl" || module.starts_with("proxywhirl.");
    if is_plain {
        known.store(class, Ordering::Relaxed);
    }
    Ok(is_plain)
}

/// A part of a strategy: the object users see, made from whatever may stand for one.
fn part<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if object.is_instance_of::<PyStrategy>() {
        return Ok(object.clone());
    }
    if let Ok(name) = object.cast::<PyString>()
        && let Some(kind) = Kind::of_name(name.to_str()?)
    {
        return make(object.py(), kind, None);
    }
    let resolved = RESOLVE.get(object.py())?.call1((object,))?;
    Ok(resolved)
}

/// The parts in a list. One name or one mapping is refused: read as a list, it would be its letters or its keys.
fn parts_of(name: &str, given: &Bound<'_, PyAny>) -> PyResult<Vec<Py<PyAny>>> {
    if given.is_instance_of::<PyString>() || given.hasattr("keys")? {
        let kind = given.get_type().name()?;
        return Err(PyValueError::new_err(format!("{name} must be a list of strategies, not one {kind}")));
    }
    given.try_iter()?.map(|item| Ok(part(&item?)?.unbind())).collect()
}

/// What a user sees of a part: an adapter hides itself.
fn shown<'py>(object: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
    match object.is_instance_of::<PyStrategy>() {
        true => object.clone(),
        false => object.getattr("user").unwrap_or_else(|_| object.clone()),
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
    ///     pool: Whom to choose from.
    ///     context: What is wanted: a `SelectionContext`, or any object with its attributes.
    ///
    /// Returns:
    ///     A proxy that is eligible at this moment.
    ///
    /// Raises:
    ///     ProxyPoolEmptyError: Nobody may be chosen.
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

    /// LeaseEnd once by a rotator that takes the strategy into service.
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

/// Each in turn, in the pool's order. Remembers a place in the pool: who is skipped loses a turn, not the place.
#[pyclass(name = "RoundRobinStrategy", module = "proxywhirl.strategies", extends = PyStrategy, frozen, subclass)]
pub(crate) struct PyRoundRobin;

#[proxywhirl_macros::border]
#[pymethods]
impl PyRoundRobin {
    #[new]
    fn new() -> PyClassInitializer<Self> {
        PyStrategy::of(Arc::new(RoundRobin::default())).under(Self)
    }
}

/// Any, with equal chances.
///
/// Args:
///     seed: Makes the choices repeat themselves.
#[pyclass(name = "RandomStrategy", module = "proxywhirl.strategies", extends = PyStrategy, frozen, subclass)]
pub(crate) struct PyRandom;

#[proxywhirl_macros::border]
#[pymethods]
impl PyRandom {
    #[new]
    #[pyo3(signature = (*, seed=None))]
    fn new(seed: Option<u64>) -> PyClassInitializer<Self> {
        PyStrategy::of(Arc::new(Random::new(seed))).under(Self)
    }
}

/// By weights per id, URL or tag; by success rate (at least 0.1) where there are none.
///
/// Args:
///     weights: Keys are ids, URLs or tags. A tag's value is the probability of the whole group of proxies that have it.
///     seed: Makes the choices repeat themselves.
#[pyclass(name = "WeightedStrategy", module = "proxywhirl.strategies", extends = PyStrategy, frozen, subclass)]
pub(crate) struct PyWeighted;

#[proxywhirl_macros::border]
#[pymethods]
impl PyWeighted {
    #[new]
    #[pyo3(signature = (weights=None, *, seed=None))]
    fn new(weights: Option<&Bound<'_, PyAny>>, seed: Option<u64>) -> PyResult<PyClassInitializer<Self>> {
        let mut table: Vec<(String, f64)> = Vec::new();
        if let Some(weights) = weights.filter(|weights| !weights.is_none()) {
            let items = weights
                .call_method0("items")
                .map_err(|_| PyTypeError::new_err("weights must be a dict of numbers by id, URL or tag"))?;
            for item in items.try_iter()? {
                let (key, weight): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item?.extract()?;
                table.push((key.str()?.to_string(), crate::py::convert::number(&weight)?));
            }
        }
        let strategy = Weighted::new(table.iter().map(|(key, weight)| (key.as_str(), *weight)), seed);
        Ok(PyStrategy::of(Arc::new(strategy)).under(Self))
    }
}

/// The one with the fewest requests in its window; choosing and counting are one step.
///
/// Args:
///     tie_breaker: "lowest-id" or "random".
///     seed: Makes random ties repeat themselves.
///
/// Raises:
///     ValueError: There is no such tie breaker.
#[pyclass(name = "LeastUsedStrategy", module = "proxywhirl.strategies", extends = PyStrategy, frozen, subclass)]
pub(crate) struct PyLeastUsed;

#[proxywhirl_macros::border]
#[pymethods]
impl PyLeastUsed {
    #[new]
    #[pyo3(signature = (tie_breaker="lowest-id", *, seed=None))]
    fn new(tie_breaker: &str, seed: Option<u64>) -> PyResult<PyClassInitializer<Self>> {
        let tie = match tie_breaker.to_ascii_lowercase().replace('_', "-").as_str() {
            "lowest-id" => TieBreak::LowestId,
            "random" => TieBreak::Random,
            _ => return Err(PyValueError::new_err("tie_breaker must be 'lowest-id' or 'random'")),
        };
        Ok(PyStrategy::of(Arc::new(LeastUsed::new(tie, seed))).under(Self))
    }
}

/// The faster, the likelier: chances in proportion to the inverse of the average response time.
///
/// Args:
///     alpha: Weight of the newest sample in the average, 0 to 1; by default the proxy's own, 0.2. A positional int is taken
///         as `exploration_count`.
///     exploration_count: Results a proxy gets before its average is trusted; 0 switches that off. By default 5 inside a
///         rotator and after `configure`; used by hand and unset, a pool without any average is an error.
///     seed: Makes the choices repeat themselves.
///
/// Raises:
///     ValueError: A number is out of range.
#[pyclass(name = "PerformanceBasedStrategy", module = "proxywhirl.strategies", extends = PyStrategy, frozen, subclass)]
pub(crate) struct PyPerformance {
    core: Arc<Performance>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyPerformance {
    #[new]
    #[pyo3(signature = (alpha=None, exploration_count=None, *, seed=None))]
    fn new(
        alpha: Option<&Bound<'_, PyAny>>,
        exploration_count: Option<i64>,
        seed: Option<u64>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let mut exploration = exploration_count;
        let mut weight = None;
        if let Some(value) = alpha.filter(|value| !value.is_none()) {
            if value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() && exploration.is_none() {
                exploration = Some(value.extract()?);
            } else {
                let alpha = crate::py::convert::number(value)?;
                if !(0.0..=1.0).contains(&alpha) {
                    return Err(PyValueError::new_err("alpha must be from 0 to 1"));
                }
                weight = Some(alpha);
            }
        }
        let exploration = exploration
            .map(|count| {
                u64::try_from(count).map_err(|_| PyValueError::new_err("exploration_count must not be negative"))
            })
            .transpose()?;
        let core = Arc::new(Performance::new(weight, exploration, seed));
        Ok(PyStrategy::of(core.clone()).under(Self { core }))
    }

    /// Weight of the newest sample in the average that the strategy insists on, if any.
    #[getter]
    fn alpha(&self) -> Option<f64> {
        self.core.common().alpha()
    }

    /// Results a proxy gets before its average is trusted; `None` while that is not settled.
    #[getter]
    fn exploration_count(&self) -> Option<u64> {
        self.core.exploration()
    }
}

/// The same proxy for all requests of a session, until it is unhealthy, gone or excluded, or the session is over.
///
/// Args:
///     max_sessions: Most sessions kept; the least recently used goes first.
///     auto_cleanup_threshold: The expired are purged every so many new sessions.
///     timeout_seconds: How long a session lasts, by default 3600 from its beginning; given, it counts from the last use.
///     fallback_strategy: Chooses the proxy of a new session.
///     sliding_expiration: Whether the end moves with each use.
///
/// Raises:
///     ValueError: A number is not positive, or there is no such strategy.
#[pyclass(name = "SessionPersistenceStrategy", module = "proxywhirl.strategies", extends = PyStrategy, frozen, subclass)]
pub(crate) struct PySessionStrategy {
    core: Arc<SessionPersistence>,
    manager: Py<PySessionManager>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PySessionStrategy {
    #[new]
    #[pyo3(signature = (max_sessions=10_000, auto_cleanup_threshold=100, *, timeout_seconds=None, fallback_strategy=None, sliding_expiration=None))]
    fn new(
        py: Python<'_>,
        max_sessions: i64,
        auto_cleanup_threshold: i64,
        timeout_seconds: Option<i64>,
        fallback_strategy: Option<&Bound<'_, PyAny>>,
        sliding_expiration: Option<bool>,
    ) -> PyResult<PyClassInitializer<Self>> {
        if max_sessions < 1 || auto_cleanup_threshold < 1 || timeout_seconds.is_some_and(|seconds| seconds < 1) {
            return Err(PyValueError::new_err(
                "max_sessions, auto_cleanup_threshold and timeout_seconds: Value must be positive",
            ));
        }
        let first = fallback_strategy.filter(|first| !first.is_none()).map(part).transpose()?;
        let inner = first.as_ref().map(shared).transpose()?;
        let manager = Arc::new(SessionManager::new(max_sessions as usize, auto_cleanup_threshold as u64));
        let core = Arc::new(SessionPersistence::new(manager.clone(), timeout_seconds, inner, sliding_expiration));
        let parts = first.map(Bound::unbind).into_iter().collect();
        let manager = Py::new(py, PySessionManager::wrap(manager))?;
        Ok(PyStrategy::of_parts(core.clone(), parts).under(Self { core, manager }))
    }

    /// The sessions.
    #[getter]
    fn session_manager(&self, py: Python<'_>) -> Py<PySessionManager> {
        self.manager.clone_ref(py)
    }

    /// The same, by its published name.
    #[getter]
    fn _session_manager(&self, py: Python<'_>) -> Py<PySessionManager> {
        self.manager.clone_ref(py)
    }

    /// How long new sessions last, in seconds.
    #[getter]
    fn _session_timeout_seconds(&self) -> i64 {
        self.core.ttl()
    }

    #[setter(_session_timeout_seconds)]
    fn set_session_timeout_seconds(&self, seconds: i64) {
        self.core.set_ttl(seconds);
    }

    /// Removes a session.
    fn close_session(&self, session_id: &str) {
        self.core.manager().remove(session_id);
    }

    /// Removes the expired sessions; their number.
    fn cleanup_expired_sessions(&self) -> usize {
        self.core.manager().cleanup(&SystemClock)
    }

    /// Numbers: `total_sessions`, `max_sessions`, `auto_cleanup_threshold`.
    fn get_session_stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (count, max, every) = self.core.manager().stats();
        let dict = PyDict::new(py);
        dict.set_item("total_sessions", count)?;
        dict.set_item("max_sessions", max)?;
        dict.set_item("auto_cleanup_threshold", every)?;
        Ok(dict)
    }
}

/// Only proxies of the wanted country or region, chosen among by another strategy.
///
/// Args:
///     preferred_countries: Where to look when the request does not say, in any case.
///     fallback_strategy: Serves when nobody matches; by default the secondary strategy, over everybody.
///     secondary_strategy: Chooses among the matches.
///     preferred_regions: The same by region; countries come first.
///     fallback_enabled: Whether anybody serves when nobody matches; if not, that is an error.
///
/// Raises:
///     ValueError: There is no such strategy.
#[pyclass(name = "GeoTargetedStrategy", module = "proxywhirl.strategies", extends = PyStrategy, frozen, subclass)]
pub(crate) struct PyGeoTargeted {
    core: Arc<GeoTargeted>,
    secondary: Mutex<Py<PyAny>>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyGeoTargeted {
    #[new]
    #[pyo3(signature = (preferred_countries=None, fallback_strategy=None, secondary_strategy=None, preferred_regions=None, fallback_enabled=true))]
    fn new(
        py: Python<'_>,
        preferred_countries: Option<&Bound<'_, PyAny>>,
        fallback_strategy: Option<&Bound<'_, PyAny>>,
        secondary_strategy: Option<&Bound<'_, PyAny>>,
        preferred_regions: Option<&Bound<'_, PyAny>>,
        fallback_enabled: bool,
    ) -> PyResult<PyClassInitializer<Self>> {
        let words = |list: Option<&Bound<'_, PyAny>>| -> PyResult<Vec<String>> {
            match list.filter(|list| !list.is_none()) {
                None => Ok(Vec::new()),
                Some(list) => Ok(crate::py::convert::texts(list)?.into_iter().map(String::from).collect()),
            }
        };
        let fallback = fallback_strategy.filter(|object| !object.is_none()).map(part).transpose()?;
        let secondary = match secondary_strategy.filter(|object| !object.is_none()) {
            Some(object) => part(object)?,
            None => make(py, Kind::RoundRobin, None)?,
        };
        let core = Arc::new(GeoTargeted::new(
            words(preferred_countries)?,
            words(preferred_regions)?,
            Some(shared(&secondary)?),
            fallback_enabled,
        ));
        core.common().set_fallback(fallback.as_ref().map(shared).transpose()?);
        let parts = fallback.into_iter().map(Bound::unbind).collect();
        Ok(PyStrategy::of_parts(core.clone(), parts).under(Self { core, secondary: Mutex::new(secondary.unbind()) }))
    }

    /// Applies a configuration; `geo_fallback_enabled` and `geo_secondary_strategy` are read here as well.
    fn configure(slf: &Bound<'_, Self>, config: &Bound<'_, PyAny>) -> PyResult<()> {
        let this = slf.get();
        let plain = PLAIN.get(config.py())?.call1((config,))?;
        let plain = plain.cast::<PyDict>()?;
        let chosen = plain.get_item("geo_secondary_strategy")?.filter(|name| !name.is_none());
        let fresh = chosen.map(|name| part(&name)).transpose()?;
        slf.as_super().get().configure(config)?;
        let secondary = match fresh {
            Some(fresh) => {
                this.core.set_secondary(shared(&fresh)?);
                let stale = std::mem::replace(&mut *this.secondary.lock(), fresh.clone().unbind());
                drop(stale);
                fresh
            }
            None => this.secondary.lock().clone_ref(config.py()).into_bound(config.py()),
        };
        secondary.call_method1("configure", (config,))?;
        Ok(())
    }

    /// Who chooses among the matches.
    #[getter]
    fn secondary_strategy<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        let secondary = self.secondary.lock().clone_ref(py).into_bound(py);
        shown(&secondary)
    }

    /// The same, by its published name.
    #[getter]
    fn _secondary_strategy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.secondary_strategy(py)
    }

    /// Whether anybody serves when nobody matches.
    #[getter]
    fn _fallback_enabled(&self) -> bool {
        self.core.fallback_enabled()
    }

    #[setter(_fallback_enabled)]
    fn set_fallback_enabled(&self, on: bool) {
        self.core.set_fallback_enabled(on);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&*self.secondary.lock())
    }
}

/// The cheaper, the likelier, up to a limit.
///
/// Args:
///     max_cost_per_request: Highest price of one request; without it any.
///     seed: Makes the choices repeat themselves.
///
/// Raises:
///     ValueError: The limit is negative.
#[pyclass(name = "CostAwareStrategy", module = "proxywhirl.strategies", extends = PyStrategy, frozen, subclass)]
pub(crate) struct PyCostAware {
    core: Arc<CostAware>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyCostAware {
    #[new]
    #[pyo3(signature = (max_cost_per_request=None, *, seed=None))]
    fn new(max_cost_per_request: Option<f64>, seed: Option<u64>) -> PyResult<PyClassInitializer<Self>> {
        if max_cost_per_request.is_some_and(|limit| limit.is_nan() || limit < 0.0) {
            return Err(PyValueError::new_err("max_cost_per_request must not be negative"));
        }
        let core = Arc::new(CostAware::new(max_cost_per_request, seed));
        Ok(PyStrategy::of(core.clone()).under(Self { core }))
    }

    /// Highest price of one request.
    #[getter]
    fn max_cost_per_request(&self) -> Option<f64> {
        self.core.limit()
    }

    #[setter(max_cost_per_request)]
    fn set_max_cost_per_request(&self, limit: Option<f64>) {
        self.core.set_limit(limit);
    }

    /// Weight of what costs nothing.
    #[getter]
    fn free_proxy_boost(&self) -> f64 {
        self.core.boost()
    }

    #[setter(free_proxy_boost)]
    fn set_free_proxy_boost(&self, boost: f64) {
        self.core.set_boost(boost);
    }
}

/// Filters, one after the other, and a strategy that selects among what they leave.
///
/// Args:
///     filters: Strategies, names, or dicts with `name` and arguments. Each restricts what the next one sees.
///     selector: Chooses in the end; by default each in turn.
///     strategies: One list instead: all but the last filter, the last selects.
///     fallback: Serves when nobody is left; without it that is an error.
///
/// Raises:
///     ValueError: Nothing is given, or there is no such strategy.
#[pyclass(name = "CompositeStrategy", module = "proxywhirl.strategies", extends = PyStrategy, frozen, subclass)]
pub(crate) struct PyComposite {
    core: Arc<Composite>,
    made_of: Mutex<(Vec<Py<PyAny>>, Py<PyAny>)>,
}

impl PyComposite {
    fn rebuild(&self, py: Python<'_>, filters: Vec<Py<PyAny>>, selector: Py<PyAny>) -> PyResult<()> {
        let inner: Vec<Shared> = filters.iter().map(|filter| shared(filter.bind(py))).collect::<PyResult<_>>()?;
        let chosen = shared(selector.bind(py))?;
        self.core.set_parts(inner, chosen);
        let stale = std::mem::replace(&mut *self.made_of.lock(), (filters, selector));
        drop(stale);
        Ok(())
    }

    fn parts(&self, py: Python<'_>) -> (Vec<Py<PyAny>>, Py<PyAny>) {
        let made_of = self.made_of.lock();
        (made_of.0.iter().map(|filter| filter.clone_ref(py)).collect(), made_of.1.clone_ref(py))
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyComposite {
    #[new]
    #[pyo3(signature = (filters=None, selector=None, *, strategies=None, fallback=None))]
    fn new(
        py: Python<'_>,
        filters: Option<&Bound<'_, PyAny>>,
        selector: Option<&Bound<'_, PyAny>>,
        strategies: Option<&Bound<'_, PyAny>>,
        fallback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let list = |name: &str, given: Option<&Bound<'_, PyAny>>| match given.filter(|given| !given.is_none()) {
            None => Ok(Vec::new()),
            Some(given) => parts_of(name, given),
        };
        let mut parts = list("filters", filters)?;
        let mut last = selector.filter(|selector| !selector.is_none()).map(part).transpose()?.map(Bound::unbind);
        if let Some(strategies) = strategies.filter(|strategies| !strategies.is_none()) {
            if !parts.is_empty() || last.is_some() {
                return Err(PyValueError::new_err("give either strategies, or filters and selector"));
            }
            parts = list("strategies", Some(strategies))?;
            last = parts.pop();
        }
        if parts.is_empty() && last.is_none() {
            return Err(PyValueError::new_err("CompositeStrategy needs at least one filter or a selector"));
        }
        let last = match last {
            Some(last) => last,
            None => make(py, Kind::RoundRobin, None)?.unbind(),
        };
        let inner: Vec<Shared> = parts.iter().map(|filter| shared(filter.bind(py))).collect::<PyResult<_>>()?;
        let core = Arc::new(Composite::new(inner, shared(last.bind(py))?));
        let fallback = fallback.filter(|fallback| !fallback.is_none()).map(part).transpose()?;
        core.common().set_fallback(fallback.as_ref().map(shared).transpose()?);
        let extra = fallback.into_iter().map(Bound::unbind).collect();
        Ok(PyStrategy::of_parts(core.clone(), extra).under(Self { core, made_of: Mutex::new((parts, last)) }))
    }

    /// The filters, in order. Assign a list to change them.
    #[getter]
    fn filters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let (filters, _) = self.parts(py);
        PyList::new(py, filters.iter().map(|filter| shown(filter.bind(py))))
    }

    #[setter(filters)]
    fn set_filters(&self, py: Python<'_>, filters: &Bound<'_, PyAny>) -> PyResult<()> {
        let fresh = parts_of("filters", filters)?;
        let (_, selector) = self.parts(py);
        self.rebuild(py, fresh, selector)
    }

    /// Who chooses in the end.
    #[getter]
    fn selector<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        let (_, selector) = self.parts(py);
        shown(selector.bind(py))
    }

    #[setter(selector)]
    fn set_selector(&self, py: Python<'_>, selector: &Bound<'_, PyAny>) -> PyResult<()> {
        let (filters, _) = self.parts(py);
        self.rebuild(py, filters, part(selector)?.unbind())
    }

    /// Applies a configuration to every part.
    fn configure(slf: &Bound<'_, Self>, config: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = config.py();
        slf.as_super().get().configure(config)?;
        let (filters, selector) = slf.get().parts(py);
        for part in filters.into_iter().chain([selector]) {
            let part = part.bind(py);
            if part.hasattr("configure")? {
                part.call_method1("configure", (config,))?;
            }
        }
        Ok(())
    }

    /// A composite from data.
    ///
    /// Args:
    ///     config: `{"filters": [name | strategy | {"name": ..., **arguments}], "selector": ..., "fallback": ...}`, or
    ///         `{"strategies": [...]}`; the selector is by default each in turn.
    ///
    /// Raises:
    ///     ValueError: "Unknown strategy name", an unknown key, one name instead of a list, or an empty list of strategies.
    ///     TypeError: It is no mapping.
    #[classmethod]
    fn from_config<'py>(cls: &Bound<'py, PyType>, config: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        const KEYS: [&str; 4] = ["filters", "selector", "strategies", "fallback"];
        let py = cls.py();
        if !config.hasattr("keys")? {
            return Err(PyTypeError::new_err(format!("config must be a dict, not {}", config.get_type().name()?)));
        }
        let kwargs = PyDict::new(py);
        kwargs.call_method1("update", (config,))?;
        if let Some(name) = kwargs.get_item("name")?
            && name.extract::<String>().is_ok_and(|name| Kind::of_name(&name) == Some(Kind::Composite))
        {
            // A strategy as data, as other places take it, names itself.
            kwargs.del_item("name")?;
        }
        for key in kwargs.keys() {
            if !key.cast::<PyString>().is_ok_and(|key| KEYS.iter().any(|known| *key == **known)) {
                let known = KEYS.join(", ");
                return Err(PyValueError::new_err(format!("Unknown key {}: there are {known}", key.repr()?)));
            }
        }
        let given = |name: &str| kwargs.get_item(name).map(|value| value.filter(|value| !value.is_none()));
        if given("selector")?.is_none() && given("strategies")?.is_none() {
            kwargs.set_item("selector", make(py, Kind::RoundRobin, None)?)?;
        }
        let made = cls.call((), Some(&kwargs));
        made.map_err(|error| {
            let text = error.value(py).to_string();
            match text.strip_prefix("Unknown strategy ") {
                Some(rest) if !rest.starts_with("name") => {
                    PyValueError::new_err(format!("Unknown strategy name {rest}"))
                }
                _ => error,
            }
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let made_of = self.made_of.lock();
        for filter in &made_of.0 {
            visit.call(filter)?;
        }
        visit.call(&made_of.1)
    }
}

fn make<'py>(py: Python<'py>, kind: Kind, kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    let class = match kind {
        Kind::RoundRobin => py.get_type::<PyRoundRobin>(),
        Kind::Random => py.get_type::<PyRandom>(),
        Kind::Weighted => py.get_type::<PyWeighted>(),
        Kind::LeastUsed => py.get_type::<PyLeastUsed>(),
        Kind::Performance => py.get_type::<PyPerformance>(),
        Kind::Session => py.get_type::<PySessionStrategy>(),
        Kind::GeoTargeted => py.get_type::<PyGeoTargeted>(),
        Kind::CostAware => py.get_type::<PyCostAware>(),
        Kind::Composite => py.get_type::<PyComposite>(),
    };
    class.call((), kwargs)
}

/// A built-in strategy by name.
///
/// Args:
///     name: Its name; case does not matter, `_` is as good as `-`.
///     kwargs: Arguments of its class.
///
/// Raises:
///     ValueError: "Unknown strategy ...", with the names there are.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (name, **kwargs))]
pub(crate) fn builtin_strategy<'py>(
    py: Python<'py>,
    name: &str,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let Some(kind) = Kind::of_name(name) else {
        return Err(PyValueError::new_err(format!(
            "Unknown strategy {name:?}: the built-in ones are {}",
            builtin_strategy_names()?.join(", ")
        )));
    };
    make(py, kind, kwargs)
}

/// Names of the built-in strategies.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn builtin_strategy_names() -> Vec<&'static str> {
    NAMES.iter().map(|(name, _)| *name).collect()
}
