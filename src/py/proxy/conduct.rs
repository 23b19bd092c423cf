//! What happens to a proxy: requests started and ended, results, windows.

use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::clock::ExactClock;
use crate::proxy::Verdict;
use crate::proxy::health::Health;
use crate::py::convert;
use crate::py::journal;

use super::PyProxy;

#[proxywhirl_macros::border]
#[pymethods]
impl PyProxy {
    /// Counts a request as started.
    fn start_request(&self) {
        self.core.start(&ExactClock);
        journal::note_start(&self.core);
    }

    /// Ends a started request.
    ///
    /// Args:
    ///     success: Whether it succeeded.
    ///     response_time_ms: Time to the answer in milliseconds; averaged on success only.
    ///     alpha: Weight of this sample in the average, 0 to 1; by default the proxy's own.
    #[pyo3(signature = (success, response_time_ms, alpha=None))]
    fn complete_request(&self, success: bool, response_time_ms: f64, alpha: Option<f64>) -> PyResult<()> {
        let response_time_ms = convert::duration(response_time_ms)?;
        let verdict = if success { Verdict::Success(response_time_ms) } else { Verdict::Failure(response_time_ms) };
        self.core.complete(verdict, alpha, &ExactClock);
        journal::note_completion(&self.core);
        Ok(())
    }

    /// Records a success without a start. It revives the proxy from every state of health.
    #[pyo3(signature = (response_time_ms, alpha=None))]
    fn record_success(&self, response_time_ms: f64, alpha: Option<f64>) -> PyResult<()> {
        self.core.record(Verdict::Success(convert::duration(response_time_ms)?), alpha, &ExactClock);
        Ok(())
    }

    /// Records a failure without a start; one, three and five in a row make it DEGRADED, UNHEALTHY and DEAD.
    #[pyo3(signature = (error=None))]
    fn record_failure(&self, py: Python<'_>, error: Option<&str>) -> PyResult<()> {
        self.core.record(Verdict::Failure(0.0), None, &ExactClock);
        match error {
            Some(error) => self.note_error(py, error),
            None => Ok(()),
        }
    }

    /// The URL for a client: credentials percent-encoded, or `***:***` for them.
    #[pyo3(name = "_client_url", signature = (masked=false))]
    fn client_url(&self, masked: bool) -> String {
        if masked { self.core.masked_url() } else { self.core.client_url() }
    }

    #[pyo3(name = "_note_error")]
    fn py_note_error(&self, py: Python<'_>, error: &str) -> PyResult<()> {
        self.note_error(py, error)
    }

    /// Adds a sample to the moving averages: the first initialises, later ones count by `alpha`.
    #[pyo3(signature = (response_time_ms, alpha=None))]
    fn update_metrics(&self, response_time_ms: f64, alpha: Option<f64>) -> PyResult<()> {
        self.core.update_latency(convert::duration(response_time_ms)?, alpha);
        Ok(())
    }

    /// Records a result and keeps it in `history`.
    fn record_request(&self, py: Python<'_>, success: bool, duration_ms: f64) -> PyResult<()> {
        let duration_ms = convert::duration(duration_ms)?;
        let verdict = if success { Verdict::Success(duration_ms) } else { Verdict::Failure(duration_ms) };
        self.core.record(verdict, None, &ExactClock);
        self.keep_request(py, success, duration_ms)
    }

    /// Keeps a result in `history` that was recorded by other means.
    #[pyo3(name = "_note_request")]
    fn note_request(&self, py: Python<'_>, success: bool, duration_ms: f64) -> PyResult<()> {
        self.keep_request(py, success, convert::duration(duration_ms)?)
    }

    /// Begins the counting window anew: started and completed are zero, requests in flight are kept.
    fn reset_window(&self) {
        self.core.reset_window(&ExactClock);
    }

    /// Whether the counting window is over; false while none has begun.
    fn is_window_expired(&self) -> bool {
        self.core.is_window_expired(&ExactClock)
    }

    /// Begins the counting window anew if it is over, in one step; whether it did.
    fn reset_if_expired(&self) -> bool {
        self.core.reset_if_expired(&ExactClock)
    }

    getters! {
        /// Requests started in the sliding window.
        window_request_count: u64 = self.core.window_buckets(&ExactClock).iter().map(|bucket| bucket.1).sum();
        /// What `record_request` has recorded: dicts with `timestamp`, `success` and `duration_ms`, at most 100, the newest
        /// last.
        history: PyResult<Bound<'py, PyList>> = self.kept_requests(py);
        /// Successes among all results, 0 to 1; 0 without any.
        success_rate: f64 = self.core.success_rate();
        /// Whether the last request through it succeeded.
        is_healthy: bool = self.core.health() == Health::Healthy;
        /// Whether its time to live is over.
        is_expired: bool = self.core.is_expired(&ExactClock);
        /// Whether its state of health and its time to live let it be chosen.
        _is_usable: bool = self.core.health().is_usable() && !self.core.is_expired(&ExactClock);
    }
}
