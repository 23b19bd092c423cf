//! `Proxy`: the documented fields and methods over the core's proxy.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDateTime, PyDict, PyInt, PyList, PyString, PyType};

use crate::clock::{ExactClock, exact_wall};
use crate::net::address::{Address, Credentials, Locality, Protocol, locality};
use crate::proxy::health::{Source, reason};
use crate::proxy::{Counter, Moment, Proxy, Verdict};
use crate::py::convert::{self, Lazy};
use crate::py::errors::{self, Fault};
use crate::py::journal;
use crate::py::metadata::ProxyMetadataView;
use crate::sync::{Arc, Mutex};

/// Field names in the documented order.
pub(crate) const FIELDS: [&str; 44] = [
    "id",
    "url",
    "protocol",
    "username",
    "password",
    "allow_local",
    "rotating",
    "health_status",
    "last_success_at",
    "last_failure_at",
    "requests_started",
    "requests_completed",
    "requests_active",
    "total_requests",
    "total_successes",
    "total_failures",
    "average_response_time_ms",
    "latency_ms",
    "ema_response_time_ms",
    "ema_alpha",
    "window_start",
    "window_duration_seconds",
    "country_code",
    "region",
    "consecutive_failures",
    "last_health_check",
    "consecutive_successes",
    "recovery_attempt",
    "next_check_time",
    "last_health_error",
    "total_checks",
    "total_health_failures",
    "tags",
    "source",
    "source_url",
    "metadata",
    "created_at",
    "updated_at",
    "ttl",
    "expires_at",
    "cost_per_request",
    "geo_location",
    "is_expired",
    "success_rate",
];
/// How many of them are fields; the rest are derived.
const DECLARED: usize = 42;

static TAG_SET: Lazy = Lazy::new("proxywhirl._native.tags", "TagSet");
static GEO: Lazy = Lazy::upper("GeoLocation");
static CREDENTIALS: Lazy = Lazy::upper("ProxyCredentials");
static DEQUE: Lazy = Lazy::new("collections", "deque");

/// What only Python knows of a proxy: allocated when first asked for.
#[derive(Default)]
struct Local {
    metadata: Option<Py<PyDict>>,
    tags: Option<Py<PyAny>>,
    geo_extras: Option<Py<PyDict>>,
    history: Option<Py<PyAny>>,
}

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

    /// Whether it may have metadata, or a place of more than country and region. Needs no interpreter.
    pub(crate) fn has_extras(&self) -> bool {
        self.local.lock().as_ref().is_some_and(|local| local.metadata.is_some() || local.geo_extras.is_some())
    }

    /// Never call into Python from `read`: the lock is held.
    fn local<R>(&self, read: impl FnOnce(&mut Local) -> R) -> R {
        read(self.local.lock().get_or_insert_default())
    }

    fn build(url: Option<&Bound<'_, PyAny>>, fields: Option<&Bound<'_, PyDict>>, py: Python<'_>) -> PyResult<Self> {
        let mut faults = Vec::new();
        let none = py.None().into_bound(py);
        let Some(url) = url else {
            return Err(errors::validation(py, "Proxy", vec![Fault::new("url", "Field required", &none)]));
        };
        let address = match convert::text(url) {
            Ok(text) => match Address::parse(&text) {
                Ok(address) => Some((address, text)),
                Err(error) => {
                    faults.push(Fault::new("url", error.to_string(), url));
                    None
                }
            },
            Err(error) => {
                faults.push(Fault::new("url", message(py, &error), url));
                None
            }
        };
        let Some((address, text)) = address else {
            return Err(errors::validation(py, "Proxy", faults));
        };
        let proxy = Self::wrap(Arc::new(Proxy::new(&address, Source::User, exact_wall())));
        if !address.is_written(&text) {
            proxy.core.set_cold(|cold| cold.raw_url = Some(text.clone()));
        }
        if let Some(fields) = fields {
            proxy.fill(fields, &address, &text, &mut faults)?;
        }
        let source = proxy.core.source();
        if !source.is_the_users_own() && !proxy.core.cold(|cold| cold.allow_local) {
            let refused = match locality(&address.host) {
                Locality::Public => None,
                Locality::Localhost => {
                    Some("Localhost addresses not allowed in fetched lists (allow_local=True lifts this)")
                }
                Locality::Private => {
                    Some("Private/internal IP addresses not allowed in fetched lists (allow_local=True lifts this)")
                }
            };
            if let Some(refused) = refused {
                faults.push(Fault::new("url", refused, url));
            }
        }
        if faults.is_empty() { Ok(proxy) } else { Err(errors::validation(py, "Proxy", faults)) }
    }

    fn fill(&self, fields: &Bound<'_, PyDict>, address: &Address, text: &str, faults: &mut Vec<Fault>) -> PyResult<()> {
        let py = fields.py();
        let get = |name: &str| fields.get_item(name).map(|value| value.filter(|value| !value.is_none()));
        let (user, password) = (get("username")?, get("password")?);
        match (&user, &password) {
            (None, None) => {}
            (Some(user), Some(password)) => {
                match (convert::optional_secret(user), convert::optional_secret(password)) {
                    (Ok(Some(username)), Ok(Some(password))) => {
                        self.core.set_credentials(Some(Credentials { username, password }));
                    }
                    _ => faults.push(Fault::new(
                        "username",
                        "username and password should be valid strings",
                        &py.None().into_bound(py),
                    )),
                }
            }
            _ => faults.push(Fault::new(
                "username",
                "Both username and password must be provided together",
                &py.None().into_bound(py),
            )),
        }
        if let Some(protocol) = get("protocol")? {
            match convert::text(&protocol).ok().as_deref().and_then(Protocol::parse) {
                Some(protocol) if protocol == address.protocol => {}
                Some(protocol) => {
                    let moved = Address { protocol, ..self.core.address() };
                    self.core.set_address(&moved, Some(text.into()));
                }
                None => faults.push(Fault::new(
                    "protocol",
                    "Input should be 'http', 'https', 'socks4' or 'socks5'",
                    &protocol,
                )),
            }
        }
        // Times before what is counted from them, a nested place before its flat parts, which win.
        let early = ["created_at", "geo_location"];
        let known = |name: &str| FIELDS[..DECLARED].contains(&name);
        let mut rest: Vec<(String, Bound<'_, PyAny>)> = Vec::new();
        for (key, value) in fields.iter() {
            let name: String = key.extract()?;
            if !known(&name) || matches!(&*name, "url" | "username" | "password" | "protocol") {
                continue;
            }
            if early.contains(&&*name) {
                rest.insert(0, (name, value));
            } else {
                rest.push((name, value));
            }
        }
        let explicit_expiry = get("expires_at")?.is_some();
        for (name, value) in rest {
            let skip = value.is_none() && !OPTIONAL.contains(&&*name);
            if skip && matches!(&*name, "id" | "created_at" | "updated_at" | "tags" | "metadata") {
                continue;
            }
            if name == "expires_at" && !explicit_expiry {
                continue;
            }
            if name == "ttl" && explicit_expiry {
                let ttl = value.extract::<Option<i64>>();
                match ttl {
                    Ok(ttl) => self.core.set_cold(|cold| cold.ttl = ttl),
                    Err(_) => faults.push(Fault::new(&name, "Input should be a valid integer", &value)),
                }
                continue;
            }
            // A model copies what it is made from.
            let value = if name == "metadata" { value.call_method0("copy").unwrap_or(value) } else { value };
            match self.assign(&name, &value) {
                Ok(()) => {}
                Err(error) if is_about_the_value(py, &error) => {
                    faults.push(Fault::new(&name, message(py, &error), &value))
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sets one field from a Python value: the single way in, for the constructor and for assignments.
    fn assign(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let core = &self.core;
        let py = value.py();
        let counter = |which: Counter| -> PyResult<()> {
            core.set_counter(which, convert::count(value)?);
            Ok(())
        };
        let time = |which: Moment| -> PyResult<()> {
            core.set_time(which, convert::optional_micros(value)?);
            Ok(())
        };
        match name {
            "requests_started" => counter(Counter::Started)?,
            "requests_completed" => counter(Counter::Completed)?,
            "requests_active" => counter(Counter::Active)?,
            "total_requests" => counter(Counter::Total)?,
            "total_successes" => counter(Counter::Successes)?,
            "total_failures" => counter(Counter::Failures)?,
            "consecutive_failures" => counter(Counter::ConsecutiveFailures)?,
            "last_success_at" => time(Moment::LastSuccess)?,
            "last_failure_at" => time(Moment::LastFailure)?,
            "window_start" => time(Moment::WindowStart)?,
            "created_at" | "updated_at" => {
                let which = if name == "created_at" { Moment::Created } else { Moment::Updated };
                core.set_time(which, Some(convert::micros(value)?));
            }
            "id" => {
                let id = convert::id_of(value).ok_or_else(|| PyValueError::new_err("Input should be a valid UUID"))?;
                core.set_id(id);
            }
            "url" => {
                let text = convert::text(value)?;
                let address = Address::parse(&text).map_err(errors::address)?;
                let raw = (!address.is_written(&text)).then_some(text);
                core.set_address(&address, raw);
            }
            "protocol" => {
                let protocol = Protocol::parse(&convert::text(value)?)
                    .ok_or_else(|| PyValueError::new_err("Input should be 'http', 'https', 'socks4' or 'socks5'"))?;
                core.set_address(&Address { protocol, ..core.address() }, None);
            }
            "username" | "password" => {
                let given = convert::optional_secret(value)?.unwrap_or_default();
                let mut login =
                    core.credentials().unwrap_or_else(|| Credentials { username: "".into(), password: "".into() });
                if name == "username" {
                    login.username = given;
                } else {
                    login.password = given;
                }
                let empty = login.username.is_empty() && login.password.is_empty();
                core.set_credentials((!empty).then_some(login));
            }
            "allow_local" => {
                let on = value.extract::<bool>()?;
                core.set_cold(|cold| cold.allow_local = on);
            }
            "rotating" => {
                let on = value.extract::<bool>()?;
                core.set_cold(|cold| cold.rotating = on);
            }
            "health_status" => core.set_health(convert::health_of(value)?),
            "source" => core.set_source(convert::source_of(value)?),
            "average_response_time_ms" => core.set_average(convert::optional_amount(value)?),
            "ema_response_time_ms" => core.set_ema(convert::optional_amount(value)?),
            "latency_ms" => {
                let ms = convert::optional_amount(value)?;
                core.set_latency(ms);
            }
            "ema_alpha" => {
                let alpha = convert::number(value)?;
                if !(0.0..=1.0).contains(&alpha) {
                    return Err(PyValueError::new_err("Input should be from 0 to 1"));
                }
                core.set_cold(|cold| cold.ema_alpha = alpha);
            }
            "window_duration_seconds" => {
                let seconds = convert::count(value)?;
                let seconds = u32::try_from(seconds).ok().filter(|seconds| *seconds > 0);
                let seconds = seconds.ok_or_else(|| PyValueError::new_err("Input should be greater than 0"))?;
                core.set_window_duration(seconds);
            }
            "country_code" => {
                let code = convert::optional_text(value)?;
                core.set_cold(|cold| cold.country = code);
            }
            "region" => {
                let region = convert::optional_text(value)?;
                core.set_cold(|cold| cold.region = region);
            }
            "last_health_check" => {
                let at = convert::optional_micros(value)?;
                core.set_cold(|cold| cold.last_health_check = at);
            }
            "next_check_time" => {
                let at = convert::optional_micros(value)?;
                core.set_cold(|cold| cold.next_check_time = at);
            }
            "last_health_error" => {
                let text = convert::optional_text(value)?;
                core.set_cold(|cold| cold.last_health_error = text);
            }
            "consecutive_successes" => {
                let count = convert::count(value)?;
                core.set_cold(|cold| cold.consecutive_successes = count);
            }
            "recovery_attempt" => {
                let count = convert::count(value)?;
                core.set_cold(|cold| cold.recovery_attempt = count);
            }
            "total_checks" => {
                let count = convert::count(value)?;
                core.set_cold(|cold| cold.total_checks = count);
            }
            "total_health_failures" => {
                let count = convert::count(value)?;
                core.set_cold(|cold| cold.total_health_failures = count);
            }
            "source_url" => {
                // A pydantic URL prints as one.
                let text = if value.is_none() { None } else { Some(value.str()?.to_str()?.into()) };
                core.set_cold(|cold| cold.source_url = text);
            }
            "ttl" => {
                let ttl = if value.is_none() { None } else { Some(whole(value)?) };
                let created = core.time(Moment::Created).unwrap_or_default();
                core.set_cold(|cold| {
                    cold.ttl = ttl;
                    if let Some(seconds) = ttl {
                        cold.expires_at = Some(created.saturating_add(seconds.saturating_mul(1_000_000)));
                    }
                });
            }
            "expires_at" => {
                let at = convert::optional_micros(value)?;
                core.set_cold(|cold| cold.expires_at = at);
                // A selection looks at a clock that lags: a time in the past holds from now on.
                if core.is_expired(&ExactClock) {
                    core.set_reason(reason::EXPIRED, true);
                }
            }
            "cost_per_request" => {
                let cost = convert::optional_amount(value)?;
                core.set_cold(|cold| cold.cost = cost);
            }
            "tags" => {
                self.put_tags(convert::texts(value)?);
                let stale = self.local.lock().as_mut().and_then(|local| local.tags.take());
                drop(stale);
            }
            "metadata" => {
                let dict = match value.cast::<PyDict>() {
                    Ok(dict) => dict.clone(),
                    Err(_) => PyDict::from_sequence(
                        &value
                            .call_method0("items")
                            .map_err(|_| PyTypeError::new_err("Input should be a valid dictionary"))?,
                    )?,
                };
                let stale = self.local(|local| local.metadata.replace(dict.unbind()));
                drop(stale);
            }
            "geo_location" => self.set_geo(py, value)?,
            _ => return Err(PyTypeError::new_err(format!("Proxy has no field {name}"))),
        }
        Ok(())
    }

    fn put_tags(&self, mut tags: Vec<Box<str>>) {
        tags.sort_unstable();
        tags.dedup();
        self.core.set_cold(|cold| cold.tags = tags);
    }

    fn set_geo(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if value.is_none() {
            let stale = self.local.lock().as_mut().and_then(|local| local.geo_extras.take());
            drop(stale);
            self.core.set_cold(|cold| (cold.country, cold.region) = (None, None));
            return Ok(());
        }
        let class = GEO.get(py)?;
        let geo =
            if value.is_instance(class)? { value.clone() } else { class.call_method1("model_validate", (value,))? };
        let country = convert::optional_text(&geo.getattr("country_code")?)?;
        let region = convert::optional_text(&geo.getattr("region")?)?;
        let extras = geo.call_method0("model_dump")?.cast_into::<PyDict>()?;
        for name in ["country_code", "region"] {
            extras.del_item(name)?;
        }
        self.core.set_cold(|cold| (cold.country, cold.region) = (country, region));
        let stale = self.local(|local| local.geo_extras.replace(extras.unbind()));
        drop(stale);
        Ok(())
    }

    fn metadata_dict(&self, py: Python<'_>) -> Py<PyDict> {
        if let Some(dict) =
            self.local.lock().as_ref().and_then(|local| local.metadata.as_ref().map(|dict| dict.clone_ref(py)))
        {
            return dict;
        }
        let fresh = PyDict::new(py).unbind();
        self.local(|local| local.metadata.get_or_insert(fresh).clone_ref(py))
    }

    /// Records a failure with what it said: the last ten are kept, without credentials.
    fn note_error(&self, py: Python<'_>, error: &str) -> PyResult<()> {
        let metadata = self.metadata_dict(py).into_bound(py);
        let errors = match metadata.get_item("last_errors")?.and_then(|list| list.cast_into::<PyList>().ok()) {
            Some(list) => list,
            None => {
                let list = PyList::empty(py);
                metadata.set_item("last_errors", &list)?;
                list
            }
        };
        let entry = PyDict::new(py);
        entry.set_item("timestamp", convert::datetime(py, exact_wall())?)?;
        let scrubbed = py.import("proxywhirl._native.redact")?.call_method1("scrub_text", (error,))?;
        entry.set_item("error", scrubbed)?;
        errors.append(entry)?;
        while errors.len() > 10 {
            errors.del_item(0)?;
        }
        Ok(())
    }
}

/// Fields that may be `None`.
const OPTIONAL: [&str; 17] = [
    "last_success_at",
    "last_failure_at",
    "average_response_time_ms",
    "latency_ms",
    "ema_response_time_ms",
    "window_start",
    "country_code",
    "region",
    "last_health_check",
    "next_check_time",
    "last_health_error",
    "source_url",
    "ttl",
    "expires_at",
    "cost_per_request",
    "geo_location",
    "protocol",
];

fn whole(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    if value.is_instance_of::<PyBool>() || !value.is_instance_of::<PyInt>() {
        return Err(PyTypeError::new_err("Input should be a valid integer"));
    }
    value.extract()
}

fn is_about_the_value(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyTypeError>(py)
        || error.is_instance_of::<PyValueError>(py)
        || error.is_instance_of::<pyo3::exceptions::PyOverflowError>(py)
}

fn message(py: Python<'_>, error: &PyErr) -> String {
    error.value(py).str().map_or_else(|_| "Input is not valid".to_owned(), |text| text.to_string())
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
    fn id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::uuid(py, self.core.id())
    }

    /// User name to log in with, a `SecretStr`.
    #[getter]
    fn username<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let login = self.core.credentials().filter(|login| !login.username.is_empty());
        login.map(|login| convert::secret(py, &login.username)).transpose()
    }

    /// Password to log in with, a `SecretStr`.
    #[getter]
    fn password<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        // Empty beside a user name: an API key. Alone it is no login.
        let login = self.core.credentials().filter(|login| !login.password.is_empty() || !login.username.is_empty());
        login.map(|login| convert::secret(py, &login.password)).transpose()
    }

    /// Its documented state of health.
    #[getter]
    fn health_status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::health(py, self.core.health())
    }

    /// Where it came from.
    #[getter]
    fn source<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::source(py, self.core.source())
    }

    /// Its tags: a set that may be changed in place.
    #[getter]
    fn tags(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let this = slf.get();
        if let Some(tags) =
            this.local.lock().as_ref().and_then(|local| local.tags.as_ref().map(|tags| tags.clone_ref(py)))
        {
            return Ok(tags);
        }
        let current: Vec<String> = this.core.cold(|cold| cold.tags.iter().map(|tag| tag.to_string()).collect());
        let fresh = TAG_SET.get(py)?.call1((current, slf))?.unbind();
        Ok(this.local(|local| local.tags.get_or_insert(fresh).clone_ref(py)))
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
    fn metadata(&self, py: Python<'_>) -> Py<PyDict> {
        self.metadata_dict(py)
    }

    /// Where it is, as a `GeoLocation`; `None` without a country.
    #[getter]
    fn geo_location<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (country, region) = self.core.cold(|cold| (cold.country.clone(), cold.region.clone()));
        let Some(country) = country.filter(|code| is_country_code(code)) else { return Ok(None) };
        let kwargs = match self
            .local
            .lock()
            .as_ref()
            .and_then(|local| local.geo_extras.as_ref().map(|extras| extras.clone_ref(py)))
        {
            Some(extras) => extras.bind(py).copy()?,
            None => PyDict::new(py),
        };
        kwargs.set_item("country_code", &*country)?;
        kwargs.set_item("region", region.as_deref())?;
        GEO.get(py)?.call((), Some(&kwargs)).map(Some)
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

    /// What `record_request` has been told: dicts with `timestamp`, `success` and `duration_ms`, at most 100, the newest last.
    #[getter]
    fn history<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let history =
            self.local.lock().as_ref().and_then(|local| local.history.as_ref().map(|history| history.clone_ref(py)));
        match history {
            Some(history) => Ok(PyList::new(py, history.bind(py).try_iter()?.collect::<PyResult<Vec<_>>>()?)?),
            None => Ok(PyList::empty(py)),
        }
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
        self.note_request(py, success, duration_ms)
    }

    /// Keeps a result in `history` that was recorded by other means.
    #[pyo3(name = "_note_request")]
    fn note_request(&self, py: Python<'_>, success: bool, duration_ms: f64) -> PyResult<()> {
        let duration_ms = convert::duration(duration_ms)?;
        let kwargs = PyDict::new(py);
        kwargs.set_item("maxlen", Self::MAX_HISTORY_ENTRIES)?;
        let fresh = DEQUE.get(py)?.call((), Some(&kwargs))?.unbind();
        let history = self.local(|local| local.history.get_or_insert(fresh).clone_ref(py));
        let entry = PyDict::new(py);
        entry.set_item("timestamp", convert::datetime(py, exact_wall())?)?;
        entry.set_item("success", success)?;
        entry.set_item("duration_ms", duration_ms)?;
        history.bind(py).call_method1("append", (entry,))?;
        Ok(())
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
        FIELDS[..DECLARED].to_vec()
    }

    fn _dump<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let py = slf.py();
        let dict = PyDict::new(py);
        let login = slf.get().core.credentials();
        for name in &FIELDS[..DECLARED] {
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
            dict.set_item(name, value)?;
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
        // The lock cannot be held: it is never held across Python code, and nothing else runs during a traversal.
        if let Some(local) = self.local.lock().as_ref() {
            visit.call(&local.metadata)?;
            visit.call(&local.tags)?;
            visit.call(&local.geo_extras)?;
            visit.call(&local.history)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let local = self.local.lock().take();
        drop(local);
    }

    /// Requests started in the current counting window.
    #[getter]
    fn requests_started(&self) -> u64 {
        self.core.usage().0
    }

    /// Requests completed in the current counting window.
    #[getter]
    fn requests_completed(&self) -> u64 {
        self.core.usage().1
    }

    /// Requests in flight.
    #[getter]
    fn requests_active(&self) -> u32 {
        self.core.usage().2
    }

    /// All results recorded.
    #[getter]
    fn total_requests(&self) -> u64 {
        self.core.totals().0
    }

    /// Successes recorded.
    #[getter]
    fn total_successes(&self) -> u64 {
        self.core.totals().1
    }

    /// Failures recorded.
    #[getter]
    fn total_failures(&self) -> u64 {
        self.core.totals().2
    }

    /// Failures since the last success.
    #[getter]
    fn consecutive_failures(&self) -> u32 {
        self.core.consecutive_failures()
    }

    /// Moving average of the response time in milliseconds, the published one.
    #[getter]
    fn average_response_time_ms(&self) -> Option<f64> {
        self.core.average()
    }

    /// Moving average of the response time in milliseconds.
    #[getter]
    fn ema_response_time_ms(&self) -> Option<f64> {
        self.core.ema()
    }

    /// Weight of the newest sample in the moving average, 0 to 1.
    #[getter]
    fn ema_alpha(&self) -> f64 {
        self.core.ema_alpha()
    }

    /// Latency measured last, in milliseconds.
    #[getter]
    fn latency_ms(&self) -> Option<f64> {
        self.core.latency()
    }

    /// Length of the counting window in seconds.
    #[getter]
    fn window_duration_seconds(&self) -> u32 {
        self.core.cold(|cold| cold.window_duration)
    }

    /// Country, ISO 3166-1 alpha-2.
    #[getter]
    fn country_code(&self) -> Option<String> {
        self.core.cold(|cold| cold.country.as_deref().map(str::to_owned))
    }

    /// Region or state.
    #[getter]
    fn region(&self) -> Option<String> {
        self.core.cold(|cold| cold.region.as_deref().map(str::to_owned))
    }

    /// Successful checks in a row.
    #[getter]
    fn consecutive_successes(&self) -> u64 {
        self.core.cold(|cold| cold.consecutive_successes)
    }

    /// Attempts made to bring it back.
    #[getter]
    fn recovery_attempt(&self) -> u64 {
        self.core.cold(|cold| cold.recovery_attempt)
    }

    /// What the last failed check said.
    #[getter]
    fn last_health_error(&self) -> Option<String> {
        self.core.cold(|cold| cold.last_health_error.as_deref().map(str::to_owned))
    }

    /// Checks made.
    #[getter]
    fn total_checks(&self) -> u64 {
        self.core.cold(|cold| cold.total_checks)
    }

    /// Checks failed.
    #[getter]
    fn total_health_failures(&self) -> u64 {
        self.core.cold(|cold| cold.total_health_failures)
    }

    /// Where the list came from.
    #[getter]
    fn source_url(&self) -> Option<String> {
        self.core.cold(|cold| cold.source_url.as_deref().map(str::to_owned))
    }

    /// Time to live in seconds.
    #[getter]
    fn ttl(&self) -> Option<i64> {
        self.core.cold(|cold| cold.ttl)
    }

    /// Price of one request, in whatever unit limits are given in.
    #[getter]
    fn cost_per_request(&self) -> Option<f64> {
        self.core.cold(|cold| cold.cost)
    }

    /// Whether a local address is accepted whatever the source.
    #[getter]
    fn allow_local(&self) -> bool {
        self.core.cold(|cold| cold.allow_local)
    }

    /// Whether each new connection leaves by another exit address, as a gateway's do; false by default. A site that refuses
    /// one exit is then tried again by another, and three in a row have to be refused before the proxy is benched there.
    #[getter]
    fn rotating(&self) -> bool {
        self.core.is_rotating()
    }

    /// How it is spoken to: http, https, socks4 or socks5.
    #[getter]
    fn protocol(&self) -> &'static str {
        self.core.protocol().as_str()
    }

    /// The URL as given, with credentials where it had them.
    #[getter]
    fn url(&self) -> String {
        self.core.url()
    }

    /// Time of the last success.
    #[getter]
    fn last_success_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        convert::optional_datetime(py, self.core.time(Moment::LastSuccess))
    }

    /// Time of the last failure.
    #[getter]
    fn last_failure_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        convert::optional_datetime(py, self.core.time(Moment::LastFailure))
    }

    /// When the counting window began.
    #[getter]
    fn window_start<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        convert::optional_datetime(py, self.core.time(Moment::WindowStart))
    }

    /// When it was made.
    #[getter]
    fn created_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        convert::optional_datetime(py, self.core.time(Moment::Created))
    }

    /// When anything last happened to it.
    #[getter]
    fn updated_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        convert::optional_datetime(py, self.core.time(Moment::Updated))
    }

    /// Time of the last check.
    #[getter]
    fn last_health_check<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        convert::optional_datetime(py, self.core.cold(|cold| cold.last_health_check))
    }

    /// When to check again.
    #[getter]
    fn next_check_time<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        convert::optional_datetime(py, self.core.cold(|cold| cold.next_check_time))
    }

    /// When it stops being offered.
    #[getter]
    fn expires_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        convert::optional_datetime(py, self.core.cold(|cold| cold.expires_at))
    }

    #[setter(requests_started)]
    fn set_requests_started(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("requests_started", value).map(|_| ())
    }

    #[setter(requests_completed)]
    fn set_requests_completed(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("requests_completed", value).map(|_| ())
    }

    #[setter(requests_active)]
    fn set_requests_active(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("requests_active", value).map(|_| ())
    }

    #[setter(total_requests)]
    fn set_total_requests(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("total_requests", value).map(|_| ())
    }

    #[setter(total_successes)]
    fn set_total_successes(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("total_successes", value).map(|_| ())
    }

    #[setter(total_failures)]
    fn set_total_failures(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("total_failures", value).map(|_| ())
    }

    #[setter(consecutive_failures)]
    fn set_consecutive_failures(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("consecutive_failures", value).map(|_| ())
    }

    #[setter(average_response_time_ms)]
    fn set_average_response_time_ms(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("average_response_time_ms", value).map(|_| ())
    }

    #[setter(ema_response_time_ms)]
    fn set_ema_response_time_ms(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("ema_response_time_ms", value).map(|_| ())
    }

    #[setter(ema_alpha)]
    fn set_ema_alpha(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("ema_alpha", value).map(|_| ())
    }

    #[setter(latency_ms)]
    fn set_latency_ms(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("latency_ms", value).map(|_| ())
    }

    #[setter(window_duration_seconds)]
    fn set_window_duration_seconds(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("window_duration_seconds", value).map(|_| ())
    }

    #[setter(country_code)]
    fn set_country_code(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("country_code", value).map(|_| ())
    }

    #[setter(region)]
    fn set_region(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("region", value).map(|_| ())
    }

    #[setter(consecutive_successes)]
    fn set_consecutive_successes(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("consecutive_successes", value).map(|_| ())
    }

    #[setter(recovery_attempt)]
    fn set_recovery_attempt(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("recovery_attempt", value).map(|_| ())
    }

    #[setter(last_health_error)]
    fn set_last_health_error(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("last_health_error", value).map(|_| ())
    }

    #[setter(total_checks)]
    fn set_total_checks(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("total_checks", value).map(|_| ())
    }

    #[setter(total_health_failures)]
    fn set_total_health_failures(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("total_health_failures", value).map(|_| ())
    }

    #[setter(source_url)]
    fn set_source_url(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("source_url", value).map(|_| ())
    }

    #[setter(ttl)]
    fn set_ttl(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("ttl", value).map(|_| ())
    }

    #[setter(cost_per_request)]
    fn set_cost_per_request(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("cost_per_request", value).map(|_| ())
    }

    #[setter(allow_local)]
    fn set_allow_local(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("allow_local", value).map(|_| ())
    }

    #[setter(rotating)]
    fn set_rotating(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("rotating", value).map(|_| ())
    }

    #[setter(protocol)]
    fn set_protocol(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("protocol", value).map(|_| ())
    }

    #[setter(url)]
    fn set_url(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("url", value).map(|_| ())
    }

    #[setter(last_success_at)]
    fn set_last_success_at(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("last_success_at", value).map(|_| ())
    }

    #[setter(last_failure_at)]
    fn set_last_failure_at(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("last_failure_at", value).map(|_| ())
    }

    #[setter(window_start)]
    fn set_window_start(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("window_start", value).map(|_| ())
    }

    #[setter(created_at)]
    fn set_created_at(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("created_at", value).map(|_| ())
    }

    #[setter(updated_at)]
    fn set_updated_at(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("updated_at", value).map(|_| ())
    }

    #[setter(last_health_check)]
    fn set_last_health_check(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("last_health_check", value).map(|_| ())
    }

    #[setter(next_check_time)]
    fn set_next_check_time(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("next_check_time", value).map(|_| ())
    }

    #[setter(expires_at)]
    fn set_expires_at(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("expires_at", value).map(|_| ())
    }

    #[setter(id)]
    fn set_id(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("id", value).map(|_| ())
    }

    #[setter(username)]
    fn set_username(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("username", value).map(|_| ())
    }

    #[setter(password)]
    fn set_password(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("password", value).map(|_| ())
    }

    #[setter(health_status)]
    fn set_health_status(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("health_status", value).map(|_| ())
    }

    #[setter(tags)]
    fn set_tags(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("tags", value).map(|_| ())
    }

    #[setter(source)]
    fn set_source(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("source", value).map(|_| ())
    }

    #[setter(metadata)]
    fn set_metadata(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("metadata", value).map(|_| ())
    }

    #[setter(geo_location)]
    fn set_geo_location(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("geo_location", value).map(|_| ())
    }
}

/// Whether `GeoLocation` takes it: two characters, upper case included, and none of them blank. Proxies take any text.
fn is_country_code(code: &str) -> bool {
    // Python's blanks have four control characters more.
    let is_blank = |c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c);
    code.chars().count() == 2 && code.to_uppercase().chars().count() == 2 && !code.contains(is_blank)
}

/// Reads a proxy's URL.
///
/// Args:
///     url: `scheme://[user:password@]host[:port]`.
///     require_port: Whether a URL without a port is refused.
///
/// Returns:
///     A dict with `protocol`, `host`, `port`, `username`, `password`.
///
/// Raises:
///     ValueError: "Invalid proxy URL ...", without the URL, which may hold a password.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (url, require_port=false))]
pub(crate) fn parse_proxy_url<'py>(
    py: Python<'py>,
    url: &Bound<'py, PyString>,
    require_port: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let address = Address::parse(url.to_str()?).map_err(errors::address)?;
    if require_port && address.port.is_none() {
        return Err(errors::address(crate::net::address::AddressError::NoPort));
    }
    let dict = PyDict::new(py);
    dict.set_item("protocol", address.protocol.as_str())?;
    dict.set_item("port", address.effective_port())?;
    dict.set_item("host", &*address.host)?;
    let login = address.credentials.as_ref();
    dict.set_item("username", login.map(|login| &*login.username))?;
    dict.set_item("password", login.map(|login| &*login.password))?;
    Ok(dict)
}
