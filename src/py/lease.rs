//! `Lease`: one proxy, taken for one piece of work, until its outcome is told.

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::clock::SystemClock;
use crate::pool::context::{Context, Excluded};
use crate::pool::filter::Filter;
use crate::pool::query::{Notes, Query};
use crate::proxy::Id;
use crate::py::convert::{self, Lazy};
use crate::py::errors;
use crate::py::foreign::Asked;
use crate::py::log;
use crate::py::pool::PyPool;
use crate::py::proxy::PyProxy;
use crate::py::strategy;
use crate::rotation::lease::Lease;
use crate::rotation::outcome::Outcome;
use crate::strategy::{self as core_strategy, Shared};

static CLASSIFY: Lazy = Lazy::new("proxywhirl._outcomes", "outcome_of_error");
static RETRY_AFTER: Lazy = Lazy::new("proxywhirl._outcomes", "has_retry_after");

/// One proxy, taken for one piece of work, until its outcome is told. Thread-safe: the first verdict counts.
///
/// As a context manager: leaving the block cleanly is a success with the measured time; a network error known from httpx,
/// requests, urllib3, aiohttp, curl_cffi or the standard library is classified; any other exception, cancellation
/// included, is a release. A lease dropped without a verdict is released.
#[pyclass(name = "Lease", module = "proxywhirl._core", frozen, weakref)]
pub(crate) struct PyLease {
    core: Lease,
    proxy: Py<PyAny>,
}

impl PyLease {
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn take(
        pool: &Bound<'_, PyPool>,
        strategy: &Bound<'_, PyAny>,
        session_id: Option<&str>,
        country: Option<&str>,
        region: Option<&str>,
        tags: Option<&Bound<'_, PyAny>>,
        exclude: Option<&Bound<'_, PyAny>>,
        context: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let strategy = strategy::shared(strategy)?;
        let mut wanted = match context.filter(|context| !context.is_none()) {
            Some(context) => crate::py::context::extract(context)?,
            None => Context::default(),
        };
        wanted.in_rotation = true;
        if let Some(session_id) = session_id {
            wanted.session_id = Some(session_id.into());
        }
        narrow(&mut wanted, &strategy, country, region, tags)?;
        if let Some(exclude) = exclude {
            exclude_more(&mut wanted, exclude)?;
        }
        Self::ask(pool, strategy, &wanted, context)
    }

    fn ask(
        pool: &Bound<'_, PyPool>,
        strategy: Shared,
        wanted: &Context,
        given: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let py = pool.py();
        let core = &pool.get().core;
        let table = core.table();
        // A context that was laid over is rebuilt for whoever wants the object.
        let untouched = given.filter(|_| wanted.required.is_none() && wanted.excluded.is_empty());
        let asked =
            Asked { pool: pool.as_ptr(), context: untouched.map_or(std::ptr::null_mut(), |context| context.as_ptr()) };
        let notes = Notes::default();
        let query = Query::asked(core, &table, wanted, &SystemClock, &asked, &notes);
        let choice = core_strategy::choose(&*strategy, &query).map_err(|refusal| errors::refusal(py, refusal))?;
        if notes.any() {
            log::tell_notes(py, &notes, strategy.name())?;
        }
        let proxy = PyPool::object(py, core, &table, choice.0)?;
        let own = proxy.cast::<PyProxy>()?.get().core.clone();
        if log::is_on(py) {
            log::tell(py, "selected", strategy.name(), &own, None)?;
        }
        Ok(Self { core: Lease::new(own, strategy, &SystemClock), proxy: proxy.unbind() })
    }

    fn end(
        &self,
        py: Python<'_>,
        outcome: Outcome,
        elapsed_ms: Option<f64>,
        error: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let elapsed_ms = elapsed_ms.map(convert::duration).transpose()?;
        self.core.finish(outcome, elapsed_ms, &SystemClock).map_err(errors::closed)?;
        if let Some(error) = error.filter(|error| !error.is_none()) {
            py.import("proxywhirl._outcomes")?.call_method1("note_error", (self.proxy.bind(py), error))?;
        }
        if log::is_on(py) {
            log::tell(py, outcome.as_str(), "lease", self.core.proxy(), Some(outcome == Outcome::Success))?;
        }
        Ok(())
    }

    /// The outcome an exception stands for; `None` for one that is not about the network.
    fn classify(error: &Bound<'_, PyAny>) -> PyResult<Option<Outcome>> {
        let found = CLASSIFY.get(error.py())?.call1((error,))?;
        if found.is_none() { Ok(None) } else { convert::outcome_of(&found).map(Some) }
    }

    fn leave(&self, py: Python<'_>, error: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        if self.core.is_closed() {
            return Ok(());
        }
        match error.filter(|error| !error.is_none()) {
            None => self.end(py, Outcome::Success, None, None),
            Some(error) => match Self::classify(error)? {
                Some(outcome) => self.end(py, outcome, None, Some(error)),
                None => self.core.release(&SystemClock).map_err(errors::closed),
            },
        }
    }
}

fn narrow(
    wanted: &mut Context,
    strategy: &Shared,
    country: Option<&str>,
    region: Option<&str>,
    tags: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let mut required = Filter::default();
    // A strategy that looks at places by itself also knows what to do when nobody is there; for the others the place is a
    // demand like any other.
    let by_strategy = (country.is_some() || region.is_some()) && strategy.honours_country();
    if let Some(country) = country {
        wanted.target_country = Some(country.into());
        if !by_strategy {
            required.countries = Filter::countries([country]).countries;
        }
    }
    if let Some(region) = region {
        wanted.target_region = Some(region.into());
        if !by_strategy {
            required.regions = Filter::regions([region]).regions;
        }
    }
    if let Some(tags) = tags.filter(|tags| !tags.is_none()) {
        let tags = convert::texts(tags)?;
        required.tags = Filter::tags(tags.iter().map(|tag| &**tag)).tags;
    }
    if !required.is_empty() {
        wanted.required = Some(required);
    }
    Ok(())
}

fn exclude_more(wanted: &mut Context, exclude: &Bound<'_, PyAny>) -> PyResult<()> {
    if exclude.is_none() || exclude.len().is_ok_and(|len| len == 0) {
        return Ok(());
    }
    if exclude.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("exclude must be an iterable of proxy ids, not one string"));
    }
    let mut ids: Vec<Id> = match &wanted.excluded {
        Excluded::Nobody => Vec::new(),
        Excluded::Few(list) => list.to_vec(),
        Excluded::Many(set) => set.iter().copied().collect(),
    };
    for item in exclude.try_iter()? {
        ids.extend(convert::id_of(&item?));
    }
    wanted.excluded = Excluded::new(ids);
    Ok(())
}

#[pymethods]
impl PyLease {
    /// The proxy.
    #[getter]
    fn proxy(&self, py: Python<'_>) -> Py<PyAny> {
        self.proxy.clone_ref(py)
    }

    /// Identifier of the proxy.
    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::uuid(py, self.core.proxy().id())
    }

    /// URL for a client, with credentials.
    #[getter]
    fn url(&self) -> String {
        self.core.proxy().client_url()
    }

    /// What `requests` takes as `proxies`. SOCKS proxies resolve names themselves.
    #[getter]
    fn requests_proxies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let url = self.core.proxy().client_url();
        let url = match url.split_once("://") {
            Some(("socks5", rest)) => format!("socks5h://{rest}"),
            Some(("socks4", rest)) => format!("socks4a://{rest}"),
            _ => url,
        };
        let dict = PyDict::new(py);
        dict.set_item("http", &url)?;
        dict.set_item("https", &url)?;
        Ok(dict)
    }

    /// What Playwright takes as `proxy`.
    #[getter]
    fn playwright_proxy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let address = self.core.proxy().address();
        let dict = PyDict::new(py);
        dict.set_item("server", address.bare_url())?;
        if let Some(login) = &address.credentials {
            dict.set_item("username", &*login.username)?;
            dict.set_item("password", &*login.password)?;
        }
        Ok(dict)
    }

    /// Whether the outcome has been told.
    #[getter]
    fn closed(&self) -> bool {
        self.core.is_closed()
    }

    /// Judges what came back, records it and closes the lease.
    ///
    /// Args:
    ///     status: HTTP status of the answer.
    ///     headers: Its headers: a mapping, or pairs.
    ///     body: Its body, as far as read.
    ///     error: The exception that came instead.
    ///     elapsed_ms: Time to the answer in milliseconds; by default since the lease was taken.
    ///     bytes_sent: Bytes sent.
    ///     bytes_received: Bytes received.
    ///
    /// Returns:
    ///     The `Outcome`.
    ///
    /// Raises:
    ///     RuntimeError: The lease is closed.
    ///     TypeError: Neither a status nor an error is given.
    #[pyo3(signature = (status=None, headers=None, body=None, error=None, elapsed_ms=None, bytes_sent=0, bytes_received=0))]
    #[allow(clippy::too_many_arguments)]
    fn report<'py>(
        &self,
        py: Python<'py>,
        status: Option<u16>,
        headers: Option<&Bound<'py, PyAny>>,
        body: Option<&Bound<'py, PyAny>>,
        error: Option<&Bound<'py, PyAny>>,
        elapsed_ms: Option<f64>,
        bytes_sent: u64,
        bytes_received: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        // Bodies and byte counts are for ban rules and bills, which are not judged here yet.
        let _ = (body, bytes_sent, bytes_received);
        if self.core.is_closed() {
            return Err(errors::closed(crate::rotation::lease::AlreadyClosed));
        }
        let outcome = match (error.filter(|error| !error.is_none()), status) {
            (Some(error), _) => Self::classify(error)?.unwrap_or(Outcome::ClientFault),
            (None, Some(status)) => {
                let retry_after = match headers {
                    Some(headers) => RETRY_AFTER.get(py)?.call1((headers,))?.extract()?,
                    None => false,
                };
                Outcome::of_status(status, false, retry_after, matches!(status, 403 | 429))
            }
            (None, None) => return Err(PyTypeError::new_err("report() needs a status or an error")),
        };
        self.end(py, outcome, elapsed_ms, error)?;
        convert::outcome(py, outcome)
    }

    /// Ends the lease with an outcome that is known.
    ///
    /// Raises:
    ///     RuntimeError: The lease is closed.
    ///     ValueError: There is no such outcome.
    #[pyo3(signature = (outcome, elapsed_ms=None, error=None))]
    fn finish(
        &self,
        py: Python<'_>,
        outcome: &Bound<'_, PyAny>,
        elapsed_ms: Option<f64>,
        error: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.end(py, convert::outcome_of(outcome)?, elapsed_ms, error)
    }

    /// It worked; `elapsed_ms` is by default the time since the lease was taken.
    #[pyo3(signature = (elapsed_ms=None))]
    fn success(&self, py: Python<'_>, elapsed_ms: Option<f64>) -> PyResult<()> {
        self.end(py, Outcome::Success, elapsed_ms, None)
    }

    /// The proxy failed.
    #[pyo3(signature = (error=None))]
    fn failure(&self, py: Python<'_>, error: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.end(py, Outcome::ProxyDown, None, error)
    }

    /// The site refuses this proxy: counted as neither success nor failure of the proxy.
    ///
    /// Args:
    ///     cooldown: Seconds until the site may be tried through it again.
    #[pyo3(signature = (cooldown=None))]
    fn banned(&self, py: Python<'_>, cooldown: Option<f64>) -> PyResult<()> {
        if cooldown.is_some_and(|cooldown| cooldown.is_nan() || cooldown < 0.0) {
            return Err(pyo3::exceptions::PyValueError::new_err("cooldown must not be negative"));
        }
        self.end(py, Outcome::Banned, None, None)
    }

    /// Gives the proxy back as if it had never been chosen.
    fn release(&self) -> PyResult<()> {
        self.core.release(&SystemClock).map_err(errors::closed)
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (_exc_type=None, exc_value=None, _traceback=None, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        _exc_type: Option<&Bound<'_, PyAny>>,
        exc_value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.leave(py, exc_value)
    }

    fn __aenter__<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        py.import("proxywhirl._outcomes")?.call_method1("ready", (slf,))
    }

    #[pyo3(signature = (_exc_type=None, exc_value=None, _traceback=None, /))]
    fn __aexit__<'py>(
        &self,
        py: Python<'py>,
        _exc_type: Option<&Bound<'py, PyAny>>,
        exc_value: Option<&Bound<'py, PyAny>>,
        _traceback: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.leave(py, exc_value)?;
        py.import("proxywhirl._outcomes")?.call_method1("ready", (py.None(),))
    }

    fn __repr__(&self) -> String {
        let state = if self.core.is_closed() { "closed" } else { "open" };
        format!("<Lease {state} on {}>", self.core.proxy().masked_url())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.proxy)
    }
}
