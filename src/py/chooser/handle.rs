//! A strategy as a chooser holds it: the object that it was given, and the one that stands for it in the core.

use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::py::border;
use crate::py::strategy::composite::PyComposite;
use crate::py::strategy::session::PySessionStrategy;
use crate::py::strategy::{self, PyStrategy};
use crate::rotation::chooser::Handle;
use crate::session::SessionManager;
use crate::strategy::Shared;
use crate::sync::Arc;

/// Composites inside of composites that are looked through for one that keeps sessions.
const DEEPEST: usize = 8;

/// See the module.
pub(crate) struct PyHandle {
    /// What was given.
    pub(crate) given: Py<PyAny>,
    /// What leases remember.
    pub(crate) object: Py<PyStrategy>,
    /// Name of its class, the user's own for one that was adapted.
    pub(crate) name: String,
    /// The part that keeps sessions.
    pub(crate) keeper: Option<Py<PySessionStrategy>>,
    sessions: Option<Arc<SessionManager>>,
    is_session_aware: bool,
}

impl PyHandle {
    /// Of a built-in strategy or an adapter.
    pub(crate) fn of(given: &Bound<'_, PyAny>) -> PyResult<Self> {
        let keeper = session_part(given);
        let sessions = keeper.as_ref().map(|keeper| keeper.get().core().manager().clone());
        let user = given.getattr("user").unwrap_or_else(|_| given.clone());
        let says_so = match user.getattr("session_aware") {
            Ok(says_so) => says_so.is_truthy()?,
            Err(_) => false,
        };
        Ok(Self {
            given: given.clone().unbind(),
            object: strategy::chooser(given)?.unbind(),
            name: user.get_type().name()?.to_string(),
            is_session_aware: sessions.is_some() || says_so,
            keeper: keeper.map(Bound::unbind),
            sessions,
        })
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.given)?;
        visit.call(&self.object)?;
        if let Some(keeper) = &self.keeper {
            visit.call(keeper)?;
        }
        Ok(())
    }
}

/// The part of a strategy that keeps sessions, if it has one.
fn session_part<'py>(given: &Bound<'py, PyAny>) -> Option<Bound<'py, PySessionStrategy>> {
    let mut strategy = given.clone();
    for _ in 0..DEEPEST {
        if let Ok(found) = strategy.cast::<PySessionStrategy>() {
            return Some(found.clone());
        }
        let within = strategy.cast::<PyComposite>().ok()?.get().chosen_by(given.py());
        strategy = within;
    }
    None
}

impl Handle for PyHandle {
    type Error = PyErr;

    #[inline]
    fn strategy(&self) -> &Shared {
        self.object.get().core()
    }

    fn sessions(&self) -> Option<&Arc<SessionManager>> {
        self.sessions.as_ref()
    }

    fn is_session_aware(&self) -> bool {
        self.is_session_aware
    }

    fn sticky(&self) -> PyResult<Self> {
        let made = border::attach(|py| Self::of(PySessionStrategy::over(self.given.bind(py))?.as_any()));
        made.unwrap_or_else(|| Err(PyRuntimeError::new_err("the interpreter ends")))
    }
}
