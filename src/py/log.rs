//! Logging of selections through the standard library, at no measurable cost without a listener.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::pool::query::Notes;
use crate::proxy::Proxy;
use crate::py::once::Once;

const DEBUG: u8 = 10;

struct Listener {
    logger: Py<PyAny>,
    // The standard library remembers per logger which levels are enabled and forgets it all when any level changes. An
    // empty memory is therefore the sign to ask again, and its size is one word to read.
    memory: Option<Py<PyDict>>,
    enabled: std::sync::atomic::AtomicBool,
}

static LISTENER: Once<Listener> = Once::new();

impl Listener {
    fn of(py: Python<'_>, name: &str) -> PyResult<Self> {
        let logger = py.import("logging")?.call_method1("getLogger", (name,))?;
        let memory =
            logger.getattr("_cache").ok().and_then(|cache| cache.cast_into::<PyDict>().ok()).map(Bound::unbind);
        Ok(Self { logger: logger.unbind(), memory, enabled: false.into() })
    }
}

fn listener(py: Python<'_>) -> PyResult<&Listener> {
    LISTENER.get_or_make(py, || Listener::of(py, "proxywhirl.strategies"))
}

/// Whether the log has a listener for selections. Relaxed atomics: a change of level may be seen one selection late by
/// a thread.
#[inline]
pub(crate) fn is_on(py: Python<'_>) -> bool {
    use std::sync::atomic::Ordering::Relaxed;
    let Ok(listener) = listener(py) else { return false };
    if listener.memory.as_ref().is_some_and(|memory| !memory.bind(py).is_empty()) {
        return listener.enabled.load(Relaxed);
    }
    let asked = listener.logger.call_method1(py, "isEnabledFor", (DEBUG,)).and_then(|on| on.is_truthy(py));
    let on = asked.unwrap_or(false);
    listener.enabled.store(on, Relaxed);
    on
}

/// A level of a logger.
pub(crate) struct Level {
    logger: &'static str,
    level: u8,
    cell: Once<Listener>,
}

impl Level {
    pub(crate) const fn new(logger: &'static str, level: u8) -> Self {
        Self { logger, level, cell: Once::new() }
    }

    /// Whether records of this level are handled: read from the logger's memory where it has the answer.
    pub(crate) fn is_on(&self, py: Python<'_>) -> PyResult<bool> {
        let listener = self.cell.get_or_make(py, || Listener::of(py, self.logger))?;
        if let Some(memory) = &listener.memory
            && let Some(known) = memory.bind(py).get_item(self.level)?
        {
            return known.is_truthy();
        }
        listener.logger.call_method1(py, "isEnabledFor", (self.level,))?.is_truthy(py)
    }
}

/// Logs what users want to know even when they do not follow every selection.
#[cold]
pub(crate) fn tell_notes(py: Python<'_>, notes: &Notes, strategy: &str) -> PyResult<()> {
    let logger = listener(py)?.logger.bind(py);
    if notes.session_moved.get() {
        // The session's name may be a secret of the user's.
        logger.call_method1(
            "info",
            ("%s: a session moved to another proxy, its own cannot serve it any more", strategy),
        )?;
    }
    if notes.fell_back.get() {
        logger.call_method1("info", ("%s had no proxy to offer, its fallback served", strategy))?;
    }
    Ok(())
}

/// Logs a selection or a result.
#[cold]
pub(crate) fn tell(py: Python<'_>, event: &str, strategy: &str, proxy: &Proxy, success: Option<bool>) -> PyResult<()> {
    let extra = PyDict::new(py);
    let (started, completed, active) = proxy.usage();
    extra.set_item("strategy", strategy)?;
    extra.set_item("proxy_id", proxy.id().to_string())?;
    extra.set_item("proxy_url", proxy.masked_url())?;
    extra.set_item("requests_started", started)?;
    extra.set_item("requests_completed", completed)?;
    extra.set_item("requests_active", active)?;
    if let Some(success) = success {
        extra.set_item("success", success)?;
    }
    let kwargs = PyDict::new(py);
    kwargs.set_item("extra", extra)?;
    let counters = format!("started {started}, completed {completed}, active {active}");
    let args = ("%s by %s: %s %s (%s)", event, strategy, proxy.id().to_string(), proxy.masked_url(), counters);
    listener(py)?.logger.bind(py).call_method("debug", args, Some(&kwargs))?;
    Ok(())
}

/// Logs a callback of the user's that raised; its exception goes no further.
#[cold]
pub(crate) fn tell_fault(py: Python<'_>, what: &str, error: &PyErr) -> PyResult<()> {
    let kwargs = PyDict::new(py);
    kwargs.set_item("exc_info", error.value(py))?;
    let logger = py.import("logging")?.call_method1("getLogger", ("proxywhirl.callbacks",))?;
    logger.call_method("error", (what,), Some(&kwargs))?;
    Ok(())
}
