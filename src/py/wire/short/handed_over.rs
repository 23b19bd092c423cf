//! `HandedOver`: a request under way, with which the layers above go on.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::py::chooser::acquirer::PyAcquirer;
use crate::py::judge::PyStatusJudge;
use crate::py::rotation::PyRotation;

/// A request under way that is not simply to be handed on.
#[pyclass(name = "HandedOver", module = "proxywhirl._core", frozen, get_all)]
pub(crate) struct HandedOver {
    /// The request.
    pub(super) request: Py<PyAny>,
    /// Its rotation.
    pub(super) rotation: Py<PyRotation>,
    /// Takes its leases.
    pub(super) taking: Py<PyAcquirer>,
    /// The policy as it was given.
    pub(super) policy: Py<PyAny>,
    /// What judges its answers.
    pub(super) judge: Py<PyStatusJudge>,
    /// The proxy, credentials included; empty if none was taken.
    pub(super) proxy_url: String,
    /// The step of the rotation.
    pub(super) step: Py<PyString>,
    /// What has come back, where the step is "send": a `WireAnswer` or a `WireFailure`.
    pub(super) reply: Option<Py<PyAny>>,
    /// Seconds since the request began.
    pub(super) age: f64,
}

#[proxywhirl_macros::border]
#[pymethods]
impl HandedOver {
    fn __repr__(&self) -> &'static str {
        "<request under way>"
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.request)?;
        visit.call(&self.rotation)?;
        visit.call(&self.taking)?;
        visit.call(&self.policy)?;
        visit.call(&self.judge)?;
        visit.call(&self.reply)
    }
}
