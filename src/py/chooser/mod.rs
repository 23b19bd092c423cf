//! `Chooser`: the place where the proxy of a request is chosen.

pub(super) mod acquirer;
mod choosing;
mod explaining;
mod gate;
mod handle;
mod surroundings;
pub(super) mod wishes;

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::clock::ExactClock;
use crate::py::attempts::{AttemptBook, AttemptLog};
use crate::py::convert::Lazy;
use crate::py::guard;
use crate::py::lease::{LeaseOptions, PyLease};
use crate::py::once::intern;
use crate::py::pool::PyPool;
use crate::py::queue::WaitingLine;
use crate::py::session::PySessionManager;
use crate::py::strategy::session::PySessionStrategy;
use crate::rotation::chooser::Chooser;
use crate::sync::{Arc, ArcSwap};
use choosing::Wanted;
use explaining::staying;
use handle::PyHandle;
use surroundings::Surroundings;
use wishes::PyWishes;

static SELDOM: Lazy = Lazy::upper("seldom");
static EXPLANATION: Lazy = Lazy::new("proxywhirl._native.explain", "Explanation");

/// A pool and the strategy that chooses from it, which can be swapped at any time. Thread-safe.
///
/// A lease remembers the strategy that made it, so a result always reaches that one. Requests of a session stay on one
/// proxy under any strategy: one that keeps no sessions is wrapped in one that does.
///
/// Args:
///     pool: The proxies.
///     strategy: A built-in strategy or an adapter.
///     when_empty: What to tell when the pool has no proxies at all.
#[pyclass(name = "Chooser", module = "proxywhirl._core", frozen, subclass, weakref)]
pub(crate) struct PyChooser {
    pool: Py<PyPool>,
    core: Chooser<PyHandle>,
    around: ArcSwap<Surroundings>,
    // Bounds how often an empty pool is logged.
    seldom: Py<PyAny>,
}

impl PyChooser {
    fn change(&self, py: Python<'_>, change: impl Fn(&mut Surroundings)) {
        let mut before = self.around.load_full();
        loop {
            let mut next = before.copy(py);
            change(&mut next);
            let found = self.around.compare_and_swap(&before, Arc::new(next));
            if Arc::ptr_eq(&found, &before) {
                return;
            }
            before = arc_swap::Guard::into_inner(found);
        }
    }

    /// Sets a field that can be set.
    fn assign(&self, field: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let book = if field == "attempts" { value.extract::<Option<Py<AttemptBook>>>()? } else { None };
        let py = value.py();
        self.change(py, |around| {
            let given = (!value.is_none()).then(|| value.clone().unbind());
            match field {
                "when_empty" => around.when_empty = given,
                "watch" => around.watch = given,
                "queue" => around.queue = given,
                "gate" => around.gate = given,
                _ => around.attempts = book.as_ref().map(|book| book.clone_ref(py)),
            }
        });
        Ok(())
    }

    fn keep_window(&self, py: Python<'_>, strategy: &Bound<'_, PyAny>) -> PyResult<()> {
        strategy.call_method1(intern!(py, "_keep_window"), (self.pool.bind(py),)).map(drop)
    }

    /// Whether nothing watches the leases: no listener, no metrics of the caller's, no profile.
    pub(crate) fn is_unwatched(&self) -> bool {
        self.around.load().watch.is_none()
    }

    /// How many requests wait for a proxy of the pool.
    #[inline]
    fn waiting(&self) -> usize {
        self.pool.get().line.waiting()
    }

    /// The log of a request that begins now, where attempts are counted.
    fn begin_log<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, AttemptLog>>> {
        self.around.load().attempts.as_ref().map(|attempts| Bound::new(py, attempts.get().begin()?)).transpose()
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyChooser {
    #[new]
    #[pyo3(signature = (pool, strategy, *, when_empty="No healthy proxies available: the pool has no proxies"))]
    fn new(py: Python<'_>, pool: Bound<'_, PyPool>, strategy: &Bound<'_, PyAny>, when_empty: &str) -> PyResult<Self> {
        let core = Chooser::new(pool.get().core.clone(), PyHandle::of(strategy)?);
        let when_empty = Some(PyString::new(py, when_empty).into_any().unbind());
        let around = ArcSwap::from_pointee(Surroundings { when_empty, ..Surroundings::default() });
        let made = Self { pool: pool.unbind(), core, around, seldom: SELDOM.get(py)?.call0()?.unbind() };
        made.keep_window(py, strategy)?;
        Ok(made)
    }

    getters! {
        /// The proxies.
        pool: Py<PyPool> = self.pool.clone_ref(py);
        /// How often the strategy was swapped.
        version: u64 = self.core.swaps();
        /// The line in front of the pool.
        admission: WaitingLine = WaitingLine::around(&self.pool.get().line);
        /// The strategy of requests that begin now.
        strategy: Py<PyAny> = self.core.active().given().given.clone_ref(py);
    }

    /// The strategy that serves requests with a session.
    #[getter]
    fn session_strategy(&self, py: Python<'_>) -> PyResult<Py<PySessionStrategy>> {
        let active = self.core.active();
        let keeper = active.sticky()?.keeper.as_ref().map(|keeper| keeper.clone_ref(py));
        keeper.ok_or_else(|| PyTypeError::new_err("the strategy keeps no sessions"))
    }

    getters! {
        /// The sessions of requests that begin now.
        sessions: PyResult<Py<PySessionManager>> = Ok(self.session_strategy(py)?.get().sessions(py));
    }

    fields! {
        /// What to tell when the pool has no proxies at all.
        when_empty: Option<Py<PyAny>> = self.around.load().when_empty.as_ref().map(|text| text.clone_ref(py));
        /// Watches every lease; `None` without a listener, metrics or a profile.
        watch: Option<Py<PyAny>> = self.around.load().watch.as_ref().map(|watch| watch.clone_ref(py));
        /// Bounds the line for the requests of this chooser; `None` where it is not bounded.
        queue: Option<Py<PyAny>> = self.around.load().queue.as_ref().map(|queue| queue.clone_ref(py));
        /// Where attempts are counted; `None` where they are not.
        attempts: Option<Py<AttemptBook>> = self.around.load().attempts.as_ref().map(|book| book.clone_ref(py));
        /// Has the last word on a lease; `None` where nothing but the core does.
        gate: Option<Py<PyAny>> = self.around.load().gate.as_ref().map(|gate| gate.clone_ref(py));
    }

    /// The lists and gateways that are looked after before each choice; `None` where there are none.
    #[getter]
    fn sources(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.around.load().sources.as_ref().map(|sources| sources.clone_ref(py))
    }

    /// Looks after these lists and gateways from now on, unless there are others already.
    fn keep_sources(&self, py: Python<'_>, sources: &Bound<'_, PyAny>) -> Option<Py<PyAny>> {
        self.change(py, |around| {
            around.sources.get_or_insert_with(|| sources.clone().unbind());
        });
        self.around.load().sources.as_ref().map(|sources| sources.clone_ref(py))
    }

    /// Uses another strategy from the next selection on; sessions move over.
    fn swap(&self, py: Python<'_>, strategy: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = PyHandle::of(strategy)?;
        self.keep_window(py, strategy)?;
        self.core.swap(handle, &ExactClock)
    }

    /// Chooses a proxy.
    #[pyo3(signature = (url, wishes, exclude))]
    fn lease<'py>(
        slf: &Bound<'py, Self>,
        url: Option<&Bound<'py, PyAny>>,
        wishes: Option<&Bound<'py, PyWishes>>,
        exclude: &Bound<'py, PyList>,
    ) -> PyResult<Py<PyLease>> {
        let log = slf.get().begin_log(slf.py())?;
        let (exclude, log) = (exclude.clone(), log.as_ref());
        let (method, judge, connects, timeout) = (None, None, false, None);
        Self::take(slf, &Wanted { url, wishes, exclude, method, attempt: 1, judge, log, connects, timeout })
    }

    /// Says of every proxy whether `lease` could choose it now, and if not, why and until when.
    #[pyo3(signature = (url=None, wishes=None, exclude=None))]
    fn explain<'py>(
        &self,
        py: Python<'py>,
        url: Option<&Bound<'py, PyAny>>,
        wishes: Option<&Bound<'py, PyWishes>>,
        exclude: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let active = self.core.active();
        let mut asked = LeaseOptions { url, exclude, ..LeaseOptions::default() };
        let mut bound = None;
        if let Some(wishes) = wishes.map(|wishes| wishes.get()) {
            asked.demands = wishes.demands(py)?;
            asked.context = wishes.context.as_ref().map(|context| context.bind(py));
            if let Some(session) = wishes.session_of(py)? {
                bound = self.core.bound_to(session.extract()?, &ExactClock)?;
            }
        }
        let mut rows = guard::explain(self.pool.bind(py), &asked, Some(active.given().given.bind(py)))?;
        if let Some(bound) = bound {
            rows = staying(&rows, bound)?;
        }
        if let Some(gate) = &self.around.load().gate {
            rows = gate::explain(gate.bind(py), &rows)?;
        }
        let kwargs = PyDict::new(py);
        kwargs.set_item("waiting", self.pool.get().line.waiting())?;
        EXPLANATION.get(py)?.call((rows,), Some(&kwargs))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.pool)?;
        visit.call(&self.seldom)?;
        let active = self.core.active();
        for handle in std::iter::once(active.given()).chain(active.made()) {
            handle.traverse(&visit)?;
        }
        self.around.load().traverse(&visit)
    }

    fn __clear__(&self) {
        self.around.store(Arc::default());
    }
}
