//! Taking a proxy, and why one may not be taken.

use pyo3::prelude::*;

use crate::clock::SystemClock;
use crate::pool::context::Context;
use crate::pool::query::Query;
use crate::py::attempts::AttemptLog;
use crate::py::convert::Lazy;
use crate::py::errors;
use crate::py::guard;
use crate::py::lease::{Demands, LeaseOptions, PyLease};
use crate::py::pool::PyPool;
use crate::resilience::site::Site;
use crate::strategy::Strategy;
use crate::sync::Arc;

static EXPLANATION: Lazy = Lazy::new("proxywhirl._native.explain", "Explanation");

impl PyPool {
    /// The site that a URL belongs to, by the pool's own rule where it has one.
    #[inline]
    pub(crate) fn site_of(&self, py: Python<'_>, url: &str) -> PyResult<Option<Arc<Site>>> {
        if self.hooks.has_site_rule() {
            return guard::site_by_rule(self, py, url);
        }
        Ok(self.core.site_of(url))
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyPool {
    /// The next proxy in turn; its start is counted.
    ///
    /// Raises:
    ///     ProxyPoolEmptyError: No proxy may be chosen.
    fn select_next<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let table = self.core.table();
        let context = Context::default();
        let query = Query::new(&self.core, &table, &context, &SystemClock);
        self.core.guard().catch_up(&SystemClock);
        let choice = self.round_robin.select(&query).map_err(|refusal| errors::refusal(py, refusal))?;
        Self::object(py, &table, choice.0)
    }

    /// Takes a proxy for one piece of work.
    ///
    /// Args:
    ///     strategy: The strategy that chooses.
    ///     url: Where the work goes.
    ///     session_id: The same proxy for the same one, under a session strategy.
    ///     country: Only proxies there.
    ///     region: Only proxies there.
    ///     tags: Only proxies that have all of these.
    ///     protocol: Only proxies that speak this protocol, or one of these.
    ///     exclude: Identifiers of proxies not to be chosen.
    ///     context: What the other arguments are laid over. A strategy written in Python is given a copy that is complete:
    ///         target, number of the attempt, everything excluded so far, tags as `tags`, and the time there is.
    ///     connects: Whether the work holds a connection of the pool's transports, so that it counts against their limit.
    ///     attempt: Which attempt of the request this is, from 1.
    ///     timeout: Milliseconds that the request may take: a number, or what returns one, asked only when a strategy
    ///         written in Python chooses.
    ///     log: Where the attempt is written down when the lease is settled.
    ///     observer: Called once the lease is settled, with the lease, the `Outcome` (`None` if it was released), the
    ///         milliseconds, the error and the status. What it raises is logged.
    ///     judge: What `Lease.report` asks: called with the target, the status or what stands for it, headers, body and
    ///         error, it returns the `Outcome` or `None` for a release, the seconds that the site asks for or `None`, and,
    ///         where the status is not the one given, the status that it judged or `None`.
    ///
    /// Returns:
    ///     A `Lease`; one start is counted.
    ///
    /// Raises:
    ///     ProxyPoolEmptyError: No proxy may be chosen, or none is admitted now.
    ///     StrategyMetadataError: The strategy lacks what it chooses by.
    #[pyo3(signature = (strategy, url=None, *, session_id=None, country=None, region=None, tags=None, protocol=None, exclude=None, context=None, connects=false, attempt=1, timeout=None, log=None, observer=None, judge=None))]
    #[allow(clippy::too_many_arguments)]
    fn lease(
        slf: &Bound<'_, Self>,
        strategy: &Bound<'_, PyAny>,
        url: Option<&Bound<'_, PyAny>>,
        session_id: Option<&str>,
        country: Option<&str>,
        region: Option<&str>,
        tags: Option<&Bound<'_, PyAny>>,
        protocol: Option<&Bound<'_, PyAny>>,
        exclude: Option<&Bound<'_, PyAny>>,
        context: Option<&Bound<'_, PyAny>>,
        connects: bool,
        attempt: u64,
        timeout: Option<&Bound<'_, PyAny>>,
        log: Option<&Bound<'_, AttemptLog>>,
        observer: Option<Py<PyAny>>,
        judge: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyLease>> {
        let wanted = LeaseOptions {
            url,
            session_id,
            demands: Demands { country, region, tags, protocol },
            exclude,
            context,
            connects,
            attempt,
            timeout,
            log,
        };
        PyLease::take(slf, strategy, &wanted, observer, judge)
    }

    /// Which proxies may be chosen now, and why the others may not.
    ///
    /// Args:
    ///     url: The target, for what holds at its site.
    ///     country: Only proxies there would do.
    ///     region: Only proxies there would do.
    ///     tags: Only proxies that have all of these would do.
    ///     protocol: Only proxies that speak this protocol, or one of these, would do.
    ///     exclude: Identifiers of proxies that would not.
    ///     context: What the other arguments are laid over.
    ///     strategy: The strategy that would choose: what a built-in one passes over counts as filtered.
    ///
    /// Returns:
    ///     An `Explanation`: one verdict per proxy, in order.
    #[pyo3(signature = (url=None, *, country=None, region=None, tags=None, protocol=None, exclude=None, context=None, strategy=None))]
    #[allow(clippy::too_many_arguments)]
    fn explain<'py>(
        slf: &Bound<'py, Self>,
        url: Option<&Bound<'py, PyAny>>,
        country: Option<&str>,
        region: Option<&str>,
        tags: Option<&Bound<'py, PyAny>>,
        protocol: Option<&Bound<'py, PyAny>>,
        exclude: Option<&Bound<'py, PyAny>>,
        context: Option<&Bound<'py, PyAny>>,
        strategy: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let demands = Demands { country, region, tags, protocol };
        let wanted = LeaseOptions { url, demands, exclude, context, ..LeaseOptions::default() };
        let rows = guard::explain(slf, &wanted, strategy)?;
        EXPLANATION.get(slf.py())?.call1((rows,))
    }
}
