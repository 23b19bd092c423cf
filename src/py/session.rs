//! `Session` and `SessionManager`.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDict, PyString};

use crate::clock::{ExactClock, exact_wall};
use crate::proxy::Id;
use crate::py::convert;
use crate::py::errors::{self, Fault};
use crate::py::proxy::PyProxy;
use crate::session::{Session, SessionManager};
use crate::sync::Arc;

const FIELDS: [&str; 6] = ["session_id", "proxy_id", "created_at", "expires_at", "last_used_at", "request_count"];

/// A sticky assignment: one session id, one proxy, until a moment. Thread-safe.
///
/// Raises:
///     pydantic.ValidationError: A field is missing, wrong or unknown.
#[pyclass(name = "Session", module = "proxywhirl", frozen, subclass)]
pub(crate) struct PySession {
    core: Arc<Session>,
}

impl PySession {
    /// Sets a field that can be set.
    fn assign(&self, field: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        match field {
            "expires_at" => self.core.set_expires(convert::micros(value)?),
            "last_used_at" => self.core.set_last_used(convert::micros(value)?),
            _ => self.core.set_requests(convert::count(value)?),
        }
        Ok(())
    }

    fn wrap(core: Arc<Session>) -> Self {
        Self { core }
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PySession {
    #[new]
    #[pyo3(signature = (**fields))]
    fn new(py: Python<'_>, fields: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let empty = PyDict::new(py);
        let fields = fields.unwrap_or(&empty);
        let mut faults = Vec::new();
        let none = py.None().into_bound(py);
        for (key, value) in fields.iter() {
            let name: String = key.extract()?;
            if !FIELDS.contains(&&*name) {
                faults.push(Fault::new(&name, "Extra inputs are not permitted", &value));
            }
        }
        let now = exact_wall();
        let mut id = None;
        let mut proxy = None;
        let mut expires = None;
        let (mut created, mut used, mut count) = (now, None, 0);
        for name in FIELDS {
            let Some(value) = fields.get_item(name)? else {
                if matches!(name, "session_id" | "proxy_id" | "expires_at") {
                    faults.push(Fault::new(name, "Field required", &none));
                }
                continue;
            };
            let checked = match name {
                "session_id" => convert::text(&value).map(|text| id = Some(text)),
                "proxy_id" => convert::id_of(&value)
                    .map(|id| proxy = Some(id))
                    .ok_or_else(|| PyValueError::new_err("Input should be a valid UUID")),
                "created_at" => convert::micros(&value).map(|at| created = at),
                "expires_at" => convert::micros(&value).map(|at| expires = Some(at)),
                "last_used_at" => convert::micros(&value).map(|at| used = Some(at)),
                _ => convert::count(&value).map(|number| count = number),
            };
            if let Err(error) = checked {
                faults.push(Fault::new(name, error.value(py).str()?.to_string(), &value));
            }
        }
        match (id, proxy, expires) {
            (Some(id), Some(proxy), Some(expires)) if faults.is_empty() => {
                let session = Session::new(&id, proxy, created, expires, 0);
                session.set_requests(count);
                session.set_last_used(used.unwrap_or(created));
                Ok(Self::wrap(Arc::new(session)))
            }
            _ => Err(errors::validation(py, "Session", faults)),
        }
    }

    getters! {
        /// The user's name for it.
        session_id: &str = &self.core.id;
        /// Identifier of its proxy, as text.
        proxy_id: String = self.core.proxy_id().to_string();
        /// When it began.
        created_at: PyResult<Bound<'py, PyDateTime>> = convert::datetime(py, self.core.times().0);
    }

    fields! {
        /// When it ends.
        expires_at: PyResult<Bound<'py, PyDateTime>> = convert::datetime(py, self.core.times().1);
        /// When it was used last.
        last_used_at: PyResult<Bound<'py, PyDateTime>> = convert::datetime(py, self.core.times().2);
        /// Requests made in it.
        request_count: u64 = self.core.requests();
    }

    /// Whether its time is over.
    fn is_expired(&self) -> bool {
        self.core.is_expired(&ExactClock)
    }

    /// Counts one use; the end moves only where the session slides.
    fn touch(&self) {
        self.core.touch(&ExactClock);
    }

    #[staticmethod]
    fn _fields() -> Vec<&'static str> {
        FIELDS.to_vec()
    }

    fn _dump<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(slf.py());
        for name in FIELDS {
            dict.set_item(name, slf.getattr(name)?)?;
        }
        Ok(dict)
    }

    #[classmethod]
    fn _from_state<'py>(
        cls: &Bound<'py, pyo3::types::PyType>,
        state: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        cls.call((), Some(state))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyDict>,))> {
        Ok((slf.get_type().getattr("_from_state")?, (Self::_dump(slf)?,)))
    }

    fn __eq__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let Ok(other) = other.cast::<Self>() else { return Ok(py.NotImplemented()) };
        let same = Arc::ptr_eq(&slf.get().core, &other.get().core) || Self::_dump(slf)?.eq(Self::_dump(other)?)?;
        Ok(same.into_pyobject(py)?.to_owned().into_any().unbind())
    }

    fn __repr__(&self) -> String {
        format!(
            "Session(session_id='***', proxy_id='{}', request_count={})",
            self.core.proxy_id(),
            self.core.requests()
        )
    }
}

/// Sticky assignments by session id, bounded, least recently used first out. Thread-safe.
///
/// Args:
///     max_sessions: Most sessions kept, at least 1.
///     auto_cleanup_threshold: The expired are purged every so many new sessions.
#[pyclass(name = "SessionManager", module = "proxywhirl", frozen, subclass, weakref)]
pub(crate) struct PySessionManager {
    pub(crate) core: Arc<SessionManager>,
}

/// Seconds a session lasts in the published form, where nothing is said.
const DEFAULT_TIMEOUT: i64 = 300;

#[proxywhirl_macros::border]
#[pymethods]
impl PySessionManager {
    #[new]
    #[pyo3(signature = (max_sessions=10_000, auto_cleanup_threshold=100))]
    fn new(max_sessions: i64, auto_cleanup_threshold: i64) -> PyResult<Self> {
        if max_sessions < 1 || auto_cleanup_threshold < 1 {
            return Err(PyValueError::new_err("max_sessions and auto_cleanup_threshold: Value must be positive"));
        }
        Ok(Self { core: Arc::new(SessionManager::new(max_sessions as usize, auto_cleanup_threshold as u64)) })
    }

    /// Binds a session to a proxy.
    ///
    /// `create_session(session_id, proxy, timeout_seconds=300)` returns the `Session` and replaces one of the same name;
    /// `create_session(proxy, timeout_seconds)` makes up a name and returns that.
    ///
    /// Raises:
    ///     TypeError: There is no proxy among the arguments.
    #[pyo3(signature = (*args, session_id=None, proxy=None, timeout_seconds=None))]
    fn create_session<'py>(
        &self,
        args: &Bound<'py, pyo3::types::PyTuple>,
        session_id: Option<Bound<'py, PyAny>>,
        proxy: Option<Bound<'py, PyAny>>,
        timeout_seconds: Option<i64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        let mut rest: std::collections::VecDeque<Bound<'py, PyAny>> = args.iter().collect();
        let mut name = session_id;
        if name.is_none() && rest.front().is_some_and(|first| first.is_instance_of::<PyString>()) {
            name = rest.pop_front();
        }
        let proxy = match proxy {
            Some(proxy) => Some(proxy),
            None => rest.pop_front(),
        };
        let wrong =
            || PyTypeError::new_err("create_session takes ([session_id,] proxy: Proxy, timeout_seconds: int = 300)");
        let proxy = proxy.ok_or_else(wrong)?;
        let proxy = proxy.cast::<PyProxy>().map_err(|_| wrong())?;
        let ttl = match (timeout_seconds, rest.pop_front()) {
            (Some(ttl), None) => ttl,
            (None, Some(ttl)) => ttl.extract().map_err(|_| wrong())?,
            (None, None) => DEFAULT_TIMEOUT,
            _ => return Err(wrong()),
        };
        if !rest.is_empty() {
            return Err(wrong());
        }
        let given = name.as_ref().map(convert::text).transpose()?;
        let made = given.is_none();
        let id = given.unwrap_or_else(|| Id::random().to_string().into());
        let session = self.core.bind(&id, &proxy.get().core, ttl, false, &ExactClock);
        if made {
            Ok(PyString::new(py, &id).into_any())
        } else {
            Ok(Bound::new(py, PySession::wrap(session))?.into_any())
        }
    }

    /// The live session of that name, or `None`; counts as a use of it. An expired one is removed.
    fn get_session(&self, session_id: &str) -> Option<PySession> {
        self.core.find(session_id, &ExactClock).map(PySession::wrap)
    }

    /// Removes a session.
    fn close_session(&self, session_id: &str) {
        self.core.remove(session_id);
    }

    /// Removes a session; whether there was one.
    fn remove_session(&self, session_id: &str) -> bool {
        self.core.remove(session_id)
    }

    /// Counts a use of a session; whether there was a live one.
    fn touch_session(&self, session_id: &str) -> bool {
        self.core.touch(session_id, &ExactClock)
    }

    /// Removes the expired sessions; their number.
    fn cleanup_expired_sessions(&self) -> usize {
        self.core.cleanup(&ExactClock)
    }

    /// Removes the expired sessions; their number.
    fn cleanup_expired(&self) -> usize {
        self.core.cleanup(&ExactClock)
    }

    /// The live sessions, the least recently used first.
    fn get_all_sessions(&self) -> Vec<PySession> {
        self.core.all(&ExactClock).into_iter().map(PySession::wrap).collect()
    }

    /// Removes all sessions.
    fn clear_all(&self) {
        self.core.clear();
    }

    /// The live sessions by name, for reading.
    #[getter]
    fn sessions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let dict = PyDict::new(py);
        for session in self.core.all(&ExactClock) {
            let id = session.id.to_string();
            dict.set_item(id, PySession::wrap(session))?;
        }
        py.import("types")?.getattr("MappingProxyType")?.call1((dict,))
    }

    getters! {
        /// The same, by its published name.
        _sessions: PyResult<Bound<'py, PyAny>> = self.sessions(py);
        /// Most sessions kept.
        max_sessions: usize = self.core.stats().1;
        /// The expired are purged every so many new sessions.
        auto_cleanup_threshold: u64 = self.core.stats().2;
    }

    fn __len__(&self) -> usize {
        self.core.stats().0
    }

    fn __contains__(&self, session_id: &Bound<'_, PyAny>) -> bool {
        convert::text(session_id).is_ok_and(|id| self.core.find(&id, &ExactClock).is_some())
    }

    fn __repr__(&self) -> String {
        let (count, max, _) = self.core.stats();
        format!("SessionManager({count} of at most {max} sessions)")
    }
}

impl PySessionManager {
    pub(crate) fn wrap(core: Arc<SessionManager>) -> Self {
        Self { core }
    }
}
