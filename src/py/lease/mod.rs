//! `Lease`: one proxy, taken for one piece of work, until its outcome is reported.

mod clients;
mod options;
mod report;
mod settle;
mod taking;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::metrics::attempts::Label;
use crate::metrics::groups::Traffic;
use crate::proxy::Proxy;
use crate::py::attempts::LoggedAttempt;
use crate::py::border;
use crate::py::pool::PyPool;
use crate::py::proxy::PyProxy;
use crate::py::strategy::PyStrategy;
use crate::rotation::Domain;
use crate::rotation::lease::{Bill, Lease, References};
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

/// A bill as the metrics add it up.
pub(super) fn traffic_of(bill: &Bill) -> Traffic {
    Traffic { sent: bill.sent, received: bill.received, spent: bill.spent }
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

    /// Counts bytes for the bill; in the metrics at once, where the lease has been written down there already.
    pub(crate) fn count(&self, sent: u64, received: u64) {
        self.core.count(sent, received);
        if self.core.is_closed() {
            self.write_bill();
        }
    }

    /// Adds to the metrics what of the bill is not there yet.
    pub(super) fn write_bill(&self) {
        let proxy = self.core.proxy().id();
        let Some((metrics, key)) = self.logged.as_ref().and_then(|logged| logged.metrics(proxy)) else { return };
        let bill = self.core.take_bill();
        if bill != Bill::default() {
            let site = self.core.site().map(|site| Label::Text(site.key().into()));
            metrics.charge(&key, site.as_ref(), &traffic_of(&bill));
        }
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

    /// Bytes sent through it so far: TLS and what was said to the proxy included where the native engine has sent them, else
    /// as they were reported.
    #[getter]
    fn bytes_sent(&self) -> u64 {
        self.core.bill().sent
    }

    /// Bytes received through it so far, likewise.
    #[getter]
    fn bytes_received(&self) -> u64 {
        self.core.bill().received
    }

    /// What it has cost so far: its bytes by `cost_per_gb`, and `cost_per_request` once it is settled.
    #[getter]
    fn spent(&self) -> f64 {
        self.core.bill().spent.amount()
    }

    /// Counts bytes for the bill.
    #[pyo3(name = "_count")]
    fn count_from_python(&self, sent: u64, received: u64) {
        self.count(sent, received);
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
