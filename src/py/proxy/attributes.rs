//! The fields of a proxy with rules of their own, as attributes.

use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDict};

use crate::proxy::Moment;
use crate::py::convert;

use super::PyProxy;

#[proxywhirl_macros::border]
#[pymethods]
impl PyProxy {
    /// Its identifier, a `uuid.UUID`.
    #[getter]
    #[assigned]
    fn id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.uuid(py)
    }

    /// User name to log in with, a `SecretStr`.
    #[getter]
    #[assigned]
    fn username<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let login = self.core.credentials().filter(|login| !login.username.is_empty());
        login.map(|login| convert::secret(py, &login.username)).transpose()
    }

    /// Password to log in with, a `SecretStr`.
    #[getter]
    #[assigned]
    fn password<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        // Empty beside a user name: an API key. Alone it is no login.
        let login = self.core.credentials().filter(|login| !login.password.is_empty() || !login.username.is_empty());
        login.map(|login| convert::secret(py, &login.password)).transpose()
    }

    /// Its documented state of health.
    #[getter]
    #[assigned]
    fn health_status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::health(py, self.core.health())
    }

    /// Where it came from.
    #[getter]
    #[assigned]
    fn source<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::source(py, self.core.source())
    }

    /// Its tags: a set that may be changed in place.
    #[getter]
    #[assigned]
    fn tags(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::tag_set(slf)
    }

    /// Anything the user wants to keep with it: a dict that may be changed in place.
    #[getter]
    #[assigned]
    fn metadata(&self, py: Python<'_>) -> Py<PyDict> {
        self.metadata_dict(py)
    }

    /// Where it is, as a `GeoLocation`; `None` without a country.
    #[getter]
    #[assigned]
    fn geo_location<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.place(py)
    }

    /// Requests started in the current counting window.
    #[getter]
    #[assigned]
    fn requests_started(&self) -> u64 {
        self.core.usage().0
    }

    /// Requests completed in the current counting window.
    #[getter]
    #[assigned]
    fn requests_completed(&self) -> u64 {
        self.core.usage().1
    }

    /// Requests in flight.
    #[getter]
    #[assigned]
    fn requests_active(&self) -> u32 {
        self.core.usage().2
    }

    /// All results recorded.
    #[getter]
    #[assigned]
    fn total_requests(&self) -> u64 {
        self.core.totals().0
    }

    /// Successes recorded.
    #[getter]
    #[assigned]
    fn total_successes(&self) -> u64 {
        self.core.totals().1
    }

    /// Failures recorded.
    #[getter]
    #[assigned]
    fn total_failures(&self) -> u64 {
        self.core.totals().2
    }

    /// Bytes sent through it, TLS and what was said to the proxy itself included.
    #[getter]
    #[assigned]
    fn bytes_sent(&self) -> u64 {
        self.core.bytes().0
    }

    /// Bytes received through it, likewise.
    #[getter]
    #[assigned]
    fn bytes_received(&self) -> u64 {
        self.core.bytes().1
    }

    /// What requests through it have cost, by `cost_per_request` and `cost_per_gb` at their time.
    #[getter]
    #[assigned]
    fn spent(&self) -> f64 {
        self.core.spent().amount()
    }

    /// Failures since the last success.
    #[getter]
    #[assigned]
    fn consecutive_failures(&self) -> u32 {
        self.core.consecutive_failures()
    }

    /// Moving average of the response time in milliseconds, the published one.
    #[getter]
    #[assigned]
    fn average_response_time_ms(&self) -> Option<f64> {
        self.core.average()
    }

    /// Moving average of the response time in milliseconds.
    #[getter]
    #[assigned]
    fn ema_response_time_ms(&self) -> Option<f64> {
        self.core.ema()
    }

    /// Weight of the newest sample in the moving average, 0 to 1.
    #[getter]
    #[assigned]
    fn ema_alpha(&self) -> f64 {
        self.core.ema_alpha()
    }

    /// Latency measured last, in milliseconds.
    #[getter]
    #[assigned]
    fn latency_ms(&self) -> Option<f64> {
        self.core.latency()
    }

    /// Length of the counting window in seconds.
    #[getter]
    #[assigned]
    fn window_duration_seconds(&self) -> u32 {
        self.core.cold(|cold| cold.window_duration)
    }

    /// Where the list came from.
    #[getter]
    #[assigned]
    fn source_url(&self) -> Option<String> {
        self.core.cold(|cold| cold.source_url.as_deref().map(str::to_owned))
    }

    /// Time to live in seconds.
    #[getter]
    #[assigned]
    fn ttl(&self) -> Option<i64> {
        self.core.cold(|cold| cold.ttl)
    }

    /// Price of one request, in whatever unit limits are given in.
    #[getter]
    #[assigned]
    fn cost_per_request(&self) -> Option<f64> {
        self.core.cold(|cold| cold.cost)
    }

    /// How it is spoken to: http, https, socks4 or socks5.
    #[getter]
    #[assigned]
    fn protocol(&self) -> &'static str {
        self.core.protocol().as_str()
    }

    /// The URL as given, with credentials where it had them.
    #[getter]
    #[assigned]
    fn url(&self) -> String {
        self.core.url()
    }

    /// Time of the last success.
    #[getter]
    #[assigned]
    fn last_success_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        convert::optional_datetime(py, self.core.time(Moment::LastSuccess))
    }

    /// Time of the last failure.
    #[getter]
    #[assigned]
    fn last_failure_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        convert::optional_datetime(py, self.core.time(Moment::LastFailure))
    }

    /// When the counting window began.
    #[getter]
    #[assigned]
    fn window_start<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        convert::optional_datetime(py, self.core.time(Moment::WindowStart))
    }

    /// When it was made.
    #[getter]
    #[assigned]
    fn created_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        convert::optional_datetime(py, self.core.time(Moment::Created))
    }

    /// When anything last happened to it.
    #[getter]
    #[assigned]
    fn updated_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        convert::optional_datetime(py, self.core.time(Moment::Updated))
    }

    /// When it stops being offered.
    #[getter]
    #[assigned]
    fn expires_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        convert::optional_datetime(py, self.core.cold(|cold| cold.expires_at))
    }
}
