//! Objects without their constructors: what `object.__new__` and `tuple.__new__` do, without the calls that lead there.

use std::ptr;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use super::slots;

/// Whether [`object()`] can make those of a class: `object.__new__` refuses what has memory that only its own class fills.
pub(super) fn check_object(class: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = class.py();
    class.cast::<PyType>()?;
    py.import("builtins")?.getattr("object")?.call_method1("__new__", (class,)).map(drop)
}

/// Whether [`tuple()`] can make those of a class: tuples with nothing besides.
pub(super) fn check_tuple(class: &Bound<'_, PyAny>) -> PyResult<()> {
    let class = class.cast::<PyType>()?;
    if !class.is_subclass_of::<PyTuple>()? {
        return Err(PyTypeError::new_err("the parts of a URL must be a kind of tuple"));
    }
    Ok(())
}

/// An object without attributes, of a class that [`check_object`] has let pass.
#[inline]
pub(super) fn object<'py>(class: &Bound<'py, PyAny>, nothing: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: `object` is a static class of the interpreter.
    let new = unsafe { slots::new(&raw mut ffi::PyBaseObject_Type) };
    let Some(new) = new else { return Err(PyTypeError::new_err("object has no __new__")) };
    // SAFETY: a class that was checked, and a tuple, both alive; the slot returns a new reference, or sets an exception.
    unsafe { Bound::from_owned_ptr_or_err(class.py(), new(class.as_ptr().cast(), nothing.as_ptr(), ptr::null_mut())) }
}

/// A tuple of a class that [`check_tuple`] has let pass.
pub(super) fn tuple<'py, const N: usize>(
    class: &Bound<'py, PyAny>,
    items: [Bound<'py, PyAny>; N],
) -> PyResult<Bound<'py, PyAny>> {
    let py = class.py();
    let kind: *mut ffi::PyTypeObject = class.as_ptr().cast();
    // SAFETY: a class that was checked, and is alive.
    let alloc = unsafe { slots::alloc(kind) };
    let Some(alloc) = alloc else { return Err(PyTypeError::new_err("the class makes no objects")) };
    // SAFETY: room for `N` items is asked for; the slot returns a new reference, or sets an exception.
    let made = unsafe { Bound::from_owned_ptr_or_err(py, alloc(kind, N as ffi::Py_ssize_t))? };
    for (at, item) in items.into_iter().enumerate() {
        // SAFETY: a new tuple with `N` empty places, which nothing else has seen; the reference goes into it.
        unsafe { slots::fill(made.as_ptr(), at as ffi::Py_ssize_t, item.into_ptr()) };
    }
    Ok(made)
}
