//! `StatusJudge`, `ReportJudge`, `retry_after`: what the core says of an answer, for the drivers that are written in Python
//! and for `Lease.report`. Python is asked only where a rule looks inside, or where the answer is another client's object.

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyString, PyTuple};

use crate::clock::exact_wall;
use crate::judge::outcome::Judgement;
use crate::judge::retry_after as pause;
use crate::judge::status::{Answer, StatusRules, may_ask_for_a_pause};
use crate::py::convert::{self, Lazy};

static JUDGE_REPORT: Lazy = Lazy::upper("judge_report");
static ANSWER_OF: Lazy = Lazy::upper("answer_of");

const HTTP_STATUS: std::ops::RangeInclusive<u16> = 100..=599;

fn rules_of(policy: Option<&Bound<'_, PyAny>>, auth_statuses: &[u16]) -> PyResult<StatusRules> {
    let Some(policy) = policy.filter(|policy| !policy.is_none()) else {
        return Ok(StatusRules::default().with_auth(auth_statuses.iter().copied()));
    };
    let mut statuses = Vec::new();
    for status in policy.getattr(intern!(policy.py(), "statuses"))?.try_iter()? {
        statuses.push(status?.extract()?);
    }
    Ok(StatusRules::new(statuses, auth_statuses.iter().copied()))
}

/// Judges answers by their head alone. Does not change; shared by requests and threads.
///
/// Args:
///     policy: The ban rules, of which only the `statuses` are looked at; the default ones where it is `None`.
///     auth_statuses: Statuses by which a proxy refuses credentials.
#[pyclass(name = "StatusJudge", module = "proxywhirl._core", frozen, subclass)]
pub(crate) struct PyStatusJudge {
    rules: StatusRules,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyStatusJudge {
    #[new]
    #[pyo3(signature = (policy=None, auth_statuses=vec![407]))]
    #[allow(clippy::needless_pass_by_value)]
    fn new(policy: Option<&Bound<'_, PyAny>>, auth_statuses: Vec<u16>) -> PyResult<Self> {
        Ok(Self { rules: rules_of(policy, &auth_statuses)? })
    }

    /// The class of an answer.
    ///
    /// Args:
    ///     answer: With `status`, `tunnel` (whether it came through a tunnel, so that the proxy cannot have made it up) and
    ///         `retry_after` (seconds for which it asks to be left alone, or `None`).
    ///     opinion: What rules say that look inside: `True` for a refusal, `False` for welcome; `None` leaves it to the
    ///         status.
    ///
    /// Returns:
    ///     The `Outcome`; `AMBIGUOUS` if it may be the proxy's answer as well as the site's.
    #[pyo3(signature = (answer, opinion=None))]
    fn answer<'py>(&self, answer: &Bound<'py, PyAny>, opinion: Option<bool>) -> PyResult<Bound<'py, PyAny>> {
        let py = answer.py();
        let status = answer.getattr(intern!(py, "status"))?.extract()?;
        let tunnelled = answer.getattr(intern!(py, "tunnel"))?.extract()?;
        let retry_after = !answer.getattr(intern!(py, "retry_after"))?.is_none();
        convert::judgement(py, self.rules.judge(Answer { status, tunnelled, retry_after, opinion }))
    }

    /// The class of a failure.
    ///
    /// Args:
    ///     failure: With `outcome`.
    ///
    /// Returns:
    ///     That outcome: no rule looks at it.
    #[staticmethod]
    fn failure<'py>(failure: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        failure.getattr(intern!(failure.py(), "outcome"))
    }
}

/// Judges what a client of the user's got, for `Lease.report`. A number, or a response that keeps its status as a plain
/// attribute, is judged without a call into Python where the status decides. Does not change; thread-safe.
///
/// Args:
///     policies: The ban rules by site; the default ones everywhere where it is `None`.
///     auth_statuses: Statuses by which a proxy refuses credentials.
#[pyclass(name = "ReportJudge", module = "proxywhirl._core", frozen)]
pub(crate) struct PyReportJudge {
    rules: StatusRules,
    auth_statuses: Vec<u16>,
    policies: Option<Py<PyAny>>,
    // Whether rules look at no more than the status, at every site.
    is_plain: bool,
}

/// What was read off an answer.
pub(crate) struct Reported {
    pub(crate) judgement: Judgement,
    pub(crate) hold: Option<f64>,
    pub(crate) status: u16,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyReportJudge {
    #[new]
    #[pyo3(signature = (policies=None, auth_statuses=vec![407]))]
    fn new(policies: Option<Bound<'_, PyAny>>, auth_statuses: Vec<u16>) -> PyResult<Self> {
        let policies = policies.filter(|policies| !policies.is_none());
        let (rules, is_plain) = match &policies {
            None => (rules_of(None, &auth_statuses)?, true),
            Some(policies) => {
                let py = policies.py();
                let general = policies.getattr(intern!(py, "general"))?;
                let is_plain = policies.getattr(intern!(py, "is_by_status"))?.is_truthy()?;
                (rules_of(Some(&general), &auth_statuses)?, is_plain)
            }
        };
        Ok(Self { rules, auth_statuses, policies: policies.map(Bound::unbind), is_plain })
    }

    /// Judges an answer or an error.
    ///
    /// Args:
    ///     url: The target; `None` if it is not known.
    ///     answer: The status, the answer as any client gives it, or the exception that came instead.
    ///     headers: Its headers; by default the answer's own.
    ///     body: Its body as far as read; by default the answer's own, if it has been read.
    ///     error: The exception that came instead.
    ///
    /// Returns:
    ///     The outcome, the seconds for which the site asks to be left alone, and the status that was judged.
    ///
    /// Raises:
    ///     TypeError: Neither a status nor an error is given, or an object without a status.
    ///     ValueError: A status is no status.
    #[pyo3(signature = (url, answer, headers=None, body=None, error=None))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        url: Option<&Bound<'py, PyAny>>,
        answer: Option<&Bound<'py, PyAny>>,
        headers: Option<&Bound<'py, PyAny>>,
        body: Option<&Bound<'py, PyAny>>,
        error: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let given = PyDict::new(py);
        if let Some(policies) = &self.policies {
            given.set_item(intern!(py, "policies"), policies)?;
        }
        given.set_item(intern!(py, "auth_statuses"), PyTuple::new(py, &self.auth_statuses)?)?;
        JUDGE_REPORT.get(py)?.call((url, answer, headers, body, error), Some(&given))
    }

    fn __traverse__(&self, visit: pyo3::gc::PyVisit<'_>) -> Result<(), pyo3::gc::PyTraverseError> {
        self.policies.iter().try_for_each(|policies| visit.call(policies))
    }
}

/// Judges an answer by its head, where that is all that counts and no code of Python's is needed to read it; else `None`.
/// `judge` is what a lease was given for this, and `url` its target.
pub(crate) fn of_head<'py>(
    judge: Option<&Bound<'py, PyAny>>,
    url: Option<&Bound<'py, PyString>>,
    answer: &Bound<'py, PyAny>,
    headers: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<Reported>> {
    let given = match judge {
        None => None,
        Some(judge) => match judge.cast::<PyReportJudge>() {
            Ok(judge) if judge.get().is_plain => Some(judge.get()),
            _ => return Ok(None),
        },
    };
    let Some(status) = status_of(answer)? else { return Ok(None) };
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
    // A plain target behind a SOCKS proxy is a tunnel too, but what the user's client did is not known here.
    let tunnelled = match url {
        Some(url) => url.to_str()?.trim_start().get(..6).is_some_and(|head| head.eq_ignore_ascii_case("https:")),
        None => false,
    };
    let answer = Answer { status, tunnelled, retry_after: asked.is_some(), opinion: None };
    let judgement = match given {
        Some(judge) => judge.rules.judge(answer),
        None => StatusRules::default().judge(answer),
    };
    Ok(Some(Reported { judgement, hold: judgement.hold(|| asked), status }))
}

/// The status of a number, or of an object that keeps it as a plain attribute; `None` where Python has to read it.
fn status_of(answer: &Bound<'_, PyAny>) -> PyResult<Option<u16>> {
    let py = answer.py();
    if answer.is_exact_instance_of::<PyInt>() {
        let status = answer.extract::<u16>().ok().filter(|status| *status <= 999);
        return status.map(Some).ok_or_else(|| PyValueError::new_err(format!("{answer} is no HTTP status")));
    }
    if answer.is_instance_of::<pyo3::exceptions::PyBaseException>() {
        return Ok(None);
    }
    let Ok(own) = answer.getattr(intern!(py, "__dict__")) else { return Ok(None) };
    let Ok(own) = own.cast::<PyDict>() else { return Ok(None) };
    let Some(status) = own.get_item(intern!(py, "status_code"))? else { return Ok(None) };
    Ok(status.extract().ok().filter(|status| HTTP_STATUS.contains(status)))
}

/// How long an answer asks to be left alone.
///
/// Args:
///     headers: A mapping, or pairs of name and value, as text or bytes.
///     now: Wall-clock seconds, for an answer without a `Date` of its own; by default the present.
///
/// Returns:
///     Seconds, from 0 to `LONGEST_HOLD`; `None` if it does not say, or not in a form that can be read.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (headers, now=None))]
pub(crate) fn retry_after(headers: &Bound<'_, PyAny>, now: Option<f64>) -> PyResult<Option<f64>> {
    seconds_asked(headers, now)
}

fn seconds_asked(headers: &Bound<'_, PyAny>, now: Option<f64>) -> PyResult<Option<f64>> {
    let [value, date] = headers_of(headers, ["retry-after", "date"])?;
    let Some(value) = value else { return Ok(None) };
    Ok(pause::seconds(&value, date.as_deref(), || now.unwrap_or_else(|| exact_wall() as f64 / 1e6)))
}

/// How long an answer asks to be left alone, if its status can ask for that: with 429 and 503.
///
/// Args:
///     status: The status.
///     headers: A mapping, or pairs of name and value, as text or bytes.
///
/// Returns:
///     As `retry_after`.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn pause_of(status: u16, headers: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
    if may_ask_for_a_pause(status) { seconds_asked(headers, None) } else { Ok(None) }
}

/// For how many seconds a proxy is held at a site.
///
/// Args:
///     outcome: The outcome of the attempt, or `AMBIGUOUS`.
///     asked: Seconds for which the answer asks to be left alone.
///
/// Returns:
///     `asked` after a rate limit; else `None`.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (outcome, asked))]
pub(crate) fn hold_of(outcome: &Bound<'_, PyAny>, asked: Option<f64>) -> PyResult<Option<f64>> {
    Ok(convert::judgement_of(outcome)?.hold(|| asked))
}

/// The headers of those names, in lower case: of a mapping or of pairs, whatever the client. Values of one name are joined.
pub(super) fn headers_of<const N: usize>(
    headers: &Bound<'_, PyAny>,
    names: [&str; N],
) -> PyResult<[Option<String>; N]> {
    let mut found = [const { None::<String> }; N];
    if headers.is_none() {
        return Ok(found);
    }
    let pairs = match headers.getattr_opt(intern!(headers.py(), "items"))? {
        Some(items) if items.is_callable() => items.call0()?,
        _ => headers.clone(),
    };
    for pair in pairs.try_iter()? {
        let mut pair = pair?.try_iter()?;
        let (Some(name), Some(value)) = (pair.next().transpose()?, pair.next().transpose()?) else { continue };
        let name = text(&name)?;
        for (wanted, found) in names.iter().zip(&mut found) {
            if name.eq_ignore_ascii_case(wanted) {
                let value = text(&value)?;
                *found = Some(found.take().map_or(value.clone(), |before| format!("{before}, {value}")));
            }
        }
    }
    Ok(found)
}

/// Text, or bytes as Latin-1.
fn text(value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().iter().map(|byte| char::from(*byte)).collect());
    }
    Ok(value.str()?.to_string_lossy().into_owned())
}
