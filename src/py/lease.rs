//! `Lease`: one proxy, taken for one piece of work, until its outcome is reported.

use pyo3::exceptions::{PyBaseException, PyException, PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::clock::{Clock, Reading, SystemClock, exact_wall};
use crate::judge::outcome::Outcome;
use crate::metrics::attempts::Label;
use crate::metrics::request_log::AttemptEnd;
use crate::net::address::Protocol;
use crate::net::client::{CLIENTS, Client, Unfit};
use crate::pool::Member;
use crate::pool::context::{Context, Excluded};
use crate::pool::filter::{Filter, Protocols};
use crate::pool::query::{Notes, Query};
use crate::proxy::{Id, Proxy};
use crate::py::attempts::{AttemptLog, LoggedAttempt};
use crate::py::border;
use crate::py::convert::{self, Lazy};
use crate::py::errors;
use crate::py::foreign::{ContextArgument, PyArguments, pointer_to};
use crate::py::judge;
use crate::py::log;
use crate::py::pool::PyPool;
use crate::py::proxy::PyProxy;
use crate::py::strategy::{self, PyStrategy};
use crate::rotation::Domain;
use crate::rotation::lease::{AlreadyClosed, Ending, Lease, LeaseRequest, References, Taken, conclude};
use crate::strategy::{Refusal, Shared};
use crate::sync::Arc;

static JUDGE: Lazy = Lazy::upper("judge_report");

/// What a lease is asked with besides the strategy.
#[derive(Default)]
pub(crate) struct LeaseOptions<'a, 'py> {
    pub(crate) url: Option<&'a Bound<'py, PyAny>>,
    pub(crate) session_id: Option<&'a str>,
    pub(crate) demands: Demands<'a, 'py>,
    pub(crate) exclude: Option<&'a Bound<'py, PyAny>>,
    pub(crate) context: Option<&'a Bound<'py, PyAny>>,
    pub(crate) connects: bool,
    pub(crate) attempt: u64,
    pub(crate) timeout: Option<&'a Bound<'py, PyAny>>,
    pub(crate) log: Option<&'a Bound<'py, AttemptLog>>,
}

/// What the proxy must be.
#[derive(Clone, Copy, Default)]
pub(crate) struct Demands<'a, 'py> {
    pub(crate) country: Option<&'a str>,
    pub(crate) region: Option<&'a str>,
    pub(crate) tags: Option<&'a Bound<'py, PyAny>>,
    pub(crate) protocol: Option<&'a Bound<'py, PyAny>>,
}

/// What nearly every lease is asked for with.
static NOTHING: Context = Context::nothing(true);

impl LeaseOptions<'_, '_> {
    /// Whether nothing is demanded of the proxy.
    #[inline]
    fn is_nothing(&self) -> bool {
        let Demands { country, region, tags, protocol } = self.demands;
        let texts = [self.session_id, country, region];
        let objects = [self.context, tags, protocol];
        texts.iter().all(Option::is_none) && objects.iter().all(Option::is_none) && self.exclude.is_none_or(names_none)
    }

    /// The same as the core wants it, for a strategy that looks at regions by itself, or for one that does not.
    pub(crate) fn context(&self, honours_region: bool) -> PyResult<Context> {
        let mut wanted = match self.context.filter(|context| !context.is_none()) {
            Some(context) => crate::py::context::extract(context)?,
            None => Context::default(),
        };
        wanted.in_rotation = true;
        if let Some(session_id) = self.session_id {
            wanted.session_id = Some(session_id.into());
        }
        narrow(&mut wanted, honours_region, &self.demands)?;
        if let Some(exclude) = self.exclude {
            exclude_more(&mut wanted.excluded, exclude)?;
        }
        Ok(wanted)
    }
}

/// One proxy, taken for one piece of work, until its outcome is reported. Thread-safe: the first verdict counts.
///
/// As a context manager: leaving the block cleanly says that the proxy carried the request, in the measured time. An
/// exception of a client that is known is judged, one that stands for an answer by that answer; any other exception,
/// cancellation included, is a release. A lease dropped without a verdict is released.
#[pyclass(name = "Lease", module = "proxywhirl._core", frozen, weakref)]
pub(crate) struct PyLease {
    core: Lease<Objects>,
    url: Option<Py<PyAny>>,
    logged: Option<LoggedAttempt>,
    observer: Option<Py<PyAny>>,
    judge: Option<Py<PyAny>>,
}

/// The objects that stand for what a lease is about.
pub(crate) struct Objects {
    pool: Py<PyPool>,
    proxy: Py<PyProxy>,
    strategy: Py<PyStrategy>,
}

impl References for Objects {
    #[inline]
    fn pool(&self) -> &Arc<Domain> {
        &self.pool.get().core
    }

    #[inline]
    fn proxy(&self) -> &Arc<Proxy> {
        &self.proxy.get().core
    }

    #[inline]
    fn strategy(&self) -> &Shared {
        self.strategy.get().core()
    }
}

impl Objects {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        let (pool, proxy) = (self.pool.clone_ref(py), self.proxy.clone_ref(py));
        Self { pool, proxy, strategy: self.strategy.clone_ref(py) }
    }
}

/// What ended a lease, for its observer.
struct LeaseEnd<'a, 'py> {
    outcome: Option<Outcome>,
    elapsed_ms: f64,
    error: Option<&'a Bound<'py, PyAny>>,
    status: Option<u16>,
}

impl PyLease {
    /// Chooses a proxy and takes it. The object is made here, since a lease that is handed on by value is copied at every step.
    #[inline]
    pub(crate) fn take(
        pool: &Bound<'_, PyPool>,
        strategy: &Bound<'_, PyAny>,
        asked: &LeaseOptions<'_, '_>,
        observer: Option<Py<PyAny>>,
        judge: Option<Py<PyAny>>,
    ) -> PyResult<Py<Self>> {
        let strategy = strategy::chooser(strategy)?;
        let lease = if asked.is_nothing() {
            Self::ask(pool, strategy, &NOTHING, asked, observer, judge)
        } else {
            let wanted = asked.context(strategy.get().core().honours_region())?;
            Self::ask(pool, strategy, &wanted, asked, observer, judge)
        };
        // Breakers that were open long enough, and the like, have been noticed on the way.
        pool.get().core.guard().deliver();
        lease
    }

    fn ask(
        pool: &Bound<'_, PyPool>,
        strategy: Bound<'_, PyStrategy>,
        wanted: &Context,
        asked: &LeaseOptions<'_, '_>,
        observer: Option<Py<PyAny>>,
        judge: Option<Py<PyAny>>,
    ) -> PyResult<Py<Self>> {
        let py = pool.py();
        let this = pool.get();
        let url = asked.url.filter(|url| !url.is_none());
        let site = match url {
            Some(url) => this.site_of(py, text_of(url)?.to_str()?)?,
            None => None,
        };
        let context = ContextArgument::Lease {
            base: pointer_to(asked.context),
            url: pointer_to(url),
            tags: pointer_to(asked.demands.tags),
            timeout: pointer_to(asked.timeout),
            attempt: asked.attempt,
        };
        let objects = PyArguments { pool: pool.as_ptr(), context };
        let notes = Notes::default();
        let clock = Reading::now();
        let (site, connects) = (site.as_ref(), asked.connects);
        let request =
            LeaseRequest { context: wanted, site, connects, clock: &clock, foreign: Some((&objects, &notes)) };
        let core = strategy.get().core();
        let strategy = strategy.clone().unbind();
        let made = |member: &Member, taken: Taken| {
            let object = PyPool::member_object(py, member);
            let proxy = match object.and_then(|object| Ok(object.cast_into::<PyProxy>()?)) {
                Ok(proxy) => proxy.unbind(),
                Err(error) => {
                    taken.give_back(&this.core, member.proxy(), &clock);
                    return Err(error);
                }
            };
            let core = Lease::new(Objects { pool: pool.clone().unbind(), proxy, strategy }, taken);
            if notes.any() {
                log::tell_notes(py, &notes, core.strategy().name())?;
            }
            if log::is_on(py) {
                log::tell(py, "selected", core.strategy().name(), core.proxy(), None)?;
            }
            let logged = asked.log.map(|log| LoggedAttempt::begin(log, asked.attempt));
            Py::new(py, Self { core, url: url.map(|url| url.clone().unbind()), logged, observer, judge })
        };
        let refused = |refusal: Refusal, query: &Query<'_>| errors::refusal_of(py, refusal, query, this.core.sites());
        Lease::take_as(&this.core, core, &request, made, refused)
    }

    fn pool(&self) -> &PyPool {
        self.core.references().pool.get()
    }

    /// Its target as text, if it was given one.
    fn url_text<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.url.as_ref().map(|url| text_of(url.bind(py))).transpose()
    }

    /// Ends the lease; `None` for what evidence has to decide. The outcome.
    pub(crate) fn end(
        slf: &Bound<'_, Self>,
        outcome: impl Into<Option<Outcome>>,
        elapsed_ms: Option<f64>,
        hold: Option<f64>,
        error: Option<&Bound<'_, PyAny>>,
        status: Option<u16>,
    ) -> PyResult<Outcome> {
        let this = slf.get();
        let elapsed_ms = elapsed_ms.map(convert::duration).transpose()?;
        let hold = hold.map(seconds).transpose()?;
        let error = error.filter(|error| !error.is_none());
        let clock = &Reading::now();
        let answered = status.is_some();
        let judged = answered || error.is_some();
        let ending = Ending { elapsed_ms, hold, judged, answered, carried: false };
        let (outcome, elapsed_ms) = match outcome.into() {
            Some(outcome) => (outcome, this.core.finish(outcome, &ending, clock).map_err(errors::closed)?),
            None => {
                let suspicion = this.core.suspect(&ending, clock).map_err(errors::closed)?;
                let decide = || conclude(&[&this.core], None, clock).pop();
                let outcome = suspicion.outcome.or_else(decide).unwrap_or(Outcome::TargetFault);
                (outcome, suspicion.elapsed_ms)
            }
        };
        Self::tell(slf, outcome, elapsed_ms, error, status)?;
        Ok(outcome)
    }

    /// Keeps how the lease ended, and calls the observer.
    fn tell(
        slf: &Bound<'_, Self>,
        outcome: Outcome,
        elapsed_ms: f64,
        error: Option<&Bound<'_, PyAny>>,
        status: Option<u16>,
    ) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if let Some(error) = error {
            py.import("proxywhirl._native.lease")?
                .call_method1("note_error", (this.core.references().proxy.bind(py), error))?;
        }
        if log::is_on(py) {
            log::tell(py, outcome.as_str(), "lease", this.core.proxy(), Some(outcome == Outcome::Success))?;
        }
        Self::settled(slf, &LeaseEnd { outcome: Some(outcome), elapsed_ms, error, status })
    }

    /// Gives the proxy back as if it had never been chosen.
    pub(crate) fn give_back(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().core.release(&SystemClock).map_err(errors::closed)?;
        let elapsed_ms = if slf.get().observer.is_some() { slf.get().core.elapsed_ms(&SystemClock) } else { 0.0 };
        Self::settled(slf, &LeaseEnd { outcome: None, elapsed_ms, error: None, status: None })
    }

    /// Calls the observer.
    fn settled(slf: &Bound<'_, Self>, ended: &LeaseEnd<'_, '_>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        this.core.pool().guard().deliver();
        if let (Some(logged), Some(outcome)) = (&this.logged, ended.outcome)
            && outcome != Outcome::ClientFault
            && let Err(error) = Self::write_down(slf, logged, outcome, ended)
        {
            log::tell_fault(py, "an attempt could not be written down", &error)?;
        }
        let Some(observer) = &this.observer else { return Ok(()) };
        let call = || -> PyResult<()> {
            let outcome = ended.outcome.map(|outcome| convert::outcome(py, outcome)).transpose()?;
            observer.bind(py).call1((slf, outcome, ended.elapsed_ms, ended.error, ended.status))?;
            Ok(())
        };
        match call() {
            // An interrupt belongs to the program.
            Err(error) if !error.is_instance_of::<PyException>(py) => Err(error),
            Err(error) => log::tell_fault(py, "an observer of a lease failed", &error),
            Ok(()) => Ok(()),
        }
    }

    /// Counts how the lease ended in the metrics of retries, and in those of proxies and sites.
    fn write_down(
        slf: &Bound<'_, Self>,
        logged: &LoggedAttempt,
        outcome: Outcome,
        end: &LeaseEnd<'_, '_>,
    ) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let success = outcome == Outcome::Success;
        let error = match end.error {
            None => None,
            Some(error) if error.is_instance_of::<PyString>() => Some((error.str()?, error.str()?)),
            Some(error) => {
                let name = error.get_type().name()?;
                let text = PyString::new(py, &format!("{}: {}", name.to_str()?, error.str()?.to_str()?));
                Some((name, text))
            }
        };
        let error = error.as_ref().map(|(name, text)| Ok::<_, PyErr>((name.to_str()?, text.to_str()?))).transpose()?;
        let proxy = this.core.proxy().id();
        logged.log.note(&AttemptEnd {
            number: logged.number,
            delay: logged.delay,
            proxy,
            at: exact_wall(),
            success,
            status: end.status,
            elapsed_ms: end.elapsed_ms,
            error,
        });
        let Some((metrics, key)) = logged.metrics(proxy) else { return Ok(()) };
        let site = this.core.site().map(|site| Label::Text(site.key().into()));
        metrics.record(&key, site.as_ref(), outcome, end.elapsed_ms, SystemClock.steady() as f64 / 1e9);
        // The history of the proxy itself; a ban is not its doing.
        if outcome.effects().counters.is_of_the_proxy() {
            this.core.references().proxy.call_method1(py, "_note_request", (success, end.elapsed_ms))?;
        }
        Ok(())
    }

    /// What the rules say of an answer or an exception.
    fn judged<'py>(
        slf: &Bound<'py, Self>,
        answer: Option<&Bound<'py, PyAny>>,
        headers: Option<&Bound<'py, PyAny>>,
        body: Option<&Bound<'py, PyAny>>,
        error: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Judged> {
        let py = slf.py();
        let this = slf.get();
        let judge = this.judge.as_ref().map(|judge| judge.bind(py));
        if let (Some(answer), None) = (answer, error)
            && let Some(found) = judge::of_head(judge, this.url_text(py)?.as_ref(), answer, headers)?
        {
            return Ok(Judged {
                verdict: Some(found.judgement.outcome()),
                hold: found.hold,
                status: Some(found.status),
            });
        }
        let judge = match judge {
            Some(judge) => judge,
            None => JUDGE.get(py)?,
        };
        let judged = judge.call1((this.url_text(py)?, answer, headers, body, error))?;
        // A judge of the caller's may leave out the status: then it has judged the given one.
        let (outcome, hold, status): (Option<Bound<'_, PyAny>>, Option<f64>, Option<u16>) = if judged.len()? == 2 {
            let (outcome, hold) = judged.extract()?;
            (outcome, hold, answer.and_then(|answer| answer.extract().ok()))
        } else {
            judged.extract()?
        };
        Ok(Judged { verdict: outcome.as_ref().map(convert::outcome_of).transpose()?, hold, status })
    }

    /// The lease of the core.
    pub(crate) fn core(&self) -> &Lease<Objects> {
        &self.core
    }

    /// Ends the attempt of a request that goes on: it has failed, and the site may be at fault. [`Self::conclude`] tells the
    /// observer.
    pub(crate) fn suspect(&self, elapsed_ms: Option<f64>) -> PyResult<()> {
        let ending = Ending { elapsed_ms, ..Ending::default() };
        self.core.suspect(&ending, &SystemClock).map_err(errors::closed)?;
        self.core.pool().guard().deliver();
        Ok(())
    }

    /// Decides the failures of one request as far as there is evidence, and calls their observers. `answered_by`: the
    /// lease that the site's answer came through.
    pub(crate) fn conclude(suspects: &[Suspect<'_, '_>], answered_by: Option<&Self>) -> PyResult<Vec<Outcome>> {
        let leases: Vec<&Lease<Objects>> = suspects.iter().map(|suspect| &suspect.0.get().core).collect();
        let outcomes = conclude(&leases, answered_by.map(|lease| &lease.core), &SystemClock);
        for (&(lease, elapsed_ms, error, status), outcome) in suspects.iter().zip(&outcomes) {
            let elapsed_ms = elapsed_ms.unwrap_or_else(|| lease.get().core.elapsed_ms(&SystemClock));
            Self::tell(lease, *outcome, elapsed_ms, error, status)?;
        }
        Ok(outcomes)
    }

    /// A block that was left without a word: the proxy carried bytes; what the site said is not known.
    pub(crate) fn carried(slf: &Bound<'_, Self>, elapsed_ms: Option<f64>) -> PyResult<()> {
        let this = slf.get();
        let ending = Ending { carried: true, elapsed_ms, ..Ending::default() };
        let elapsed_ms = this.core.finish(Outcome::Success, &ending, &Reading::now()).map_err(errors::closed)?;
        Self::tell(slf, Outcome::Success, elapsed_ms, None, None)
    }

    /// Releases a lease whose object is on its way out; its observer is given another object that says the same.
    fn release_dropped(&self, py: Python<'_>) {
        if self.core.release(&SystemClock).is_err() {
            return;
        }
        self.core.pool().guard().deliver();
        let Some(observer) = &self.observer else { return };
        let twin = Self {
            core: self.core.remains(self.core.references().clone_ref(py)),
            url: self.url.as_ref().map(|url| url.clone_ref(py)),
            logged: None,
            observer: Some(observer.clone_ref(py)),
            judge: None,
        };
        let elapsed_ms = self.core.elapsed_ms(&SystemClock);
        let ended = LeaseEnd { outcome: None, elapsed_ms, error: None, status: None };
        if let Err(error) = Bound::new(py, twin).and_then(|twin| Self::settled(&twin, &ended)) {
            error.write_unraisable(py, None);
        }
    }

    fn leave(slf: &Bound<'_, Self>, error: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        if slf.get().core.is_closed() {
            return Ok(());
        }
        let Some(error) = error.filter(|error| !error.is_none()) else {
            return Self::carried(slf, None);
        };
        let judged = Self::judged(slf, None, None, None, Some(error))?;
        match judged.verdict {
            Some(outcome) => Self::end(slf, outcome, None, judged.hold, Some(error), judged.status).map(drop),
            None => Self::give_back(slf),
        }
    }
}

/// The verdict of the rules on what a client got.
struct Judged {
    /// `None`: nothing is known of the attempt; `Some(None)`: evidence has to decide.
    verdict: Option<Option<Outcome>>,
    /// Seconds for which the site asks to be left alone.
    hold: Option<f64>,
    /// The status, if an answer was judged.
    status: Option<u16>,
}

impl Drop for PyLease {
    fn drop(&mut self) {
        if self.core.is_closed() {
            return;
        }
        // Not while the interpreter shuts down: then no thread waits for the proxy or the news any more.
        border::attach(|py| {
            // The last reference may go while an exception is on its way, which the calls below would lose.
            let pending = PyErr::take(py);
            self.release_dropped(py);
            if let Some(pending) = pending {
                pending.restore(py);
            }
        });
    }
}

pub(crate) fn text_of<'py>(url: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    match url.cast::<PyString>() {
        Ok(text) => Ok(text.clone()),
        // A URL object of whatever client.
        Err(_) => url.str(),
    }
}

fn unfit_error(client: &Client, unfit: Unfit) -> PyErr {
    let name = client.name;
    PyValueError::new_err(match unfit {
        Unfit::Protocol(protocol) => {
            let spoken: Vec<String> = client.protocols().map(|protocol| format!("{:?}", protocol.as_str())).collect();
            let spoken = if spoken.len() == 1 { spoken.concat() } else { format!("({})", spoken.join(", ")) };
            format!("{name} cannot use a {} proxy; take a lease with protocol={spoken}", protocol.as_str())
        }
        Unfit::Login => format!("{name} cannot log in to a proxy; take a lease on one that wants no login"),
    })
}

/// An attempt ended as a suspect: its lease, milliseconds, error and status.
pub(crate) type Suspect<'a, 'py> = (&'a Bound<'py, PyLease>, Option<f64>, Option<&'a Bound<'py, PyAny>>, Option<u16>);

/// A length of time in seconds, as it came over the border.
fn seconds(value: f64) -> PyResult<f64> {
    if value.is_nan() || value < 0.0 {
        return Err(PyValueError::new_err("a number of seconds must not be negative"));
    }
    Ok(value)
}

fn narrow(wanted: &mut Context, honours_region: bool, demands: &Demands<'_, '_>) -> PyResult<()> {
    let Demands { country, region, tags, protocol } = *demands;
    let mut required = Filter::default();
    // A country is a demand under every strategy: one that looks at places chooses among the proxies that meet it. A region
    // of two letters may also be a country, which such a strategy knows.
    if let Some(country) = country {
        wanted.target_country = Some(country.into());
        required.countries = Filter::countries([country]).countries;
    }
    if let Some(region) = region {
        wanted.target_region = Some(region.into());
        if !honours_region {
            required.regions = Filter::regions([region]).regions;
        }
    }
    if let Some(tags) = tags.filter(|tags| !tags.is_none()) {
        let tags = convert::texts(tags)?;
        required.tags = Filter::tags(tags.iter().map(|tag| &**tag)).tags;
    }
    if let Some(protocol) = protocol.filter(|protocol| !protocol.is_none()) {
        required.protocols = protocols(protocol)?;
    }
    if !required.is_empty() {
        wanted.required = Some(required);
    }
    Ok(())
}

/// One protocol, or several that would do.
fn protocols(value: &Bound<'_, PyAny>) -> PyResult<Protocols> {
    let names = if value.is_instance_of::<PyString>() { vec![convert::text(value)?] } else { convert::texts(value)? };
    let known = |name: &str| {
        // What a letter says of names is not a protocol.
        Protocol::parse(name).ok_or_else(|| {
            PyValueError::new_err(format!("protocol must be http, https, socks4 or socks5, not {name:?}"))
        })
    };
    let found = names.iter().map(|name| known(name)).collect::<PyResult<Protocols>>()?;
    if found.is_empty() {
        return Err(PyValueError::new_err("protocol must name a protocol, or several"));
    }
    Ok(found)
}

/// Whether no proxy is named.
fn names_none(exclude: &Bound<'_, PyAny>) -> bool {
    exclude.is_none() || exclude.len().is_ok_and(|len| len == 0)
}

/// Adds identifiers to a set of proxies.
pub(crate) fn exclude_more(excluded: &mut Excluded, exclude: &Bound<'_, PyAny>) -> PyResult<()> {
    if names_none(exclude) {
        return Ok(());
    }
    if exclude.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("exclude must be an iterable of proxy ids, not one string"));
    }
    let mut ids: Vec<Id> = excluded.ids().collect();
    for item in exclude.try_iter()? {
        ids.extend(convert::id_of(&item?));
    }
    *excluded = Excluded::new(ids);
    Ok(())
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyLease {
    /// The proxy.
    #[getter]
    fn proxy(&self, py: Python<'_>) -> Py<PyProxy> {
        self.core.references().proxy.clone_ref(py)
    }

    /// Identifier of the proxy.
    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::uuid(py, self.core.proxy().id())
    }

    /// URL for a client, with credentials; with the scheme that the proxy was given with.
    #[getter]
    fn url(&self) -> String {
        self.core.proxy().client_url()
    }

    /// URL for a certain client, with credentials: SOCKS proxies resolve names themselves, which each client spells in
    /// its own way (`socks5h` for most).
    ///
    /// Args:
    ///     client: Its name: "requests", "curl_cffi", "niquests", "httpx", ...
    ///
    /// Raises:
    ///     ValueError: The name is not known, or the client cannot use this proxy; the message names the way out.
    fn url_for(&self, client: &str) -> PyResult<String> {
        let known = Client::named(client).ok_or_else(|| {
            let names: Vec<&str> = CLIENTS.iter().map(|client| client.name).collect();
            PyValueError::new_err(format!(
                "{client:?} is none of the clients that are known: {}; for Playwright there is lease.playwright_proxy",
                names.join(", ")
            ))
        })?;
        self.core.proxy().url_for(known).map_err(|unfit| unfit_error(known, unfit))
    }

    /// What `requests` takes as `proxies`. SOCKS proxies resolve names themselves.
    #[getter]
    fn requests_proxies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let url = self.url_for("requests")?;
        let dict = PyDict::new(py);
        dict.set_item("http", &url)?;
        dict.set_item("https", &url)?;
        Ok(dict)
    }

    /// What Playwright takes as `proxy`.
    ///
    /// Raises:
    ///     ValueError: A SOCKS proxy with a login, which no browser can log in to.
    #[getter]
    fn playwright_proxy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let address = self.core.proxy().address();
        let dict = PyDict::new(py);
        dict.set_item("server", address.bare_url())?;
        if let Some(login) = &address.credentials {
            if matches!(address.protocol, Protocol::Socks4 | Protocol::Socks5) {
                return Err(PyValueError::new_err(
                    "browsers cannot log in to a SOCKS proxy; take a lease with protocol=(\"http\", \"https\")",
                ));
            }
            dict.set_item("username", &*login.username)?;
            dict.set_item("password", &*login.password)?;
        }
        Ok(dict)
    }

    /// Key of the site it was taken for: the registrable domain of the target, or what the pool's rule makes of it. `None`
    /// without a target.
    #[getter]
    fn site(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let Some(url) = self.url_text(py)? else { return Ok(None) };
        Ok(self.pool().site_of(py, url.to_str()?)?.map(|site| site.key().to_owned()))
    }

    /// Whether the outcome has been reported.
    #[getter]
    fn closed(&self) -> bool {
        self.core.is_closed()
    }

    /// Judges what came back, records it and closes the lease.
    ///
    /// Args:
    ///     status: The answer as any client gives it, or the exception that came instead, or just the HTTP status.
    ///     headers: Headers of the answer, a mapping or pairs; by default its own.
    ///     body: Body of the answer; by default its own as far as it has been read: nothing is read or awaited.
    ///     error: The exception that came instead. One that stands for an answer is judged like that answer.
    ///     elapsed_ms: Time to the answer in milliseconds; by default since the lease was taken.
    ///     bytes_sent: Bytes sent.
    ///     bytes_received: Bytes received.
    ///
    /// Returns:
    ///     The `Outcome`.
    ///
    /// Raises:
    ///     RuntimeError: The lease is closed.
    ///     TypeError: Neither a status nor an error is given, or an object that has no status.
    ///     ValueError: There is no such status, or a time is negative.
    #[pyo3(signature = (status=None, headers=None, body=None, error=None, elapsed_ms=None, bytes_sent=0, bytes_received=0))]
    #[allow(clippy::too_many_arguments)]
    fn report<'py>(
        slf: &Bound<'py, Self>,
        status: Option<&Bound<'py, PyAny>>,
        headers: Option<&Bound<'py, PyAny>>,
        body: Option<&Bound<'py, PyAny>>,
        error: Option<&Bound<'py, PyAny>>,
        elapsed_ms: Option<f64>,
        bytes_sent: u64,
        bytes_received: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let this = slf.get();
        // Byte counts are for traffic bills, which are not kept yet.
        let _ = (bytes_sent, bytes_received);
        if this.core.is_closed() {
            return Err(errors::closed(AlreadyClosed));
        }
        let error = error.filter(|error| !error.is_none());
        let elapsed_ms = elapsed_ms.map(convert::duration).transpose()?;
        if status.is_none() && error.is_none() {
            return Err(PyTypeError::new_err(
                "report() needs a status or an error: a number, a response or an exception",
            ));
        }
        let judged = Self::judged(slf, status, headers, body, error)?;
        let verdict = judged.verdict.unwrap_or(Some(Outcome::ClientFault));
        // An exception may come in either place.
        let error = error.or_else(|| status.filter(|status| status.is_instance_of::<PyBaseException>()));
        convert::outcome(py, Self::end(slf, verdict, elapsed_ms, judged.hold, error, judged.status)?)
    }

    /// Ends the lease with an outcome that is known.
    ///
    /// Args:
    ///     outcome: The `Outcome`.
    ///     elapsed_ms: Time to the answer in milliseconds; by default since the lease was taken.
    ///     error: What went wrong, kept with the proxy without credentials.
    ///     hold: Seconds for which the site is not to be asked through this proxy: after BANNED exactly so long, after
    ///         RATE_LIMITED what the site asked for.
    ///     status: HTTP status of the answer, for observers.
    ///
    /// Raises:
    ///     RuntimeError: The lease is closed.
    ///     ValueError: There is no such outcome, or a time is negative.
    #[pyo3(signature = (outcome, elapsed_ms=None, error=None, *, hold=None, status=None))]
    fn finish(
        slf: &Bound<'_, Self>,
        outcome: &Bound<'_, PyAny>,
        elapsed_ms: Option<f64>,
        error: Option<&Bound<'_, PyAny>>,
        hold: Option<f64>,
        status: Option<u16>,
    ) -> PyResult<()> {
        Self::end(slf, convert::outcome_of(outcome)?, elapsed_ms, hold, error, status).map(drop)
    }

    /// It worked; `elapsed_ms` is by default the time since the lease was taken.
    #[pyo3(signature = (elapsed_ms=None))]
    fn success(slf: &Bound<'_, Self>, elapsed_ms: Option<f64>) -> PyResult<()> {
        Self::end(slf, Outcome::Success, elapsed_ms, None, None, None).map(drop)
    }

    /// The proxy failed.
    #[pyo3(signature = (error=None))]
    fn failure(slf: &Bound<'_, Self>, error: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        Self::end(slf, Outcome::ProxyDown, None, None, error, None).map(drop)
    }

    /// The site refuses this proxy: counted as neither success nor failure of the proxy.
    ///
    /// Args:
    ///     cooldown: Seconds until the site may be tried through it again, exactly; by default longer each time in a row,
    ///         by chance.
    ///
    /// Raises:
    ///     RuntimeError: The lease is closed.
    ///     ValueError: `cooldown` is negative.
    #[pyo3(signature = (cooldown=None))]
    fn banned(slf: &Bound<'_, Self>, cooldown: Option<f64>) -> PyResult<()> {
        if cooldown.is_some_and(|cooldown| cooldown.is_nan() || cooldown < 0.0) {
            return Err(PyValueError::new_err("cooldown must not be negative"));
        }
        Self::end(slf, Outcome::Banned, None, cooldown, None, None).map(drop)
    }

    /// Gives the proxy back as if it had never been chosen.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::give_back(slf)
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (_exc_type=None, exc_value=None, _traceback=None, /))]
    fn __exit__(
        slf: &Bound<'_, Self>,
        _exc_type: Option<&Bound<'_, PyAny>>,
        exc_value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        Self::leave(slf, exc_value)
    }

    fn __aenter__<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        py.import("proxywhirl._native.lease")?.call_method1("ready", (slf,))
    }

    #[pyo3(signature = (_exc_type=None, exc_value=None, _traceback=None, /))]
    fn __aexit__<'py>(
        slf: &Bound<'py, Self>,
        _exc_type: Option<&Bound<'py, PyAny>>,
        exc_value: Option<&Bound<'py, PyAny>>,
        _traceback: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::leave(slf, exc_value)?;
        let py = slf.py();
        py.import("proxywhirl._native.lease")?.call_method1("ready", (py.None(),))
    }

    fn __repr__(&self) -> String {
        let state = if self.core.is_closed() { "closed" } else { "open" };
        format!("<Lease {state} on {}>", self.core.proxy().masked_url())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Objects { pool, proxy, strategy } = self.core.references();
        visit.call(pool)?;
        visit.call(proxy)?;
        visit.call(strategy)?;
        for part in [&self.url, &self.observer, &self.judge].into_iter().flatten() {
            visit.call(part)?;
        }
        Ok(())
    }
}
