//! What the core says of an answer, for the drivers that are written in Python (`StatusJudge`, `RuleJudge`) and for
//! `Lease.report` (`ReportJudge`). Python is asked only where a rule of the user's looks inside, or where the answer is another
//! client's object.

pub(crate) mod ban;
pub(crate) mod headers;
pub(crate) mod report;

use crate::py::once::intern;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use self::ban::{Entry, PyAnswerView};
use crate::judge::outcome::{Judgement, Outcome};
use crate::judge::status::{Answer, LOGIN_STATUSES, StatusRules, StatusSet};
use crate::py::convert;

/// Those by which a proxy refuses credentials, as they were given.
fn login_statuses(given: Option<Vec<u16>>) -> StatusSet {
    given.map_or_else(|| LOGIN_STATUSES.into_iter().collect(), |given| given.into_iter().collect())
}

/// The class of an answer of a carrier, by its head and what rules say that look inside.
fn judge(rules: &StatusRules, answer: &Bound<'_, PyAny>, opinion: Option<bool>) -> PyResult<Judgement> {
    let py = answer.py();
    let status = answer.getattr(intern!(py, "status"))?.extract()?;
    let tunnelled = answer.getattr(intern!(py, "tunnel"))?.extract()?;
    let retry_after = !answer.getattr(intern!(py, "retry_after"))?.is_none();
    Ok(rules.judge(Answer { status, tunnelled, retry_after, opinion }))
}

/// Judges answers by their head alone. Does not change; shared by requests and threads.
///
/// Args:
///     policy: The ban rules, of which only the statuses are looked at; the default ones where it is `None`.
///     auth_statuses: Statuses by which a proxy refuses credentials; 407 by default.
#[pyclass(name = "StatusJudge", module = "proxywhirl._core", frozen)]
pub(crate) struct PyStatusJudge {
    rules: StatusRules,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyStatusJudge {
    #[new]
    #[pyo3(signature = (policy=None, auth_statuses=None))]
    fn new(policy: Option<&Bound<'_, PyAny>>, auth_statuses: Option<Vec<u16>>) -> PyResult<Self> {
        let auth = login_statuses(auth_statuses);
        Ok(Self { rules: rules_of(policy.map(Entry::of).transpose()?.as_ref(), &auth) })
    }

    /// The class of an answer.
    ///
    /// Args:
    ///     answer: With `status`, `tunnel` (whether it came through a tunnel, so that the proxy cannot have made it up) and
    ///         `retry_after` (seconds for which it asks to be left alone, or `None`).
    ///
    /// Returns:
    ///     The `Outcome`; `AMBIGUOUS` if it may be the proxy's answer as well as the site's.
    fn answer<'py>(&self, answer: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        convert::judgement(answer.py(), judge(&self.rules, answer, None)?)
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

impl PyStatusJudge {
    pub(crate) fn rules(&self) -> &StatusRules {
        &self.rules
    }
}

fn rules_of(entry: Option<&Entry>, auth: &StatusSet) -> StatusRules {
    match entry {
        Some(entry) => StatusRules::of_sets(entry.rules.get().core.statuses(), auth),
        None => StatusRules::of_sets(&crate::judge::status::BAN_STATUSES.into_iter().collect(), auth),
    }
}

/// Judges one request's answers and failures by all rules. Does not change.
///
/// Args:
///     policy: The ban rules.
///     request: The request, for rules that look at it.
///     make_response: Makes of the payload of an answer what a rule of the user's is called with.
///     auth_statuses: Statuses by which a proxy refuses credentials; 407 by default.
#[pyclass(name = "RuleJudge", module = "proxywhirl._core", frozen)]
pub(crate) struct PyRuleJudge {
    rules: StatusRules,
    entry: Entry,
    request: Py<PyAny>,
    make_response: Py<PyAny>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyRuleJudge {
    #[new]
    #[pyo3(signature = (policy, request, make_response, auth_statuses=None))]
    fn new(
        policy: &Bound<'_, PyAny>,
        request: Py<PyAny>,
        make_response: Py<PyAny>,
        auth_statuses: Option<Vec<u16>>,
    ) -> PyResult<Self> {
        let entry = Entry::of(policy)?;
        let rules = rules_of(Some(&entry), &login_statuses(auth_statuses));
        Ok(Self { rules, entry, request, make_response })
    }

    /// The class of an answer.
    ///
    /// Args:
    ///     answer: As for `StatusJudge.answer`, with a `payload` that has the `headers` and, as far as it has been read, the
    ///         `content`.
    ///
    /// Returns:
    ///     The `Outcome`; `AMBIGUOUS` if it may be the proxy's answer as well as the site's.
    fn answer<'py>(&self, answer: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = answer.py();
        let rules = self.entry.rules.get();
        let opinion = if rules.core.looks_inside() {
            let payload = answer.getattr(intern!(py, "payload"))?;
            let content = payload.getattr(intern!(py, "content"))?;
            let view = PyAnswerView {
                status: answer.getattr(intern!(py, "status"))?.extract()?,
                headers: payload.getattr(intern!(py, "headers"))?.unbind(),
                body: (!content.is_none()).then(|| content.unbind()),
                make_response: self.make_response.clone_ref(py),
                request: Some(self.request.clone_ref(py)),
                payload: Some(payload.unbind()),
            };
            rules.opinion(&Bound::new(py, view)?)?
        } else {
            None
        };
        convert::judgement(py, judge(&self.rules, answer, opinion)?)
    }

    /// The class of a failure.
    ///
    /// Args:
    ///     failure: With `outcome` and `error`.
    ///
    /// Returns:
    ///     That outcome, or `BANNED` where a rule takes the error for a refusal by the site.
    fn failure<'py>(&self, failure: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = failure.py();
        let outcome = failure.getattr(intern!(py, "outcome"))?;
        let is_ban = self.entry.calls_a_ban(
            Some(convert::judgement_of(&outcome)?),
            Some(&self.request),
            &failure.getattr(intern!(py, "error"))?,
        )?;
        if is_ban { convert::judgement(py, Outcome::Banned.into()) } else { Ok(outcome) }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.entry.traverse(&visit)?;
        visit.call(&self.request)?;
        visit.call(&self.make_response)
    }
}
