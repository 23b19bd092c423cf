//! `TokenBucket`: a rate and the tokens left.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::clock::{Clock, SystemClock};
use crate::proxy::liveness::{Rate, TokenBucket};
use crate::py::errors;

/// A token bucket, full at first. Thread-safe, without a lock.
///
/// Args:
///     max_requests: Requests per time window, more than 0.
///     time_window: Length of the window in seconds, more than 0.
///     burst: Requests at once, more than 0; by default `max_requests`.
///
/// Raises:
///     ValueError: A number that is not positive and finite.
#[pyclass(name = "TokenBucket", module = "proxywhirl._core", frozen)]
pub(crate) struct PyTokenBucket {
    core: TokenBucket,
    shown: (f64, f64, f64),
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyTokenBucket {
    #[new]
    #[pyo3(signature = (max_requests, time_window, burst=None))]
    fn new(max_requests: &Bound<'_, PyAny>, time_window: f64, burst: Option<f64>) -> PyResult<Self> {
        if max_requests.is_instance_of::<PyBool>() {
            return Err(PyTypeError::new_err("max_requests must be a number"));
        }
        let max_requests: f64 = max_requests.extract()?;
        let rate = Rate::new(max_requests, time_window, burst).map_err(errors::settings)?;
        let shown = (max_requests, time_window, burst.unwrap_or(max_requests));
        Ok(Self { core: TokenBucket::new(rate), shown })
    }

    /// Takes a token, if there is one; whether there was.
    fn try_acquire(&self) -> bool {
        self.core.try_acquire(SystemClock.steady())
    }

    /// Whether there is a token. Takes none.
    fn would_allow(&self) -> bool {
        self.core.wait(SystemClock.steady()) == 0
    }

    /// Seconds until there is a token; 0.0 if there is one.
    fn wait_time(&self) -> f64 {
        self.core.wait(SystemClock.steady()) as f64 / 1e9
    }

    fn __repr__(&self) -> String {
        let (requests, window, burst) = self.shown;
        format!("TokenBucket({requests} per {window} s, burst {burst})")
    }
}
