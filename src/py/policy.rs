//! `_RetryPolicy`: a retry policy as the core has it, made once per policy object.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::rotation::policy::{Backoff, Growth, Policy};
use crate::sync::Arc;

/// A retry policy as the core has it. Does not change; shared by requests and threads.
///
/// Args:
///     max_attempts: Attempts in all.
///     is_open_ended: Whether that number is the default, so that proxies that refuse are passed by beyond it.
///     retry_status_codes: Statuses that are tried again.
///     backoff_strategy: "exponential", "linear" or "fixed".
///     base_delay: First pause in seconds.
///     multiplier: Growth of the exponential pause.
///     max_backoff_delay: Longest pause in seconds.
///     jitter: Whether pauses are drawn at random.
///     timeout: Seconds for all attempts together; `None` is without a bound.
///     retry_non_idempotent: Whether POST and PATCH are repeated too.
///
/// Raises:
///     ValueError: There is no such strategy.
#[pyclass(name = "_RetryPolicy", module = "proxywhirl._core", frozen)]
pub(crate) struct PyRetryPolicy {
    pub(crate) core: Arc<Policy>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyRetryPolicy {
    #[new]
    #[pyo3(signature = (max_attempts, is_open_ended, retry_status_codes, backoff_strategy, base_delay, multiplier, max_backoff_delay, jitter, timeout, retry_non_idempotent))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        max_attempts: u32,
        is_open_ended: bool,
        retry_status_codes: Vec<u16>,
        backoff_strategy: &str,
        base_delay: f64,
        multiplier: f64,
        max_backoff_delay: f64,
        jitter: bool,
        timeout: Option<f64>,
        retry_non_idempotent: bool,
    ) -> PyResult<Self> {
        let growth = match backoff_strategy {
            "exponential" => Growth::Exponential(multiplier),
            "linear" => Growth::Linear,
            "fixed" => Growth::Fixed,
            _ => return Err(PyValueError::new_err("backoff_strategy must be exponential, linear or fixed")),
        };
        let backoff = Backoff { growth, base: base_delay, longest: max_backoff_delay, jitter };
        let retry_statuses = retry_status_codes.into();
        let plan = Policy {
            max_attempts,
            is_open_ended,
            retry_statuses,
            backoff,
            timeout,
            retry_non_idempotent,
            ..Policy::default()
        };
        Ok(Self { core: Arc::new(plan) })
    }

    /// The pause after a failed attempt.
    ///
    /// Args:
    ///     attempt: Which attempt failed, counted from 0.
    ///     previous_delay: The pause before that attempt in seconds.
    ///     draw: Called with two bounds where there is jitter; returns a number between them.
    ///
    /// Returns:
    ///     Seconds.
    fn delay(&self, attempt: u32, previous_delay: Option<f64>, draw: &Bound<'_, PyAny>) -> PyResult<f64> {
        self.core.backoff.delay(attempt, previous_delay, |low, high| draw.call1((low, high))?.extract())
    }
}
