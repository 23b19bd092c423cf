//! Checks for Python: a run over a list, its results as they come.

use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};

use crate::net::address::Address;
use crate::pool::Pool;
use crate::py::border;
use crate::py::convert;
use crate::py::pool::PyPool;
use crate::py::proxy::PyProxy;
use crate::py::supply::{PyParsed, fields_of};
use crate::supply::Anonymity;
use crate::supply::check::{Item, Level, Plan, Report, Run, StartError, Target, Verification};

/// How often a wait looks whether the interpreter has something else to do, such as Ctrl-C.
const STEP: Duration = Duration::from_millis(50);

/// What a check found about one proxy.
#[pyclass(module = "proxywhirl._core", frozen, get_all)]
pub(crate) struct CheckResult {
    /// Its place among those that were checked.
    index: usize,
    /// Its URL, credentials in it; empty for what has no address.
    url: String,
    /// Whether it passed.
    is_valid: bool,
    /// One word for why it did not pass.
    error: Option<&'static str>,
    /// The same in a sentence.
    reason: Option<String>,
    /// The last stage that it passed: "format", "dns", "tcp", "http" or "anonymity".
    stage: &'static str,
    /// How it is spoken to, as its address says or as was found out.
    protocol: &'static str,
    /// Whether pages of plain HTTP come only through `CONNECT`.
    tunnels_only: bool,
    /// Milliseconds until it was connected to.
    connect_ms: Option<f64>,
    /// Milliseconds from the first byte sent to the whole page; where no page was asked for, until it was connected to.
    response_time_ms: Option<f64>,
    /// Milliseconds of the whole check.
    total_ms: f64,
    /// The page's status.
    status: Option<u16>,
    /// "transparent", "anonymous" or "elite".
    anonymity: Option<&'static str>,
    /// The address under which the judge saw it.
    exit_address: Option<String>,
    /// Bytes read.
    bytes_read: u64,
}

#[proxywhirl_macros::border]
#[pymethods]
impl CheckResult {
    fn __bool__(&self) -> bool {
        self.is_valid
    }

    fn __repr__(&self) -> String {
        let place = self.url.rsplit_once('@').map_or(&*self.url, |(_, place)| place);
        match self.error {
            None => format!("CheckResult(index={}, {place}, valid, stage={:?})", self.index, self.stage),
            Some(error) => {
                format!("CheckResult(index={}, {place}, error={error:?}, stage={:?})", self.index, self.stage)
            }
        }
    }
}

/// Checks under way. Results are taken as they come, from any thread. Collected or left, it ends them.
#[pyclass(module = "proxywhirl._core", frozen)]
pub(crate) struct CheckRun {
    run: Run,
}

impl CheckRun {
    fn results(&self, reports: Vec<Report>) -> Vec<CheckResult> {
        reports.into_iter().map(|report| self.result(report)).collect()
    }

    fn result(&self, report: Report) -> CheckResult {
        let address = self.run.item(report.index).and_then(|item| item.address.as_ref());
        let url = address.map_or_else(String::new, |address| {
            let login = address.credentials.as_ref().map_or_else(String::new, |login| {
                use crate::net::address::escape;
                format!("{}:{}@", escape(&login.username), escape(&login.password))
            });
            format!("{}://{login}{}", report.protocol.as_str(), address.authority())
        });
        CheckResult {
            index: report.index,
            url,
            is_valid: report.failure.is_none(),
            error: report.failure.map(|failure| failure.as_str()),
            reason: report.failure.map(|failure| failure.to_string()),
            stage: report.stage.as_str(),
            protocol: report.protocol.as_str(),
            tunnels_only: report.tunnels_only,
            connect_ms: report.connect_ms,
            response_time_ms: report.response_ms.or(report.connect_ms),
            total_ms: report.total_ms,
            status: report.status,
            anonymity: report.anonymity.map(Anonymity::as_str),
            exit_address: report.exit.map(|ip| ip.to_string()),
            bytes_read: report.bytes,
        }
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl CheckRun {
    /// Begins to check.
    ///
    /// Args:
    ///     proxies: A `ParsedProxies`, a `ProxyPool`, or an iterable of `Proxy` objects, URLs and dictionaries.
    ///     record: Enter results into `Proxy` objects: counters, health, latency.
    ///     **options: `level` ("basic", "standard", "full"), `targets` (URLs, in turn), `judge` (a URL), `statuses`
    ///         (accepted ones; 200 to 299 by default), `contains` (bytes in the page), `timeout` (seconds for all about one
    ///         proxy), `concurrency`, `per_host`, `max_total_bytes`, `max_body`, `max_redirects`, `detect`, `anonymity`
    ///         (the least that passes), `own_addresses`, `user_agent`, `verify` (whether, or PEM text of authorities).
    ///
    /// Raises:
    ///     ValueError: An option is none, or one that is needed is missing.
    ///     TypeError: An option is unknown or of the wrong type.
    ///     OSError: The system grants no thread, or no descriptors.
    #[new]
    #[pyo3(signature = (proxies, *, record=false, **options))]
    fn new(proxies: &Bound<'_, PyAny>, record: bool, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let plan = plan_of(options)?;
        let items = items_of(proxies, record)?;
        let run = border::detach(proxies.py(), || Run::start(plan, items)).map_err(refused)?;
        Ok(Self { run })
    }

    getters! {
        /// How many are checked.
        total: usize = self.run.total();
        /// Bytes read so far.
        bytes_read: u64 = self.run.bytes();
    }

    /// Takes the results that are ready, at most so many; `None` when all were taken and no more will come.
    #[pyo3(signature = (most=256))]
    fn take(&self, most: usize) -> Option<Vec<CheckResult>> {
        self.run.take(most).map(|reports| self.results(reports))
    }

    /// Waits for results and takes them; `None` when no more will come. Ctrl-C ends the wait.
    ///
    /// Raises:
    ///     RuntimeError: The checks were started by the parent of this process.
    #[pyo3(signature = (most=256))]
    fn next_batch(&self, py: Python<'_>, most: usize) -> PyResult<Option<Vec<CheckResult>>> {
        loop {
            match self.run.take(most.max(1)) {
                None => return Ok(None),
                Some(reports) if !reports.is_empty() => return Ok(Some(self.results(reports))),
                Some(_) => {
                    border::wait(py, || self.run.wait(STEP))
                        .map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
                    py.check_signals()?;
                }
            }
        }
    }

    /// Has `callback` called once, on some thread, when something is ready or all is over; at once if it is so already.
    fn on_ready(&self, py: Python<'_>, callback: Py<PyAny>) {
        let wake = move || {
            // While the interpreter ends there is no loop to wake.
            border::attach(|py| {
                if let Err(error) = callback.call0(py) {
                    error.write_unraisable(py, Some(callback.bind(py)));
                }
            });
        };
        border::wait(py, || self.run.wake(Box::new(wake)));
    }

    /// Ends the checks; returns when their sockets are closed. Results that are ready can still be taken.
    fn cancel(&self, py: Python<'_>) {
        border::wait(py, || self.run.cancel());
    }

    fn __repr__(&self) -> String {
        format!("CheckRun(total={})", self.run.total())
    }
}

fn refused(error: StartError) -> PyErr {
    match error {
        StartError::Plan(error) => PyValueError::new_err(error.to_string()),
        StartError::System(error) => PyOSError::new_err(error.to_string()),
    }
}

fn items_of(proxies: &Bound<'_, PyAny>, record: bool) -> PyResult<Vec<Item>> {
    if let Ok(parsed) = proxies.cast::<PyParsed>() {
        let of = |record: &crate::supply::ListEntry| Item {
            address: Some(record.address()),
            proxy: None,
            public_only: false,
        };
        return Ok(parsed.get().parsed.records.iter().map(of).collect());
    }
    if let Ok(pool) = proxies.cast::<PyPool>() {
        let table = pool.get().core.table();
        let shares = Pool::members(&table).into_iter().filter_map(|slot| table.slot(slot)?.share());
        let of = |proxy: crate::sync::Arc<crate::proxy::Proxy>| Item {
            address: Some(proxy.address()),
            public_only: proxy.must_be_public(),
            proxy: record.then_some(proxy),
        };
        return Ok(shares.map(of).collect());
    }
    if proxies.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("proxies must be an iterable of proxies, not one string"));
    }
    proxies.try_iter()?.map(|proxy| item_of(&proxy?, record)).collect()
}

fn item_of(proxy: &Bound<'_, PyAny>, record: bool) -> PyResult<Item> {
    if let Ok(proxy) = proxy.cast::<PyProxy>() {
        let core = proxy.get().core.clone();
        let public_only = core.must_be_public();
        return Ok(Item { address: Some(core.address()), proxy: record.then_some(core), public_only });
    }
    let address = if let Ok(text) = proxy.cast::<PyString>() {
        Address::parse_line(text.to_str()?.trim()).ok()
    } else if let Ok(entry) = proxy.cast::<PyDict>() {
        let records = fields_of(entry)?.finish(0, None).ok();
        records.and_then(|records| records.first().map(crate::supply::ListEntry::address))
    } else {
        return Err(PyTypeError::new_err("a proxy must be a Proxy, a URL or a dict"));
    };
    Ok(Item { address, proxy: None, public_only: false })
}

fn target_of(value: &Bound<'_, PyAny>) -> PyResult<Target> {
    let url = convert::text(value)?;
    Target::parse(&url).ok_or_else(|| {
        PyValueError::new_err("a page to fetch must have an http or https URL, without credentials and blanks")
    })
}

fn plan_of(options: Option<&Bound<'_, PyDict>>) -> PyResult<Plan> {
    let mut plan = Plan::default();
    let Some(options) = options else { return Ok(plan) };
    for (name, value) in options.iter() {
        let name: String = name.extract()?;
        if value.is_none() {
            continue;
        }
        match name.as_str() {
            "level" => {
                plan.level = match &*convert::text(&value)?.to_ascii_lowercase() {
                    "basic" | "medium" => Level::Basic,
                    "standard" => Level::Standard,
                    "full" => Level::Full,
                    _ => return Err(PyValueError::new_err("level must be basic, standard or full")),
                }
            }
            "targets" => {
                plan.targets = value.try_iter()?.map(|url| target_of(&url?)).collect::<PyResult<_>>()?;
            }
            "judge" => plan.judge = Some(target_of(&value)?),
            "statuses" => plan.rule.statuses = value.extract()?,
            "contains" => plan.rule.contains = Some(value.extract::<Vec<u8>>()?.into()),
            "timeout" => {
                let seconds = convert::number(&value)?;
                plan.timeout = Duration::try_from_secs_f64(seconds)
                    .map_err(|_| PyValueError::new_err("timeout must be a number of seconds above zero"))?;
            }
            "concurrency" => plan.concurrency = value.extract()?,
            "per_host" => plan.per_host = Some(value.extract()?),
            "max_total_bytes" => plan.budget = Some(value.extract()?),
            "max_body" => plan.max_body = value.extract()?,
            "max_redirects" => plan.max_redirects = value.extract()?,
            "detect" => plan.detect = value.extract()?,
            "anonymity" => {
                let least = Anonymity::parse(&convert::text(&value)?);
                let wrong = || PyValueError::new_err("anonymity must be transparent, anonymous or elite");
                plan.anonymity = Some(least.ok_or_else(wrong)?);
            }
            "own_addresses" => {
                let wrong = |_| PyValueError::new_err("own_addresses must be IP addresses");
                let texts = convert::texts(&value)?;
                plan.own = texts.iter().map(|text| text.parse().map_err(wrong)).collect::<PyResult<_>>()?;
            }
            "user_agent" => {
                let agent = convert::text(&value)?;
                if !agent.bytes().all(|b| (b' '..0x7f).contains(&b)) {
                    return Err(PyValueError::new_err("user_agent must be printable ASCII"));
                }
                plan.user_agent = agent;
            }
            "verify" => {
                plan.verification = if value.is_instance_of::<PyBool>() {
                    if value.extract()? { Verification::System } else { Verification::Nothing }
                } else {
                    Verification::Authorities(convert::text(&value)?)
                };
            }
            _ => return Err(PyTypeError::new_err(format!("unexpected keyword argument {name:?}"))),
        }
    }
    Ok(plan)
}
