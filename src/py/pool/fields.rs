//! The fields of a pool as keywords, attributes and a state to pickle.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDict, PyType};

use crate::clock::exact_wall;
use crate::py::convert::{self, Lazy};
use crate::py::errors::{self, Fault};
use crate::py::pool::PyPool;
use crate::sync::Ordering;

const FIELDS: [&str; 8] =
    ["id", "name", "proxies", "max_pool_size", "auto_remove_dead", "dead_proxy_threshold", "created_at", "updated_at"];

const DEFAULT_LIMIT: usize = 100;

static PROXY_LIST: Lazy = Lazy::new("proxywhirl._native.proxy_list", "ProxyList");

impl PyPool {
    fn assign(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        match name {
            "id" => {
                let id = convert::id_of(value).ok_or_else(|| PyValueError::new_err("Input should be a valid UUID"))?;
                *self.id.lock() = id;
            }
            "name" => {
                let text = convert::text(value)?.into_string();
                *self.name.lock() = text;
            }
            "max_pool_size" => {
                let limit = convert::count(value)?;
                if limit == 0 {
                    return Err(PyValueError::new_err("Input should be greater than 0"));
                }
                self.core.set_limit(usize::try_from(limit).unwrap_or(usize::MAX));
            }
            "auto_remove_dead" => {
                let (_, threshold) = self.core.removal_of_dead();
                self.core.set_removal_of_dead(value.extract()?, threshold);
            }
            "dead_proxy_threshold" => {
                let threshold = u32::try_from(convert::count(value)?).unwrap_or(u32::MAX);
                let (on, _) = self.core.removal_of_dead();
                self.core.set_removal_of_dead(on, threshold);
            }
            "created_at" => self.created.store(convert::micros(value)?, Ordering::Relaxed),
            "updated_at" => self.core.set_updated(convert::micros(value)?),
            _ => return Err(PyTypeError::new_err(format!("ProxyPool has no field {name}"))),
        }
        Ok(())
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyPool {
    #[new]
    #[pyo3(signature = (**fields))]
    fn new(py: Python<'_>, fields: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let pool = Self::with(DEFAULT_LIMIT, "default", exact_wall());
        let Some(fields) = fields else { return Ok(pool) };
        let mut faults = Vec::new();
        for name in FIELDS {
            let Some(value) = fields.get_item(name)? else { continue };
            let checked = match name {
                "proxies" => (|| {
                    let items: Vec<Bound<'_, PyAny>> = value.try_iter()?.collect::<PyResult<_>>()?;
                    for item in &items {
                        // The limit is for add_proxy; the constructor takes what it is given.
                        pool.add_any(item, false)?;
                    }
                    Ok(())
                })(),
                _ => pool.assign(name, &value),
            };
            match checked {
                Ok(()) => {}
                Err(error) if error.is_instance_of::<PyTypeError>(py) || error.is_instance_of::<PyValueError>(py) => {
                    faults.push(Fault::new(name, error.value(py).str()?.to_string(), &value));
                }
                Err(error) => return Err(error),
            }
        }
        if faults.is_empty() { Ok(pool) } else { Err(errors::validation(py, "ProxyPool", faults)) }
    }

    /// Its identifier, a `uuid.UUID`.
    #[getter]
    #[assigned]
    fn id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let id = *self.id.lock();
        convert::uuid(py, id)
    }

    /// Its name.
    #[getter]
    #[assigned]
    pub(super) fn name(&self) -> String {
        self.name.lock().clone()
    }

    /// Its proxies in order: a list that may be changed in place.
    #[getter]
    fn proxies<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        PROXY_LIST.get(slf.py())?.call1((slf,))
    }

    #[setter(proxies)]
    fn set_proxies(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let objects: Vec<Py<PyAny>> = value.try_iter()?.map(|item| item.map(Bound::unbind)).collect::<PyResult<_>>()?;
        self.set_all(py, &objects)
    }

    fields! {
        /// Most proxies that `add_proxy` will add.
        max_pool_size: usize = self.core.limit();
        /// Whether proxies that die are removed.
        auto_remove_dead: bool = self.core.removal_of_dead().0;
        /// Failures in a row after which a dead proxy is removed.
        dead_proxy_threshold: u32 = self.core.removal_of_dead().1;
        /// When it was made.
        created_at: PyResult<Bound<'py, PyDateTime>> = convert::datetime(py, self.created.load(Ordering::Relaxed));
        /// When its membership last changed.
        updated_at: PyResult<Bound<'py, PyDateTime>> = convert::datetime(py, self.core.updated());
    }

    #[staticmethod]
    fn _fields() -> Vec<&'static str> {
        FIELDS.to_vec()
    }

    pub(super) fn _dump<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let py = slf.py();
        let dict = PyDict::new(py);
        for name in FIELDS {
            let value = if name == "proxies" { slf.get().get_all_proxies(py)?.into_any() } else { slf.getattr(name)? };
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    #[classmethod]
    fn _from_state<'py>(cls: &Bound<'py, PyType>, state: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
        cls.call((), Some(state))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyDict>,))> {
        Ok((slf.get_type().getattr("_from_state")?, (Self::_dump(slf)?,)))
    }

    fn __eq__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let Ok(other) = other.cast::<Self>() else { return Ok(py.NotImplemented()) };
        let same = slf.is(other) || Self::_dump(slf)?.eq(Self::_dump(other)?)?;
        Ok(same.into_pyobject(py)?.to_owned().into_any().unbind())
    }

    fn __hash__(slf: &Bound<'_, Self>) -> isize {
        slf.as_ptr() as isize >> 4
    }
}
