//! `ProxyMetadata` as a live view: the proxy's own counters under the names of the plan.

use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDict};

use crate::clock::ExactClock;
use crate::proxy::cold::DEFAULT_ALPHA;
use crate::proxy::{Moment, Proxy, Verdict};
use crate::py::{convert, journal};
use crate::sync::Arc;

/// An exponential moving average after one more sample, which counts by `alpha`; the first one is the average.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (before, sample, alpha=DEFAULT_ALPHA))]
pub(crate) fn moving_average(before: Option<f64>, sample: f64, alpha: f64) -> f64 {
    crate::proxy::moving_average(before, sample, alpha)
}

/// A proxy's counters as `ProxyMetadata` documents them: a live view, not a copy. Thread-safe.
#[pyclass(module = "proxywhirl._core", frozen)]
pub(crate) struct ProxyMetadataView {
    core: Arc<Proxy>,
}

impl ProxyMetadataView {
    pub(crate) fn new(core: Arc<Proxy>) -> Self {
        Self { core }
    }
}

const FIELDS: [&str; 11] = [
    "proxy_id",
    "requests_started",
    "requests_completed",
    "requests_successful",
    "requests_failed",
    "requests_active",
    "ema_response_time_ms",
    "ema_alpha",
    "last_updated",
    "request_window",
    "window_duration_seconds",
];

#[proxywhirl_macros::border]
#[pymethods]
impl ProxyMetadataView {
    getters! {
        /// Whose counters these are.
        proxy_id: PyResult<Bound<'py, PyAny>> = convert::uuid(py, self.core.id());
        /// Requests started in the current counting window.
        requests_started: u64 = self.core.usage().0;
        /// Requests completed in the current counting window.
        requests_completed: u64 = self.core.usage().1;
        /// Successes.
        requests_successful: u64 = self.core.totals().1;
        /// Failures.
        requests_failed: u64 = self.core.totals().2;
        /// Requests in flight.
        requests_active: u32 = self.core.usage().2;
        /// Moving average of the response time in milliseconds.
        ema_response_time_ms: Option<f64> = self.core.ema();
        /// Weight of the newest sample in that average.
        ema_alpha: f64 = self.core.ema_alpha();
        /// When anything last happened to the proxy.
        last_updated: PyResult<Bound<'py, PyDateTime>> =
            convert::datetime(py, self.core.time(Moment::Updated).unwrap_or_default());
    }

    /// Requests started per minute of the sliding window, by the minute.
    #[getter]
    fn request_window<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (second, count) in self.core.window_buckets(&ExactClock) {
            dict.set_item(convert::datetime(py, second * 1_000_000)?, count)?;
        }
        Ok(dict)
    }

    getters! {
        /// Length of the window in seconds.
        window_duration_seconds: u32 = self.core.cold(|cold| cold.window_duration);
        /// Requests started in the sliding window.
        window_request_count: u64 = self.core.window_buckets(&ExactClock).iter().map(|bucket| bucket.1).sum();
    }

    /// Counts a request as started.
    fn increment_started(&self) {
        self.core.start(&ExactClock);
        journal::note_start(&self.core);
    }

    /// Ends a started request: the same event as `Proxy.complete_request`.
    fn record_completion(&self, success: bool, response_time_ms: f64) {
        let verdict = if success { Verdict::Success(response_time_ms) } else { Verdict::Failure(response_time_ms) };
        self.core.complete(verdict, None, &ExactClock);
        journal::note_completion(&self.core);
    }

    #[staticmethod]
    fn _fields() -> Vec<&'static str> {
        FIELDS.to_vec()
    }

    fn _dump<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(slf.py());
        for name in FIELDS {
            dict.set_item(name, slf.getattr(name)?)?;
        }
        Ok(dict)
    }

    fn __repr__(&self) -> String {
        let (started, completed, active) = self.core.usage();
        format!(
            "ProxyMetadata(proxy_id='{}', requests_started={started}, requests_completed={completed}, requests_active={active})",
            self.core.id()
        )
    }
}
