//! `ReportJudge`: what a client of the user's got, for `Lease.report` and for a block that an exception leaves.

use crate::py::once::intern;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyBaseException, PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyString};

use super::ban::{Entry, PyAnswerView, PyBanTable};
use super::headers::seconds_asked;
use super::{login_statuses, rules_of};
use crate::judge::outcome::{Judgement, Outcome};
use crate::judge::status::{Answer, StatusRules, StatusSet, is_tunnelled, may_ask_for_a_pause};
use crate::py::convert::{self, Lazy};

static ANSWER_OF: Lazy = Lazy::upper("answer_of");
static IS_ERROR: Lazy = Lazy::upper("is_error");
static READ_ERROR: Lazy = Lazy::upper("read_error");
static TELL_UNKNOWN: Lazy = Lazy::upper("tell_unknown");
static JUDGED: Lazy = Lazy::upper("Judged");
static REPORTED_RESPONSE: Lazy = Lazy::upper("reported_response");

const HTTP_STATUS: std::ops::RangeInclusive<u16> = 100..=599;

/// Judges what a client of the user's got. A number, or a response that keeps its status as a plain attribute, is judged
/// without a call into Python where the status decides. Does not change; thread-safe.
///
/// Args:
///     policies: The ban rules by site; the default ones everywhere where it is `None`.
///     auth_statuses: Statuses by which a proxy refuses credentials; 407 by default.
#[pyclass(name = "ReportJudge", module = "proxywhirl._core", frozen)]
pub(crate) struct PyReportJudge {
    policies: Option<Py<PyBanTable>>,
    auth: StatusSet,
    // The rules of sites without any of their own.
    general: StatusRules,
}

/// What is known of the attempt: its class, unless that is nothing; how long the pair is held; the status, if an answer was
/// judged.
#[derive(Default)]
pub(crate) struct Reported {
    pub(crate) judgement: Option<Judgement>,
    pub(crate) hold: Option<f64>,
    pub(crate) status: Option<u16>,
}

/// What a client got besides the answer itself; each is the answer's own where it is `None`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Extras<'a, 'py> {
    pub(crate) headers: Option<&'a Bound<'py, PyAny>>,
    pub(crate) body: Option<&'a Bound<'py, PyAny>>,
}

/// The answer that was reported, taken apart.
struct Head<'py> {
    status: u16,
    headers: Option<Bound<'py, PyAny>>,
    body: Option<Bound<'py, PyAny>>,
}

impl Default for PyReportJudge {
    fn default() -> Self {
        Self { policies: None, auth: login_statuses(None), general: StatusRules::default() }
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyReportJudge {
    #[new]
    #[pyo3(signature = (policies=None, auth_statuses=None))]
    fn new(policies: Option<Py<PyBanTable>>, auth_statuses: Option<Vec<u16>>) -> Self {
        let auth = login_statuses(auth_statuses);
        let general = rules_of(policies.as_ref().map(|policies| policies.get().core.general()), &auth);
        Self { policies, auth, general }
    }

    /// Judges an answer or an error.
    ///
    /// Args:
    ///     url: The target; `None` if it is not known.
    ///     answer: The status, the answer as any client gives it, or the exception that came instead.
    ///     headers: Its headers, a mapping or pairs; by default the answer's own.
    ///     body: Its body as far as read, bytes or text; by default the answer's own, if it has been read. Rules look at the
    ///         first 64 KiB.
    ///     error: The exception that came instead. One that carries an answer, as those of `raise_for_status()`, is judged
    ///         like that answer.
    ///
    /// Returns:
    ///     The outcome, `None` where nothing is known of the attempt; the seconds for which the site asks to be left alone; and
    ///     the status that was judged.
    ///
    /// Raises:
    ///     TypeError: Neither a status nor an error is given, or an object without a status.
    ///     ValueError: A status is no status.
    #[pyo3(signature = (url, answer, headers=None, body=None, error=None))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        url: Option<&Bound<'py, PyString>>,
        answer: Option<&Bound<'py, PyAny>>,
        headers: Option<&Bound<'py, PyAny>>,
        body: Option<&Bound<'py, PyAny>>,
        error: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let found = self.judge(py, url, answer, Extras { headers, body }, error)?;
        let outcome = found.judgement.map(|judgement| convert::judgement(py, judgement)).transpose()?;
        JUDGED.get(py)?.call1((outcome, found.hold, found.status))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.policies)
    }
}

impl PyReportJudge {
    /// As the call.
    pub(crate) fn judge<'py>(
        &self,
        py: Python<'py>,
        url: Option<&Bound<'py, PyString>>,
        answer: Option<&Bound<'py, PyAny>>,
        extras: Extras<'_, 'py>,
        error: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Reported> {
        let url = url.map(|url| url.to_str()).transpose()?;
        let entry = self.policies.as_ref().map(|policies| policies.get().core.for_url(url));
        let (answer, error) = match (answer, error) {
            (Some(given), None) if is_error(given)? => (None, Some(given)),
            given => given,
        };
        let mut head = match (answer, error) {
            (_, Some(error)) => match judge_error(entry, error)? {
                Ok(head) => head,
                Err(reported) => return Ok(reported),
            },
            (Some(answer), None) => head_of(answer)?,
            (None, None) => {
                let message = "report() needs a status or an error: a number, a response or an exception";
                return Err(PyTypeError::new_err(message));
            }
        };
        head.headers = given(extras.headers).or(head.headers);
        head.body = given(extras.body).or(head.body);
        let asked = match &head.headers {
            Some(headers) if may_ask_for_a_pause(head.status) => seconds_asked(headers, None)?,
            _ => None,
        };
        let opinion = match entry {
            Some(entry) if entry.rules.get().core.looks_inside() => opinion_of(py, entry, url, &head)?,
            _ => None,
        };
        Ok(self.rules(entry, |rules| settle(rules, url, head.status, asked, opinion)))
    }

    fn rules<T>(&self, entry: Option<&Entry>, with: impl FnOnce(&StatusRules) -> T) -> T {
        match (&self.policies, entry) {
            (Some(policies), Some(entry)) if !std::ptr::eq(entry, policies.get().core.general()) => {
                with(&rules_of(Some(entry), &self.auth))
            }
            _ => with(&self.general),
        }
    }
}

/// The class of an answer that another client received.
fn settle(rules: &StatusRules, url: Option<&str>, status: u16, asked: Option<f64>, opinion: Option<bool>) -> Reported {
    let tunnelled = url.is_some_and(is_tunnelled);
    let judgement = rules.judge(Answer { status, tunnelled, retry_after: asked.is_some(), opinion });
    Reported { judgement: Some(judgement), hold: judgement.hold(|| asked), status: Some(status) }
}

/// What rules say that look inside.
fn opinion_of(py: Python<'_>, entry: &Entry, url: Option<&str>, head: &Head<'_>) -> PyResult<Option<bool>> {
    let headers = head.headers.as_ref();
    let facts = (url, head.status, headers, head.body.as_ref()).into_py_any(py)?;
    let view = PyAnswerView {
        status: head.status,
        headers: headers.map_or_else(|| py.None(), |headers| headers.clone().unbind()),
        body: head.body.clone().map(Bound::unbind),
        make_response: REPORTED_RESPONSE.get(py)?.clone().unbind(),
        request: None,
        payload: Some(facts),
    };
    entry.rules.get().opinion(&Bound::new(py, view)?)
}

fn given<'py>(value: Option<&Bound<'py, PyAny>>) -> Option<Bound<'py, PyAny>> {
    value.filter(|value| !value.is_none()).cloned()
}

fn is_error(given: &Bound<'_, PyAny>) -> PyResult<bool> {
    if given.is_instance_of::<PyBaseException>() {
        return Ok(true);
    }
    // Twisted has a wrapper for them.
    Ok(!given.is_instance_of::<PyInt>() && IS_ERROR.get(given.py())?.call1((given,))?.is_truthy()?)
}

/// What is known of an exception by itself, or the answer that it carries.
fn judge_error<'py>(entry: Option<&Entry>, error: &Bound<'py, PyAny>) -> PyResult<Result<Head<'py>, Reported>> {
    let py = error.py();
    let reading = READ_ERROR.get(py)?.call1((error,))?;
    // Cancellation and interrupts are no business of the rules.
    if reading.is_none() {
        return Ok(Err(Reported::default()));
    }
    let (outcome, hold, carried, is_unknown): (Bound<'py, PyAny>, Option<f64>, Option<Bound<'py, PyAny>>, bool) =
        reading.extract()?;
    let judgement = if outcome.is_none() { None } else { Some(convert::judgement_of(&outcome)?) };
    if let Some(entry) = entry
        && entry.calls_a_ban(judgement, None, error)?
    {
        return Ok(Err(Reported { judgement: Some(Outcome::Banned.into()), ..Reported::default() }));
    }
    if let Some(carried) = carried {
        return Ok(Ok(taken_apart(&carried)?));
    }
    if is_unknown {
        TELL_UNKNOWN.get(py)?.call1((error,))?;
    }
    Ok(Err(Reported { judgement, hold, status: None }))
}

fn head_of<'py>(answer: &Bound<'py, PyAny>) -> PyResult<Head<'py>> {
    if answer.is_instance_of::<PyInt>() && !answer.is_instance_of::<PyBool>() {
        return Ok(Head { status: number(answer)?, headers: None, body: None });
    }
    let found = ANSWER_OF.get(answer.py())?.call1((answer,))?;
    if found.is_none() {
        let class = answer.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "report() needs a status or an error, and {class} has no status_code, status or code from 100 to 599"
        )));
    }
    taken_apart(&found)
}

/// The parts of a `clients.Answer`.
fn taken_apart<'py>(answer: &Bound<'py, PyAny>) -> PyResult<Head<'py>> {
    let (status, headers, body): (u16, Bound<'py, PyAny>, Bound<'py, PyAny>) = answer.extract()?;
    Ok(Head { status, headers: given(Some(&headers)), body: given(Some(&body)) })
}

fn number(answer: &Bound<'_, PyAny>) -> PyResult<u16> {
    let status = answer.extract::<u16>().ok().filter(|status| *status <= 999);
    status.ok_or_else(|| match answer.call_method0(intern!(answer.py(), "__int__")) {
        Ok(number) => PyValueError::new_err(format!("{number} is no HTTP status")),
        Err(error) => error,
    })
}

/// Judges an answer by its head, where that is all that counts and no code of Python's is needed to read it; else `None`.
/// `judge` is what a lease was given for this, and `url` its target.
pub(crate) fn of_head<'py>(
    judge: Option<&Bound<'py, PyAny>>,
    url: Option<&Bound<'py, PyString>>,
    answer: &Bound<'py, PyAny>,
    headers: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<Reported>> {
    let judge = match judge {
        None => None,
        Some(judge) => match judge.cast::<PyReportJudge>() {
            Ok(judge) => Some(judge.get()),
            Err(_) => return Ok(None),
        },
    };
    let Some(status) = status_of(answer)? else { return Ok(None) };
    let url = url.map(|url| url.to_str()).transpose()?;
    let entry = judge.and_then(|judge| judge.policies.as_ref()).map(|policies| policies.get().core.for_url(url));
    if entry.is_some_and(|entry| entry.rules.get().core.looks_inside()) {
        return Ok(None);
    }
    let headers = headers.filter(|headers| !headers.is_none());
    let asked = match headers {
        _ if !may_ask_for_a_pause(status) => None,
        Some(headers) => seconds_asked(headers, None)?,
        None if answer.is_exact_instance_of::<PyInt>() => None,
        None => {
            let found = ANSWER_OF.get(answer.py())?.call1((answer,))?;
            seconds_asked(&found.getattr(intern!(answer.py(), "headers"))?, None)?
        }
    };
    let settled = |rules: &StatusRules| settle(rules, url, status, asked, None);
    Ok(Some(match judge {
        Some(judge) => judge.rules(entry, settled),
        None => settled(&StatusRules::default()),
    }))
}

/// The status of a number, or of an object that keeps it as a plain attribute; `None` where Python has to read it.
fn status_of(answer: &Bound<'_, PyAny>) -> PyResult<Option<u16>> {
    let py = answer.py();
    if answer.is_exact_instance_of::<PyInt>() {
        return number(answer).map(Some);
    }
    if answer.is_instance_of::<PyBaseException>() {
        return Ok(None);
    }
    let Ok(own) = answer.getattr(intern!(py, "__dict__")) else { return Ok(None) };
    let Ok(own) = own.cast::<PyDict>() else { return Ok(None) };
    let Some(status) = own.get_item(intern!(py, "status_code"))? else { return Ok(None) };
    Ok(status.extract().ok().filter(|status| HTTP_STATUS.contains(status)))
}
