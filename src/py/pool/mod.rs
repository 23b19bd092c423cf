//! `ProxyPool`: the documented members over the core's pool.

mod adding;
mod fields;
mod leasing;
mod lookup;
mod money;
mod objects;
mod sequence;
mod upkeep;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::clock::{ExactClock, Micros};
use crate::proxy::Id;
use crate::py::guard::Hooks;
use crate::py::queue;
use crate::rotation::Domain;
use crate::strategy::round_robin::RoundRobin;
use crate::sync::{Arc, AtomicI64, Mutex};
pub(crate) use adding::AddReport;
use objects::{OPS, visit_objects};

/// Many proxies, in order of insertion, found by id, URL, tag, source and country. Thread-safe; selections take no lock.
///
/// Raises:
///     pydantic.ValidationError: A field is wrong.
#[pyclass(name = "ProxyPool", module = "proxywhirl", frozen, subclass, weakref)]
pub(crate) struct PyPool {
    pub(crate) core: Arc<Domain>,
    id: Mutex<Id>,
    name: Mutex<String>,
    created: AtomicI64,
    round_robin: RoundRobin,
    block: Mutex<Option<Py<PyAny>>>,
    pub(super) hooks: Arc<Hooks>,
    pub(crate) line: Arc<queue::Line>,
}

impl PyPool {
    fn with(limit: usize, name: &str, now: Micros) -> Self {
        let core = Domain::new(limit, OPS, now);
        let line = queue::line_of(&core);
        Self {
            core,
            id: Mutex::new(Id::random()),
            name: Mutex::new(name.to_owned()),
            created: AtomicI64::new(now),
            round_robin: RoundRobin::default(),
            block: Mutex::new(None),
            hooks: Arc::default(),
            line,
        }
    }

    fn block_lock<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(lock) = self.block.lock().as_ref() {
            return Ok(lock.bind(py).clone());
        }
        let fresh = py.import("threading")?.call_method0("RLock")?.unbind();
        Ok(self.block.lock().get_or_insert(fresh).bind(py).clone())
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyPool {
    /// Holds a reentrant lock of the pool for the block: blocks of other threads wait, selections do not.
    fn __enter__<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        let lock = slf.get().block_lock(slf.py())?;
        lock.call_method0("acquire")?;
        Ok(slf)
    }

    #[pyo3(signature = (_exc_type=None, _exc_value=None, _traceback=None, /))]
    fn __exit__(
        slf: &Bound<'_, Self>,
        _exc_type: Option<&Bound<'_, PyAny>>,
        _exc_value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        slf.get().block_lock(slf.py())?.call_method0("release")?;
        Ok(())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let class = slf.get_type().name()?;
        let table = this.core.table();
        let eligible = this.core.eligible(&table, &ExactClock).len();
        Ok(format!("{class}(name={:?}, size={}, eligible={eligible})", this.name(), this.core.len()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(lock) = self.block.lock().as_ref() {
            visit.call(lock)?;
        }
        self.hooks.traverse(&visit)?;
        visit_objects(&self.core.table(), &visit)
    }

    fn __clear__(&self) {
        self.hooks.clear();
        self.core.replace_all(Vec::new());
    }
}
