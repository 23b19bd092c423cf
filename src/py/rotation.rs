//! `_Rotation`: the rotation of one request, stepped by a driver in Python.

mod host;
mod own;

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use crate::judge::outcome::Judgement;
use crate::proxy::Id;
use crate::py::chooser::acquirer::PyAcquirer;
use crate::py::convert;
use crate::py::convert::judgement_of;
use crate::py::errors::{ProxyBudgetExceededError, ProxyConnectionError, ProxyPoolEmptyError};
use crate::py::once::intern;
use crate::py::policy::PyRetryPolicy;
use crate::py::rotation::host::{PyHost, Taken};
use crate::rotation::retry::Rotation;
use crate::rotation::step::{self, Answer, Event, Failure, Fault, Job, Step, is_idempotent};

/// The rotation of one request: says what to do next. Each method returns the name of the next step: "admit", "send", "wait",
/// "discard", "renew", "deliver" or "fail". Belongs to one request; not for several threads at once.
///
/// Args:
///     policy: How often and when to try again.
///     take: A `LeaseAcquirer`, or a function that is called with the ids of proxies not to take, the number of the attempt,
///         and how many seconds the request may wait. It returns a lease, or `None` where waiting may help, and raises
///         `ProxyPoolEmptyError` where it does not.
///     method: The method, upper case.
///     url: The target, for what is logged.
///     replayable: Whether the body can be sent a second time.
///     streaming: Whether the caller reads the body; its lease is then still open at "deliver".
///     raise_on_ban: Whether a final ban or rate limit is an error.
///     patience: Seconds that all attempts together may wait for proxies; `None` is without a bound.
///     direct: Makes the lease of a request without a proxy; `None` forbids it.
///     time_left: Seconds until everything must be over; by default the policy's timeout.
///     delay: Returns the pause after a failure, called with its number from 0 and the pause before, in place of the policy's
///         rule.
#[pyclass(name = "_Rotation", module = "proxywhirl._core", weakref)]
pub(crate) struct PyRotation {
    core: Rotation<PyHost>,
    take: Py<PyAny>,
    exclude: Vec<Id>,
    seconds: Option<f64>,
    outcome: Option<Judgement>,
    is_open: bool,
    failure: Option<Failure>,
}

impl PyRotation {
    fn of(host: PyHost, job: Job, policy: &PyRetryPolicy, take: Py<PyAny>) -> Self {
        Self {
            core: Rotation::new(host, job, policy.core.clone()),
            take,
            exclude: Vec::new(),
            seconds: None,
            outcome: None,
            is_open: false,
            failure: None,
        }
    }

    /// Goes on until the driver is needed.
    fn carry<'py>(&mut self, py: Python<'py>, mut step: Step) -> PyResult<Bound<'py, PyString>> {
        let name = loop {
            match step {
                Step::Admit { exclude, seconds } => match self.take_now(py, &exclude, seconds) {
                    Ok(Some(event)) => step = self.core.next(event)?,
                    Ok(None) => {
                        (self.exclude, self.seconds) = (exclude, seconds);
                        break intern!(py, "admit");
                    }
                    Err(error) => {
                        // The first error counts.
                        let _ = self.core.close();
                        return Err(error);
                    }
                },
                Step::Send { time_left } => {
                    self.seconds = time_left;
                    break intern!(py, "send");
                }
                Step::Wait(seconds) => {
                    self.seconds = Some(seconds);
                    break intern!(py, "wait");
                }
                Step::Discard => break intern!(py, "discard"),
                Step::Renew if self.core.lease().is_some_and(|lease| lease.pooled().is_none()) => {
                    step = self.core.next(Event::Done)?;
                }
                Step::Renew => break intern!(py, "renew"),
                Step::Deliver { outcome, is_open } => {
                    (self.outcome, self.is_open) = (Some(outcome), is_open);
                    break intern!(py, "deliver");
                }
                Step::Fail(failure) => {
                    self.failure = Some(failure);
                    break intern!(py, "fail");
                }
            }
        };
        Ok(name.clone())
    }

    /// A lease at once; `None` where it is worth waiting.
    fn take_now(
        &self,
        py: Python<'_>,
        exclude: &[Id],
        seconds: Option<f64>,
    ) -> PyResult<Option<Event<Taken, Py<PyAny>>>> {
        let (ids, attempt) = (uuids(py, exclude)?, self.core.attempts() + 1);
        let take = self.take.bind(py);
        if let Ok(acquirer) = take.cast::<PyAcquirer>() {
            return match PyAcquirer::take(acquirer, &ids, attempt.into(), seconds) {
                Ok(lease) => Ok(lease.map(|lease| Event::Admitted(Taken::Pool(lease)))),
                Err(error) => refusal(py, error).map(Some),
            };
        }
        match take.call1((ids, attempt, seconds)) {
            Ok(lease) if lease.is_none() => Ok(None),
            Ok(lease) => Ok(Some(Event::Admitted(Taken::of(&lease)))),
            Err(error) => refusal(py, error).map(Some),
        }
    }

    fn next<'py>(&mut self, py: Python<'py>, event: Event<Taken, Py<PyAny>>) -> PyResult<Bound<'py, PyString>> {
        if self.core.is_over() {
            return Err(PyRuntimeError::new_err("this rotation is over"));
        }
        let step = self.core.next(event)?;
        self.carry(py, step)
    }
}

fn uuids<'py>(py: Python<'py>, ids: &[Id]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for &id in ids {
        list.append(convert::uuid(py, id)?)?;
    }
    Ok(list)
}

/// What it means for the rotation that no lease could be taken. Any other exception is the caller's.
fn refusal(py: Python<'_>, error: PyErr) -> PyResult<Event<Taken, Py<PyAny>>> {
    if error.is_instance_of::<ProxyPoolEmptyError>(py) {
        return Ok(Event::Empty(error.into_value(py).into_any()));
    }
    if error.is_instance_of::<ProxyConnectionError>(py) || error.is_instance_of::<ProxyBudgetExceededError>(py) {
        return Ok(Event::Refused(error.into_value(py).into_any()));
    }
    Err(error)
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyRotation {
    #[new]
    #[pyo3(signature = (policy, take, *, method, url, replayable=true, streaming=false, raise_on_ban=false, patience=Some(0.0), direct=None, time_left=None, delay=None))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        policy: &Bound<'_, PyRetryPolicy>,
        take: Py<PyAny>,
        method: Bound<'_, PyString>,
        url: Py<PyAny>,
        replayable: bool,
        streaming: bool,
        raise_on_ban: bool,
        patience: Option<f64>,
        direct: Option<Py<PyAny>>,
        time_left: Option<f64>,
        delay: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let job = Job {
            is_idempotent: is_idempotent(method.to_str()?),
            is_replayable: replayable,
            is_streaming: streaming,
            raise_on_ban,
            patience,
            time_left,
        };
        let host = PyHost { direct, delay, method: method.unbind(), url };
        Ok(Self::of(host, job, policy.get(), take))
    }

    /// The first step.
    fn start<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        let step = self.core.start()?;
        self.carry(py, step)
    }

    /// After "admit".
    ///
    /// Args:
    ///     lease: The lease, or the exception that came instead.
    fn admitted<'py>(&mut self, py: Python<'py>, lease: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
        let event = if lease.is_instance_of::<pyo3::exceptions::PyBaseException>() {
            refusal(py, PyErr::from_value(lease.clone()))?
        } else {
            Event::Admitted(Taken::of(lease))
        };
        self.next(py, event)
    }

    /// After "send": an answer came.
    ///
    /// Args:
    ///     outcome: Its class.
    ///     status: The status; `None` where no more is known than that the proxy carried an answer.
    ///     elapsed_ms: Milliseconds from sending to the end of the head; by default the age of the lease.
    ///     tunnel: Whether it came through a tunnel.
    ///     retry_after: Seconds for which it asks to be left alone.
    #[pyo3(signature = (outcome, status, elapsed_ms=None, tunnel=false, retry_after=None))]
    fn answered<'py>(
        &mut self,
        py: Python<'py>,
        outcome: &Bound<'py, PyAny>,
        status: Option<u16>,
        elapsed_ms: Option<f64>,
        tunnel: bool,
        retry_after: Option<f64>,
    ) -> PyResult<Bound<'py, PyString>> {
        let outcome = judgement_of(outcome)?;
        let elapsed_ms = elapsed_ms.map(convert::duration).transpose()?;
        self.next(py, Event::Answered(Answer { outcome, status, elapsed_ms, is_tunnelled: tunnel, retry_after }))
    }

    /// After "send": no usable answer came.
    ///
    /// Args:
    ///     outcome: The class of the failure.
    ///     error: What happened; the cause of what is raised.
    ///     sent: Whether part of the request can have reached the site.
    ///     elapsed_ms: Milliseconds from sending to the failure; by default the age of the lease.
    ///     timed_out: Whether a timeout ended it.
    ///     retry_after: Seconds for which the proxy asks to be left alone.
    #[pyo3(signature = (outcome, error, sent, elapsed_ms=None, timed_out=false, retry_after=None))]
    #[allow(clippy::too_many_arguments)]
    fn failed<'py>(
        &mut self,
        py: Python<'py>,
        outcome: &Bound<'py, PyAny>,
        error: Py<PyAny>,
        sent: bool,
        elapsed_ms: Option<f64>,
        timed_out: bool,
        retry_after: Option<f64>,
    ) -> PyResult<Bound<'py, PyString>> {
        let outcome = judgement_of(outcome)?;
        let elapsed_ms = elapsed_ms.map(convert::duration).transpose()?;
        let fault = Fault { outcome, error, is_sent: sent, elapsed_ms, is_timeout: timed_out, retry_after };
        self.next(py, Event::Failed(fault))
    }

    /// After "wait", "discard" and "renew".
    fn done<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        self.next(py, Event::Done)
    }

    /// Ends it where it stands: an open lease is released. Does nothing at the end.
    fn close(&mut self) -> PyResult<()> {
        self.core.close()
    }

    getters! {
        /// The lease of the attempt under way, or of the last one; `None` before the first.
        lease: Option<Py<PyAny>> = self.core.lease().map(|lease| lease.object(py));
        /// Attempts so far, the one under way included.
        attempts: u32 = self.core.attempts();
        /// Whether the request may reach the site twice.
        may_repeat: bool = self.core.may_repeat();
        /// Whether nothing follows.
        is_over: bool = self.core.is_over();
        /// At "send" the seconds until the deadline, at "wait" those to pass, at "admit" those to wait at most; `None` is without
        /// a bound.
        seconds: Option<f64> = self.seconds;
    }

    /// At "admit": the ids of proxies not to take, the number of the attempt, and the seconds to wait at most. Reading it
    /// begins the wait.
    #[getter]
    fn admission<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let seconds = self.core.begin_wait(self.seconds);
        (uuids(py, &self.exclude)?, self.core.attempts() + 1, seconds).into_bound_py_any(py)
    }

    getters! {
        /// At "deliver": the outcome of the answer; `AMBIGUOUS` where the body decides.
        outcome: PyResult<Option<Bound<'py, PyAny>>> =
            self.outcome.map(|outcome| convert::judgement(py, outcome)).transpose();
        /// At "deliver": whether the lease is open, so that the driver ends it with the body.
        is_open: bool = self.is_open;
        /// At "fail", why: "attempts", "ban", "login", "deadline", "no_proxy" or "request".
        failure: Option<&'static str> = Some(match self.failure? {
            Failure::Attempts { is_login: true, .. } => "login",
            Failure::Attempts { is_ban: true, .. } => "ban",
            Failure::Attempts { .. } => "attempts",
            Failure::Deadline => "deadline",
            Failure::NoProxy => "no_proxy",
            Failure::Request => "request",
        });
        /// At "fail": whether the error carries the last answer.
        has_answer: bool = matches!(self.failure, Some(Failure::Attempts { has_answer: true, .. }));
    }

    /// At "fail": what is known of the last attempt: outcome, status and error; `None` where there was none.
    #[getter]
    fn last<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(attempt) = self.core.last_failure() else { return Ok(None) };
        let outcome = convert::judgement(py, attempt.outcome)?;
        let error = attempt.fault.as_ref().map(|error| error.bind(py));
        (outcome, attempt.status, error).into_bound_py_any(py).map(Some)
    }

    /// At "fail" for want of a proxy: the exception that came instead of a lease.
    #[getter]
    fn error(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.core.fault().map(|fault| fault.clone_ref(py))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.take)?;
        let host = self.core.host();
        for part in [&host.direct, &host.delay].into_iter().flatten() {
            visit.call(part)?;
        }
        visit.call(&host.url)?;
        // Each reference once: a second visit would make the collector take what is in use for garbage.
        let leases = self.core.attempts_made().map(|attempt| &attempt.lease).chain(self.core.open_lease());
        for lease in leases {
            match lease {
                Taken::Pool(lease) => visit.call(lease)?,
                Taken::Direct(lease) => visit.call(lease)?,
            }
        }
        for fault in self.core.attempts_made().filter_map(|attempt| attempt.fault.as_ref()).chain(self.core.fault()) {
            visit.call(fault)?;
        }
        Ok(())
    }
}

impl Drop for PyRotation {
    fn drop(&mut self) {
        if !self.core.is_over() {
            // The first error cannot be raised here, and the lease's own drop gives it back as well.
            let _ = crate::py::border::attach(|_| self.core.close());
        }
    }
}

/// Whether a retry around a function of the user's calls it again unasked: for GET, HEAD, OPTIONS, DELETE and PUT.
///
/// Args:
///     method: The method, upper case.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn may_call_again(method: &str) -> bool {
    step::may_call_again(method)
}
