//! `CircuitBreaker`: the documented members over the core's breaker, a proxy's or one that stands alone.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDict, PyList, PyType};

use crate::clock::{Clock, Micros, SystemClock, exact_wall, nanoseconds};
use crate::proxy::liveness::{Breaker, BreakerSettings, Phase};
use crate::py::convert;
use crate::py::errors;
use crate::sync::Arc;

/// Shuts a proxy out after enough failures, tries it again by one request at a time, takes it back after success.
/// Thread-safe. One that guards a proxy of a pool acts on the pool at once, from any caller.
///
/// Args:
///     proxy_id: Identifier of the proxy; a breaker without one is a template, or stands alone.
///     failure_threshold: Failures in the window that open it, at least 1.
///     timeout_duration: Seconds it stays open, more than 0.
///     success_threshold: Successes on trial that close it, at least 1.
///     window_duration: Seconds that a result counts, more than 0.
///     failure_rate: Share of failures among the window's results below which it stays closed, 0 to 1. Of successes only
///         those count that were recorded.
///     timeout: Another name of `timeout_duration`.
///
/// Raises:
///     ValueError: A limit out of its range.
#[pyclass(name = "CircuitBreaker", module = "proxywhirl._core", frozen, subclass, weakref)]
pub(crate) struct PyBreaker {
    core: Arc<Breaker>,
    proxy_id: Option<String>,
    made: Micros,
}

/// A `CircuitBreakerState`.
pub(crate) fn state(py: Python<'_>, phase: Phase) -> PyResult<Bound<'_, PyAny>> {
    convert::breaker_state(py, phase)
}

/// The wall-clock time of a moment on the steady clock.
fn datetime(py: Python<'_>, moment: u64) -> PyResult<Bound<'_, PyDateTime>> {
    let ahead = moment as i128 - i128::from(SystemClock.steady());
    convert::datetime(py, exact_wall().saturating_add(i64::try_from(ahead / 1_000).unwrap_or(i64::MAX / 2)))
}

const FIELDS: [&str; 5] =
    ["failure_threshold", "timeout_duration", "success_threshold", "window_duration", "failure_rate"];

impl PyBreaker {
    pub(crate) fn of(core: Arc<Breaker>) -> Self {
        Self { core, proxy_id: None, made: exact_wall() }
    }

    pub(crate) fn core(&self) -> &Arc<Breaker> {
        &self.core
    }

    /// Notifies the listeners of the pools concerned.
    fn deliver(&self) {
        if let Some(proxy) = self.core.owner() {
            for observer in proxy.observers() {
                observer.flush();
            }
        }
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyBreaker {
    #[new]
    #[pyo3(signature = (proxy_id=None, failure_threshold=5, timeout_duration=None, success_threshold=1, window_duration=60.0, failure_rate=0.5, *, timeout=None))]
    fn new(
        proxy_id: Option<&Bound<'_, PyAny>>,
        failure_threshold: i64,
        timeout_duration: Option<f64>,
        success_threshold: i64,
        window_duration: f64,
        failure_rate: f64,
        timeout: Option<f64>,
    ) -> PyResult<Self> {
        if timeout.is_some() && timeout_duration.is_some() && timeout != timeout_duration {
            return Err(PyTypeError::new_err("timeout and timeout_duration are one setting; give one of them"));
        }
        // What is below 1 is refused with the other limits.
        let whole = |value: i64| u32::try_from(value.max(0)).unwrap_or(u32::MAX);
        let settings = BreakerSettings {
            failure_threshold: whole(failure_threshold),
            window_duration,
            timeout_duration: timeout.or(timeout_duration).unwrap_or(BreakerSettings::default().timeout_duration),
            success_threshold: whole(success_threshold),
            failure_rate,
        };
        let core = Breaker::new(settings).map_err(errors::settings)?;
        let proxy_id = proxy_id.map(|id| id.str().map(|text| text.to_string())).transpose()?;
        Ok(Self { core, proxy_id, made: exact_wall() })
    }

    /// A breaker by a configuration and what overrides it.
    ///
    /// Args:
    ///     proxy_id: Identifier of the proxy.
    ///     config: A `CircuitBreakerConfig`, another breaker, or anything with such attributes.
    ///     **overrides: Settings that win over the configuration.
    #[classmethod]
    #[pyo3(signature = (proxy_id=None, config=None, **overrides))]
    fn create<'py>(
        cls: &Bound<'py, PyType>,
        proxy_id: Option<&Bound<'py, PyAny>>,
        config: Option<&Bound<'py, PyAny>>,
        overrides: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let given = PyDict::new(cls.py());
        if let Some(config) = config {
            for name in FIELDS {
                if let Some(value) = config.getattr_opt(name)? {
                    given.set_item(name, value)?;
                }
            }
        }
        if let Some(overrides) = overrides {
            if overrides.contains("timeout")? {
                given.del_item("timeout_duration").or_else(|_| given.del_item("timeout")).ok();
            }
            given.update(overrides.as_mapping())?;
        }
        cls.call((proxy_id,), Some(&given))
    }

    /// As `create`.
    #[classmethod]
    #[pyo3(signature = (proxy_id=None, config=None, **overrides))]
    fn from_config<'py>(
        cls: &Bound<'py, PyType>,
        proxy_id: Option<&Bound<'py, PyAny>>,
        config: Option<&Bound<'py, PyAny>>,
        overrides: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::create(cls, proxy_id, config, overrides)
    }

    getters! {
        /// Identifier of the proxy it guards, or `None`.
        proxy_id: Option<String> =
            self.core.owner().map(|proxy| proxy.id().to_string()).or_else(|| self.proxy_id.clone());
        /// Failures in the window that open it.
        failure_threshold: u32 = self.core.settings().failure_threshold;
        /// Seconds it stays open.
        timeout_duration: f64 = self.core.settings().timeout_duration;
        /// Seconds it stays open.
        timeout: f64 = self.core.settings().timeout_duration;
        /// Successes on trial that close it.
        success_threshold: u32 = self.core.settings().success_threshold;
        /// Seconds that a result counts.
        window_duration: f64 = self.core.settings().window_duration;
        /// Share of failures among the window's results below which it stays closed.
        failure_rate: f64 = self.core.settings().failure_rate;
        /// Its `CircuitBreakerState`. One that has been open long enough is OPEN until a request asks to pass.
        state: PyResult<Bound<'py, PyAny>> = state(py, self.core.phase());
        /// Number of failures in the window.
        failure_count: usize = self.core.failures(SystemClock.steady()).len();
    }

    /// Times of the failures in the window, oldest first, at most the last thousand.
    #[getter]
    fn failure_window<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for moment in self.core.failures(SystemClock.steady()) {
            list.append(datetime(py, moment)?)?;
        }
        Ok(list)
    }

    getters! {
        /// When it lets a request try, if it is open.
        next_test_time: PyResult<Option<Bound<'py, PyDateTime>>> =
            self.core.open_until().map(|moment| datetime(py, moment)).transpose();
        /// When its state last changed; before that when this object was made.
        last_state_change: PyResult<Bound<'py, PyDateTime>> =
            convert::datetime(py, self.core.changed().unwrap_or(self.made));
    }

    /// Notes a failure.
    fn record_failure(&self) {
        self.core.record_failure(&SystemClock);
        self.deliver();
    }

    /// Notes a success. While closed it counts for the failure rate alone.
    fn record_success(&self) {
        self.core.record_success(&SystemClock);
        self.deliver();
    }

    /// Whether a request may pass. If it is the one on trial, it has to be reported; the next may try when it is, or after
    /// `timeout_duration`.
    fn should_attempt_request(&self) -> bool {
        let allowed = self.core.attempt(&SystemClock);
        self.deliver();
        allowed
    }

    /// Whether a request might pass. Changes nothing.
    fn would_allow(&self) -> bool {
        self.core.would_allow(SystemClock.steady())
    }

    /// Closes it and forgets what it knows.
    fn reset(&self) {
        self.core.reset(&SystemClock);
        self.deliver();
    }

    /// Takes over a state that was kept: whether it is to be open, how many seconds ago its failures were, and for how
    /// many seconds it stays open yet.
    #[pyo3(name = "_restore")]
    fn restore(&self, open: bool, failures: Vec<f64>, left: f64) {
        let failures: Vec<u64> = failures.into_iter().map(nanoseconds).collect();
        self.core.restore(&failures, open.then(|| nanoseconds(left)), &SystemClock);
        self.deliver();
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| Arc::ptr_eq(&self.core, &other.get().core))
    }

    fn __hash__(&self) -> isize {
        Arc::as_ptr(&self.core) as isize >> 4
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let class = slf.get_type().name()?;
        let id = this.proxy_id()?.map_or_else(String::new, |id| format!("proxy_id='{id}', "));
        let failures = this.failure_count()?;
        Ok(format!("{class}({id}state='{}', failures={failures})", this.core.phase().as_str()))
    }
}
