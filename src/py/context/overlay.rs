//! The context that a strategy written in Python is given: the caller's, with what the lease knows laid over.

use ahash::AHashSet;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySet};

use super::PyContext;
use super::draft::{FIELDS, Rest, read_foreign};
use crate::pool::context::Context;
use crate::proxy::Id;
use crate::py::chooser::acquirer::PyAcquirer;
use crate::py::convert;
use crate::sync::{AtomicBool, Mutex, OnceLock};

/// What a lease knows of its request beyond the core's context. The Python objects belong to the caller of the lease.
pub(crate) struct Overlay<'a, 'py> {
    /// What the caller gave as context.
    pub(crate) base: Option<&'a Bound<'py, PyAny>>,
    /// The target.
    pub(crate) url: Option<&'a Bound<'py, PyAny>>,
    /// Which attempt of the request this is, from 1.
    pub(crate) attempt: u64,
    /// Tags that were demanded.
    pub(crate) tags: Option<&'a Bound<'py, PyAny>>,
    /// Milliseconds that the request may take: a number, `None`, a callable that returns either, or the request's acquirer.
    pub(crate) timeout: Option<&'a Bound<'py, PyAny>>,
}

/// The context that a strategy written in Python is given at one attempt: everything the caller gave, with what the lease
/// knows laid over. The caller's own object is left alone.
pub(crate) fn complete<'py>(
    py: Python<'py>,
    core: &Context,
    overlay: &Overlay<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let base = overlay.base.filter(|base| !base.is_none());
    let own = base.and_then(|base| base.cast::<PyContext>().ok());
    let (mut rest, extra) = match (own, base) {
        (Some(own), _) => own.get().read(|rest| (rest.copy(py), rest.extra.as_ref().map(|extra| extra.clone_ref(py)))),
        (None, Some(base)) => (read_foreign(base)?.rest.map_or_else(Rest::default, |rest| *rest), attributes_of(base)?),
        (None, None) => (Rest::default(), None),
    };
    if let Some(url) = overlay.url {
        rest.target_url = Some(crate::py::lease::text_of(url)?.to_str()?.into());
    }
    // A caller that counts attempts of its own goes on counting.
    rest.attempt_number = Some(rest.attempt_number.unwrap_or(1) + overlay.attempt.saturating_sub(1));
    rest.timeout_ms = shorter(rest.timeout_ms, overlay.timeout)?;
    // As a set: a caller may exclude many, and every attempt passes through here.
    let mut known: AHashSet<Id> = rest.failed.iter().filter_map(|failed| Id::parse(failed)).collect();
    known.extend(&rest.excluded);
    for id in core.excluded.ids() {
        if known.contains(&id) {
            continue;
        }
        rest.failed.push(id.to_string().into());
        if overlay.attempt == 1 {
            // Nothing has failed yet: the caller excludes it.
            rest.excluded.push(id);
        }
    }
    let extra = match overlay.tags.filter(|tags| !tags.is_none()) {
        None => extra.map(|extra| extra.bind(py).copy()).transpose()?,
        Some(tags) => {
            let extra = extra.map_or_else(|| Ok(PyDict::new(py)), |extra| extra.bind(py).copy())?;
            let tags: Vec<String> = convert::texts(tags)?.into_iter().map(String::from).collect();
            extra.set_item("tags", PySet::new(py, tags)?)?;
            Some(extra)
        }
    };
    rest.extra = extra.map(Bound::unbind);
    let made = PyContext {
        first: core.clone(),
        later: OnceLock::new(),
        rest: Mutex::new(Some(Box::new(rest))),
        handed_out: AtomicBool::new(false),
    };
    match own.filter(|own| !own.is_exact_instance_of::<PyContext>()) {
        None => Ok(Bound::new(py, made)?.into_any()),
        Some(subclass) => made.into_subclass_of(subclass),
    }
}

/// The attributes of an object beyond the documented names.
fn attributes_of(object: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyDict>>> {
    let Ok(held) = object.getattr("__dict__") else { return Ok(None) };
    let Ok(held) = held.cast_into::<PyDict>() else { return Ok(None) };
    let extra = PyDict::new(object.py());
    for (name, value) in held {
        let known = name.extract::<String>().map_or(true, |name| name.starts_with('_') || FIELDS.contains(&&*name));
        if !known {
            extra.set_item(name, value)?;
        }
    }
    Ok(Some(extra.unbind()))
}

/// The shorter of two times in milliseconds, where the second may have to be asked for.
fn shorter(own: Option<f64>, other: Option<&Bound<'_, PyAny>>) -> PyResult<Option<f64>> {
    let Some(other) = other.filter(|other| !other.is_none()) else { return Ok(own) };
    let other: Option<f64> = match other.cast::<PyAcquirer>() {
        Ok(acquirer) => acquirer.get().milliseconds(other.py())?,
        Err(_) if other.is_callable() => other.call0()?.extract()?,
        Err(_) => other.extract()?,
    };
    Ok(match (own, other) {
        (Some(own), Some(other)) => Some(own.min(other)),
        (own, other) => own.or(other),
    })
}
