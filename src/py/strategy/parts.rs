//! From a Python object to the strategy of the core that chooses for it, and to the parts of a strategy made of others.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::py::convert::Lazy;
use crate::py::foreign::Foreign;
use crate::py::strategy::PyStrategy;
use crate::py::strategy::names::make;
use crate::strategy::Shared;
use crate::strategy::names::Builtin;
use crate::sync::{Arc, Ordering};

static RESOLVE: Lazy = Lazy::upper("resolve");
static ADAPT: Lazy = Lazy::upper("adapt");

/// The object that stands for the strategy which chooses for a Python object: a built-in one itself, else one made over what
/// was adapted.
#[inline]
pub(crate) fn chooser<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyStrategy>> {
    match object.cast::<PyStrategy>() {
        Ok(own) if is_plain(own)? => Ok(own.clone()),
        _ => Bound::new(object.py(), PyStrategy::of(adapted(object)?)),
    }
}

/// The core's strategy for a Python object: a built-in one as it is, an adapter called through the border, anything else
/// adapted first.
pub(crate) fn shared(object: &Bound<'_, PyAny>) -> PyResult<Shared> {
    match object.cast::<PyStrategy>() {
        Ok(own) if is_plain(own)? => Ok(own.get().inner.clone()),
        _ => adapted(object),
    }
}

/// The core's strategy for any object but a plain one of our own.
#[cold]
fn adapted(object: &Bound<'_, PyAny>) -> PyResult<Shared> {
    if object.cast::<PyStrategy>().is_ok() {
        let adapted = ADAPT.get(object.py())?.call1((object,))?;
        // A subclass that overrides nothing comes back as it is.
        return match adapted.cast::<PyStrategy>() {
            Ok(own) => Ok(own.get().inner.clone()),
            Err(_) => Ok(Arc::new(Foreign::new(&adapted)?)),
        };
    }
    if object.hasattr("_call_select")? {
        return Ok(Arc::new(Foreign::new(object)?));
    }
    let resolved = RESOLVE.get(object.py())?.call1((object,))?;
    match resolved.cast::<PyStrategy>() {
        Ok(own) if is_plain(own)? => Ok(own.get().inner.clone()),
        _ => Ok(Arc::new(Foreign::new(&resolved)?)),
    }
}

/// Whether an object is of one of our own classes, not of a user's subclass.
#[inline]
fn is_plain(object: &Bound<'_, PyStrategy>) -> PyResult<bool> {
    // Relaxed: the pointer is compared, never followed. An object that is given another class is asked anew.
    let class = object.get_type_ptr();
    let known = &object.get().plain_class;
    if known.load(Ordering::Relaxed) == class {
        return Ok(true);
    }
    let module = object.get_type().module()?;
    let module = module.to_str()?;
    let is_plain = module == "proxywhirl" || module.starts_with("proxywhirl.");
    if is_plain {
        known.store(class, Ordering::Relaxed);
    }
    Ok(is_plain)
}

/// A part of a strategy: the object users see, made from whatever may stand for one.
pub(super) fn part<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if object.is_instance_of::<PyStrategy>() {
        return Ok(object.clone());
    }
    if let Ok(name) = object.cast::<PyString>()
        && let Some(kind) = Builtin::of_name(name.to_str()?)
    {
        return make(object.py(), kind, None);
    }
    let resolved = RESOLVE.get(object.py())?.call1((object,))?;
    Ok(resolved)
}

/// The parts in a list. One name or one mapping is refused: read as a list, it would be its letters or its keys.
pub(super) fn parts_of(name: &str, given: &Bound<'_, PyAny>) -> PyResult<Vec<Py<PyAny>>> {
    if given.is_instance_of::<PyString>() || given.hasattr("keys")? {
        let kind = given.get_type().name()?;
        return Err(PyValueError::new_err(format!("{name} must be a list of strategies, not one {kind}")));
    }
    given.try_iter()?.map(|item| Ok(part(&item?)?.unbind())).collect()
}

/// What a user sees of a part: an adapter hides itself.
pub(super) fn shown<'py>(object: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
    match object.is_instance_of::<PyStrategy>() {
        true => object.clone(),
        false => object.getattr("user").unwrap_or_else(|_| object.clone()),
    }
}
