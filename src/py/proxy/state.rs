//! A proxy as its fields: to dump, to pickle, to compare.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use crate::sync::Arc;

use super::PyProxy;
use super::fields::{FIELDS, Field};

#[proxywhirl_macros::border]
#[pymethods]
impl PyProxy {
    #[staticmethod]
    fn _fields() -> Vec<&'static str> {
        FIELDS.iter().map(|field| field.name).collect()
    }

    pub(super) fn _dump<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let py = slf.py();
        let dict = PyDict::new(py);
        let login = slf.get().core.credentials();
        for Field { name, .. } in FIELDS {
            let value = match *name {
                "username" => login.as_ref().map(|login| &*login.username).into_pyobject(py)?.into_any(),
                "password" => login.as_ref().map(|login| &*login.password).into_pyobject(py)?.into_any(),
                "tags" => {
                    let tags: std::collections::HashSet<String> =
                        slf.get().core.cold(|cold| cold.tags.iter().map(|tag| tag.to_string()).collect());
                    tags.into_pyobject(py)?.into_any()
                }
                name => slf.getattr(name)?,
            };
            dict.set_item(*name, value)?;
        }
        Ok(dict)
    }

    #[classmethod]
    fn _from_state<'py>(cls: &Bound<'py, PyType>, state: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
        cls.call((), Some(state))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyDict>,))> {
        let state = Self::_dump(slf)?;
        Ok((slf.get_type().getattr("_from_state")?, (state,)))
    }

    fn __eq__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let Ok(other) = other.cast::<Self>() else { return Ok(py.NotImplemented()) };
        let (a, b) = (&slf.get().core, &other.get().core);
        let same = Arc::ptr_eq(a, b) || (a.id() == b.id() && Self::_dump(slf)?.eq(Self::_dump(other)?)?);
        Ok(same.into_pyobject(py)?.to_owned().into_any().unbind())
    }

    fn __hash__(&self) -> isize {
        let id = self.core.id();
        (id.0 ^ id.1) as isize
    }
}
