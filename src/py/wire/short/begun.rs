//! A request that is under way, and what becomes of it when something has come back.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::ShortWay;
use super::handed_over::HandedOver;
use crate::clock::{Clock, SystemClock};
use crate::judge::outcome::Outcome;
use crate::judge::status;
use crate::py::chooser::acquirer::PyAcquirer;
use crate::py::convert;
use crate::py::judge::PyStatusJudge;
use crate::py::lease::PyLease;
use crate::py::once::intern;
use crate::py::rotation::PyRotation;
use crate::py::wire::answer::WireAnswer;
use crate::py::wire::failure::WireFailure;
use crate::rotation::step::Answer;
use crate::sync::Arc;

/// See the module.
pub(crate) struct Begun {
    pub(super) way: Py<ShortWay>,
    pub(super) request: Py<PyAny>,
    pub(super) rotation: Py<PyRotation>,
    /// Counts the bytes; `None` where nothing is sent yet.
    pub(super) lease: Option<Py<PyLease>>,
    pub(super) taking: Py<PyAcquirer>,
    /// The policy as it was given.
    pub(super) policy: Py<PyAny>,
    pub(super) judge: Py<PyStatusJudge>,
    /// Whether cookies that are set belong to a session.
    pub(super) keeps_cookies: bool,
    /// The proxy, credentials included, once one is taken.
    pub(super) proxy_url: Option<Arc<str>>,
    pub(super) is_tunnel: bool,
    /// On the steady clock.
    pub(super) began: u64,
}

impl Begun {
    /// The response, or a `HandedOver`.
    pub(crate) fn finish(self, py: Python<'_>, reply: Result<WireAnswer, WireFailure>) -> PyResult<Bound<'_, PyAny>> {
        let reply = match reply {
            Ok(answer) => match self.delivered(py, &answer) {
                Ok(Some(response)) => return Ok(response),
                Ok(None) => Bound::new(py, answer)?.into_any(),
                Err(error) => {
                    self.end(py)?;
                    return Err(error);
                }
            },
            Err(failure) => Bound::new(py, failure)?.into_any(),
        };
        let step = intern!(py, "send").clone().unbind();
        Ok(Bound::new(py, self.handed_over(step, Some(reply.unbind())))?.into_any())
    }

    /// The response, if the answer is a success that is handed on as it is; nothing has been done if not.
    fn delivered<'py>(&self, py: Python<'py>, answer: &WireAnswer) -> PyResult<Option<Bound<'py, PyAny>>> {
        let way = self.way.get();
        let (code, reason) = (answer.head().status, answer.head().reason());
        // A redirect or a refused login goes on; and a proxy that had the login may repeat it in what it says.
        let goes_on = (300..400).contains(&code) || matches!(code, 401 | 407);
        let may_repeat = !self.is_tunnel && self.proxy_url.as_ref().is_some_and(|url| url.contains('@'));
        let is_kept = || self.keeps_cookies && answer.head().headers().any(|(name, _)| is_set_cookie(name));
        if goes_on || is_kept() || (may_repeat && way.says_something(py, code, reason)?) || way.package.is_on(py)? {
            return Ok(None);
        }
        let retry_after = answer.pause(py)?;
        let judged = status::Answer {
            status: code,
            tunnelled: self.is_tunnel,
            retry_after: retry_after.is_some(),
            opinion: None,
        };
        let outcome = self.judge.get().rules().judge(judged);
        if outcome != Outcome::Success.into() {
            return Ok(None);
        }
        let elapsed_ms = answer.milliseconds();
        let told = Answer {
            outcome,
            status: Some(code),
            elapsed_ms: Some(elapsed_ms),
            is_tunnelled: self.is_tunnel,
            retry_after,
        };
        let rotation = self.rotation.bind(py);
        let Some(attempts) = rotation.borrow_mut().deliver(py, told)? else { return Ok(None) };
        let facts = PyDict::new(py);
        facts.set_item(intern!(py, "outcome"), convert::outcome(py, Outcome::Success)?)?;
        facts.set_item(intern!(py, "attempts"), attempts)?;
        facts.set_item(intern!(py, "proxy_id"), rotation.borrow().proxy_id(py)?)?;
        facts.set_item(intern!(py, "elapsed_ms"), elapsed_ms)?;
        let extensions = PyDict::new(py);
        extensions.set_item(intern!(py, "http_version"), answer.version(py))?;
        extensions.set_item(intern!(py, "reason_phrase"), PyBytes::new(py, reason))?;
        extensions.set_item(intern!(py, "proxywhirl"), facts)?;
        let elapsed = self.age();
        way.objects.get().answer(py, answer, &extensions, self.request.bind(py), elapsed).map(Some)
    }

    /// Seconds since the request began.
    fn age(&self) -> f64 {
        SystemClock.steady().saturating_sub(self.began) as f64 / 1e9
    }

    pub(crate) fn lease(&self, py: Python<'_>) -> Option<Py<PyLease>> {
        self.lease.as_ref().map(|lease| lease.clone_ref(py))
    }

    /// The layers above go on.
    pub(super) fn handed_over(self, step: Py<PyString>, reply: Option<Py<PyAny>>) -> HandedOver {
        let age = self.age();
        let Self { request, rotation, taking, policy, judge, proxy_url, .. } = self;
        let proxy_url = proxy_url.as_deref().unwrap_or_default().to_owned();
        HandedOver { request, rotation, taking, policy, judge, proxy_url, step, reply, age }
    }

    /// Nothing comes back any more: its lease is given back.
    pub(crate) fn end(&self, py: Python<'_>) -> PyResult<()> {
        self.rotation.bind(py).borrow_mut().end()
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.way)?;
        visit.call(&self.request)?;
        visit.call(&self.rotation)?;
        visit.call(&self.lease)?;
        visit.call(&self.taking)?;
        visit.call(&self.policy)?;
        visit.call(&self.judge)
    }
}

fn is_set_cookie(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"set-cookie")
}
