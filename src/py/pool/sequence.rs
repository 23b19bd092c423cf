//! A pool as a container, and the other half of `_native/proxy_list.py`: its proxies by number.

use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::clock::exact_wall;
use crate::net::address::Address;
use crate::pool::{Pool, Table};
use crate::proxy::Proxy;
use crate::proxy::health::Source;
use crate::py::convert;
use crate::py::errors;
use crate::py::pool::PyPool;
use crate::py::pool::adding::made_from;
use crate::py::pool::objects::attachment_of;
use crate::py::proxy::PyProxy;
use crate::sync::Arc;

impl PyPool {
    fn rank(&self, index: isize) -> PyResult<(arc_swap::Guard<Arc<Table>>, u32)> {
        let table = self.core.table();
        let len = self.core.len() as isize;
        let rank = if index < 0 { index + len } else { index };
        let slot = usize::try_from(rank).ok().and_then(|rank| Pool::nth(&table, rank));
        slot.map(|slot| (table, slot)).ok_or_else(|| PyIndexError::new_err("list index out of range"))
    }

    pub(super) fn all(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        let table = self.core.table();
        Pool::members(&table).into_iter().map(|slot| Ok(Self::object(py, &table, slot)?.unbind())).collect()
    }

    pub(super) fn set_all(&self, py: Python<'_>, objects: &[Py<PyAny>]) -> PyResult<()> {
        let mut members = Vec::with_capacity(objects.len());
        for object in objects {
            let object = object.bind(py);
            let proxy = match object.cast::<PyProxy>() {
                Ok(proxy) => proxy.clone(),
                Err(_) if object.is_instance_of::<PyString>() => {
                    let url = object.cast::<PyString>()?.to_str()?.trim().to_owned();
                    let address = Address::parse_line(&url).map_err(errors::address)?;
                    Bound::new(py, PyProxy::wrap(made_from(&address, &url, Source::User, &[], exact_wall())?))?
                }
                Err(_) => return Err(PyTypeError::new_err("a proxy must be a Proxy or a URL")),
            };
            members.push((proxy.get().core.clone(), Some(attachment_of(proxy.as_any()))));
        }
        self.core.replace_all(members);
        Ok(())
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyPool {
    fn __contains__(&self, proxy: &Bound<'_, PyAny>) -> bool {
        if let Ok(proxy) = proxy.cast::<PyProxy>() {
            let core = &proxy.get().core;
            return self
                .core
                .find(core.id())
                .is_some_and(|(table, slot)| table.proxy(slot).is_some_and(|held| std::ptr::eq(held, &**core)));
        }
        if let Some(id) = convert::id_of(proxy) {
            return self.core.find(id).is_some();
        }
        let Ok(text) = proxy.cast::<PyString>() else { return false };
        let address = text.to_str().ok().and_then(|text| Address::parse_line(text).ok());
        address.is_some_and(|address| self.core.find_address(&address).is_some())
    }

    fn __len__(&self) -> usize {
        self.core.len()
    }

    fn __bool__(&self) -> bool {
        // As a model: there, whatever it holds.
        true
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.get_all_proxies(py)?.try_iter()?.into_any())
    }

    fn _item<'py>(&self, py: Python<'py>, index: isize) -> PyResult<Bound<'py, PyAny>> {
        let (table, slot) = self.rank(index)?;
        Self::object(py, &table, slot)
    }

    fn _set_item(&self, py: Python<'_>, index: isize, proxy: Py<PyAny>) -> PyResult<()> {
        self.rank(index)?;
        let mut all = self.all(py)?;
        let place = if index < 0 { index + all.len() as isize } else { index };
        all[place as usize] = proxy;
        self.set_all(py, &all)
    }

    fn _del_item(&self, index: isize) -> PyResult<()> {
        let id = {
            let (table, slot) = self.rank(index)?;
            table.proxy(slot).map(Proxy::id)
        };
        if let Some(id) = id {
            self.core.remove(id);
        }
        Ok(())
    }

    fn _insert(&self, py: Python<'_>, index: isize, proxy: &Bound<'_, PyAny>) -> PyResult<()> {
        let len = self.core.len() as isize;
        let place = if index < 0 { (index + len).max(0) } else { index.min(len) };
        if place == len {
            return self.add_any(proxy, false).map(|_| ());
        }
        let mut all = self.all(py)?;
        all.insert(place as usize, proxy.clone().unbind());
        self.set_all(py, &all)
    }

    fn _replace_all(&self, py: Python<'_>, proxies: Vec<Py<PyAny>>) -> PyResult<()> {
        self.set_all(py, &proxies)
    }
}
