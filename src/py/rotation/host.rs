//! What a rotation needs of Python: leases that are objects, and the log.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::clock::{Clock, SystemClock};
use crate::judge::outcome::{Judgement, Outcome};
use crate::proxy::Id;
use crate::py::border;
use crate::py::convert;
use crate::py::lease::PyLease;
use crate::py::log::Level;
use crate::py::once::{Once, intern};
use crate::rotation::policy::Policy;
use crate::rotation::step::{Attempt, Host};

static INFO: Level = Level::new("proxywhirl.rotation", 20);
static WARNING: Level = Level::new("proxywhirl.rotation", 30);
static TELL: convert::Lazy = convert::Lazy::upper("tell_attempt");
/// What the module of that function has at its top.
static MODULE: Once<Py<PyDict>> = Once::new();

/// Calls Python. The driver of a rotation is attached, so that this fails only while the interpreter ends.
fn attached<R>(call: impl FnOnce(Python<'_>) -> PyResult<R>) -> PyResult<R> {
    border::attach(call).unwrap_or_else(|| Err(PyRuntimeError::new_err("the interpreter ends")))
}

/// Whether the log says how an attempt ended.
pub(super) fn is_told(py: Python<'_>, outcome: Judgement, elapsed_ms: Option<f64>) -> PyResult<bool> {
    if outcome != Outcome::Success.into() {
        return WARNING.is_on(py);
    }
    Ok(INFO.is_on(py)? || elapsed_ms.unwrap_or(0.0) > slow_ms(py)?)
}

/// The bound is read where it is kept: it can be set.
fn slow_ms(py: Python<'_>) -> PyResult<f64> {
    let module = MODULE.get_or_make(py, || {
        let module = TELL.get(py)?.getattr("__globals__")?;
        Ok::<_, PyErr>(module.cast_into::<PyDict>()?.unbind())
    })?;
    match module.bind(py).get_item(intern!(py, "SLOW_MS"))? {
        Some(bound) => bound.extract(),
        None => Err(PyRuntimeError::new_err("the bound of slow requests is gone")),
    }
}

/// A lease of the pool, or the way without a proxy.
pub(crate) enum Taken {
    Pool(Py<PyLease>),
    Direct(Py<PyAny>),
}

impl Taken {
    pub(super) fn of(lease: &Bound<'_, PyAny>) -> Self {
        match lease.cast::<PyLease>() {
            Ok(lease) => Self::Pool(lease.clone().unbind()),
            Err(_) => Self::Direct(lease.clone().unbind()),
        }
    }

    pub(crate) fn object(&self, py: Python<'_>) -> Py<PyAny> {
        match self {
            Self::Pool(lease) => lease.clone_ref(py).into_any(),
            Self::Direct(lease) => lease.clone_ref(py),
        }
    }

    pub(crate) fn pooled(&self) -> Option<&Py<PyLease>> {
        match self {
            Self::Pool(lease) => Some(lease),
            Self::Direct(_) => None,
        }
    }
}

/// What a rotation needs of Python.
pub(super) struct PyHost {
    pub(super) direct: Option<Py<PyAny>>,
    pub(super) delay: Option<Py<PyAny>>,
    pub(super) method: Py<PyString>,
    pub(super) url: Py<PyAny>,
}

impl Host for PyHost {
    type Lease = Taken;
    type Fault = Py<PyAny>;
    type Error = PyErr;

    fn clock(&self) -> &dyn Clock {
        &SystemClock
    }

    fn id(&self, lease: &Taken) -> Option<Id> {
        lease.pooled().map(|lease| lease.get().core().proxy().id())
    }

    fn has_exits(&self, lease: &Taken, is_held: bool) -> bool {
        lease.pooled().is_some_and(|lease| lease.get().core().has_exits(is_held))
    }

    fn finish(&mut self, outcome: Outcome, attempt: &Attempt<Self>) -> PyResult<()> {
        let Some(lease) = attempt.lease.pooled() else { return Ok(()) };
        attached(|py| {
            if attempt.is_merely_carried() {
                return PyLease::carried(lease.bind(py), attempt.elapsed_ms);
            }
            let error = attempt.fault.as_ref().map(|error| error.bind(py));
            PyLease::end(lease.bind(py), outcome, attempt.elapsed_ms, attempt.hold, error, attempt.status).map(drop)
        })
    }

    fn suspect(&mut self, attempt: &Attempt<Self>) -> PyResult<()> {
        let Some(lease) = attempt.lease.pooled() else { return Ok(()) };
        lease.get().suspect(attempt.elapsed_ms)
    }

    fn conclude(&mut self, suspects: &[&Attempt<Self>], answered_by: Option<&Taken>) -> PyResult<Vec<Outcome>> {
        attached(|py| {
            let pooled = suspects.iter().filter_map(|suspect| Some((suspect.lease.pooled()?.bind(py), *suspect)));
            let ends: Vec<_> = pooled
                .map(|(lease, suspect)| {
                    let error = suspect.fault.as_ref().map(|error| error.bind(py));
                    (lease, suspect.elapsed_ms, error, suspect.status)
                })
                .collect();
            PyLease::conclude(&ends, answered_by.and_then(Taken::pooled).map(Py::get))
        })
    }

    fn release(&mut self, lease: &Taken) -> PyResult<()> {
        let Some(lease) = lease.pooled() else { return Ok(()) };
        attached(|py| {
            let lease = lease.bind(py);
            // The user may have ended it.
            if lease.get().core().is_closed() { Ok(()) } else { PyLease::give_back(lease) }
        })
    }

    fn direct(&mut self) -> PyResult<Option<Taken>> {
        let Some(direct) = &self.direct else { return Ok(None) };
        attached(|py| Ok(Some(Taken::of(direct.bind(py).call0()?.as_any()))))
    }

    fn report(&mut self, attempt: &Attempt<Self>, number: u32) -> PyResult<()> {
        attached(|py| {
            if is_told(py, attempt.outcome, attempt.elapsed_ms)? {
                let tell = TELL.get(py)?;
                let outcome = convert::judgement(py, attempt.outcome)?;
                let error = attempt.fault.as_ref().map(|error| error.bind(py));
                let (lease, request) = (attempt.lease.object(py), (&self.method, &self.url));
                tell.call1((lease, request, outcome, attempt.elapsed_ms, number, error, attempt.status))?;
            }
            Ok(())
        })
    }

    fn delay(&mut self, policy: &Policy, pauses: u32, previous: Option<f64>) -> PyResult<f64> {
        match &self.delay {
            Some(delay) => attached(|py| delay.bind(py).call1((pauses, previous))?.extract()),
            None => Ok(policy.backoff.draw(pauses, previous, &policy.random)),
        }
    }
}
