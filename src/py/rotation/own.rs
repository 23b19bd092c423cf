//! Rotations that the binding layer itself drives, as far as nothing has to be decided above it.

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::PyRotation;
use super::host::{PyHost, is_told};
use crate::py::lease::PyLease;
use crate::py::policy::PyRetryPolicy;
use crate::rotation::step::{Answer, Event, Job, is_idempotent};

impl PyRotation {
    /// A rotation of a request whose answer is read whole, whose body can be sent again, and that has the time that its policy gives.
    pub(crate) fn plain(
        policy: &PyRetryPolicy,
        take: Py<PyAny>,
        method: &Bound<'_, PyString>,
        url: &Bound<'_, PyString>,
        raise_on_ban: bool,
        patience: Option<f64>,
    ) -> PyResult<Self> {
        let is_idempotent = is_idempotent(method.to_str()?);
        let job = Job { is_idempotent, raise_on_ban, patience, ..Job::default() };
        let host =
            PyHost { direct: None, delay: None, method: method.clone().unbind(), url: url.clone().into_any().unbind() };
        Ok(Self::of(host, job, policy, take))
    }

    /// The first step; the lease where that is to send.
    pub(crate) fn begin<'py>(&mut self, py: Python<'py>) -> PyResult<(Bound<'py, PyString>, Option<Py<PyLease>>)> {
        let step = self.core.start()?;
        let step = self.carry(py, step)?;
        let lease = if self.core.is_sent() { self.core.open_lease().and_then(|lease| lease.pooled()) } else { None };
        let lease = lease.map(|lease| lease.clone_ref(py));
        Ok((step, lease))
    }

    /// Seconds that are left for everything, as of the attempt; `None` without a bound.
    pub(crate) fn time_left(&self) -> Option<f64> {
        self.seconds
    }

    /// Whether the request may reach the site twice.
    pub(crate) fn repeats(&self) -> bool {
        self.core.may_repeat()
    }

    /// Delivers an answer if that is all there is to it, and nothing is told of it; otherwise it is as if there had been none.
    /// Attempts so far, where it is delivered.
    pub(crate) fn deliver(&mut self, py: Python<'_>, answer: Answer) -> PyResult<Option<u32>> {
        if !self.core.is_sent() || !self.core.delivers(&answer) || is_told(py, answer.outcome, answer.elapsed_ms)? {
            return Ok(None);
        }
        self.next(py, Event::Answered(answer))?;
        Ok(Some(self.core.attempts()))
    }

    /// Identifier of the proxy of the attempt.
    pub(crate) fn proxy_id<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let lease = self.core.lease().and_then(|lease| lease.pooled());
        lease.map(|lease| lease.get().proxy_id(py)).transpose()
    }

    /// Ends it where it stands.
    pub(crate) fn end(&mut self) -> PyResult<()> {
        self.core.close()
    }
}
