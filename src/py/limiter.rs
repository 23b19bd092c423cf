//! `RateBuckets`: the token buckets of a limiter; `RateGate`: these in front of the leases of a chooser.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::clock::{Clock, Micros, SystemClock, exact_wall};
use crate::proxy::Id;
use crate::py::convert;
use crate::py::errors;
use crate::resilience::limiter::{Key, Limit, Limiter, Refusal, What};

/// Requests, seconds and burst.
type Numbers = (f64, f64, Option<f64>);

fn limit_of((requests, seconds, burst): Numbers) -> Limit {
    Limit { requests, seconds, burst }
}

fn numbers(limit: &Limit) -> Numbers {
    (limit.requests, limit.seconds, limit.burst)
}

/// A moment that was read before any lock is taken: a clock of the caller's is a call into Python.
struct Moment(u64);

impl Clock for Moment {
    fn wall(&self) -> Micros {
        exact_wall()
    }

    fn steady(&self) -> u64 {
        self.0
    }
}

/// Token buckets: one for each proxy, one for single proxies in its place, one for all of them together. Thread-safe.
///
/// Args:
///     each: Requests, seconds and burst of each proxy; `None` without such a limit.
///     together: The same of all proxies together.
///     clock: Called for nanoseconds on a steady clock; by default the system's.
///
/// Raises:
///     ValueError: A number is not positive and finite.
#[pyclass(name = "RateBuckets", module = "proxywhirl._core", frozen)]
pub(crate) struct PyRateBuckets {
    core: Limiter,
    clock: Option<Py<PyAny>>,
}

impl PyRateBuckets {
    fn now(&self, py: Python<'_>) -> PyResult<Moment> {
        Ok(Moment(match &self.clock {
            None => SystemClock.steady_now(),
            Some(clock) => clock.bind(py).call0()?.extract()?,
        }))
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyRateBuckets {
    #[new]
    #[pyo3(signature = (each=None, together=None, *, clock=None))]
    fn new(each: Option<Numbers>, together: Option<Numbers>, clock: Option<Py<PyAny>>) -> PyResult<Self> {
        let core = Limiter::new(each.map(limit_of), together.map(limit_of)).map_err(errors::settings)?;
        Ok(Self { core, clock })
    }

    /// Takes a token of each bucket that concerns a proxy, or of none. Whether there were tokens.
    fn acquire(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        Ok(self.core.acquire(&key.into(), &self.now(py)?).is_none())
    }

    /// The same for a rotator, which keeps the tokens of `each` with its pool.
    ///
    /// Returns `None`: the request may go; else "global" or "proxy", and seconds until asking again makes sense.
    fn admit(&self, py: Python<'_>, key: &str) -> PyResult<Option<(&'static str, f64)>> {
        let refusal = self.core.admit(&key.into(), &self.now(py)?);
        Ok(refusal.map(|refusal| (refusal.scope.as_str(), refusal.retry_after)))
    }

    /// Seconds until `acquire` lets a request through, without other requests; 0.0 if now.
    fn wait_time(&self, py: Python<'_>, key: &str) -> PyResult<f64> {
        Ok(self.core.wait(&key.into(), &self.now(py)?) as f64 / 1e9)
    }

    /// Seconds for which `admit` would refuse; `None` if it would not.
    fn would_refuse(&self, py: Python<'_>, key: &str) -> PyResult<Option<f64>> {
        let wait = self.core.wait_to_admit(&key.into(), &self.now(py)?);
        Ok((wait > 0).then_some(wait as f64 / 1e9))
    }

    /// Whether `admit` has nothing to look at.
    #[getter]
    fn is_idle(&self) -> bool {
        self.core.is_idle()
    }

    /// Gives a proxy a limit of its own: requests, seconds and burst; `None` takes it away.
    #[pyo3(signature = (key, limit))]
    fn set_own(&self, key: &str, limit: Option<Numbers>) -> PyResult<()> {
        self.core.set_own(key.into(), limit.map(limit_of), &SystemClock).map_err(errors::settings)
    }

    /// The limits of single proxies, as `set_own` takes them.
    fn own<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (key, limit) in self.core.own() {
            dict.set_item(key.to_string(), numbers(&limit))?;
        }
        Ok(dict)
    }

    /// The latest refusals and changes, oldest first: when, of which proxy, and for a refusal "global" or "proxy" and seconds,
    /// for a change `None` and the limit.
    fn events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for event in self.core.events() {
            let (at, key) = (convert::datetime(py, event.at)?, event.key.to_string());
            match event.what {
                What::Exceeded(refusal) => list.append((at, key, refusal.scope.as_str(), refusal.retry_after))?,
                What::Changed(limit) => list.append((at, key, py.None(), limit.as_ref().map(numbers)))?,
            }
        }
        Ok(list)
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        self.clock.as_ref().map_or(Ok(()), |clock| visit.call(clock))
    }
}

/// The buckets of a limiter in front of the leases of a chooser.
///
/// Args:
///     buckets: The buckets.
///     waits: Whether a refused request waits for its turn; otherwise it fails.
#[pyclass(name = "RateGate", module = "proxywhirl._core", frozen)]
pub(crate) struct RateGate {
    buckets: Py<PyRateBuckets>,
    /// Whether a refused request waits.
    pub(crate) waits: bool,
}

impl RateGate {
    /// Asks for a proxy; `None`: its lease may be used.
    pub(crate) fn admit(&self, py: Python<'_>, id: Id) -> PyResult<Option<Refusal>> {
        let buckets = self.buckets.get();
        if buckets.core.is_idle() {
            return Ok(None);
        }
        Ok(buckets.core.admit(&Key::Proxy(id), &buckets.now(py)?))
    }

    /// Seconds for which a proxy would be refused; `None` for not at all.
    pub(crate) fn wait(&self, py: Python<'_>, id: Id) -> PyResult<Option<f64>> {
        let buckets = self.buckets.get();
        let wait = buckets.core.wait_to_admit(&Key::Proxy(id), &buckets.now(py)?);
        Ok((wait > 0).then_some(wait as f64 / 1e9))
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl RateGate {
    #[new]
    #[pyo3(signature = (buckets, *, waits))]
    fn new(buckets: Py<PyRateBuckets>, waits: bool) -> Self {
        Self { buckets, waits }
    }

    /// Whether a refused request waits for its turn.
    #[getter]
    fn waits(&self) -> bool {
        self.waits
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.buckets)
    }
}
