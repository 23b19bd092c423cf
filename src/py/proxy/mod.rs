//! `Proxy`: the documented fields and methods over the core's proxy.

mod build;
mod fields;
mod local;
mod url;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDict, PyList, PyType};

use crate::clock::ExactClock;
use crate::net::address::Credentials;
use crate::proxy::{Moment, Proxy, Verdict};
use crate::py::convert::{self, Lazy};
use crate::py::journal;
use crate::py::metadata::ProxyMetadataView;
use crate::sync::{Arc, Mutex};
use fields::{FIELDS, Field};
use local::Local;
pub(crate) use url::parse_proxy_url;

static CREDENTIALS: Lazy = Lazy::upper("ProxyCredentials");

/// One proxy: its address, its state and its counters. Thread-safe; assignments are seen by the next selection.
///
/// Raises:
///     pydantic.ValidationError: A field is missing or wrong; the message never repeats a password.
#[pyclass(name = "Proxy", module = "proxywhirl", frozen, subclass, weakref)]
pub(crate) struct PyProxy {
    pub(crate) core: Arc<Proxy>,
    local: Mutex<Option<Box<Local>>>,
}

impl PyProxy {
    /// A Python object for a proxy of the core.
    pub(crate) fn wrap(core: Arc<Proxy>) -> Self {
        Self { core, local: Mutex::new(None) }
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyProxy {
    #[new]
    #[pyo3(signature = (url=None, **fields))]
    fn new(py: Python<'_>, url: Option<&Bound<'_, PyAny>>, fields: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Self::build(url, fields, py)
    }

    /// Most entries that `history` keeps.
    #[classattr]
    #[pyo3(name = "max_history_entries")]
    const MAX_HISTORY_ENTRIES: usize = 100;

    /// Its identifier, a `uuid.UUID`.
    #[getter]
    #[assigned]
    fn id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::uuid(py, self.core.id())
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

    #[pyo3(name = "_put_tags")]
    fn py_put_tags(&self, tags: &Bound<'_, PyAny>) -> PyResult<()> {
        self.put_tags(convert::texts(tags)?);
        Ok(())
    }

    /// The identifier as text: what `str(proxy.id)` says, without a `UUID` on the way.
    #[pyo3(name = "_key")]
    fn key(&self) -> String {
        self.core.id().to_string()
    }

    /// Put user name and password in one step, so that no request goes out with one old and one new.
    ///
    /// Returns:
    ///     Whether they were others before.
    #[pyo3(name = "_log_in")]
    fn log_in(&self, username: &str, password: &str) -> bool {
        self.core.log_in(&Credentials { username: username.into(), password: password.into() })
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

    /// User name and password as `ProxyCredentials`; `None` without.
    #[getter]
    fn credentials<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(login) = self.core.credentials() else { return Ok(None) };
        let kwargs = PyDict::new(py);
        kwargs.set_item("username", convert::secret(py, &login.username)?)?;
        kwargs.set_item("password", convert::secret(py, &login.password)?)?;
        CREDENTIALS.get(py)?.call((), Some(&kwargs)).map(Some)
    }

    /// Host name or address, IPv6 without brackets.
    #[getter]
    fn host(&self) -> String {
        self.core.address().host.into_string()
    }

    /// Port to dial; the scheme's default where the URL has none.
    #[getter]
    fn port(&self) -> u16 {
        self.core.address().effective_port()
    }

    /// Successes among all results, 0 to 1; 0 without any.
    #[getter]
    fn success_rate(&self) -> f64 {
        self.core.success_rate()
    }

    /// Whether the last request through it succeeded.
    #[getter]
    fn is_healthy(&self) -> bool {
        self.core.health() == crate::proxy::health::Health::Healthy
    }

    /// Whether its time to live is over.
    #[getter]
    fn is_expired(&self) -> bool {
        self.core.is_expired(&ExactClock)
    }

    /// Requests started in the sliding window.
    #[getter]
    fn window_request_count(&self) -> u64 {
        self.core.window_buckets(&ExactClock).iter().map(|bucket| bucket.1).sum()
    }

    /// What `record_request` has recorded: dicts with `timestamp`, `success` and `duration_ms`, at most 100, the newest
    /// last.
    #[getter]
    fn history<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.kept_requests(py)
    }

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

    #[pyo3(name = "_metadata")]
    fn metadata_view(&self) -> ProxyMetadataView {
        ProxyMetadataView::new(self.core.clone())
    }

    #[staticmethod]
    fn _fields() -> Vec<&'static str> {
        FIELDS.iter().map(|field| field.name).collect()
    }

    fn _dump<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let py = slf.py();
        let dict = PyDict::new(py);
        let login = slf.get().core.credentials();
        for Field { name, .. } in FIELDS {
            let value = match *name {
                "username" => login.as_ref().map(|login| &*login.username).into_pyobject(py)?.into_any(),
                "password" => login.as_ref().map(|login| &*login.password).into_pyobject(py)?.into_any(),
                "tags" => {
                    let tags: std::collections::HashSet<String> =
                        slf.get().core.cold(|cold| cold.tags.iter().map(|tag| tag.to_string()).collect());
                    tags.into_pyobject(py)?.into_any()
                }
                name => slf.getattr(name)?,
            };
            dict.set_item(*name, value)?;
        }
        Ok(dict)
    }

    #[classmethod]
    fn _from_state<'py>(cls: &Bound<'py, PyType>, state: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
        cls.call((), Some(state))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyDict>,))> {
        let state = Self::_dump(slf)?;
        Ok((slf.get_type().getattr("_from_state")?, (state,)))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let core = &slf.get().core;
        let class = slf.get_type().name()?;
        let masked = core.masked_url();
        Ok(format!("{class}(url={masked:?}, id='{}', health_status={:?})", core.id(), core.health().as_str()))
    }

    fn __str__(&self) -> String {
        self.core.masked_url()
    }

    fn __hash__(&self) -> isize {
        let id = self.core.id();
        (id.0 ^ id.1) as isize
    }

    fn __eq__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let Ok(other) = other.cast::<Self>() else { return Ok(py.NotImplemented()) };
        let (a, b) = (&slf.get().core, &other.get().core);
        let same = Arc::ptr_eq(a, b) || (a.id() == b.id() && Self::_dump(slf)?.eq(Self::_dump(other)?)?);
        Ok(same.into_pyobject(py)?.to_owned().into_any().unbind())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.local_traverse(&visit)
    }

    fn __clear__(&self) {
        let local = self.local.lock().take();
        drop(local);
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

    /// Country, ISO 3166-1 alpha-2.
    #[getter]
    #[assigned]
    fn country_code(&self) -> Option<String> {
        self.core.cold(|cold| cold.country.as_deref().map(str::to_owned))
    }

    /// Region or state.
    #[getter]
    #[assigned]
    fn region(&self) -> Option<String> {
        self.core.cold(|cold| cold.region.as_deref().map(str::to_owned))
    }

    /// Successful checks in a row.
    #[getter]
    #[assigned]
    fn consecutive_successes(&self) -> u64 {
        self.core.cold(|cold| cold.consecutive_successes)
    }

    /// Attempts made to bring it back.
    #[getter]
    #[assigned]
    fn recovery_attempt(&self) -> u64 {
        self.core.cold(|cold| cold.recovery_attempt)
    }

    /// What the last failed check said.
    #[getter]
    #[assigned]
    fn last_health_error(&self) -> Option<String> {
        self.core.cold(|cold| cold.last_health_error.as_deref().map(str::to_owned))
    }

    /// Checks made.
    #[getter]
    #[assigned]
    fn total_checks(&self) -> u64 {
        self.core.cold(|cold| cold.total_checks)
    }

    /// Checks failed.
    #[getter]
    #[assigned]
    fn total_health_failures(&self) -> u64 {
        self.core.cold(|cold| cold.total_health_failures)
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

    /// Whether a local address is accepted whatever the source.
    #[getter]
    #[assigned]
    fn allow_local(&self) -> bool {
        self.core.cold(|cold| cold.allow_local)
    }

    /// Whether each new connection leaves by another exit address, as a gateway's do; false by default. A site that refuses
    /// one exit is then tried again by another, and three in a row have to be refused before the proxy is benched there.
    #[getter]
    #[assigned]
    fn rotating(&self) -> bool {
        self.core.is_rotating()
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

    /// Time of the last check.
    #[getter]
    #[assigned]
    fn last_health_check<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        convert::optional_datetime(py, self.core.cold(|cold| cold.last_health_check))
    }

    /// When to check again.
    #[getter]
    #[assigned]
    fn next_check_time<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        convert::optional_datetime(py, self.core.cold(|cold| cold.next_check_time))
    }

    /// When it stops being offered.
    #[getter]
    #[assigned]
    fn expires_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        convert::optional_datetime(py, self.core.cold(|cold| cold.expires_at))
    }
}
