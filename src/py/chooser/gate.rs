//! A limiter of the user's own, asked before a lease is used.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::proxy::Id;
use crate::py::chooser::choosing::Wanted;
use crate::py::convert;
use crate::py::errors::{ProxyConnectionError, ProxyPoolEmptyError};
use crate::py::lease::PyLease;
use crate::rotation::gate::{Exceeded, Gate, Refusal, Scope};

struct Limiter<'a, 'py, C> {
    gate: &'a Bound<'py, PyAny>,
    wanted: &'a Wanted<'a, 'py>,
    choose: C,
}

impl<'py, C> Gate for Limiter<'_, 'py, C>
where
    C: FnMut(&Wanted<'_, 'py>) -> PyResult<Py<PyLease>>,
{
    type Lease = Py<PyLease>;
    type Error = PyErr;

    fn choose(&mut self, passed_over: &[Id]) -> PyResult<Py<PyLease>> {
        if passed_over.is_empty() {
            return (self.choose)(self.wanted);
        }
        let py = self.gate.py();
        let exclude = PyList::new(py, self.wanted.exclude.iter())?;
        for &id in passed_over {
            exclude.append(convert::uuid(py, id)?)?;
        }
        (self.choose)(&Wanted { exclude, ..*self.wanted })
    }

    fn is_shortage(&self, error: &PyErr) -> bool {
        error.is_instance_of::<ProxyPoolEmptyError>(self.gate.py())
    }

    fn admit(&mut self, lease: &Py<PyLease>) -> PyResult<Option<Refusal>> {
        let refused = self.gate.call_method1("admit", (lease,))?;
        let refused: Option<(String, f64)> = refused.extract()?;
        Ok(refused.map(|(scope, retry_after)| Refusal {
            scope: if scope == "global" { Scope::Global } else { Scope::Proxy },
            retry_after,
        }))
    }

    fn give_back(&mut self, lease: Py<PyLease>) -> PyResult<Id> {
        let lease = lease.bind(self.gate.py());
        PyLease::give_back(lease)?;
        Ok(lease.get().core().proxy().id())
    }
}

/// Takes a lease that the gate lets pass.
pub(super) fn pass<'py>(
    gate: &Bound<'py, PyAny>,
    wanted: &Wanted<'_, 'py>,
    is_sticky: bool,
    choose: impl FnMut(&Wanted<'_, 'py>) -> PyResult<Py<PyLease>>,
) -> PyResult<Py<PyLease>> {
    let mut limiter = Limiter { gate, wanted, choose };
    match crate::rotation::gate::pass(&mut limiter, is_sticky)? {
        Ok(lease) => Ok(lease),
        Err(exceeded) => Err(refusal(gate, &exceeded)?),
    }
}

fn refusal(gate: &Bound<'_, PyAny>, exceeded: &Exceeded) -> PyResult<PyErr> {
    let py = gate.py();
    let kwargs = PyDict::new(py);
    kwargs.set_item("retry_after", exceeded.retry_after)?;
    let text = exceeded.to_string();
    let class = if gate.getattr("waits")?.is_truthy()? {
        let reasons = PyDict::new(py);
        reasons.set_item("no_tokens", exceeded.proxies)?;
        kwargs.set_item("reasons", reasons)?;
        py.get_type::<ProxyPoolEmptyError>()
    } else {
        py.get_type::<ProxyConnectionError>()
    };
    Ok(PyErr::from_value(class.call((text,), Some(&kwargs))?))
}
