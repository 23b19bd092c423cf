//! The slots of classes that [`bare`](super::bare) calls: read where they lie, or asked for where the stable interface
//! (feature `abi3`) hides them.

use pyo3::ffi;

#[cfg(not(feature = "abi3"))]
mod places {
    use super::ffi;

    /// What makes an object of a class.
    ///
    /// # Safety
    /// The class is alive and ready, and the thread attached.
    #[inline]
    pub(in super::super) unsafe fn new(class: *mut ffi::PyTypeObject) -> Option<ffi::newfunc> {
        // SAFETY: as the caller says; the slots of a class that is ready do not change.
        unsafe { (*class).tp_new }
    }

    /// What finds the memory for an object of a class.
    ///
    /// # Safety
    /// As of [`new`].
    #[inline]
    pub(in super::super) unsafe fn alloc(class: *mut ffi::PyTypeObject) -> Option<ffi::allocfunc> {
        // SAFETY: as of `new`.
        unsafe { (*class).tp_alloc }
    }

    /// Puts a reference into an empty place of a new tuple.
    ///
    /// # Safety
    /// A tuple that nothing else has seen, a place that it has, and a reference that is given away.
    #[inline]
    pub(in super::super) unsafe fn fill(tuple: *mut ffi::PyObject, at: ffi::Py_ssize_t, item: *mut ffi::PyObject) {
        // SAFETY: as the caller says.
        unsafe { ffi::PyTuple_SET_ITEM(tuple, at, item) };
    }
}

// From 3.10 on, where this interface begins for us, the slots of every class may be asked for, static ones included.
#[cfg(feature = "abi3")]
mod places {
    use super::ffi;

    /// What makes an object of a class.
    ///
    /// # Safety
    /// The class is alive and ready, and the thread attached.
    #[inline]
    pub(in super::super) unsafe fn new(class: *mut ffi::PyTypeObject) -> Option<ffi::newfunc> {
        // SAFETY: as the caller says; what the slot of that number holds is a function of that type, or nothing.
        unsafe { std::mem::transmute(ffi::PyType_GetSlot(class, ffi::Py_tp_new)) }
    }

    /// What finds the memory for an object of a class.
    ///
    /// # Safety
    /// As of [`new`].
    #[inline]
    pub(in super::super) unsafe fn alloc(class: *mut ffi::PyTypeObject) -> Option<ffi::allocfunc> {
        // SAFETY: as of `new`.
        unsafe { std::mem::transmute(ffi::PyType_GetSlot(class, ffi::Py_tp_alloc)) }
    }

    /// Puts a reference into an empty place of a new tuple.
    ///
    /// # Safety
    /// A tuple that nothing else has seen, a place that it has, and a reference that is given away.
    #[inline]
    pub(in super::super) unsafe fn fill(tuple: *mut ffi::PyObject, at: ffi::Py_ssize_t, item: *mut ffi::PyObject) {
        // SAFETY: as the caller says; it fails for what is no tuple, is shared, or has no such place, and takes the reference
        // even then.
        let failed = unsafe { ffi::PyTuple_SetItem(tuple, at, item) };
        debug_assert_eq!(failed, 0, "a new tuple refuses its items");
    }
}

pub(super) use places::{alloc, fill, new};
