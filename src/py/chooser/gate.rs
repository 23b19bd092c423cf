//! The limit that is asked before a lease is used: one of this package, or a limiter of the user's own.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::clock::exact_wall;
use crate::proxy::Id;
use crate::py::chooser::choosing::Wanted;
use crate::py::convert;
use crate::py::errors::{ProxyConnectionError, ProxyPoolEmptyError};
use crate::py::lease::PyLease;
use crate::py::limiter::RateGate;
use crate::py::proxy::PyProxy;
use crate::resilience::explain::Why;
use crate::rotation::gate::{Exceeded, Gate, Refusal, Scope};

/// What a proxy is called whose limit is reached.
const NO_TOKENS: &str = Why::NoTokens.as_str();

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
        if let Ok(own) = self.gate.cast::<RateGate>() {
            return own.get().admit(self.gate.py(), lease.get().core().proxy().id());
        }
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
    let waits = match gate.cast::<RateGate>() {
        Ok(own) => own.get().waits,
        Err(_) => gate.getattr("waits")?.is_truthy()?,
    };
    let class = if waits {
        let reasons = PyDict::new(py);
        reasons.set_item(NO_TOKENS, exceeded.proxies)?;
        kwargs.set_item("reasons", reasons)?;
        py.get_type::<ProxyPoolEmptyError>()
    } else {
        py.get_type::<ProxyConnectionError>()
    };
    Ok(PyErr::from_value(class.call((text,), Some(&kwargs))?))
}

/// Adds "no_tokens" to the proxies that the limit would refuse now; takes no token.
pub(super) fn explain<'py>(gate: &Bound<'py, PyAny>, rows: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyList>> {
    let py = gate.py();
    let own = gate.cast::<RateGate>().ok();
    let foresight = match own {
        Some(_) => None,
        None => Some(gate.getattr("would_refuse")?).filter(|foresight| !foresight.is_none()),
    };
    if own.is_none() && foresight.is_none() {
        return Ok(rows.clone());
    }
    let now = exact_wall();
    let told = PyList::empty(py);
    for row in rows.iter() {
        let (proxy, reasons, until) = row.extract::<(Bound<'py, PyProxy>, Bound<'py, PyList>, Bound<'py, PyAny>)>()?;
        let id = proxy.get().core.id();
        let wait: Option<f64> = match (own, &foresight) {
            (Some(own), _) => own.get().wait(py, id)?,
            (None, Some(foresight)) => foresight.call1((id.to_string(),))?.extract()?,
            (None, None) => None,
        };
        let Some(wait) = wait.filter(|_| !reasons.contains(NO_TOKENS).unwrap_or(false)) else {
            told.append(row)?;
            continue;
        };
        let free = convert::datetime(py, now.saturating_add((wait * 1e6) as i64))?.into_any();
        // Known only where every other reason has an end, too.
        let last = match until.is_none() {
            true if reasons.is_empty() => free,
            true => until,
            false if until.gt(&free)? => until,
            false => free,
        };
        let reasons = PyList::new(py, reasons.iter())?;
        reasons.append(NO_TOKENS)?;
        told.append((proxy, reasons, last))?;
    }
    Ok(told)
}
