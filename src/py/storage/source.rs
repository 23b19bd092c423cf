//! What is saved: the proxies of a pool as it is in this moment, or of a list.

use std::mem::ManuallyDrop;

use ahash::AHashMap;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::clock::SystemClock;
use crate::pool::{Pool, Table};
use crate::proxy::{Id, Proxy};
use crate::py::border;
use crate::py::pool::PyPool;
use crate::py::proxy::PyProxy;
use crate::resilience::standing::SavedHold;
use crate::rotation::Domain;
use crate::sync::Arc;

/// Proxies to be written: a pool as it is in this moment, or a list.
pub(super) enum Members {
    Pool(Arc<Domain>, Arc<Table>, Vec<u32>),
    List(Vec<Arc<Proxy>>),
}

impl Members {
    pub(super) fn of(py: Python<'_>, source: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(pool) = source.cast::<PyPool>() {
            let core = pool.get().core.clone();
            return Ok(border::detach(py, || {
                let table = Arc::clone(&core.table());
                let slots = Pool::members(&table);
                Self::Pool(core.clone(), table, slots)
            }));
        }
        let items = source.try_iter()?.map(|item| {
            let item = item?;
            let proxy = item.cast::<PyProxy>().map_err(|_| PyTypeError::new_err("a list of Proxy is needed"))?;
            Ok(proxy.get().core.clone())
        });
        Ok(Self::List(items.collect::<PyResult<_>>()?))
    }

    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = &Proxy> + '_> {
        match self {
            Self::Pool(_, table, slots) => Box::new(slots.iter().filter_map(|slot| table.proxy(*slot))),
            Self::List(proxies) => Box::new(proxies.iter().map(|proxy| &**proxy)),
        }
    }

    /// What sites hold against them; nothing is known of a list.
    pub(super) fn held(&self) -> AHashMap<Id, Vec<SavedHold>> {
        match self {
            Self::Pool(pool, ..) => pool.sites().held(pool, &SystemClock),
            Self::List(_) => AHashMap::new(),
        }
    }
}

/// Proxies of a pool or a list that may have metadata or a place of more than country and region.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn proxies_with_extras<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if !source.is_instance_of::<PyPool>() {
        let all: Vec<Bound<'py, PyAny>> = source.try_iter()?.collect::<PyResult<_>>()?;
        return Ok(all.into_iter().filter(|item| item.cast::<PyProxy>().is_ok_and(|p| p.get().has_extras())).collect());
    }
    let Members::Pool(_, table, slots) = Members::of(py, source)? else { return Ok(Vec::new()) };
    let found: Vec<u32> = border::detach(py, || {
        let has = |slot: &u32| {
            table.slot(*slot).and_then(|slot| slot.attachment()).is_some_and(|word| {
                // SAFETY: the table owns a reference to this object, which is a `PyProxy` because pools attach nothing
                // else; the class is frozen, so it may be looked at without the interpreter. No count is touched.
                let object =
                    ManuallyDrop::new(unsafe { std::mem::transmute::<std::ptr::NonNull<()>, Py<PyProxy>>(word) });
                object.get().has_extras()
            })
        };
        slots.into_iter().filter(has).collect()
    });
    let object = |slot: &u32| {
        let word = table.slot(*slot).and_then(|slot| slot.attachment())?;
        // SAFETY: as above, and the interpreter is attached.
        Some(unsafe { Bound::from_borrowed_ptr(py, word.as_ptr().cast()) })
    };
    Ok(found.iter().filter_map(object).collect())
}

/// Whether any proxy of a pool or a list has credentials.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn has_credentials(py: Python<'_>, source: &Bound<'_, PyAny>) -> PyResult<bool> {
    let members = Members::of(py, source)?;
    Ok(border::detach(py, || members.iter().any(|proxy| proxy.cold(|cold| cold.credentials.is_some()))))
}
