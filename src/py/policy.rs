//! `_RetryPolicy`: a retry policy as the core has it, made once per policy object.

use crate::py::once::intern;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::py::convert::Names;
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

/// The attributes of a policy that make it what it is.
pub(super) const FACTS: [&str; 9] = [
    "max_attempts",
    "retry_status_codes",
    "backoff_strategy",
    "base_delay",
    "multiplier",
    "max_backoff_delay",
    "jitter",
    "timeout",
    "retry_non_idempotent",
];

static NAMES: Names<9> = Names::new(FACTS);

/// What was kept of a policy when it was made; `None` where there is nothing, or it has changed since.
///
/// Args:
///     policy: A `RetryPolicy`, with what was kept in `_compiled`: its facts (`POLICY_FACTS`), whether it was open-ended, and the
///         policy of the core.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn kept_policy<'py>(policy: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyRetryPolicy>>> {
    let py = policy.py();
    let Some(kept) = policy.getattr_opt(intern!(py, "_compiled"))? else { return Ok(None) };
    let (facts, was_open, native): (Bound<'py, PyTuple>, bool, Bound<'py, PyRetryPolicy>) = kept.extract()?;
    let names = NAMES.get(py);
    for (name, fact) in names.into_iter().zip(facts) {
        let found = policy.getattr(name)?;
        // A list can change in its place, so that a copy is compared.
        if !found.is(&fact) && !found.eq(&fact)? {
            return Ok(None);
        }
    }
    let set = policy.getattr(intern!(py, "__pydantic_fields_set__"))?;
    let is_open = !set.contains(names[0])?;
    Ok((is_open == was_open).then_some(native))
}
