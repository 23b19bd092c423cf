//! What a pool holds: counts, look-ups, filters, removal.

use std::collections::BTreeMap;

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::clock::ExactClock;
use crate::net::address::Address;
use crate::pool::Pool;
use crate::pool::filter::Filter;
use crate::proxy::Proxy;
use crate::proxy::health::Health;
use crate::py::convert;
use crate::py::pool::PyPool;
use crate::py::proxy::PyProxy;

impl PyPool {
    fn count(&self, test: impl Fn(&Proxy) -> bool) -> usize {
        let table = self.core.table();
        Pool::members(&table).into_iter().filter(|slot| table.proxy(*slot).is_some_and(&test)).count()
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyPool {
    getters! {
        /// Number of proxies.
        size: usize = self.core.len();
        /// Number of proxies whose last request succeeded.
        healthy_count: usize = self.count(|proxy| proxy.health() == Health::Healthy);
        /// Number of all others, the untried among them.
        unhealthy_count: usize = self.count(|proxy| proxy.health() != Health::Healthy);
        /// Results recorded over all proxies.
        total_requests: u64 = self.core.stats().requests;
    }

    /// Successes among all results, 0 to 1; 0 without any.
    #[getter]
    fn overall_success_rate(&self) -> f64 {
        let stats = self.core.stats();
        if stats.requests == 0 { 0.0 } else { stats.successes as f64 / stats.requests as f64 }
    }

    /// Counts of proxies and requests, by the names that a rotator shows them by.
    #[pyo3(name = "_stats")]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.core.stats();
        let shown = PyDict::new(py);
        shown.set_item("total_proxies", stats.proxies)?;
        shown.set_item("healthy_proxies", stats.proxies - stats.unhealthy - stats.dead)?;
        shown.set_item("unhealthy_proxies", stats.unhealthy)?;
        shown.set_item("dead_proxies", stats.dead)?;
        shown.set_item("total_requests", stats.requests)?;
        shown.set_item("total_successes", stats.successes)?;
        shown.set_item("total_failures", stats.failures)?;
        shown.set_item("average_success_rate", stats.mean_success_rate)?;
        shown.set_item("bytes_sent", stats.sent)?;
        shown.set_item("bytes_received", stats.received)?;
        shown.set_item("spent", stats.spent.amount())?;
        let pages = (stats.successes > 0).then_some(stats.successes);
        shown.set_item("cost_per_page", pages.map(|pages| stats.spent.amount() / pages as f64))?;
        Ok(shown)
    }

    /// Removes a proxy; an unknown identifier does nothing.
    fn remove_proxy(&self, proxy_id: &Bound<'_, PyAny>) -> PyResult<()> {
        let id = convert::id_of(proxy_id).ok_or_else(|| PyValueError::new_err("proxy_id must be a UUID"))?;
        self.core.remove(id);
        Ok(())
    }

    /// Replaces the proxy that has the same identifier, in its place.
    ///
    /// Raises:
    ///     KeyError: There is none.
    fn update_proxy(&self, py: Python<'_>, proxy: &Bound<'_, PyProxy>) -> PyResult<()> {
        let id = proxy.get().core.id();
        let Some((table, slot)) = self.core.find(id) else {
            return Err(PyKeyError::new_err(format!("no proxy with id {id} in the pool")));
        };
        if table.proxy(slot).is_some_and(|held| std::ptr::eq(held, &*proxy.get().core)) {
            return Ok(());
        }
        let all: Vec<Py<PyAny>> = self
            .all(py)?
            .into_iter()
            .map(|object| {
                let same = object.bind(py).cast::<PyProxy>().is_ok_and(|held| held.get().core.id() == id);
                if same { proxy.clone().into_any().unbind() } else { object }
            })
            .collect();
        self.set_all(py, &all)
    }

    /// The proxy of that identifier, or `None`: always the same object.
    fn get_proxy_by_id<'py>(&self, py: Python<'py>, id: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(id) = convert::id_of(id) else { return Ok(None) };
        self.core.find(id).map(|(table, slot)| Self::object(py, &table, slot)).transpose()
    }

    /// The proxy of that URL, or `None`.
    fn get_proxy_by_url<'py>(&self, py: Python<'py>, url: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Ok(address) = Address::parse_line(url) else { return Ok(None) };
        self.core.find_address(&address).map(|(table, slot)| Self::object(py, &table, slot)).transpose()
    }

    /// Those that may be chosen now, in order: not UNHEALTHY, not DEAD, not expired.
    fn get_healthy_proxies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let table = self.core.table();
        self.objects(py, &table, &self.core.eligible(&table, &ExactClock))
    }

    /// All of them, in order.
    pub(super) fn get_all_proxies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let table = self.core.table();
        self.objects(py, &table, &Pool::members(&table))
    }

    /// Those that have all of these tags, in order.
    fn filter_by_tags<'py>(&self, py: Python<'py>, tags: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let tags = convert::texts(tags)?;
        let (table, slots) = self.core.matching(&Filter::tags(tags.iter().map(|tag| &**tag)));
        self.objects(py, &table, &slots)
    }

    /// Those that came from there, in order.
    fn filter_by_source<'py>(&self, py: Python<'py>, source: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let filter = Filter { source: Some(convert::source_of(source)?), ..Filter::default() };
        let (table, slots) = self.core.matching(&filter);
        self.objects(py, &table, &slots)
    }

    /// Those in that country, in order.
    fn filter_by_country<'py>(&self, py: Python<'py>, code: &str) -> PyResult<Bound<'py, PyList>> {
        let (table, slots) = self.core.matching(&Filter::countries([code]));
        self.objects(py, &table, &slots)
    }

    /// Removes the UNHEALTHY and the DEAD; their number.
    fn clear_unhealthy(&self) -> usize {
        self.core.clear_unhealthy()
    }

    /// Removes those whose time to live is over; their number.
    fn clear_expired(&self) -> usize {
        self.core.clear_expired(&ExactClock)
    }

    /// Number of proxies per source.
    fn get_source_breakdown(&self) -> BTreeMap<&'static str, usize> {
        let table = self.core.table();
        let mut counts = BTreeMap::new();
        for proxy in Pool::members(&table).into_iter().filter_map(|slot| table.proxy(slot)) {
            *counts.entry(proxy.source().as_str()).or_default() += 1;
        }
        counts
    }

    /// Begins the counting window of every proxy anew.
    fn reset_counters(&self) {
        let table = self.core.table();
        for proxy in Pool::members(&table).into_iter().filter_map(|slot| table.proxy(slot)) {
            proxy.reset_window(&ExactClock);
        }
    }

    /// Identifiers to proxies, for callers that read the published index.
    #[getter]
    fn _id_index<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for object in self.all(py)? {
            let object = object.into_bound(py);
            dict.set_item(object.getattr("id")?, object)?;
        }
        Ok(dict)
    }
}
