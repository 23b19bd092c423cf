//! The counts of attempts as Python reads them; leases write them down without a call into Python.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::clock::{Clock, SystemClock};
use crate::judge::outcome::Outcome;
use crate::metrics::attempts::{Attempt, AttemptOutcome, Attempts, Label};
use crate::metrics::groups::{By, Metrics, Report};
use crate::metrics::request_log::RequestLog;
use crate::proxy::Id;
use crate::py::convert;
use crate::sync::Arc;

/// A proxy's id where the text is one, so that it is the same key as of a lease.
fn proxy_label(value: &Bound<'_, PyAny>) -> PyResult<Label> {
    match convert::id_of(value) {
        Some(id) => Ok(Label::Proxy(id)),
        None => label(value),
    }
}

fn label(value: &Bound<'_, PyAny>) -> PyResult<Label> {
    match value.cast::<PyString>() {
        Ok(text) => Ok(Label::Text(text.to_str()?.into())),
        Err(_) => Ok(Label::Text(value.str()?.to_str()?.into())),
    }
}

fn outcome_of_attempt(value: &Bound<'_, PyAny>) -> PyResult<AttemptOutcome> {
    let name = convert::text(value)?;
    AttemptOutcome::parse(&name).ok_or_else(|| PyValueError::new_err(format!("{name:?} is no outcome of an attempt")))
}

/// An attempt as the metrics of retries take it down: request, number from 0, proxy id, seconds since the epoch, outcome, status,
/// pause before it and time taken in seconds, error.
fn attempt_of(entry: &Bound<'_, PyTuple>) -> PyResult<Attempt> {
    if entry.len() != 9 {
        return Err(PyTypeError::new_err("an attempt has nine parts"));
    }
    let status: Option<u16> = entry.get_item(5)?.extract()?;
    let error: Option<String> = entry.get_item(8)?.extract()?;
    Ok(Attempt {
        request: label(&entry.get_item(0)?)?,
        number: entry.get_item(1)?.extract()?,
        proxy: proxy_label(&entry.get_item(2)?)?,
        at: entry.get_item(3)?.extract()?,
        outcome: outcome_of_attempt(&entry.get_item(4)?)?,
        status,
        delay: entry.get_item(6)?.extract()?,
        latency: entry.get_item(7)?.extract()?,
        error: error.map(Into::into),
    })
}

/// What became of attempts: the latest one by one, older ones by the hour. Thread-safe, bounded.
///
/// Args:
///     retention_hours: Hours that are kept.
///     max_recent: Attempts that are kept one by one.
///     max_proxies: Proxies that are counted one by one in an hour.
#[pyclass(module = "proxywhirl._core", frozen)]
pub(crate) struct AttemptBook {
    core: Arc<Attempts>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl AttemptBook {
    #[new]
    fn new(retention_hours: usize, max_recent: usize, max_proxies: usize) -> Self {
        Self { core: Arc::new(Attempts::new(retention_hours, max_recent, max_proxies)) }
    }

    /// The log of a request that begins now, for its leases.
    pub(crate) fn begin(&self) -> AttemptLog {
        AttemptLog { core: Arc::new(self.core.begin()) }
    }

    /// Has the attempts of requests that begin from now on counted there too.
    #[pyo3(signature = (metrics=None))]
    fn count_into(&self, metrics: Option<&Bound<'_, AttemptMetrics>>) {
        self.core.count_into(metrics.map(|metrics| metrics.get().core.clone()));
    }

    /// Counts an attempt: request, number from 0, proxy id, seconds since the epoch, outcome, status, pause before it and time
    /// taken in seconds, error.
    fn record(&self, entry: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.core.record(attempt_of(entry)?);
        Ok(())
    }

    /// The attempts kept one by one, oldest first, as `record` takes them.
    fn recent<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for attempt in self.core.recent() {
            let Attempt { request, number, proxy, at, outcome, status, delay, latency, error } = attempt;
            let (request, proxy) = (request.to_string(), proxy.to_string());
            list.append((request, number, proxy, at, outcome.as_str(), status, delay, latency, error.as_deref()))?;
        }
        Ok(list)
    }

    /// Forgets the hours that begin before or after these moments, in seconds since the epoch.
    fn keep_between(&self, first: f64, last: f64) {
        self.core.keep_between(first, last);
    }

    /// The sums of the hours from that moment on: beginning, requests, retries, seconds, successes by number, failures by
    /// reason.
    fn hours<'py>(&self, py: Python<'py>, since: f64) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for (start, hour) in self.core.hours(since) {
            let (successes, failures) = (PyDict::new(py), PyDict::new(py));
            for (number, count) in hour.successes {
                successes.set_item(number, count)?;
            }
            for (reason, count) in hour.failures {
                failures.set_item(reason, count)?;
            }
            list.append((start, hour.requests, hour.retries, hour.seconds, successes, failures))?;
        }
        Ok(list)
    }

    /// Attempts, successes and seconds of each proxy in the hours from that moment on.
    fn by_proxy<'py>(&self, py: Python<'py>, since: f64) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (proxy, counts) in self.core.by_proxy(since) {
            dict.set_item(proxy.to_string(), (counts.attempts, counts.successes, counts.seconds))?;
        }
        Ok(dict)
    }

    /// Seconds that the latest successful attempts of some proxies took on average, by proxy id.
    fn mean_latencies<'py>(
        &self,
        py: Python<'py>,
        proxy_ids: Vec<Bound<'py, PyAny>>,
        last: usize,
    ) -> PyResult<Bound<'py, PyDict>> {
        let labels = proxy_ids.iter().map(proxy_label).collect::<PyResult<Vec<_>>>()?;
        let dict = PyDict::new(py);
        for (number, mean) in self.core.mean_latencies(&labels, last) {
            dict.set_item(&proxy_ids[number], mean)?;
        }
        Ok(dict)
    }

    fn __len__(&self) -> usize {
        self.core.len()
    }
}

/// The attempts of one request, written down as its leases are settled.
#[pyclass(module = "proxywhirl._core", frozen)]
pub(crate) struct AttemptLog {
    pub(crate) core: Arc<RequestLog>,
}

/// Attempts by proxy, by site and by outcome. Thread-safe, bounded.
///
/// Args:
///     most_groups: Proxies, and sites, that are counted apart.
#[pyclass(module = "proxywhirl._core", frozen)]
pub(crate) struct AttemptMetrics {
    core: Arc<Metrics>,
}

/// An outcome that is decided.
fn known(value: &Bound<'_, PyAny>) -> PyResult<Outcome> {
    convert::outcome_of(value)?.ok_or_else(|| PyValueError::new_err("the outcome of an attempt that counts is decided"))
}

fn seconds(now: Option<f64>) -> f64 {
    now.unwrap_or_else(|| SystemClock.steady() as f64 / 1e9)
}

/// A tally as a dictionary. `is_billed`: bytes and money are counted in it.
fn report<'py>(py: Python<'py>, report: &Report, is_billed: bool) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let Report { requests, successes, mean, quantiles, outcomes, traffic } = *report;
    dict.set_item("total_requests", requests)?;
    dict.set_item("successes", successes)?;
    dict.set_item("failures", requests - successes)?;
    dict.set_item("success_rate", if requests == 0 { 0.0 } else { successes as f64 / requests as f64 })?;
    dict.set_item("avg_latency_ms", mean)?;
    for (name, value) in ["p50_latency_ms", "p95_latency_ms", "p99_latency_ms"].into_iter().zip(quantiles) {
        dict.set_item(name, value)?;
    }
    if is_billed {
        dict.set_item("bytes_sent", traffic.sent)?;
        dict.set_item("bytes_received", traffic.received)?;
        let spent = traffic.spent.amount();
        dict.set_item("spent", spent)?;
        dict.set_item("cost_per_page", (successes > 0).then(|| spent / successes as f64))?;
    }
    let counts = PyDict::new(py);
    for (outcome, count) in Outcome::ALL.into_iter().zip(outcomes).filter(|(_, count)| *count > 0) {
        counts.set_item(outcome.as_str(), count)?;
    }
    dict.set_item("outcomes", counts)?;
    Ok(dict)
}

#[proxywhirl_macros::border]
#[pymethods]
impl AttemptMetrics {
    #[new]
    fn new(most_groups: usize) -> Self {
        Self { core: Arc::new(Metrics::new(most_groups)) }
    }

    /// Counts an attempt that ended at `now`, in seconds on the monotonic clock; by default now.
    #[pyo3(signature = (proxy_id, site, outcome, elapsed_ms, now=None))]
    fn record(
        &self,
        proxy_id: &Bound<'_, PyAny>,
        site: Option<&Bound<'_, PyAny>>,
        outcome: &Bound<'_, PyAny>,
        elapsed_ms: Option<f64>,
        now: Option<f64>,
    ) -> PyResult<()> {
        let site = site.map(label).transpose()?;
        let outcome = known(outcome)?;
        // What is no duration is not recorded.
        let elapsed_ms = elapsed_ms.unwrap_or(f64::NAN);
        self.core.record(&proxy_label(proxy_id)?, site.as_ref(), outcome, elapsed_ms, seconds(now));
        Ok(())
    }

    /// Counts attempts as what they turned out to be; neither outcome is a success.
    fn move_between(
        &self,
        proxy_id: &Bound<'_, PyAny>,
        site: &Bound<'_, PyAny>,
        before: &Bound<'_, PyAny>,
        after: &Bound<'_, PyAny>,
        count: u64,
    ) -> PyResult<()> {
        let (before, after) = (known(before)?, known(after)?);
        self.core.move_between(&proxy_label(proxy_id)?, &label(site)?, before, after, count);
        Ok(())
    }

    /// Everything together, and the requests per second of the last minute.
    #[pyo3(signature = (now=None))]
    fn totals<'py>(&self, py: Python<'py>, now: Option<f64>) -> PyResult<(Bound<'py, PyDict>, f64)> {
        let (total, rate) = self.core.totals(seconds(now));
        Ok((report(py, &total, true)?, rate))
    }

    /// The counts apart, by `proxy`, `site` or `outcome`, and those of the rest.
    fn groups<'py>(&self, py: Python<'py>, by: &str) -> PyResult<(Bound<'py, PyDict>, Option<Bound<'py, PyDict>>)> {
        let by = match by {
            "proxy" => By::Proxy,
            "site" => By::Site,
            "outcome" => By::Outcome,
            _ => return Err(PyValueError::new_err(format!("by must be 'proxy', 'site' or 'outcome', not {by:?}"))),
        };
        let is_billed = by != By::Outcome;
        let (each, other) = self.core.groups(by);
        let dict = PyDict::new(py);
        for (key, counts) in each {
            dict.set_item(key.to_string(), report(py, &counts, is_billed)?)?;
        }
        Ok((dict, other.map(|other| report(py, &other, is_billed)).transpose()?))
    }
}

/// What a lease writes down at its end, besides what its proxy and its site keep.
pub(crate) struct LoggedAttempt {
    pub(crate) log: Arc<RequestLog>,
    pub(crate) number: u32,
    pub(crate) delay: f64,
}

impl LoggedAttempt {
    /// For an attempt, counted from 1, that begins now.
    pub(crate) fn begin(log: &Bound<'_, AttemptLog>, attempt: u64) -> Self {
        let log = log.get().core.clone();
        let number = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        let delay = if number == 0 { 0.0 } else { log.delay(number, crate::clock::exact_wall()) };
        Self { log, number, delay }
    }

    /// The metrics to count in, if there are any, with the key of a proxy.
    pub(crate) fn metrics(&self, proxy: Id) -> Option<(&Arc<Metrics>, Label)> {
        self.log.metrics().map(|metrics| (metrics, Label::Proxy(proxy)))
    }
}
