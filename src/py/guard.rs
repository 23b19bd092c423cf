//! What the pool judges its proxies by, as Python sees it: settings in, notices and explanations out.

use pyo3::exceptions::{PyException, PyKeyError, PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::clock::{Clock, Reading, SystemClock};
use crate::pool::Pool;
use crate::pool::query::Query;
use crate::proxy::liveness::Rate;
use crate::proxy::{Id, Proxy};
use crate::py::border;
use crate::py::breaker::{self, PyBreaker};
use crate::py::convert;
use crate::py::errors;
use crate::py::lease::{self, LeaseOptions};
use crate::py::log;
use crate::py::pool::PyPool;
use crate::py::strategy;
use crate::resilience::explain::{self, Why};
use crate::resilience::site::Site;
use crate::resilience::{Notice, Settings};
use crate::strategy::{Strategy, slots_left};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};

/// Callbacks of a pool. Here, and not in the core, because the garbage collector has to find them.
#[derive(Default)]
pub(crate) struct Hooks {
    notice: Mutex<Option<Py<PyAny>>>,
    site_rule: Mutex<Option<Py<PyAny>>>,
    has_site_rule: AtomicBool,
}

impl Hooks {
    /// Whether the user has a rule for what belongs to which site.
    #[inline]
    pub(crate) fn has_site_rule(&self) -> bool {
        // Relaxed: set before the requests that go by it.
        self.has_site_rule.load(Ordering::Relaxed)
    }

    fn get(py: Python<'_>, hook: &Mutex<Option<Py<PyAny>>>) -> Option<Py<PyAny>> {
        hook.lock().as_ref().map(|hook| hook.clone_ref(py))
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for hook in [&self.notice, &self.site_rule] {
            if let Some(hook) = hook.lock().as_ref() {
                visit.call(hook)?;
            }
        }
        Ok(())
    }

    pub(crate) fn clear(&self) {
        for hook in [&self.notice, &self.site_rule] {
            // Dropped after the lock: that may run Python.
            let gone = hook.lock().take();
            drop(gone);
        }
    }

    /// A callback's exception goes no further; an interrupt is left to the interpreter.
    fn contain(py: Python<'_>, what: &str, result: PyResult<()>) {
        let Err(error) = result else { return };
        let logged =
            if error.is_instance_of::<PyException>(py) { log::tell_fault(py, what, &error) } else { Err(error) };
        if let Err(error) = logged {
            error.write_unraisable(py, None);
        }
    }
}

pub(crate) fn set_notice(pool: &PyPool, notice: Option<Py<PyAny>>) {
    let on = notice.is_some();
    let before = std::mem::replace(&mut *pool.hooks.notice.lock(), notice);
    drop(before);
    let (hooks, core) = (Arc::downgrade(&pool.hooks), Arc::downgrade(&pool.core));
    pool.core.guard().set_listener(on.then(|| {
        Box::new(move |notices: Vec<Notice>| {
            let (Some(hooks), Some(core)) = (hooks.upgrade(), core.upgrade()) else { return };
            border::attach(|py| {
                let Some(listener) = Hooks::get(py, &hooks.notice) else { return };
                for notice in notices {
                    let delivered = tell(py, &core, listener.bind(py), notice);
                    Hooks::contain(py, "a listener to notices of a pool failed", delivered);
                }
            });
        }) as _
    }));
}

fn tell(py: Python<'_>, pool: &Pool, listener: &Bound<'_, PyAny>, notice: Notice) -> PyResult<()> {
    let facts = PyDict::new(py);
    let (name, proxy) = match notice {
        Notice::Breaker { proxy, transition } => {
            facts.set_item("from", breaker::state(py, transition.from)?)?;
            facts.set_item("to", breaker::state(py, transition.to)?)?;
            facts.set_item("failures", transition.failures)?;
            ("breaker", Some(proxy))
        }
        Notice::Panic { site } => {
            facts.set_item("site", site.as_deref())?;
            ("panic_guard", None)
        }
        Notice::Benched { proxy, site, seconds, level } => {
            facts.set_item("site", &*site)?;
            facts.set_item("seconds", seconds)?;
            facts.set_item("level", level)?;
            ("benched", Some(proxy))
        }
        Notice::Blamed { proxy, site, results } => {
            facts.set_item("site", &*site)?;
            facts.set_item("results", results)?;
            ("blamed", Some(proxy))
        }
        Notice::Rested { proxy, seconds, level } => {
            facts.set_item("seconds", seconds)?;
            facts.set_item("level", level)?;
            ("rested", Some(proxy))
        }
        Notice::Revived { proxy } => ("revived", Some(proxy)),
    };
    let object = match proxy.and_then(|id| pool.find(id)) {
        Some((table, slot)) => Some(PyPool::object(py, &table, slot)?),
        None if proxy.is_some() => return Ok(()),
        None => None,
    };
    listener.call1((name, object, facts))?;
    Ok(())
}

fn number(value: &Bound<'_, PyAny>, name: &str) -> PyResult<f64> {
    convert::number(value).map_err(|_| PyTypeError::new_err(format!("{name} must be a number")))
}

fn whole(value: &Bound<'_, PyAny>, name: &str) -> PyResult<u32> {
    let number = convert::count(value).map_err(|error| {
        if error.is_instance_of::<PyTypeError>(value.py()) {
            PyTypeError::new_err(format!("{name} must be a whole number"))
        } else {
            PyValueError::new_err(format!("{name} must not be negative"))
        }
    })?;
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

/// `(max_requests, time_window, burst)`, or `None`.
fn rate(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<Rate>> {
    if value.is_none() {
        return Ok(None);
    }
    let (requests, seconds, burst): (f64, f64, Option<f64>) = value.extract().map_err(|_| {
        PyTypeError::new_err(format!("{name} must be a tuple of max_requests, time_window in seconds and burst"))
    })?;
    Rate::new(requests, seconds, burst).map(Some).map_err(|error| PyValueError::new_err(format!("{name}: {error}")))
}

/// Reads the keywords of `_guard_configure` into settings.
fn settings(given: Option<&Bound<'_, PyDict>>) -> PyResult<Settings> {
    let mut settings = Settings::default();
    let Some(given) = given else { return Ok(settings) };
    for (key, value) in given {
        let name: String = key.extract()?;
        let amount = || number(&value, &name);
        match name.as_str() {
            "failure_threshold" => settings.breaker.failure_threshold = whole(&value, &name)?,
            "success_threshold" => settings.breaker.success_threshold = whole(&value, &name)?,
            "window_duration" => settings.breaker.window_duration = amount()?,
            "timeout_duration" => settings.breaker.timeout_duration = amount()?,
            "failure_rate" => settings.breaker.failure_rate = amount()?,
            "max_in_flight" if value.is_none() => settings.max_in_flight = None,
            "max_in_flight" => settings.max_in_flight = Some(whole(&value, &name)?),
            "slow_start" => settings.slow_start = value.is_truthy()?,
            "proxy_rate" => settings.proxy_rate = rate(&value, &name)?,
            "site_rate" => settings.site_rate = rate(&value, &name)?,
            "rest_base" => settings.rest_base = amount()?,
            "rest_cap" => settings.rest_cap = amount()?,
            "bench_base" => settings.bench_base = amount()?,
            "bench_cap" => settings.bench_cap = amount()?,
            "panic_share" => settings.panic_share = amount()?,
            "panic_window" => settings.panic_window = amount()?,
            "max_standings" => settings.max_standings = whole(&value, &name)? as usize,
            // Where requests belong is for the sites.
            "site_key" => {}
            _ => return Err(PyTypeError::new_err(format!("_guard_configure() got an unexpected keyword '{name}'"))),
        }
    }
    settings.checked().map_err(errors::settings)
}

pub(crate) fn configure(pool: &PyPool, given: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
    let rule = given.map(|given| given.get_item("site_key")).transpose()?.flatten().filter(|rule| !rule.is_none());
    let fixed = rule.as_ref().and_then(|rule| rule.cast::<PyString>().ok());
    if rule.as_ref().is_some_and(|rule| fixed.is_none() && !rule.is_callable()) {
        return Err(PyTypeError::new_err("site_key must be a text or callable with a URL"));
    }
    let key = fixed.map(|key| key.to_str()).transpose()?;
    if key.is_some_and(str::is_empty) {
        return Err(PyValueError::new_err("site_key must not be empty"));
    }
    pool.core.configure(settings(given)?, &SystemClock).map_err(errors::settings)?;
    pool.core.sites().sites().set_fixed(key);
    let rule = rule.clone().filter(|_| key.is_none()).map(Bound::unbind);
    pool.hooks.has_site_rule.store(rule.is_some(), Ordering::Relaxed);
    let before = std::mem::replace(&mut *pool.hooks.site_rule.lock(), rule);
    drop(before);
    Ok(())
}

/// The site of a URL by the user's rule, or by the usual one where that fails.
#[cold]
pub(crate) fn site_by_rule(pool: &PyPool, py: Python<'_>, url: &str) -> PyResult<Option<Arc<Site>>> {
    let Some(rule) = Hooks::get(py, &pool.hooks.site_rule) else { return Ok(pool.core.site_of(url)) };
    match rule.call1(py, (url,)).and_then(|key| key.extract::<String>(py)) {
        Ok(key) if !key.is_empty() => Ok(Some(pool.core.site_named(&key))),
        Ok(_) => Ok(None),
        Err(error) if !error.is_instance_of::<PyException>(py) => Err(error),
        Err(error) => {
            log::tell_fault(py, "site_key failed, the registrable domain is used", &error)?;
            Ok(pool.core.site_of(url))
        }
    }
}

/// What a pool judges its proxies by where nothing else is said, by the keywords of `_guard_configure`.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn guard_defaults(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let Settings {
        breaker, rest_base, rest_cap, bench_base, bench_cap, panic_share, panic_window, max_standings, ..
    } = Settings::default();
    let numbers = PyDict::new(py);
    numbers.set_item("failure_threshold", breaker.failure_threshold)?;
    numbers.set_item("success_threshold", breaker.success_threshold)?;
    numbers.set_item("max_standings", max_standings)?;
    for (name, value) in [
        ("window_duration", breaker.window_duration),
        ("timeout_duration", breaker.timeout_duration),
        ("failure_rate", breaker.failure_rate),
        ("rest_base", rest_base),
        ("rest_cap", rest_cap),
        ("bench_base", bench_base),
        ("bench_cap", bench_cap),
        ("panic_share", panic_share),
        ("panic_window", panic_window),
    ] {
        numbers.set_item(name, value)?;
    }
    Ok(numbers)
}

/// The reasons against a proxy in the order in which they are listed, each with its words in a sentence.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn reason_words() -> Vec<(&'static str, &'static str)> {
    Why::ALL.map(|why| (why.as_str(), why.words())).to_vec()
}

pub(crate) fn standings<'py>(pool: &PyPool, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for row in pool.core.sites().rows(&pool.core, &SystemClock) {
        let until = convert::optional_datetime(py, row.until)?;
        let proxy = PyPool::object_of(py, &row.proxy)?;
        list.append((proxy, row.site.key(), row.kind.as_str(), until, row.level))?;
    }
    Ok(list)
}

fn held(pool: &PyPool, proxy_id: &Bound<'_, PyAny>) -> PyResult<Arc<Proxy>> {
    let found = convert::id_of(proxy_id).and_then(|id: Id| {
        let (table, slot) = pool.core.find(id)?;
        table.slot(slot)?.share()
    });
    match found {
        Some(proxy) => Ok(proxy),
        None => Err(PyKeyError::new_err(format!("No circuit breaker found for proxy {}", proxy_id.str()?))),
    }
}

pub(crate) fn breaker_of(pool: &PyPool, proxy_id: &Bound<'_, PyAny>) -> PyResult<PyBreaker> {
    let proxy = held(pool, proxy_id)?;
    Ok(PyBreaker::of(pool.core.guard().breaker_of(&proxy)))
}

pub(crate) fn set_breaker(pool: &PyPool, proxy_id: &Bound<'_, PyAny>, breaker: &PyBreaker) -> PyResult<()> {
    let proxy = held(pool, proxy_id)?;
    if !pool.core.guard().set_breaker(&proxy, breaker.core(), &SystemClock) {
        return Err(PyValueError::new_err("the breaker guards another proxy already; make one for each"));
    }
    pool.core.guard().deliver();
    Ok(())
}

/// Every proxy with the names of the reasons against it and until when it is out. With a strategy, what that one would pass
/// over is filtered.
pub(crate) fn explain<'py>(
    pool: &Bound<'py, PyPool>,
    asked: &LeaseOptions<'_, 'py>,
    strategy: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let py = pool.py();
    let core = &pool.get().core;
    core.guard().catch_up(&SystemClock);
    let strategy = strategy.filter(|strategy| !strategy.is_none()).map(strategy::shared).transpose()?;
    let wanted = asked.context(strategy.as_ref().is_some_and(|strategy| strategy.honours_region()))?;
    let table = core.table();
    let site = match asked.url.filter(|url| !url.is_none()) {
        Some(url) => pool.get().site_of(py, lease::text_of(url)?.to_str()?)?,
        None => None,
    };
    let clock = Reading::now();
    let mask = site.as_ref().and_then(|site| core.mask_of(&table, site, &clock));
    // What a request of a transport would meet.
    let query = Query::new(core, &table, &wanted, &clock).masked(mask.as_ref()).connecting(false);
    let passed_over = strategy.map(|strategy| passed_over(&*strategy, &query)).unwrap_or_default();
    let mut rows = Vec::with_capacity(core.len());
    explain::explain(&query, core.sites(), |slot, reasons| {
        let mut names: Vec<&str> = reasons.iter().map(|reason| reason.why.as_str()).collect();
        // Out until the last of the reasons is gone, if all of them go by themselves.
        let until = reasons.iter().map(|reason| reason.until).collect::<Option<Vec<u64>>>();
        let mut until = until.and_then(|moments| moments.into_iter().max());
        if table.proxy(slot).is_some_and(|proxy| !core.spending().has_room_for(proxy)) {
            names.push(Why::OverBudget.as_str());
            until = None;
        }
        if passed_over.contains(&slot) {
            names.push(Why::Filtered.as_str());
            until = None;
        }
        rows.push((
            slot,
            names,
            until.map(|until| clock.wall() + (until.saturating_sub(clock.steady()) / 1_000) as i64),
        ));
    });
    let list = PyList::empty(py);
    for (slot, names, until) in rows {
        let until = convert::optional_datetime(py, until)?;
        list.append((PyPool::object(py, &table, slot)?, names, until))?;
    }
    Ok(list)
}

/// The slots that the question allows and the strategy's own restrictions do not.
fn passed_over(strategy: &dyn Strategy, query: &Query<'_>) -> ahash::AHashSet<u32> {
    if is_python(strategy) {
        // Only a choice would tell, and a choice moves its turns on.
        return ahash::AHashSet::new();
    }
    match &query.context().required {
        None => passed_over_by(strategy, query),
        Some(filter) => query.narrowed(filter, |query| passed_over_by(strategy, query)),
    }
}

fn passed_over_by(strategy: &dyn Strategy, query: &Query<'_>) -> ahash::AHashSet<u32> {
    let allowed = query.candidates();
    let query = query.or_thresholds(strategy.common().thresholds());
    let Ok(kept) = slots_left(strategy, &query) else { return ahash::AHashSet::new() };
    if kept.is_empty() && strategy.serves_beyond() {
        return ahash::AHashSet::new();
    }
    let kept: ahash::AHashSet<u32> = kept.into_iter().collect();
    allowed.into_iter().filter(|slot| !kept.contains(slot)).collect()
}

/// Whether a strategy, or one that it is made of, is written in Python.
fn is_python(strategy: &dyn Strategy) -> bool {
    if strategy.as_any().is_some() {
        return true;
    }
    let mut found = false;
    strategy.each_part(&mut |part| found = found || is_python(&**part));
    found
}
