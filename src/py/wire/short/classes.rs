//! Classes that were looked at, and whether they are still as they were.
//!
//! The interpreter numbers the states of a class for its own memory of look-ups: a class, or one that it comes from, that
//! gets another attribute loses its number, and no number is given twice.

use std::num::NonZeroU32;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyType;

/// A class, and its number when it was looked at.
pub(super) struct SeenClass {
    class: Py<PyType>,
    number: NonZeroU32,
}

impl SeenClass {
    /// To be called before it is looked at, so that a change meanwhile is noticed; `None` where it has no number.
    pub(super) fn of(class: &Bound<'_, PyType>) -> Option<Self> {
        Some(Self { number: number(class)?, class: class.clone().unbind() })
    }

    /// Whether that class is this one, as it was.
    pub(super) fn is(&self, class: &Bound<'_, PyType>) -> bool {
        class.is(&self.class) && number(class) == Some(self.number)
    }

    /// Whether it is as it was.
    pub(super) fn is_unchanged(&self, py: Python<'_>) -> bool {
        number(self.class.bind(py)) == Some(self.number)
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.class)
    }
}

/// The number of a class; `None` where it has none that holds: the interpreter gives one at the next look-up.
#[cfg(not(feature = "abi3"))]
fn number(class: &Bound<'_, PyType>) -> Option<NonZeroU32> {
    /// The flag of a class whose number holds.
    const HOLDS: std::ffi::c_ulong = 1 << 19;

    let class = class.as_type_ptr();
    // SAFETY: a class that is alive, and a thread that is attached.
    let (flags, number) = unsafe { ((*class).tp_flags, (*class).tp_version_tag) };
    if flags & HOLDS == 0 { None } else { NonZeroU32::new(number) }
}

/// The stable interface shows no numbers: every class is looked at each time.
#[cfg(feature = "abi3")]
fn number(_: &Bound<'_, PyType>) -> Option<NonZeroU32> {
    None
}
