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

    fields! {
        /// Its documented state of health.
        health_status: PyResult<Bound<'py, PyAny>> = convert::health(py, self.core.health());
        /// Where it came from.
        source: PyResult<Bound<'py, PyAny>> = convert::source(py, self.core.source());
    }

    /// Its tags: a set that may be changed in place.
    #[getter]
    #[assigned]
    fn tags(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::tag_set(slf)
    }

    fields! {
        /// Anything the user wants to keep with it: a dict that may be changed in place.
        metadata: Py<PyDict> = self.metadata_dict(py);
        /// Where it is, as a `GeoLocation`; `None` without a country.
        geo_location: PyResult<Option<Bound<'py, PyAny>>> = self.place(py);
        /// Requests started in the current counting window.
        requests_started: u64 = self.core.usage().0;
        /// Requests completed in the current counting window.
        requests_completed: u64 = self.core.usage().1;
        /// Requests in flight.
        requests_active: u32 = self.core.usage().2;
        /// All results recorded.
        total_requests: u64 = self.core.totals().0;
        /// Successes recorded.
        total_successes: u64 = self.core.totals().1;
        /// Failures recorded.
        total_failures: u64 = self.core.totals().2;
        /// Bytes sent through it, TLS and what was said to the proxy itself included.
        bytes_sent: u64 = self.core.bytes().0;
        /// Bytes received through it, likewise.
        bytes_received: u64 = self.core.bytes().1;
        /// What requests through it have cost, by `cost_per_request` and `cost_per_gb` at their time.
        spent: f64 = self.core.spent().amount();
        /// Failures since the last success.
        consecutive_failures: u32 = self.core.consecutive_failures();
        /// Moving average of the response time in milliseconds, the published one.
        average_response_time_ms: Option<f64> = self.core.average();
        /// Moving average of the response time in milliseconds.
        ema_response_time_ms: Option<f64> = self.core.ema();
        /// Weight of the newest sample in the moving average, 0 to 1.
        ema_alpha: f64 = self.core.ema_alpha();
        /// Latency measured last, in milliseconds.
        latency_ms: Option<f64> = self.core.latency();
        /// Length of the counting window in seconds.
        window_duration_seconds: u32 = self.core.cold(|cold| cold.window_duration);
        /// Where the list came from.
        source_url: Option<String> = self.core.cold(|cold| cold.source_url.as_deref().map(str::to_owned));
        /// Time to live in seconds.
        ttl: Option<i64> = self.core.cold(|cold| cold.ttl);
        /// Price of one request, in whatever unit limits are given in.
        cost_per_request: Option<f64> = self.core.cold(|cold| cold.cost);
        /// How it is spoken to: http, https, socks4 or socks5.
        protocol: &'static str = self.core.protocol().as_str();
        /// The URL as given, with credentials where it had them.
        url: String = self.core.url();
        /// Time of the last success.
        last_success_at: PyResult<Option<Bound<'py, PyDateTime>>> =
            convert::optional_datetime(py, self.core.time(Moment::LastSuccess));
        /// Time of the last failure.
        last_failure_at: PyResult<Option<Bound<'py, PyDateTime>>> =
            convert::optional_datetime(py, self.core.time(Moment::LastFailure));
        /// When the counting window began.
        window_start: PyResult<Option<Bound<'py, PyDateTime>>> =
            convert::optional_datetime(py, self.core.time(Moment::WindowStart));
        /// When it was made.
        created_at: PyResult<Option<Bound<'py, PyDateTime>>> =
            convert::optional_datetime(py, self.core.time(Moment::Created));
        /// When anything last happened to it.
        updated_at: PyResult<Option<Bound<'py, PyDateTime>>> =
            convert::optional_datetime(py, self.core.time(Moment::Updated));
        /// When it stops being offered.
        expires_at: PyResult<Option<Bound<'py, PyDateTime>>> =
            convert::optional_datetime(py, self.core.cold(|cold| cold.expires_at));
    }
}
