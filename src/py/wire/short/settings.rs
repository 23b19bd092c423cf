//! The settings at the moment of a request: read anew each time, so that a change holds at once.

use crate::py::once::intern;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::is_empty;
use crate::py::chooser::PyChooser;
use crate::py::judge::PyStatusJudge;
use crate::py::policy::{PyRetryPolicy, kept_policy};
use crate::py::wire::asked::past;

/// Where the settings are.
pub(super) struct Settings {
    pub(super) transport: Py<PyAny>,
    /// What carried the requests of the transport when this was made.
    pub(super) carrier: Py<PyAny>,
    pub(super) upkeep: Upkeep,
    pub(super) engine: Py<PyAny>,
    pub(super) modules: Py<PyDict>,
}

/// What is looked after before requests, where there is something.
pub(super) struct Upkeep {
    pub(super) keeping: Py<PyAny>,
    pub(super) lists: Py<PyAny>,
    pub(super) limits: Py<PyAny>,
}

/// What they say.
pub(super) struct Now<'py> {
    pub(super) chooser: Bound<'py, PyChooser>,
    pub(super) judge: Bound<'py, PyStatusJudge>,
    pub(super) given_policy: Bound<'py, PyAny>,
    pub(super) policy: Bound<'py, PyRetryPolicy>,
    pub(super) raise_on_ban: bool,
    pub(super) max_body: Option<f64>,
}

impl Settings {
    /// `None` where something is to be looked after, asked or told by the layers above.
    pub(super) fn now<'py>(&self, py: Python<'py>, client: &Bound<'py, PyAny>) -> PyResult<Option<Now<'py>>> {
        let transport = self.transport.bind(py);
        let is_of_all = transport.getattr(intern!(py, "carrier"))?.is(&self.carrier)
            && transport.getattr(intern!(py, "cookies"))?.is_none()
            && transport.getattr(intern!(py, "timeout_for"))?.is_none()
            && !transport.getattr(intern!(py, "allow_direct"))?.is_truthy()?
            && transport.getattr(intern!(py, "read_bodies"))?.is_truthy()?
            && transport.getattr(intern!(py, "_judges_alike"))?.is_truthy()?
            && transport.getattr(intern!(py, "first_cookies"))?.is_empty()?;
        if !is_of_all || !self.upkeep.is_nothing(py)? || !adds_nothing(client)? || self.is_mocked(py)? {
            return Ok(None);
        }
        let chooser = transport.getattr(intern!(py, "chooser"))?;
        let Ok(chooser) = chooser.cast_into::<PyChooser>() else { return Ok(None) };
        let judge = transport.getattr(intern!(py, "_judge"))?;
        let (true, Ok(judge)) = (chooser.get().is_unwatched(), judge.cast_into::<PyStatusJudge>()) else {
            return Ok(None);
        };
        let given_policy = transport.getattr(intern!(py, "retry_policy"))?;
        let Some(policy) = self.policy(&given_policy)? else { return Ok(None) };
        let raise_on_ban = transport.getattr(intern!(py, "raise_on_ban"))?.is_truthy()?;
        let max_body = transport.getattr(intern!(py, "max_body"))?.extract()?;
        Ok(Some(Now { chooser, judge, given_policy, policy, raise_on_ban, max_body }))
    }

    /// The policy of the core, where that is all there is to it.
    fn policy<'py>(&self, given: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyRetryPolicy>>> {
        let py = given.py();
        // A policy of that class cannot be there before its module; the one that stands for none is plain, too.
        let class = given.get_type();
        let is_plain = match self.modules.bind(py).get_item(intern!(py, "proxywhirl.retry.policy"))? {
            Some(module) if class.is(&module.getattr(intern!(py, "RetryPolicy"))?) => {
                class.getattr(intern!(py, "calculate_delay"))?.is(&module.getattr(intern!(py, "_OWN_DELAY"))?)
            }
            _ => class.getattr(intern!(py, "__module__"))?.eq(intern!(py, "proxywhirl.retry._unset"))?,
        };
        if !is_plain {
            return Ok(None);
        }
        kept_policy(given)
    }

    /// Whether a method of httpx may have been replaced by a mock. The module itself says for certain.
    fn is_mocked(&self, py: Python<'_>) -> PyResult<bool> {
        let engine = self.engine.bind(py);
        let missing = engine.getattr(intern!(py, "_missing"))?.cast_into::<PyList>()?;
        let modules = self.modules.bind(py);
        for package in missing {
            if modules.contains(package)? {
                return Ok(true);
            }
        }
        for method in engine.getattr(intern!(py, "methods"))?.cast_into::<PyList>()? {
            let method = method.cast_into::<PyTuple>()?;
            let (class, name, own) = (method.get_item(1)?, method.get_item(2)?, method.get_item(3)?);
            if !class.getattr(name.cast::<PyString>()?)?.is(&own) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Upkeep { keeping, lists, limits } = &self.upkeep;
        for held in [&self.transport, &self.carrier, keeping, lists, limits, &self.engine] {
            visit.call(held)?;
        }
        visit.call(&self.modules)
    }
}

impl Upkeep {
    /// Whether there is nothing to look after.
    fn is_nothing(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.keeping.bind(py).getattr(intern!(py, "autosave"))?.is_none()
            && self.lists.bind(py).getattr(intern!(py, "supply"))?.is_none()
            && self.limits.bind(py).getattr(intern!(py, "_credentials"))?.is_none())
    }
}

/// Whether a client only makes the request: it is open, nothing authenticates, and no hook listens.
fn adds_nothing(client: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = client.py();
    let auth = past(client, intern!(py, "_auth"), intern!(py, "auth"))?;
    if client.getattr(intern!(py, "is_closed"))?.is_truthy()? || !auth.is_none() {
        return Ok(false);
    }
    let hooks = past(client, intern!(py, "_event_hooks"), intern!(py, "event_hooks"))?;
    let hooks = hooks.cast::<PyDict>()?;
    for name in [intern!(py, "request"), intern!(py, "response")] {
        if !hooks.get_item(name)?.is_none_or(|hooks| is_empty(&hooks).unwrap_or(false)) {
            return Ok(false);
        }
    }
    Ok(true)
}
