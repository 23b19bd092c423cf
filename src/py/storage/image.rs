//! A file that has been read: its proxies are made and added to a pool.

use ahash::{AHashMap, AHashSet};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyDict;
use serde_json::value::RawValue;

use crate::clock::{SystemClock, exact_wall};
use crate::proxy::{Id, Proxy};
use crate::py::border;
use crate::py::pool::PyPool;
use crate::py::proxy::PyProxy;
use crate::rotation::Domain;
use crate::storage::{Entry, Image};
use crate::sync::Arc;

/// A file that has been read and not yet been made into proxies.
#[pyclass(module = "proxywhirl._core", frozen)]
pub(crate) struct PoolImage(Image);

#[proxywhirl_macros::border]
#[pymethods]
impl PoolImage {
    /// Reads the contents of a file, gzipped or not, in any documented form.
    ///
    /// Args:
    ///     data: The contents.
    ///     appended: Whether it is known to be written line by line, so that any line of it may be the last.
    ///
    /// Raises:
    ///     ValueError: It is in none of them; nothing of it is quoted.
    #[new]
    #[pyo3(signature = (data, appended=false))]
    fn new(py: Python<'_>, data: PyBackedBytes, appended: bool) -> PyResult<Self> {
        let read = border::detach(py, || Image::read(&data, appended));
        read.map(Self).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    getters! {
        /// Name of the pool, if the file says.
        name: Option<&str> = self.0.name.as_deref();
        /// Its `config` as JSON.
        settings: Option<&str> = self.0.settings.as_deref();
        /// Whether it was JSON Lines.
        lines: bool = self.0.lines;
        /// Whether its end was cut off and left out: the last line, or the last member of a gzipped file.
        torn: bool = self.0.torn;
    }

    fn __len__(&self) -> usize {
        self.0.entries.len()
    }

    /// The encrypted texts in it, each with what it must be bound to.
    fn sealed(&self, py: Python<'_>) -> Vec<(String, String)> {
        border::detach(py, || self.0.sealed())
    }

    /// Makes the proxies and adds them to a pool.
    ///
    /// Args:
    ///     pool: The pool.
    ///     opened: The plain text of each encrypted one.
    ///     make: Called with number and JSON of an entry in no usual form; returns a `Proxy` or raises.
    ///     decorate: Called with a proxy, the JSON of its metadata and of its place, its country and its region, and what
    ///         encrypted metadata must be bound to.
    ///     merge: A proxy that is in the pool already, and has not been used, takes over what the file has learned of it.
    ///
    /// Returns:
    ///     Numbers of proxies added, and of those that were there.
    ///
    /// Raises:
    ///     ValueError: An entry is no proxy, or the pool has no room.
    #[pyo3(signature = (pool, opened, make, decorate, merge=false))]
    fn load_into(
        &self,
        py: Python<'_>,
        pool: &Bound<'_, PyPool>,
        opened: &Bound<'_, PyDict>,
        make: &Bound<'_, PyAny>,
        decorate: &Bound<'_, PyAny>,
        merge: bool,
    ) -> PyResult<(usize, usize)> {
        let opened: AHashMap<String, String> =
            opened.iter().map(|(seal, text)| Ok((seal.extract()?, text.extract()?))).collect::<PyResult<_>>()?;
        let mut odd: AHashMap<usize, Py<PyProxy>> = AHashMap::new();
        for (index, entry) in self.0.entries.iter().enumerate() {
            if let Entry::Odd(text) = entry {
                odd.insert(index, make.call1((index + 1, text))?.cast_into::<PyProxy>()?.unbind());
            }
        }
        let core = pool.get().core.clone();
        let mut learned = Vec::new();
        let (proxies, merged) = border::detach(py, || self.proxies(&core, &opened, &odd, merge, &mut learned));
        let offered = proxies.len();
        let shared: Vec<Arc<Proxy>> = proxies.iter().map(|(_, proxy)| proxy.clone()).collect();
        let added = border::detach(py, || core.add_all(shared)).map_err(crate::py::errors::add)?.0;
        learned.extend(proxies.iter().map(|(index, proxy)| (*index, proxy.id())));
        border::detach(py, || {
            for (index, id) in learned {
                let Some(Entry::Known(record, _)) = self.0.entries.get(index) else { continue };
                for held in record.held() {
                    core.sites().hold_again(&core, id, &held, &SystemClock);
                }
            }
        });
        for object in odd.values() {
            PyPool::adopt(&core, object.bind(py));
        }
        for (index, proxy) in &proxies {
            let Some(Entry::Known(record, address)) = self.0.entries.get(*index) else { continue };
            if let Some(extra) = record.extra() {
                let object = PyPool::object_of(py, proxy)?;
                let text = |raw: &Option<Box<RawValue>>| raw.as_ref().map(|raw| raw.get().to_owned());
                let (country, region) = record.place();
                let bound = record.binding("metadata", address);
                decorate.call1((object, text(&extra.metadata), text(&extra.geo_location), country, region, bound))?;
            }
        }
        Ok((added, merged + offered - added))
    }
}

impl PoolImage {
    fn proxies(
        &self,
        core: &Domain,
        opened: &AHashMap<String, String>,
        odd: &AHashMap<usize, Py<PyProxy>>,
        merge: bool,
        learned: &mut Vec<(usize, Id)>,
    ) -> (Vec<(usize, Arc<Proxy>)>, usize) {
        let now = exact_wall();
        let mut proxies = Vec::with_capacity(self.0.entries.len());
        let mut ids = AHashSet::with_capacity(self.0.entries.len());
        let mut merged = 0;
        for (index, entry) in self.0.entries.iter().enumerate() {
            let proxy = match entry {
                Entry::Known(record, address) => {
                    let proxy = record.build(address, opened, now);
                    if merge
                        && let Some((table, slot)) = core.find_address(&proxy.address())
                        && let Some(held) = table.slot(slot).and_then(|slot| slot.share())
                    {
                        if record.merge_into(&held, &proxy) {
                            learned.push((index, held.id()));
                        }
                        merged += 1;
                        continue;
                    }
                    proxy
                }
                Entry::Odd(_) => match odd.get(&index) {
                    Some(object) => object.get().core.clone(),
                    None => continue,
                },
            };
            // A line copied by hand has the same identifier.
            if !ids.insert(proxy.id()) || core.find(proxy.id()).is_some() {
                proxy.set_id(Id::random());
                ids.insert(proxy.id());
            }
            proxies.push((index, proxy));
        }
        (proxies, merged)
    }
}
