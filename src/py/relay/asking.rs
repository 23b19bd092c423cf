//! What decides for a relay: rotations, stepped on its second thread. Python is called without locks.

use ahash::AHashMap;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use super::{attribute, headers_of};
use crate::clock::{Clock, SystemClock};
use crate::judge::handshake::of_refusal;
use crate::judge::outcome::{Judgement, Outcome};
use crate::net::handshake::Refusal;
use crate::py::border;
use crate::py::convert;
use crate::py::errors::{ProxyConnectionError, ProxyPoolEmptyError};
use crate::py::lease::PyLease;
use crate::py::log;
use crate::py::once::intern;
use crate::py::wire::order::WireOrders;
use crate::relay::{Ask, Director, News, Ticket, Told, Verdict};
use crate::wire::error::{Error, Kind, Stage};

/// Seconds between two looks for a proxy, where it is worth waiting for one.
const LOOK_AGAIN: f64 = 0.02;

/// A request under way.
struct Entry {
    rotation: Py<PyAny>,
    take: Py<PyAny>,
    judge: Py<PyAny>,
    method: Box<str>,
    url: String,
    /// Where a proxy is waited for: what the rotation asks, and until when; nanoseconds of the steady clock.
    waits: Option<(Py<PyTuple>, Option<u64>)>,
    /// How the answer was judged: its outcome, for how long the site asks to be left alone, status and milliseconds.
    judged: (Judgement, Option<f64>, Option<u16>, f64),
    /// Whether an answer is held.
    holds: bool,
}

/// See the module.
pub(super) struct Asking {
    begin: Py<PyAny>,
    refuse: Py<PyAny>,
    orders: WireOrders,
    open: AHashMap<Ticket, Entry>,
}

impl Asking {
    pub(super) fn new(begin: Py<PyAny>, refuse: Py<PyAny>) -> PyResult<Self> {
        Ok(Self { begin, refuse, orders: WireOrders::new()?, open: AHashMap::new() })
    }

    fn take(&mut self, py: Python<'_>, news: News, verdicts: &mut Vec<(Ticket, Verdict)>) {
        let ticket = news.ticket;
        match self.decide(py, news, verdicts) {
            Ok(Some(verdict)) => {
                if matches!(verdict, Verdict::Refuse { .. }) {
                    self.open.remove(&ticket);
                }
                verdicts.push((ticket, verdict));
            }
            Ok(None) => {}
            Err(error) => {
                // A rotation whose callback has failed is over.
                if let Some(entry) = self.open.remove(&ticket) {
                    let _ = entry.rotation.call_method0(py, intern!(py, "close"));
                }
                if let Err(error) = log::tell_fault(py, "a relay could not decide about a request", &error) {
                    error.write_unraisable(py, None);
                }
                let text = "a callback of this program failed; its log says how".to_owned();
                verdicts.push((ticket, Verdict::Refuse { status: 502, text }));
            }
        }
    }

    fn decide(
        &mut self,
        py: Python<'_>,
        news: News,
        verdicts: &mut Vec<(Ticket, Verdict)>,
    ) -> PyResult<Option<Verdict>> {
        let News { ticket, told, sent, received } = news;
        if let Told::Begin(ask) = told {
            let entry = self.begin(py, ask)?;
            let step = entry.rotation.call_method0(py, intern!(py, "start"))?;
            self.open.insert(ticket, entry);
            return self.go_on(py, ticket, step.bind(py), verdicts).map(Some);
        }
        let Some(entry) = self.open.get_mut(&ticket) else { return Ok(None) };
        let rotation = entry.rotation.bind(py).clone();
        let lease = attribute!(&rotation, "lease")?;
        if let Ok(lease) = lease.cast::<PyLease>() {
            lease.get().count(sent, received);
        }
        let step = match told {
            Told::Begin(_) | Told::Moved => return Ok(None),
            Told::Done => match entry.admitted(py)? {
                Some(step) => step,
                None => return Ok(Some(Verdict::Pause(LOOK_AGAIN))),
            },
            Told::Opened(elapsed_ms) => {
                entry.judged = (Outcome::Success.into(), None, None, elapsed_ms);
                let outcome = convert::outcome(py, Outcome::Success)?;
                let arguments = (outcome, py.None(), elapsed_ms, true);
                rotation.call_method1(intern!(py, "answered"), arguments)?
            }
            Told::Answered { status, headers, elapsed_ms } => entry.answered(py, status, &headers, elapsed_ms)?,
            Told::Failed { error, elapsed_ms } => entry.failed(py, &error, elapsed_ms)?,
            Told::Ended(broken) => {
                let Some(entry) = self.open.remove(&ticket) else { return Ok(None) };
                entry.ended(py, &lease, broken.as_ref())?;
                return Ok(None);
            }
            Told::Dropped => {
                self.open.remove(&ticket);
                rotation.call_method0(intern!(py, "close"))?;
                // After "deliver" the lease is the driver's to end.
                if let Ok(lease) = lease.cast::<PyLease>()
                    && !lease.get().core().is_closed()
                {
                    PyLease::give_back(lease)?;
                }
                return Ok(None);
            }
        };
        self.go_on(py, ticket, &step, verdicts).map(Some)
    }

    fn begin(&self, py: Python<'_>, ask: Ask) -> PyResult<Entry> {
        let Ask { method, url, wishes, is_replayable } = ask;
        let tags: Option<Vec<&str>> = (!wishes.tags.is_empty()).then(|| wishes.tags.iter().map(|tag| &**tag).collect());
        let (session, country, region) =
            (wishes.session.as_deref(), wishes.country.as_deref(), wishes.region.as_deref());
        let made = self.begin.bind(py).call1((&*method, &url, session, country, region, tags, is_replayable))?;
        let (rotation, take, judge) = made.extract()?;
        let judged = (Judgement::Ambiguous, None, None, 0.0);
        Ok(Entry { rotation, take, judge, method, url, waits: None, judged, holds: false })
    }

    /// Carries out the steps that are not the server's.
    fn go_on(
        &mut self,
        py: Python<'_>,
        ticket: Ticket,
        step: &Bound<'_, PyAny>,
        verdicts: &mut Vec<(Ticket, Verdict)>,
    ) -> PyResult<Verdict> {
        let Some(entry) = self.open.get_mut(&ticket) else { return Ok(Verdict::Deliver) };
        let rotation = entry.rotation.bind(py).clone();
        let mut step = step.clone();
        loop {
            let name = step.cast::<PyString>()?;
            match name.to_str()? {
                "send" => {
                    entry.holds = false;
                    let lease = attribute!(&rotation, "lease")?;
                    let (proxy, _) = self.orders.leased(lease.cast::<PyLease>()?.get())?;
                    let time_left = attribute!(&rotation, "seconds")?.extract()?;
                    return Ok(Verdict::Send { proxy, time_left });
                }
                "wait" => return Ok(Verdict::Pause(attribute!(&rotation, "seconds")?.extract()?)),
                "admit" => {
                    let admission = attribute!(&rotation, "admission")?.cast_into::<PyTuple>()?;
                    let seconds: Option<f64> = admission.get_item(2)?.extract()?;
                    let until = seconds.map(|seconds| SystemClock.steady() + (seconds.clamp(0.0, 1e9) * 1e9) as u64);
                    entry.waits = Some((admission.unbind(), until));
                    match entry.admitted(py)? {
                        Some(next) => step = next,
                        None => return Ok(Verdict::Pause(LOOK_AGAIN)),
                    }
                }
                "renew" => {
                    if let Ok(lease) = attribute!(&rotation, "lease")?.cast::<PyLease>() {
                        let id = lease.get().core().proxy().id().as_u128();
                        verdicts.push((ticket, Verdict::Renew(id)));
                    }
                    step = rotation.call_method0(intern!(py, "done"))?;
                }
                "discard" => step = rotation.call_method0(intern!(py, "done"))?,
                "deliver" => return Ok(Verdict::Deliver),
                _ => {
                    let has_answer: bool = attribute!(&rotation, "has_answer")?.extract()?;
                    if has_answer && entry.holds {
                        // What the site has said last, as a client without a rotation would get it.
                        return Ok(Verdict::Deliver);
                    }
                    let said = self.refuse.bind(py).call1((&rotation, &*entry.method, &entry.url))?;
                    let (status, text) = said.extract()?;
                    return Ok(Verdict::Refuse { status, text });
                }
            }
        }
    }
}

impl Entry {
    /// Looks for a proxy once more, or ends the pause; `None` where it is still worth waiting.
    fn admitted<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let rotation = self.rotation.bind(py);
        let Some((admission, until)) = &self.waits else {
            return rotation.call_method0(intern!(py, "done")).map(Some);
        };
        let admission = admission.bind(py);
        let left = until.map(|until| until.saturating_sub(SystemClock.steady()) as f64 / 1e9);
        let found = match self.take.bind(py).call1((admission.get_item(0)?, admission.get_item(1)?, left)) {
            Ok(lease) if lease.is_none() && left == Some(0.0) => {
                let error = ProxyPoolEmptyError::new_err("no proxy became free in time");
                error.into_value(py).into_bound(py).into_any()
            }
            Ok(lease) if lease.is_none() => return Ok(None),
            Ok(lease) => lease,
            Err(error) => error.into_value(py).into_bound(py).into_any(),
        };
        self.waits = None;
        rotation.call_method1(intern!(py, "admitted"), (found,)).map(Some)
    }

    fn answered<'py>(
        &mut self,
        py: Python<'py>,
        status: u16,
        headers: &[(String, String)],
        elapsed_ms: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.holds = true;
        let judged = self.judge.bind(py).call1((&self.url, status, headers_of(py, headers)?))?;
        let (outcome, hold): (Bound<'_, PyAny>, Option<f64>) = (judged.get_item(0)?, judged.get_item(1)?.extract()?);
        let outcome = if outcome.is_none() { convert::outcome(py, Outcome::ClientFault)? } else { outcome };
        self.judged = (convert::judgement_of(&outcome)?, hold, Some(status), elapsed_ms);
        let arguments = (outcome, status, elapsed_ms, false, hold);
        self.rotation.bind(py).call_method1(intern!(py, "answered"), arguments)
    }

    fn failed<'py>(&mut self, py: Python<'py>, error: &Error, elapsed_ms: f64) -> PyResult<Bound<'py, PyAny>> {
        let (judgement, hold) = meaning(error);
        let arguments =
            (convert::judgement(py, judgement)?, exception(py, error), error.sent, elapsed_ms, is_timeout(error), hold);
        self.rotation.bind(py).call_method1(intern!(py, "failed"), arguments)
    }

    /// Ends the lease of what was delivered.
    fn ended(self, py: Python<'_>, lease: &Bound<'_, PyAny>, broken: Option<&Error>) -> PyResult<()> {
        let Ok(lease) = lease.cast::<PyLease>() else { return Ok(()) };
        if lease.get().core().is_closed() {
            return Ok(());
        }
        let (judgement, hold, status, elapsed_ms) = self.judged;
        match (broken, status) {
            (Some(error), _) => {
                let error = exception(py, error);
                PyLease::end(lease, None, None, None, Some(error.bind(py)), None).map(drop)
            }
            (None, None) => PyLease::carried(lease, Some(elapsed_ms)),
            (None, Some(_)) => PyLease::end(lease, judgement.outcome(), Some(elapsed_ms), hold, None, status).map(drop),
        }
    }
}

fn exception(py: Python<'_>, error: &Error) -> Py<PyAny> {
    // The text of such an error names no login.
    ProxyConnectionError::new_err(error.text().to_owned()).into_value(py).into_any()
}

fn is_timeout(error: &Error) -> bool {
    matches!(error.kind, Kind::ConnectTimeout | Kind::ReadTimeout | Kind::WriteTimeout | Kind::Deadline)
}

fn is_shortage(error: &Error) -> bool {
    let ours = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EADDRNOTAVAIL];
    error.errno.is_some_and(|number| ours.contains(&number))
}

/// What a failure says of the proxy, and for how many seconds it asks to be left alone.
fn meaning(error: &Error) -> (Judgement, Option<f64>) {
    if let Kind::Proxy(Some(refusal)) = &error.kind {
        let refusal: &Refusal = refusal;
        return of_refusal(refusal, || SystemClock.wall() as f64 / 1e6);
    }
    let judgement = match (&error.kind, error.stage) {
        (Kind::LocalProtocol | Kind::Unsupported, _) => Outcome::ClientFault.into(),
        // This machine has no descriptors or ports left, which is no proxy's doing.
        _ if is_shortage(error) => Outcome::ClientFault.into(),
        // The way through the proxy was not open yet.
        (_, Stage::Resolve | Stage::Tcp | Stage::ProxyTls | Stage::Handshake) => Outcome::ProxyDown.into(),
        _ => Judgement::Ambiguous,
    };
    (judgement, None)
}

impl Director for Asking {
    fn tell(&mut self, news: Vec<News>) -> Vec<(Ticket, Verdict)> {
        let mut verdicts = Vec::with_capacity(news.len());
        // While the interpreter ends no client waits for an answer.
        border::attach(|py| {
            for one in news {
                self.take(py, one, &mut verdicts);
            }
        });
        verdicts
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        border::attach(|py| {
            for (_, entry) in self.open.drain() {
                // Its lease is released; an error of that cannot be raised here.
                let _ = entry.rotation.call_method0(py, intern!(py, "close"));
            }
        });
    }
}
