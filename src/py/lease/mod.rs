//! `Lease`: one proxy, taken for one piece of work, until its outcome is reported.

mod clients;
mod options;
mod report;
mod settle;
mod taking;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::proxy::Proxy;
use crate::py::attempts::LoggedAttempt;
use crate::py::border;
use crate::py::pool::PyPool;
use crate::py::proxy::PyProxy;
use crate::py::strategy::PyStrategy;
use crate::rotation::Domain;
use crate::rotation::lease::{Lease, References};
use crate::strategy::Shared;
use crate::sync::Arc;
pub(crate) use options::{Demands, LeaseOptions, text_of};

/// One proxy, taken for one piece of work, until its outcome is reported. Thread-safe: the first verdict counts.
///
/// As a context manager: leaving the block cleanly says that the proxy carried the request, in the measured time. An
/// exception of a client that is known is judged, one that stands for an answer by that answer; any other exception,
/// cancellation included, is a release. A lease dropped without a verdict is released.
#[pyclass(name = "Lease", module = "proxywhirl._core", frozen, weakref)]
pub(crate) struct PyLease {
    core: Lease<Objects>,
    url: Option<Py<PyAny>>,
    logged: Option<LoggedAttempt>,
    observer: Option<Py<PyAny>>,
    judge: Option<Py<PyAny>>,
}

/// The objects that stand for what a lease is about.
pub(crate) struct Objects {
    pool: Py<PyPool>,
    proxy: Py<PyProxy>,
    strategy: Py<PyStrategy>,
}

impl References for Objects {
    #[inline]
    fn pool(&self) -> &Arc<Domain> {
        &self.pool.get().core
    }

    #[inline]
    fn proxy(&self) -> &Arc<Proxy> {
        &self.proxy.get().core
    }

    #[inline]
    fn strategy(&self) -> &Shared {
        self.strategy.get().core()
    }
}

impl Objects {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        let (pool, proxy) = (self.pool.clone_ref(py), self.proxy.clone_ref(py));
        Self { pool, proxy, strategy: self.strategy.clone_ref(py) }
    }
}

impl PyLease {
    fn pool(&self) -> &PyPool {
        self.core.references().pool.get()
    }

    /// Its target as text, if it was given one.
    fn url_text<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.url.as_ref().map(|url| text_of(url.bind(py))).transpose()
    }

    /// The lease of the core.
    pub(crate) fn core(&self) -> &Lease<Objects> {
        &self.core
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyLease {
    getters! {
        /// The proxy.
        proxy: Py<PyProxy> = self.core.references().proxy.clone_ref(py);
        /// Identifier of the proxy.
        id: PyResult<Bound<'py, PyAny>> = self.core.references().proxy.get().uuid(py);
    }

    /// Key of the site it was taken for: the registrable domain of the target, or what the pool's rule makes of it. `None`
    /// without a target.
    #[getter]
    fn site(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let Some(url) = self.url_text(py)? else { return Ok(None) };
        Ok(self.pool().site_of(py, url.to_str()?)?.map(|site| site.key().to_owned()))
    }

    /// Whether the outcome has been reported.
    #[getter]
    fn closed(&self) -> bool {
        self.core.is_closed()
    }

    fn __repr__(&self) -> String {
        let state = if self.core.is_closed() { "closed" } else { "open" };
        format!("<Lease {state} on {}>", self.core.proxy().masked_url())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Objects { pool, proxy, strategy } = self.core.references();
        visit.call(pool)?;
        visit.call(proxy)?;
        visit.call(strategy)?;
        for part in [&self.url, &self.observer, &self.judge].into_iter().flatten() {
            visit.call(part)?;
        }
        Ok(())
    }
}

impl Drop for PyLease {
    fn drop(&mut self) {
        if self.core.is_closed() {
            return;
        }
        // Not while the interpreter shuts down: then no thread waits for the proxy or the news any more.
        border::attach(|py| {
            // The last reference may go while an exception is on its way, which the calls below would lose.
            let pending = PyErr::take(py);
            self.release_dropped(py);
            if let Some(pending) = pending {
                pending.restore(py);
            }
        });
    }
}
