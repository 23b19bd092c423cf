//! The same proxy for all requests of a session.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::clock::SystemClock;
use crate::py::session::PySessionManager;
use crate::py::strategy::PyStrategy;
use crate::py::strategy::parts::{part, shared};
use crate::session::SessionManager;
use crate::strategy::session::SessionPersistence;
use crate::sync::Arc;

/// The same proxy for all requests of a session, until it is unhealthy, gone or excluded, or the session is over.
///
/// Args:
///     max_sessions: Most sessions kept; the least recently used goes first.
///     auto_cleanup_threshold: The expired are purged every so many new sessions.
///     timeout_seconds: How long a session lasts, by default 3600 from its beginning; given, it counts from the last use.
///     fallback_strategy: Chooses the proxy of a new session.
///     sliding_expiration: Whether the end moves with each use.
///
/// Raises:
///     ValueError: A number is not positive, or there is no such strategy.
#[pyclass(name = "SessionPersistenceStrategy", module = "proxywhirl.strategies", extends = PyStrategy, frozen, subclass)]
pub(crate) struct PySessionStrategy {
    core: Arc<SessionPersistence>,
    manager: Py<PySessionManager>,
}

impl PySessionStrategy {
    /// A sticky strategy over another object's strategy, with the default settings.
    pub(crate) fn over<'py>(first: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Self>> {
        let py = first.py();
        let manager = Arc::new(SessionManager::default());
        let core = Arc::new(SessionPersistence::new(manager.clone(), None, Some(shared(first)?), None));
        let manager = Py::new(py, PySessionManager::wrap(manager))?;
        let parts = vec![first.clone().unbind()];
        Bound::new(py, PyStrategy::of_parts(core.clone(), parts).under(Self { core, manager }))
    }

    /// The sessions.
    pub(crate) fn sessions(&self, py: Python<'_>) -> Py<PySessionManager> {
        self.manager.clone_ref(py)
    }

    /// The strategy of the core.
    pub(crate) fn core(&self) -> &Arc<SessionPersistence> {
        &self.core
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PySessionStrategy {
    #[new]
    #[pyo3(signature = (max_sessions=10_000, auto_cleanup_threshold=100, *, timeout_seconds=None, fallback_strategy=None, sliding_expiration=None))]
    fn new(
        py: Python<'_>,
        max_sessions: i64,
        auto_cleanup_threshold: i64,
        timeout_seconds: Option<i64>,
        fallback_strategy: Option<&Bound<'_, PyAny>>,
        sliding_expiration: Option<bool>,
    ) -> PyResult<PyClassInitializer<Self>> {
        if max_sessions < 1 || auto_cleanup_threshold < 1 || timeout_seconds.is_some_and(|seconds| seconds < 1) {
            return Err(PyValueError::new_err(
                "max_sessions, auto_cleanup_threshold and timeout_seconds: Value must be positive",
            ));
        }
        let first = fallback_strategy.filter(|first| !first.is_none()).map(part).transpose()?;
        let inner = first.as_ref().map(shared).transpose()?;
        let manager = Arc::new(SessionManager::new(max_sessions as usize, auto_cleanup_threshold as u64));
        let core = Arc::new(SessionPersistence::new(manager.clone(), timeout_seconds, inner, sliding_expiration));
        let parts = first.map(Bound::unbind).into_iter().collect();
        let manager = Py::new(py, PySessionManager::wrap(manager))?;
        Ok(PyStrategy::of_parts(core.clone(), parts).under(Self { core, manager }))
    }

    getters! {
        /// The sessions.
        session_manager: Py<PySessionManager> = self.manager.clone_ref(py);
        /// The same, by its published name.
        _session_manager: Py<PySessionManager> = self.manager.clone_ref(py);
        /// How long new sessions last, in seconds.
        _session_timeout_seconds: i64 = self.core.ttl();
    }

    #[setter(_session_timeout_seconds)]
    fn set_session_timeout_seconds(&self, seconds: i64) {
        self.core.set_ttl(seconds);
    }

    /// Removes a session.
    fn close_session(&self, session_id: &str) {
        self.core.manager().remove(session_id);
    }

    /// Removes the expired sessions; their number.
    fn cleanup_expired_sessions(&self) -> usize {
        self.core.manager().cleanup(&SystemClock)
    }

    /// Numbers: `total_sessions`, `max_sessions`, `auto_cleanup_threshold`.
    fn get_session_stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (count, max, every) = self.core.manager().stats();
        let dict = PyDict::new(py);
        dict.set_item("total_sessions", count)?;
        dict.set_item("max_sessions", max)?;
        dict.set_item("auto_cleanup_threshold", every)?;
        Ok(dict)
    }
}
