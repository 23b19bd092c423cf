//! `BanRules`, `BanTable`, `AnswerView`: the compiled half of `proxywhirl.bans`.

use crate::py::once::intern;
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::headers::{headers_of, text_of};
use crate::judge::ban::pattern::{Literal, Pattern};
use crate::judge::ban::sites::BySite;
use crate::judge::ban::{BanRules, Subject};
use crate::judge::outcome::Judgement;
use crate::judge::status::BAN_STATUSES;
use crate::net::redact::MASK;
use crate::net::redact::text::is_plain_name;

type Patterns = Vec<Pattern<Py<PyAny>>>;

/// An answer as ban rules look at it. Does not change.
///
/// Args:
///     status: The status.
///     headers: Its headers: a mapping, or pairs of name and value.
///     body: What has been read of the body, as bytes or text; `None` when nothing has been.
///     make_response: Makes what a rule of the user's is called with.
///     request: The request, for rules that look at it.
#[pyclass(name = "AnswerView", module = "proxywhirl._core", frozen)]
pub(crate) struct PyAnswerView {
    #[pyo3(get)]
    pub(super) status: u16,
    pub(super) headers: Py<PyAny>,
    pub(super) body: Option<Py<PyAny>>,
    pub(super) make_response: Py<PyAny>,
    #[pyo3(get)]
    pub(super) request: Option<Py<PyAny>>,
    // What the response is made of; `None` where its maker knows.
    pub(super) payload: Option<Py<PyAny>>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyAnswerView {
    #[new]
    #[pyo3(signature = (status, headers, body, make_response, request=None))]
    fn new(
        status: u16,
        headers: Py<PyAny>,
        body: Option<Py<PyAny>>,
        make_response: Py<PyAny>,
        request: Option<Py<PyAny>>,
    ) -> Self {
        Self { status, headers, body, make_response, request, payload: None }
    }

    /// The beginning of the body; `None` if it cannot be known without reading it.
    #[getter]
    fn text(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let Some(body) = &self.body else { return Ok(None) };
        let [content_type] = headers_of(self.headers.bind(py), ["content-type"])?;
        text_of(body.bind(py), content_type.as_deref()).map(Some)
    }

    /// Makes the response, for rules that are functions of it.
    fn response<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.payload {
            Some(payload) => self.make_response.bind(py).call1((payload,)),
            None => self.make_response.bind(py).call0(),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.headers)?;
        visit.call(&self.body)?;
        visit.call(&self.make_response)?;
        visit.call(&self.request)?;
        visit.call(&self.payload)
    }
}

/// Rules by which an answer is a refusal, compiled. Does not change; thread-safe.
///
/// Args:
///     statuses: Statuses that are one.
///     body: For each rule about the body the text, if it is one, and the compiled expression, if it is one.
///     headers: For each rule about a header its name, the text of the expression, if it was given as one, and the compiled
///         expression.
///     redirect: The same for the `Location` of a redirect, without the name.
///     custom: Called with the `AnswerView` before the other rules; returns `True`, `False`, or `None` for no opinion.
///     judges_failures: Whether a failure can count as a ban, too.
#[pyclass(name = "BanRules", module = "proxywhirl._core", frozen)]
pub(crate) struct PyBanRules {
    pub(super) core: BanRules<Py<PyAny>>,
    custom: Option<Py<PyAny>>,
    /// Whether a failure can count as a ban.
    #[pyo3(get)]
    pub(super) judges_failures: bool,
}

/// What an expression means: a plain text where that is enough.
fn pattern(text: Option<&Bound<'_, PyAny>>, expression: Py<PyAny>) -> Pattern<Py<PyAny>> {
    plain(text).and_then(Pattern::of_text).unwrap_or(Pattern::Expression(expression))
}

/// The text of a rule; `None` where it was given compiled. One with half a character is in no body.
fn plain<'a>(text: Option<&'a Bound<'_, PyAny>>) -> Option<&'a str> {
    text?.cast::<PyString>().ok()?.to_str().ok()
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyBanRules {
    #[new]
    #[pyo3(signature = (statuses, body, headers, redirect, custom=None, judges_failures=false))]
    #[allow(clippy::type_complexity)]
    fn new(
        statuses: Vec<u16>,
        body: Vec<(Option<Bound<'_, PyAny>>, Option<Py<PyAny>>)>,
        headers: Vec<(String, Option<Bound<'_, PyAny>>, Py<PyAny>)>,
        redirect: Vec<(Option<Bound<'_, PyAny>>, Py<PyAny>)>,
        custom: Option<Py<PyAny>>,
        judges_failures: bool,
    ) -> Self {
        let mut patterns = Patterns::new();
        for (text, expression) in body {
            // A text is looked for as it is, and as an expression where it is one.
            patterns.extend(plain(text.as_ref()).map(|text| Pattern::Text(Literal::new(text))));
            patterns.extend(expression.map(|expression| pattern(text.as_ref(), expression)));
        }
        let headers =
            headers.into_iter().map(|(name, text, expression)| (name.into(), pattern(text.as_ref(), expression)));
        let redirect = redirect.into_iter().map(|(text, expression)| pattern(text.as_ref(), expression));
        let core = BanRules::of_statuses(statuses)
            .with_custom(custom.is_some())
            .with_headers(headers.collect())
            .with_redirect(redirect.collect())
            .with_body(patterns);
        Self { core, custom, judges_failures }
    }

    /// Whether more than the status of an answer matters.
    #[getter]
    fn looks_inside(&self) -> bool {
        self.core.looks_inside()
    }

    /// Whether an answer is a refusal, by what is inside.
    ///
    /// Args:
    ///     answer: The answer.
    ///
    /// Returns:
    ///     `True` if a rule other than the status says so, `False` if `custom` says that it is welcome, `None` if the status
    ///     decides.
    pub(super) fn opinion(&self, answer: &Bound<'_, PyAnswerView>) -> PyResult<Option<bool>> {
        self.core.opinion(answer.get().status, &mut Look { answer, custom: self.custom.as_ref() })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.core.expressions().try_for_each(|expression| visit.call(expression))?;
        visit.call(&self.custom)
    }
}

struct Look<'a, 'py> {
    answer: &'a Bound<'py, PyAnswerView>,
    custom: Option<&'a Py<PyAny>>,
}

impl Subject for Look<'_, '_> {
    type Expression = Py<PyAny>;
    type Error = PyErr;

    fn custom(&mut self) -> PyResult<Option<bool>> {
        let Some(custom) = self.custom else { return Ok(None) };
        custom.bind(self.answer.py()).call1((self.answer,))?.extract()
    }

    fn header(&mut self, name: &str) -> PyResult<Option<String>> {
        let [value] = headers_of(self.answer.get().headers.bind(self.answer.py()), [name])?;
        Ok(value)
    }

    fn body(&mut self) -> PyResult<Option<String>> {
        self.answer.get().text(self.answer.py())
    }

    fn search(&mut self, expression: &Py<PyAny>, text: &str) -> PyResult<bool> {
        let py = self.answer.py();
        Ok(!expression.bind(py).call_method1(intern!(py, "search"), (text,))?.is_none())
    }
}

/// A policy, and its rules.
pub(super) struct Entry {
    pub(super) policy: Py<PyAny>,
    pub(super) rules: Py<PyBanRules>,
}

impl Entry {
    pub(super) fn of(policy: &Bound<'_, PyAny>) -> PyResult<Self> {
        let rules = policy.getattr(intern!(policy.py(), "rules"))?.cast_into::<PyBanRules>()?;
        Ok(Self { policy: policy.clone().unbind(), rules: rules.unbind() })
    }

    /// Whether the policy takes a failure for a refusal by the site.
    pub(super) fn calls_a_ban(
        &self,
        judgement: Option<Judgement>,
        request: Option<&Py<PyAny>>,
        error: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let py = error.py();
        if !self.rules.get().judges_failures || judgement.is_some_and(|judgement| !judgement.may_be_a_ban()) {
            return Ok(false);
        }
        let found = self.policy.bind(py).call_method1(intern!(py, "opinion_of_failure"), (request, error))?;
        Ok(found.extract::<Option<bool>>()? == Some(true))
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.policy)?;
        visit.call(&self.rules)
    }
}

/// The policy of each site, and the one for all others. Does not change; thread-safe.
///
/// Args:
///     general: The policy of sites without one of their own.
///     by_site: Policies by domain.
///
/// Raises:
///     ValueError: A key has no host in it.
#[pyclass(name = "BanTable", module = "proxywhirl._core", frozen, subclass)]
pub(crate) struct PyBanTable {
    pub(super) core: BySite<Entry>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyBanTable {
    #[new]
    fn new(general: &Bound<'_, PyAny>, by_site: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut core = BySite::new(Entry::of(general)?);
        for (site, policy) in by_site {
            let site: String = site.extract()?;
            core.insert(&site, Entry::of(&policy)?).map_err(|_| {
                let shown = if is_plain_name(&site) { &site } else { MASK };
                PyValueError::new_err(format!("ban_policies: {shown:?} is no domain"))
            })?;
        }
        Ok(Self { core })
    }

    /// The policy of sites without one of their own.
    #[getter]
    fn general(&self, py: Python<'_>) -> Py<PyAny> {
        self.core.general().policy.clone_ref(py)
    }

    /// Whether the default rules apply everywhere.
    #[getter]
    fn is_plain(&self) -> bool {
        let rules = self.core.general().rules.get();
        let is_default = *rules.core.statuses() == BAN_STATUSES.into_iter().collect();
        self.core.is_uniform() && is_default && !rules.core.looks_inside() && !rules.judges_failures
    }

    /// The policy for a target.
    ///
    /// Args:
    ///     host: Its host.
    fn for_host(&self, py: Python<'_>, host: &str) -> Py<PyAny> {
        self.core.for_host(host).policy.clone_ref(py)
    }

    /// The policy for a target.
    ///
    /// Args:
    ///     url: Its URL; `None` if it is not known.
    #[pyo3(signature = (url))]
    fn for_url(&self, py: Python<'_>, url: Option<&str>) -> Py<PyAny> {
        self.core.for_url(url).policy.clone_ref(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.core.values().try_for_each(|entry| entry.traverse(&visit))
    }
}
