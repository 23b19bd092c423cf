//! What surrounds the choice of a chooser.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::py::attempts::AttemptBook;

/// What surrounds the choice; replaced as a whole, so that a request reads it without a lock.
#[derive(Default)]
pub(super) struct Surroundings {
    pub(super) when_empty: Option<Py<PyAny>>,
    pub(super) watch: Option<Py<PyAny>>,
    pub(super) queue: Option<Py<PyAny>>,
    pub(super) attempts: Option<Py<AttemptBook>>,
    pub(super) gate: Option<Py<PyAny>>,
    pub(super) sources: Option<Py<PyAny>>,
}

impl Surroundings {
    /// The same with references of its own.
    pub(super) fn copy(&self, py: Python<'_>) -> Self {
        let copy = |part: &Option<Py<PyAny>>| part.as_ref().map(|part| part.clone_ref(py));
        Self {
            when_empty: copy(&self.when_empty),
            watch: copy(&self.watch),
            queue: copy(&self.queue),
            attempts: self.attempts.as_ref().map(|attempts| attempts.clone_ref(py)),
            gate: copy(&self.gate),
            sources: copy(&self.sources),
        }
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(attempts) = &self.attempts {
            visit.call(attempts)?;
        }
        let parts = [&self.when_empty, &self.watch, &self.queue, &self.gate, &self.sources];
        parts.into_iter().flatten().try_for_each(|part| visit.call(part))
    }
}
